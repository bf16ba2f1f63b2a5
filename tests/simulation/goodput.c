/* SPDX-License-Identifier: MIT */
/*
 * goodput          prints a table: loss x round trip x congestion control, and the goodput of one connection
 * goodput FILE     compares with the table in FILE
 *
 * A sender and a receiver on a simulated path of a certain rate with a queue of one round trip at 100 ms, frames of
 * 1,500 bytes lost at random on the way there. Everything is drawn from seeds, so the figures repeat; a change of the
 * stack that moves one of them by more than a tenth is meant and then the table is made anew, or is a mistake.
 */
#include "world.h"

#include "mem/heap.h"

#include <stdlib.h>
#include <string.h>

#define RATE_BPS    50000000u
#define QUEUE_BYTES 625000u
#define TRANSFER    (20u << 20) /* bytes */
#define SEEDS       8u
#define PUSH_BYTES  65536u
#define GIVE_UP     (100000 * SEC)
#define TOLERANCE   10 /* percent */
#define PORT        80
#define LINE_BYTES  256

static const char *const algorithms[] = {"reno", "cubic"};
static const uint32_t losses[] = {0, 100, 1000, 10000, 30000}; /* parts in a million */
static const uint32_t round_trips_ms[] = {2, 20, 100};

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct transfer {
    struct world *w;
    struct tcp_listener *listener;
    struct tcp_conn *from, *to;
    uint8_t *block;
    uint64_t pushed, popped;
};

static void push_all(struct transfer *t) {
    struct inet_segment data = {t->block, PUSH_BYTES};
    while (t->pushed < TRANSFER && tcp_push(t->from, &data, false, t->w->now) == 0)
        t->pushed += PUSH_BYTES;
}

static void pop_all(struct transfer *t) {
    struct inet_slice s;
    while (t->to && tcp_pop(t->to, &s, UINT32_MAX, t->w->now) == 0 && s.len > 0) {
        t->popped += s.len;
        heap_free(s.base);
    }
}

static void on_event(void *ctx, struct node *n, struct inet_socket *k, uint32_t events) {
    struct transfer *t = ctx;
    (void)events;
    if (k->kind == INET_TCP_LISTENER) world_must(t->w, tcp_accept(t->listener, &t->to, NULL) == 0);
    if (n == &t->w->nodes[0]) push_all(t);
    pop_all(t);
}

/* The time one transfer takes. */
static uint64_t transfer_ns(uint64_t seed, const char *algorithm, uint32_t loss, uint32_t round_trip_ms) {
    struct world_shape shape = {.nodes = 2, .mtu = 1500, .neighbours_known = true};
    struct transfer t = {.w = world_new(seed, &shape, NULL, false), .block = heap_alloc_zeroed(PUSH_BYTES)};
    struct world *w = t.w;
    struct sim_path there = {.delay_ns = round_trip_ms * MS / 2,
                             .rate_bps = RATE_BPS,
                             .queue_bytes = QUEUE_BYTES,
                             .loss = loss},
                    back = {.delay_ns = round_trip_ms * MS / 2};
    sim_set_path(w->sim, w->nodes[0].link, true, &there);
    sim_set_path(w->sim, w->nodes[0].link, false, &back);
    struct inet_endpoint any = {.port = PORT}, to = {w->nodes[1].addr, PORT};
    int chosen = tcp_congestion_find(algorithm);
    uint64_t begin = w->now;
    world_must(w, tcp_listen(w->nodes[1].stack, &t.listener, &any, 1, NULL, NULL) == 0);
    world_must(w, tcp_connect(w->nodes[0].stack, &t.from, &to, NULL, NULL, NULL, begin) == 0);
    world_must(w, tcp_set_option(t.from, TCP_OPTION_CONGESTION, (uint32_t)chosen, begin) == 0);
    while (t.popped < TRANSFER)
        world_must(w, world_step(w, begin + GIVE_UP, on_event, &t));
    uint64_t took = w->now - begin;
    tcp_abort(t.from, w->now);
    tcp_abort(t.to, w->now);
    tcp_listener_close(t.listener, w->now);
    heap_free(t.block);
    world_delete(w);
    return took;
}

/* Of all seeds together, in kbit/s. */
static uint64_t goodput_kbps(const char *algorithm, uint32_t loss, uint32_t round_trip_ms) {
    uint64_t took = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        took += transfer_ns(seed, algorithm, loss, round_trip_ms);
    return (uint64_t)((double)SEEDS * TRANSFER * 8e6 / (double)took);
}

/* The figure of that cell in the table; 0: the table has none. */
static uint64_t figure_of(FILE *table, const char *algorithm, uint32_t loss, uint32_t round_trip_ms) {
    char line[LINE_BYTES], name[LINE_BYTES];
    rewind(table);
    while (fgets(line, sizeof line, table)) {
        double percent;
        unsigned ms;
        unsigned long long kbps;
        if (sscanf(line, "%255s %lf %u %llu", name, &percent, &ms, &kbps) == 4 && strcmp(name, algorithm) == 0 &&
            (uint32_t)(percent * 10000 + 0.5) == loss && ms == round_trip_ms)
            return kbps;
    }
    return 0;
}

static bool cell(FILE *table, const char *algorithm, uint32_t loss, uint32_t round_trip_ms) {
    uint64_t now = goodput_kbps(algorithm, loss, round_trip_ms);
    printf("%-9s %6.2f %6u %12llu\n", algorithm, loss / 1e4, round_trip_ms, (unsigned long long)now);
    fflush(stdout);
    if (!table) return true;
    uint64_t before = figure_of(table, algorithm, loss, round_trip_ms);
    uint64_t apart = now > before ? now - before : before - now;
    if (before && apart * 100 <= before * TOLERANCE) return true;
    fprintf(stderr, "%s, %.2f%% loss, %u ms: %llu kbit/s, the table says %llu\n", algorithm, loss / 1e4, round_trip_ms,
            (unsigned long long)now, (unsigned long long)before);
    return false;
}

int main(int argc, char **argv) {
    FILE *table = argc > 1 ? fopen(argv[1], "r") : NULL;
    bool equal = true;
    if (argc > 1 && !table) {
        perror(argv[1]);
        return 2;
    }
    printf("# Goodput of one connection, as tests/simulation/goodput.c says. To make it anew:\n"
           "# build/tests/simulation/goodput > tests/simulation/goodput.txt\n"
           "# control  loss %%  round trip ms  kbit/s, the link's rate being %u\n",
           RATE_BPS / 1000);
    for (size_t a = 0; a < COUNT(algorithms); a++)
        for (size_t l = 0; l < COUNT(losses); l++)
            for (size_t r = 0; r < COUNT(round_trips_ms); r++)
                equal &= cell(table, algorithms[a], losses[l], round_trips_ms[r]);
    if (table) fclose(table);
    return !equal;
}
