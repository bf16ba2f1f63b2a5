/* SPDX-License-Identifier: MIT */
/*
 * A network inside the process, on a virtual clock: hosts, switches, and links that delay, lose, duplicate, reorder and
 * corrupt. The same seed and the same calls give the same run, bit by bit. One thread.
 *
 * A host is a netdev: netdev_open("sim", {.options = "host=NAME", .sim = sim}). Time moves in sim_advance, which the
 * devices' rx calls too, so that whoever drives the devices drives the network.
 */
#ifndef NETDEV_SIM_SIM_H
#define NETDEV_SIM_SIM_H

#include "netdev/netdev.h"

#define SIM_PORTS_MAX 64u /* of a switch */
#define SIM_NAME_MAX  32u

/* Chances are parts in a million. */
#define SIM_CHANCE_ONE 1000000u

struct sim_config {
    uint64_t seed;
    uint64_t start_ns;       /* the clock at first */
    uint32_t nodes_max;      /* hosts and switches; at most 65,535. 0: 64 */
    uint32_t frames_max;     /* frames under way at once. 0: 65,536 */
    uint32_t host_queue_max; /* frames that wait at a host. 0: 1,024 */
};

/* One direction of a link. All zero: an ideal wire. */
struct sim_path {
    uint64_t delay_ns;
    uint64_t jitter_ns;   /* added to the delay, even from 0 to here; the order is kept */
    uint64_t rate_bps;    /* 0: infinite */
    uint64_t queue_bytes; /* what may wait for the rate; 0: 256 KiB */
    uint32_t mtu;         /* longer frames are dropped; 0: no limit */
    uint32_t loss;        /* chance of each frame */
    /* Gilbert-Elliott: per frame the chances to enter and to leave a bad time, and of loss within it */
    uint32_t burst_enter, burst_leave, burst_loss;
    uint32_t duplicate;
    uint32_t corrupt; /* one bit flips, which every checksum sees */
    uint32_t reorder; /* chance that a frame comes later by up to reorder_ns, so that others overtake it */
    uint64_t reorder_ns;
};

#define SIM_PATH_STATS(X)                                                                                              \
    X(sent, "Frames given to the path")                                                                                \
    X(delivered, "Frames that arrived at its end, duplicates included")                                                \
    X(cut, "Frames lost because the link is cut")                                                                      \
    X(too_long, "Frames lost because of the path's MTU")                                                               \
    X(queue_full, "Frames lost because the queue before the path was full")                                            \
    X(lost, "Frames lost by chance")                                                                                   \
    X(lost_in_bursts, "Frames lost in bad times")                                                                      \
    X(duplicated, "Frames that arrived twice")                                                                         \
    X(corrupted, "Frames with a bit flipped")                                                                          \
    X(reordered, "Frames held back so that others overtook them")                                                      \
    X(limit, "Frames lost because frames_max was reached, memory was short, or they ran in a circle")                  \
    X(host_full, "Frames lost because the host did not fetch what it had")                                             \
    X(host_away, "Frames that arrived at a host whose device is not open")

struct sim_path_stats {
#define X(name, text) uint64_t name;
    SIM_PATH_STATS(X)
#undef X
};

/* NULL: no memory, or a limit out of bounds. */
struct sim *sim_new(const struct sim_config *config);
/* All its devices must be closed. NULL: nothing. */
void sim_free(struct sim *sim);

/*
 * Adds a node; its number, from 0. -EEXIST: the name is taken; -EINVAL: name too long, MTU out of bounds; -ENOBUFS:
 * nodes_max.
 */
int sim_add_host(struct sim *sim, const char *name, const uint8_t mac[NETDEV_MAC_BYTES], uint32_t mtu);
int sim_add_switch(struct sim *sim, const char *name);

/*
 * Joins two nodes; the link's number, from 0. NULL: an ideal wire. -EINVAL: no such node, or both the same; -EBUSY: the
 * host has a link; -ENOBUFS: the switch has all its ports taken.
 */
int sim_connect(struct sim *sim, int a, int b, const struct sim_path *a_to_b, const struct sim_path *b_to_a);

/* Changes a path; what is under way stays as it is. from_a: the direction from the first node named in sim_connect. */
void sim_set_path(struct sim *sim, int link, bool from_a, const struct sim_path *path);

/* A cut link loses what is given to it, and the hosts cannot see it. */
void sim_cut(struct sim *sim, int link, bool cut);

/* Pulls the host's plug or puts it back: the host sees its link down and its device refuses with -ENETDOWN. */
void sim_unplug(struct sim *sim, int host, bool unplugged);

/* 0; -EINVAL: out of bounds. */
int sim_set_mtu(struct sim *sim, int host, uint32_t mtu);

/* When the next frame arrives somewhere; NETDEV_NEVER: none is under way. */
uint64_t sim_next_ns(const struct sim *sim);

/* Lets everything happen that falls due up to now_ns. A time in the past does nothing. */
void sim_advance(struct sim *sim, uint64_t now_ns);

uint64_t sim_now_ns(const struct sim *sim);
struct sim_path_stats sim_get_stats(const struct sim *sim, int link, bool from_a);

#endif
