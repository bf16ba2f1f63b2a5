/* SPDX-License-Identifier: MIT */
/*
 * simulation SEED [verbose | slow]      one run, told in full; slow: its stacks take no fast path
 * simulation --runs N [--first SEED]    N runs from that seed on
 * simulation --seconds N                runs from a random seed on, for so long
 * simulation --equal N [--first SEED]   N runs, each again with stacks that take no fast path, which must show the same
 * simulation --faults N                 in builds with fault points: N runs, each again and again with another of its
 *                                       allocations failing, which no connection may suffer from
 *
 * A run draws everything from its seed: nodes, paths, faults, connections, datagrams. What must hold is checked while
 * it goes on and at its end; when faults have ended everything finishes, and no memory is left.
 */
#include "faults.h"
#include "spoof.h"

#include "base/fault.h"
#include "inet/tcp/check.h"
#include "mem/heap.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FINISH_NS    (4000 * SEC) /* after the last fault everything ends within this */
#define FORGET_NS    (1000 * SEC) /* and then what has a time to live */
#define CHECK_EVERY  64u          /* events */
#define BLOCK_MOST   65536u       /* with receive offload */
#define MEMORY_LEAST (1u << 20)
#define TSO_LEAST    128u
#define TSO_MOST     65549u

struct run {
    struct world *w;
    struct streams streams;
    struct datagrams datagrams;
    struct faults faults;
    struct spoof spoof;
};

static void on_event(void *ctx, struct node *n, struct inet_socket *k, uint32_t events) {
    struct run *r = ctx;
    if (k->kind == INET_UDP)
        datagrams_event(&r->datagrams, n);
    else
        streams_event(&r->streams, n, k, events);
}

/* What received data pins, of each connection and of all: a connection with nothing to read gets one block always. */
static void check_memory(const struct world *w, const struct inet *s) {
    const struct tcp_conn *c;
    uint64_t sum = 0, count = 0;
    for (uint64_t at = 0; (c = hash_next(&s->tcp_conns, &at)); count++) {
        uint64_t limit = c->receive.limit > TCP_RECEIVE_FIRST ? c->receive.limit : TCP_RECEIVE_FIRST;
        world_must(w, receive_charged(&c->receive) <= limit * TCP_CHARGE_RATIO + TCP_CHARGE_LEAST + BLOCK_MOST);
        sum += receive_charged(&c->receive);
    }
    world_must(w, sum <= s->tcp_memory.charged); /* closed ones may still be read */
    world_must(w, s->tcp_memory.charged <= s->config.tcp_memory + (count + STREAMS_MAX) * BLOCK_MOST);
    world_must(w, s->neighbours.queued_bytes <= s->config.limits.neighbour_memory);
}

static void check_stack(const struct world *w, const struct inet *s) {
    const char *wrong = s ? tcp_check_all(s) : NULL;
    if (wrong) world_fail(w, "tcp_check.c", 0, wrong);
    if (s) check_memory(w, s);
}

static void check_stacks(const struct run *r) {
    for (uint32_t i = 0; i < r->w->node_count; i++) {
        check_stack(r->w, r->w->nodes[i].stack);
        check_stack(r->w, r->w->nodes[i].second);
    }
}

static uint64_t act(struct run *r) {
    uint64_t a = faults_act(&r->faults), b = streams_act(&r->streams), c = datagrams_act(&r->datagrams);
    uint64_t d = spoof_act(&r->spoof);
    if (b < a) a = b;
    if (d < a) a = d;
    return c < a ? c : a;
}

static void go_on_until_done(struct run *r) {
    uint64_t last = UINT64_MAX;
    do {
        uint64_t next = act(r);
        if (r->faults.end_ns == UINT64_MAX && last == UINT64_MAX) last = r->w->now + FINISH_NS;
        if (r->w->now >= last) streams_say(&r->streams);
        world_must(r->w, r->w->now < last);
        world_step(r->w, next < last ? next : last, on_event, r);
        if (r->w->events % CHECK_EVERY == 0) check_stacks(r);
    } while (!streams_done(&r->streams) || r->datagrams.next_ns != UINT64_MAX || r->faults.end_ns != UINT64_MAX);
}

