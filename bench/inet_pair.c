/* SPDX-License-Identifier: MIT */
/*
 * inet-pair: round trips of 64-byte messages between two stacks in one thread, connected in memory: the cost of the
 * stacks and one copy per frame, without communication between cores. Components are named KIND-PROTOCOL. The stacks'
 * clock is virtual, so that instructions repeat: callgrind counts inside `measure` (a round trip) and `server_turn`
 * (the server's part of it).
 */
#include "counted.h"
#include "options.h"
#include "pair.h"

#include <dmtr/latency.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS     64u
#define TURN_NS   500u /* of the stacks' clock, per turn */
#define TURNS_MAX 1000000u
#define ROUNDS    10u

struct wire {
    const struct pair_kind *kind; /* kind of the receiving end */
    void *to;                     /* the receiving end; NULL: closed */
    struct {
        void *frame;
        uint32_t bytes;
    } slots[SLOTS];
    uint32_t head, count;
};

struct pair {
    const struct pair_kind *kinds[PAIR_ENDS];
    void *ends[PAIR_ENDS];
    struct wire wires[PAIR_ENDS]; /* to each end */
    uint64_t now;
};

static const struct component {
    const char *name;
    const struct pair_kind *kinds[PAIR_ENDS];
    bool stream;
} components[] = {
    {"inet-tcp", {&pair_inet, &pair_inet}, true},
    {"inet-udp", {&pair_inet, &pair_inet}, false},
    {"floor-tcp", {&pair_floor, &pair_inet}, true},
    {"floor-udp", {&pair_floor, &pair_inet}, false},
#ifdef DMTR_LWIP
    {"lwip-tcp", {&pair_lwip_server, &pair_lwip_client}, true},
    {"lwip-udp", {&pair_lwip_server, &pair_lwip_client}, false},
#endif
};

static uint64_t iterations = 1000000;
static const char *component = "inet-tcp";

static const struct option_spec specs[] = {
    {"component", OPTION_STRING, &component, "NAME",
     "inet-tcp, inet-udp, floor-tcp, floor-udp, and if lwIP is built lwip-tcp, lwip-udp", 0, 0},
    {"iterations", OPTION_UINT, &iterations, "N", "round trips, in 10 rounds", ROUNDS, 1ull << 40},
    {0}};

static bool wire_send(void *ctx, const struct pair_run *runs, uint32_t count) {
    struct wire *w = ctx;
    uint32_t bytes = 0;
    if (!w->to || w->count == SLOTS) return false;
    for (uint32_t i = 0; i < count; i++)
        bytes += runs[i].len;
    char *frame = w->kind->buffer(w->to, bytes), *at = frame;
    if (!frame) return false;
    for (uint32_t i = 0; i < count; at += runs[i++].len)
        memcpy(at, runs[i].base, runs[i].len);
    uint32_t slot = (w->head + w->count++) % SLOTS;
    w->slots[slot].frame = frame;
    w->slots[slot].bytes = bytes;
    return true;
}

/* One end processes the frames that have arrived. */
static void turn(struct pair *p, uint32_t end) {
    struct wire *w = &p->wires[end];
    for (; w->count; w->count--, w->head = (w->head + 1) % SLOTS)
        p->kinds[end]->input(w->to, w->slots[w->head].frame, w->slots[w->head].bytes, p->now);
    p->kinds[end]->settle(w->to, p->now);
    p->now += TURN_NS;
}

static COUNTED void server_turn(struct pair *p) {
    turn(p, 0);
}

static void round_trip(struct pair *p) {
    const struct pair_kind *client = p->kinds[1];
    uint64_t wanted = client->received(p->ends[1]) + PAIR_MESSAGE_BYTES;
    client->request(p->ends[1], p->now);
    for (uint32_t turns = 0; client->received(p->ends[1]) < wanted; turns++) {
        if (turns == TURNS_MAX) {
            fprintf(stderr, "inet-pair: %s: a message did not come back\n", component);
            exit(1);
        }
        server_turn(p);
        turn(p, 1);
    }
}

static COUNTED void measure(struct pair *p, uint64_t n) {
    for (uint64_t i = 0; i < n; i++)
        round_trip(p);
}

static bool pair_open(struct pair *p, const struct component *c) {
    *p = (struct pair){.now = 0};
    memcpy(p->kinds, c->kinds, sizeof p->kinds);
    for (uint32_t end = 0; end < PAIR_ENDS; end++)
        p->wires[end].kind = c->kinds[end];
    for (uint32_t end = 0; end < PAIR_ENDS; end++) {
        struct wire *there = &p->wires[PAIR_ENDS - 1 - end];
        p->ends[end] = p->wires[end].to = c->kinds[end]->open(end, c->stream, wire_send, there, p->now);
        if (!p->ends[end]) return false;
    }
    for (uint32_t turns = 0; turns < TURNS_MAX && !c->kinds[1]->connected(p->ends[1]); turns++)
        turn(p, turns % PAIR_ENDS);
    return c->kinds[1]->connected(p->ends[1]);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int run(const struct component *c) {
    struct pair *p = calloc(1, sizeof *p);
    double ns[ROUNDS];
    if (!p || !pair_open(p, c)) {
        fprintf(stderr, "inet-pair: %s: the stacks cannot connect\n", c->name);
        free(p);
        return 1;
    }
    const uint64_t each = iterations / ROUNDS;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t began = dmtr_now_ns();
        measure(p, each);
        ns[i] = (double)(dmtr_now_ns() - began) / (double)each;
    }
    p->wires[0].to = p->wires[1].to = NULL;
    for (uint32_t end = 0; end < PAIR_ENDS; end++)
        c->kinds[end]->close(p->ends[end]);
    free(p);
    qsort(ns, ROUNDS, sizeof *ns, by_size);
    printf("{\"program\":\"inet-pair\",\"component\":\"%s\",\"median_ns\":%.1f,\"min_ns\":%.1f}\n", c->name,
           ns[ROUNDS / 2], ns[0]);
    return 0;
}

int main(int argc, char *argv[]) {
    enum options_result o = options_parse(argc, argv, "Round trips between two stacks in one thread.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    for (size_t i = 0; i < sizeof components / sizeof *components; i++)
        if (strcmp(components[i].name, component) == 0) return run(&components[i]);
    fprintf(stderr, "inet-pair: no component \"%s\"; see --help\n", component);
    return EXIT_USAGE;
}
