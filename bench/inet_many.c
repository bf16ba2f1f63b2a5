/* SPDX-License-Identifier: MIT */
/*
 * inet-many: measures the stack with many connections. Pairs of stacks are connected in memory, one pair per thread, so
 * that the figures include neither a device nor another thread. Components:
 *
 * echo-N  64-byte echoes over N connections in turn: ns of one
 * burst-N the same, with messages of 32 connections in flight at a time
 * opens   connections opened and closed: ns of one
 * idle-N  established idle connections: bytes of memory of each
 *
 * The clock of the stacks is virtual, so that the instructions that callgrind counts inside `measure` repeat.
 */
#include "counted.h"
#include "inet/tcp/conn.h"
#include "mem/heap.h"
#include "options.h"

#include <arpa/inet.h>
#include <dmtr/latency.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES 64u
#define PORT          7u /* of the first listener */
#define LISTENERS     4u /* sixteen addresses do not have enough ports for a million connections to one port */
#define SLOTS         4096u
#define TURN_NS       10u  /* of the stacks' clock: no timer fires while a connection waits for its turn */
#define BATCH         256u /* connections that are opened at a time */
#define THREADS_MAX   64u
#define BURST         32u

static const char *component = "echo-1";
static uint64_t iterations = 1000000, threads = 1, cpu = UINT64_MAX;
static uint64_t connections = 1; /* N of the component */
static uint64_t burst = 1;       /* connections on which a message is in flight at a time */
static bool opens;

static const struct option_spec specs[] = {
    {"component", OPTION_STRING, &component, "NAME", "echo-N, burst-N, opens, idle-N, with N connections", 0, 0},
    {"iterations", OPTION_UINT, &iterations, "N", "echoes, or connections opened, of each thread", BATCH, 1ull << 40},
    {"threads", OPTION_UINT, &threads, "N", "threads, each with its own stacks", 1, THREADS_MAX},
    {"cpu", OPTION_UINT, &cpu, "N", "processor of the first thread; further threads use the next ones", 0, 1023},
    {0}};

struct end {
    struct inet *stack;
    struct pair *pair;
    struct end *other;
    struct {
        void *data;
        uint32_t bytes;
    } slots[SLOTS]; /* frames in flight to this end */
    uint32_t head, count;
};

struct pair {
    pthread_t thread;
    struct end ends[2]; /* 0 is the server */
    struct tcp_listener *listeners[LISTENERS];
    struct tcp_conn **conns; /* the client's */
    uint64_t number, opened, accepted, answered, now;
    void *message;
    double ns;
};

/* Settings of long-lived connections, which do not acknowledge their first segments at once. */
static struct tcp_settings settled;

static int transmit(void *ctx, const struct inet_frame *f) {
    struct end *to = ((struct end *)ctx)->other;
    if (to->count == SLOTS) return -EAGAIN;
    char *at = heap_alloc(f->bytes);
    if (!at) return -ENOMEM;
    uint32_t slot = (to->head + to->count++) % SLOTS;
    to->slots[slot].data = at;
    to->slots[slot].bytes = f->bytes;
    for (uint32_t i = 0; i < f->count; at += f->segments[i++].len)
        memcpy(at, f->segments[i].base, f->segments[i].len);
    return 0;
}

static struct inet_addr address_of(uint32_t end, uint32_t n) {
    return inet_addr_ip4(htonl(0x0a000001u + (end << 16) + n));
}

/* The client has sixteen addresses, so that there are enough ports. */
static bool end_open(struct pair *p, uint32_t i) {
    struct end *e = &p->ends[i];
    static const uint8_t macs[2][INET_MAC_BYTES] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
    struct inet_static_neighbour peers[INET_ADDRS_MAX];
    struct inet_config c = {.mtu = 1500,
                            .addr_count = i == 0 ? 1 : INET_ADDRS_MAX,
                            .neighbours = peers,
                            .neighbour_count = INET_ADDRS_MAX,
                            .offloads = INET_OFFLOAD_CSUM,
                            .seed = {(uint8_t)(i + 1)},
                            .transmit = transmit,
                            .ctx = e};
    memcpy(c.mac, macs[i], sizeof c.mac);
    for (uint32_t n = 0; n < INET_ADDRS_MAX; n++) {
        c.addrs[n] = (struct inet_prefix){address_of(i, n), 8};
        peers[n].addr = address_of(1 - i, n);
        memcpy(peers[n].mac, macs[1 - i], INET_MAC_BYTES);
    }
    e->pair = p;
    e->other = &p->ends[1 - i];
    return inet_new(&e->stack, &c, p->now) == 0;
}