/* What nobody uses any more keeps nothing. */
static void check_empty(const struct world *w, struct inet *s) {
    world_must(w, hash_count(&s->tcp_conns) == 0 && hash_count(&s->tcp_listeners) == 0);
    world_must(w, list_empty(&s->tcp_dead) && list_empty(&s->ready) && s->loopback_count == 0);
    world_must(w, s->fragments.bytes == 0 && hash_count(&s->udp_bound) == 0);
    world_must(w, hash_count(&s->neighbours.by_addr) == s->config.neighbour_count);
    world_must(w, s->tcp_memory.charged == 0 && s->neighbours.queued_bytes == 0 && s->neighbours.probing == 0);
    world_must(w, s->tcp_orphans == 0 && s->tcp_time_waits == 0);
    world_must(w, inet_next_ns(s) == UINT64_MAX);
}

/* All closed: what the stacks still keep is given up in its time, down to nothing. */
static void close_all(struct run *r) {
    struct world *w = r->w;
    uint64_t until = w->now + FORGET_NS;
    for (uint32_t i = 0; i < w->node_count; i++)
        streams_unlisten(&r->streams, &w->nodes[i]);
    while (world_step(w, until, on_event, r))
        ;
    for (uint32_t i = 0; i < w->node_count; i++) {
        datagrams_forget_node(&r->datagrams, &w->nodes[i]);
        check_empty(w, w->nodes[i].stack);
        if (w->nodes[i].second) check_empty(w, w->nodes[i].second);
    }
}

static uint16_t draw_mtu(struct rng *r) {
    static const uint16_t usual[] = {1500, 1500, 1500, 9000, 576};
    if (rng_below(r, 10) < 8) return usual[rng_below(r, sizeof usual / sizeof *usual)];
    return (uint16_t)(INET_MTU_MIN + rng_below(r, INET_MTU_MAX - INET_MTU_MIN + 1));
}

/* From now on; 0: none. How many there have been since the last call. */
static uint64_t fail_allocation(uint64_t n) {
#ifdef DMTR_FAULT
    uint64_t count = fault_count();
    fault_arm(n, n ? "calloc" : "none of this name", ENOMEM);
    return count;
#else
    return n;
#endif
}

struct how {
    bool verbose;
    bool slow_only;      /* stacks take no fast path */
    uint64_t fail_at;    /* which allocation fails; 0: none */
    struct trace *trace; /* NULL: none */
};

/* How many allocations there were. */
static uint64_t run(uint64_t seed, const struct how *how) {
    struct rng shapes;
    struct run r;
    rng_init(&shapes, ~seed);
    enum weather weather = (enum weather)rng_below(&shapes, 3);
    struct world_shape shape = {
        .nodes = 2 + (uint32_t)rng_below(&shapes, WORLD_NODES_MAX - 1),
        .mtu = draw_mtu(&shapes),
        .neighbours_known = weather != WEATHER_HARSH || rng_below(&shapes, 2),
        .limits = {.neighbour_queue = 1024 + (uint32_t)rng_below(&shapes, 16384)},
    };
    uint64_t spread_ns = rng_below(&shapes, 20 * SEC);
    if (rng_below(&shapes, 2)) shape.tso_bytes = TSO_LEAST + (uint32_t)rng_below(&shapes, TSO_MOST - TSO_LEAST + 1);
    shape.no_stamps = rng_below(&shapes, 4) == 0;
    static const uint32_t blocks[] = {0, 2048, BLOCK_MOST};
    shape.block_bytes = blocks[rng_below(&shapes, sizeof blocks / sizeof *blocks)];
    if (rng_below(&shapes, 4) == 0) shape.tcp_memory = MEMORY_LEAST + rng_below(&shapes, MEMORY_LEAST);
    shape.transfers = rng_below(&shapes, 4) == 0;
    shape.slow_only = how->slow_only;
    r.w = world_new(seed, &shape, how->trace, how->verbose);
    r.w->failing = how->fail_at > 0;
    fail_allocation(how->fail_at);
    world_say(r.w, "%u nodes, MTU %u, weather %d, frames of %u bytes are cut, timestamps %d", shape.nodes, shape.mtu,
              (int)weather, shape.tso_bytes, !shape.no_stamps);
    streams_init(&r.streams, r.w, weather != WEATHER_HARSH, spread_ns);
    datagrams_init(&r.datagrams, r.w, spread_ns);
    faults_init(&r.faults, r.w, weather, &r.streams, &r.datagrams);
    spoof_init(&r.spoof, r.w, &r.streams);
    go_on_until_done(&r);
    close_all(&r);
    uint64_t allocations = fail_allocation(0);
    streams_check(&r.streams);
    datagrams_check(&r.datagrams, weather == WEATHER_IDEAL && how->fail_at == 0);
    struct heap_stats stats;
    heap_get_stats(&stats);
    world_must(r.w, stats.used_bytes + stats.large_bytes == 0);
    world_say(r.w, "ends well after %llu events", (unsigned long long)r.w->events);
    world_delete(r.w);
    return allocations;
}

