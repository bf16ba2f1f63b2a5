/* SPDX-License-Identifier: MIT */
/*
 * Whole stacks on a simulated network, on one virtual clock and one thread: a seed repeats a run bit by bit. Nodes hang
 * on one switch, each by a link of its own.
 */
#ifndef TESTS_SIMULATION_WORLD_H
#define TESTS_SIMULATION_WORLD_H

#include "base/rng.h"
#include "inet/tcp/tcp.h"
#include "inet/udp/udp.h"
#include "netdev/sim/sim.h"
#include "trace.h"

#include <errno.h>
#include <stdio.h>

#define WORLD_NODES_MAX  4u
#define WORLD_ICMP_BYTES 80u
#define MS               1000000ull
#define SEC              1000000000ull

struct world;

struct node {
    struct world *world;
    struct netdev *dev;
    struct inet *stack;  /* NULL: without power */
    struct inet *second; /* with the same addresses, for connections that are transferred; NULL: there is none */
    struct inet_config config;
    struct inet_addr addr;
    int host, link;                    /* the link's first node is the host */
    uint8_t too_big[WORLD_ICMP_BYTES]; /* a router's word to this node, on its way */
    uint32_t too_big_bytes;
};

struct world {
    uint64_t seed, now;
    bool verbose;
    struct rng rng;
    struct sim *sim;
    struct node nodes[WORLD_NODES_MAX];
    uint32_t node_count;
    uint32_t refuse;      /* chance that a device has no room for a frame */
    uint32_t block_bytes; /* least size of the blocks that received frames lie in */
    bool failing;         /* an allocation fails once: who is refused for that may ask again */
    bool routers_tell;    /* of packets that are too big for the path and may not be fragmented */
    bool no_stamps;       /* timestamps are taken out of handshakes on the way */
    bool transfers;
    uint64_t events;
    struct trace *trace; /* NULL: nobody asks for it */
    struct inet_static_neighbour known[WORLD_NODES_MAX];
};

/* Ends the process and says how to repeat the run, where the condition does not hold. */
#define world_must(w, condition)                                                                                       \
    do {                                                                                                               \
        if (!(condition)) world_fail(w, __FILE__, __LINE__, #condition);                                               \
    } while (0)
_Noreturn void world_fail(const struct world *w, const char *file, int line, const char *what);

/* A call that is made again where the one failing allocation was its own. */
#define world_try(w, call)                                                                                             \
    __extension__({                                                                                                    \
        int error_ = (call);                                                                                           \
        (w)->failing &&error_ == -ENOMEM ? (call) : error_;                                                            \
    })

#define world_say(w, ...)                                                                                              \
    do {                                                                                                               \
        if ((w)->verbose) {                                                                                            \
            printf("%14.6f ", (double)((w)->now - SEC) / 1e9);                                                         \
            printf(__VA_ARGS__);                                                                                       \
            putchar('\n');                                                                                             \
        }                                                                                                              \
    } while (0)

/* What the world does not draw itself. */
struct world_shape {
    uint32_t nodes;
    uint16_t mtu;
    bool neighbours_known;
    bool no_stamps;
    bool transfers;       /* each node has two stacks */
    uint32_t block_bytes; /* as devices have them: received frames lie in blocks at least so long; 0: as the frame */
    bool slow_only;       /* stacks take no fast path */
    uint64_t tcp_memory;  /* 0: the stack's own */
    uint32_t tso_bytes;   /* longest frame that devices cut; 0: they do not, nor do they complete checksums */
    struct inet_limits limits;
};

/* Everything with power on, nothing on its way. trace: what the run shows is added to it; may be NULL. */
struct world *world_new(uint64_t seed, const struct world_shape *shape, struct trace *trace, bool verbose);

/* All sockets must be closed. */
void world_delete(struct world *w);

/* Ends a node's stack, with no word on the wire; or begins a new one. Its sockets must be closed. */
void node_power_off(struct node *n);
void node_power_on(struct node *n);

/* Something happened to a socket of this node. */
typedef void world_event(void *ctx, struct node *n, struct inet_socket *k, uint32_t events);

/*
 * Lets time pass up to whatever happens next, at most to `until`, and does it. False: nothing does, and it is `until`
 * now.
 */
bool world_step(struct world *w, uint64_t until, world_event *event, void *ctx);

/* Heap memory, which there is. */
void *world_alloc(const struct world *w, uint32_t bytes);

/* Even in the logarithm from 0 or 1 to most. */
uint64_t world_log_below(struct world *w, uint64_t most);
static inline uint32_t world_below(struct world *w, uint64_t bound) {
    return (uint32_t)rng_below(&w->rng, bound);
}
static inline bool world_chance(struct world *w, uint32_t percent) {
    return world_below(w, 100) < percent;
}

#endif