static void echo(struct tcp_conn *c, uint64_t now) {
    struct inet_slice got;
    int r;
    while ((r = tcp_pop(c, &got, UINT32_MAX, now)) == 0 && got.len > 0) {
        struct inet_segment back = {got.base, got.len};
        tcp_push(c, &back, false, now);
        heap_free(got.base);
    }
    if (r != -EAGAIN) tcp_close(c, now);
}

static void take(struct pair *p, struct tcp_conn *c) {
    struct inet_slice got;
    while (tcp_pop(c, &got, UINT32_MAX, p->now) == 0 && got.len > 0) {
        p->answered += got.len;
        heap_free(got.base);
    }
}

static void settle(struct pair *p, struct end *e) {
    struct inet_socket *k;
    uint32_t events;
    inet_timers(e->stack, p->now);
    while ((k = inet_next_event(e->stack, &events))) {
        struct tcp_conn *c = k->kind == INET_TCP ? list_entry(k, struct tcp_conn, socket) : NULL;
        if (k->kind == INET_TCP_LISTENER) {
            while (tcp_accept((struct tcp_listener *)k, &c, NULL) == 0)
                p->accepted++;
        } else if (e == &p->ends[0]) {
            echo(c, p->now);
        } else if (events & INET_EVENT_CONNECTED) {
            p->opened++;
        } else {
            take(p, c);
        }
    }
    inet_flush(e->stack, p->now);
}

static void turn(struct pair *p) {
    for (uint32_t i = 0; i < 2; i++) {
        struct end *e = &p->ends[i];
        for (; e->count; e->count--, e->head = (e->head + 1) % SLOTS)
            inet_input(e->stack, e->slots[e->head].data, e->slots[e->head].bytes, INET_INPUT_CSUM_OK, p->now);
        settle(p, e);
        p->now += TURN_NS;
    }
}

static void give_up(const char *what) {
    fprintf(stderr, "inet-many: %s\n", what);
    exit(1);
}

static void open_some(struct pair *p, uint64_t first, uint64_t n) {
    uint64_t wanted = p->opened + n;
    for (uint64_t i = first; i < first + n; i++) {
        struct inet_endpoint to = {address_of(0, 0), (uint16_t)(PORT + i / INET_ADDRS_MAX % LISTENERS)};
        struct inet_endpoint from = {address_of(1, (uint32_t)(i % INET_ADDRS_MAX)), 0};
        if (tcp_connect(p->ends[1].stack, &p->conns[i], &to, &from, &settled, NULL, p->now)) give_up("cannot connect");
    }
    for (uint32_t turns = 0; p->opened < wanted || p->accepted < wanted; turns++) {
        if (turns == 100000) give_up("connections are not established");
        turn(p);
    }
}

static void open_all(struct pair *p, uint64_t n) {
    p->conns = calloc(n, sizeof *p->conns);
    if (!p->conns) give_up("no memory");
    for (uint64_t i = 0; i < n; i += BATCH)
        open_some(p, i, n - i < BATCH ? n - i : BATCH);
}

/* Over connection i, and over those behind it, if it is a burst. */
static void echo_once(struct pair *p, uint64_t i) {
    struct inet_segment message = {p->message, MESSAGE_BYTES};
    uint64_t wanted = p->answered + burst * MESSAGE_BYTES;
    for (uint64_t n = 0; n < burst; n++)
        tcp_push(p->conns[(i + n) % connections], &message, false, p->now);
    inet_flush(p->ends[1].stack, p->now);
    for (uint32_t turns = 0; p->answered < wanted; turns++) {
        if (turns == 100000) give_up("a message did not come back");
        turn(p);
    }
}