static uint64_t runs_for(uint64_t first, uint64_t seconds) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t n = 0;
    for (time_t end = t.tv_sec + (time_t)seconds; t.tv_sec < end; n++) {
        run(first + n, &(struct how){.fail_at = 0});
        clock_gettime(CLOCK_MONOTONIC, &t);
    }
    return n;
}

static uint64_t runs_failing(uint64_t seeds) {
    uint64_t runs = 0;
    for (uint64_t seed = 0; seed < seeds; seed++)
        for (uint64_t n = 1; runs++, run(seed, &(struct how){.fail_at = n}) >= n; n++)
            ;
    return runs;
}

/* The fast paths are a matter of speed alone. */
static void runs_equal(uint64_t first, uint64_t seeds) {
    struct trace fast = {.entries = NULL}, slow = {.entries = NULL};
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        trace_clear(&fast);
        trace_clear(&slow);
        run(seed, &(struct how){.trace = &fast});
        run(seed, &(struct how){.trace = &slow, .slow_only = true});
        if (trace_equal(&fast, &slow)) continue;
        fprintf(stderr, "seed %llu differs with and without fast paths; simulation SEED verbose, and slow, show it\n",
                (unsigned long long)seed);
        exit(1);
    }
    trace_free(&fast);
    trace_free(&slow);
}

int main(int argc, char **argv) {
    uint64_t runs = 0, first = 0, seconds = 0, faults = 0, equal = 0;
    for (int i = 1; i + 1 < argc; i++) {
        uint64_t value = strtoull(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--runs") == 0) runs = value;
        if (strcmp(argv[i], "--first") == 0) first = value;
        if (strcmp(argv[i], "--seconds") == 0) seconds = value;
        if (strcmp(argv[i], "--faults") == 0) faults = value;
        if (strcmp(argv[i], "--equal") == 0) equal = value;
    }
    if (argc < 2) {
        fprintf(stderr,
                "simulation SEED [verbose|slow] | --runs N [--first SEED] | --seconds N | --equal N | --faults N\n");
        return 2;
    }
    if (argv[1][0] != '-') {
        run(strtoull(argv[1], NULL, 0),
            &(struct how){.verbose = argc > 2, .slow_only = argc > 2 && strcmp(argv[2], "slow") == 0});
        return 0;
    }
    if (equal) {
        runs_equal(first, runs = equal);
    } else if (faults) {
        runs = runs_failing(faults);
    } else if (seconds) {
        struct rng r;
        if (rng_init_random(&r)) return 2;
        first = rng_next(&r);
        runs = runs_for(first, seconds);
    } else {
        for (uint64_t i = 0; i < runs; i++)
            run(first + i, &(struct how){.fail_at = 0});
    }
    printf("%llu runs, from seed %llu on\n", (unsigned long long)runs, (unsigned long long)first);
    return 0;
}
