/* SPDX-License-Identifier: MIT */
/* Internals of the simulated network: nodes, links, frames in flight. */
#ifndef NETDEV_SIM_NETWORK_H
#define NETDEV_SIM_NETWORK_H

#include "base/hash.h"
#include "base/rng.h"
#include "netdev/sim/sim.h"

#define SIM_ADDRESSES_MAX 4096u /* that all switches together learn; frames to other addresses are flooded */

#define SIM_HOPS_MAX 16u /* switches that a frame may pass, so that a loop of switches ends */

/* What a path does to one frame: the number of copies that arrive (0 ... 2), and when. */
struct sim_outcome {
    uint32_t copies;
    uint64_t at_ns;
    bool corrupt;
};

/* One direction of a link, and its destination. */
struct sim_direction {
    struct sim_path path;
    struct sim_path_stats stats;
    uint64_t busy_until_ns; /* when the accepted frames are sent at the path's rate */
    uint64_t last_at_ns;    /* latest arrival: jitter does not reorder */
    bool bad_state, cut;    /* bad_state: of the Gilbert-Elliott model */
    uint32_t to_node, to_port;
};

struct sim_node {
    char name[SIM_NAME_MAX];
    bool is_switch, unplugged;
    uint32_t ports;
    struct sim_direction *out[SIM_PORTS_MAX];
    /* hosts */
    struct netdev *dev; /* NULL: not open */
    uint8_t mac[NETDEV_MAC_BYTES];
    uint32_t mtu;
    struct netdev_buffer *queue;
    uint32_t head, queued;
};

/* A frame in flight. The heap is ordered by arrival time, then by number. */
struct sim_flight {
    uint64_t at_ns, number;
    struct sim_direction *over;
    uint32_t hops; /* switches passed */
    struct netdev_buffer frame;
};

struct sim {
    struct sim_config config;
    uint64_t now_ns, next_number;
    struct rng rng;
    struct sim_node *nodes;
    uint32_t nodes_count;
    struct sim_direction **links; /* pairs: from the first node, from the second */
    uint32_t links_count, links_max;
    struct sim_flight *flights;
    uint32_t flights_count;
    struct hash learned; /* ports, by switch and address */
};

/* Decides what happens to a frame that a direction accepts now, and counts it. */
struct sim_outcome sim_direction_pass(struct sim_direction *d, struct rng *rng, uint32_t bytes, uint64_t now_ns);

/* Sends a frame from a node's port. The network owns the frame, which has passed `hops` switches. */
void sim_send(struct sim *sim, uint32_t node, uint32_t port, uint32_t hops, struct netdev_buffer frame);

struct sim_node *sim_find_host(struct sim *sim, const char *name);

#endif