/* The client closes first and would be in TIME_WAIT; the reset ends that, so nothing remains. */
static void open_and_close(struct pair *p) {
    open_some(p, 0, BATCH);
    for (uint32_t i = 0; i < BATCH; i++)
        tcp_shutdown(p->conns[i], p->now);
    for (uint32_t i = 0; i < 4; i++)
        turn(p);
    for (uint32_t i = 0; i < BATCH; i++)
        tcp_abort(p->conns[i], p->now);
    turn(p);
}

static COUNTED void measure(struct pair *p, uint64_t n) {
    for (uint64_t i = 0; i < n; i++)
        if (opens)
            open_and_close(p);
        else
            echo_once(p, i * burst % connections);
}

static void stacks_open(struct pair *p) {
    if (!end_open(p, 0) || !end_open(p, 1)) give_up("no stack");
    for (uint32_t i = 0; i < LISTENERS; i++) {
        struct inet_endpoint at = {address_of(0, 0), (uint16_t)(PORT + i)};
        if (tcp_listen(p->ends[0].stack, &p->listeners[i], &at, 2 * BATCH, &settled, NULL)) give_up("cannot listen");
    }
}

static void *run(void *arg) {
    struct pair *p = arg;
    uint64_t rounds = opens ? iterations / BATCH : iterations / burst;
    if (cpu != UINT64_MAX) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((cpu + p->number) % CPU_SETSIZE, &set);
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    }
    stacks_open(p);
    p->message = heap_alloc_zeroed(MESSAGE_BYTES);
    if (!p->message) give_up("no memory");
    if (opens)
        p->conns = calloc(BATCH, sizeof *p->conns);
    else
        open_all(p, connections);
    for (uint64_t i = 0; i < (opens ? 4 : connections); i += burst) /* warm */
        opens ? open_and_close(p) : echo_once(p, i);
    uint64_t began = dmtr_now_ns();
    measure(p, rounds);
    p->ns = (double)(dmtr_now_ns() - began) / (double)(opens ? rounds * BATCH : rounds * burst);
    return NULL;
}

static size_t in_use(void) {
    struct mallinfo2 m = mallinfo2();
    struct heap_stats h;
    heap_get_stats(&h);
    return m.uordblks + m.hblkhd + h.used_bytes + h.large_bytes;
}

static void hold(struct pair *p) {
    stacks_open(p);
    size_t before = in_use();
    open_all(p, connections);
    double each = (double)(in_use() - before - connections * sizeof *p->conns) / (double)(2 * connections);
    printf("{\"program\":\"inet-many\",\"component\":\"%s\",\"bytes_each\":%.1f}\n", component, each);
}

static void run_all(void) {
    static struct pair pairs[THREADS_MAX];
    double rate = 0, ns = 0;
    for (uint64_t i = 0; i < threads; i++) {
        pairs[i].number = i;
        if (pthread_create(&pairs[i].thread, NULL, run, &pairs[i])) give_up("no thread");
    }
    for (uint64_t i = 0; i < threads; i++) {
        pthread_join(pairs[i].thread, NULL);
        rate += 1e9 / pairs[i].ns;
        ns += pairs[i].ns / (double)threads;
    }
    printf("{\"program\":\"inet-many\",\"component\":\"%s\",\"threads\":%llu,\"median_ns\":%.1f,\"per_second\":%.0f}\n",
           component, (unsigned long long)threads, ns, rate);
}

int main(int argc, char *argv[]) {
    static struct pair held;
    char rest;
    enum options_result o = options_parse(argc, argv, "Many connections between two stacks.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    unsigned long long n = 0;
    bool bursts = sscanf(component, "burst-%llu%c", &n, &rest) == 1,
         echo = bursts || sscanf(component, "echo-%llu%c", &n, &rest) == 1,
         idle = sscanf(component, "idle-%llu%c", &n, &rest) == 1;
    opens = strcmp(component, "opens") == 0;
    if (!opens && (!(echo || idle) || n == 0 || n > 2000000)) {
        fprintf(stderr, "inet-many: no component \"%s\"; see --help\n", component);
        return EXIT_USAGE;
    }
    connections = n;
    if (bursts) burst = BURST;
    settled = tcp_settings_default;
    settled.values[TCP_OPTION_QUICKACK] = 0;
    if (idle)
        hold(&held);
    else
        run_all();
    return 0;
}
