/* SPDX-License-Identifier: MIT */
/*
 * A network inside the process, on a virtual clock: hosts, switches, and links that delay, lose, duplicate, reorder and
 * corrupt frames. The same seed and calls give exactly the same run. One thread.
 *
 * A host is a netdev: netdev_open("sim", {.options = "host=NAME", .sim = sim}). Time advances in sim_advance. The
 * devices' rx and tx call it too, so polling the devices drives the network.
 */
#ifndef NETDEV_SIM_SIM_H
#define NETDEV_SIM_SIM_H

#include "netdev/netdev.h"

#define SIM_PORTS_MAX 64u /* of a switch */
#define SIM_NAME_MAX  32u

/* Chances are in millionths. */
#define SIM_CHANCE_ONE 1000000u

struct sim_config {
    uint64_t seed;
    uint64_t start_ns;       /* the initial time */
    uint32_t nodes_max;      /* hosts and switches; at most 65,535. 0: 64 */
    uint32_t frames_max;     /* frames in flight at once. 0: 65,536 */
    uint32_t host_queue_max; /* frames queued at a host. 0: 1,024 */
};

/* One direction of a link. All zero: an ideal link. */
struct sim_path {
    uint64_t delay_ns;
    uint64_t jitter_ns;   /* added to the delay, uniform from 0 to this value; does not reorder */
    uint64_t rate_bps;    /* 0: infinite */
    uint64_t queue_bytes; /* of the queue before the path; 0: 256 KiB */
    uint32_t mtu;         /* longer frames are dropped; 0: no limit */
    uint32_t loss;        /* chance of each frame */
    /* Gilbert-Elliott: per frame, the chances to enter and to leave the bad state, and of loss in it */
    uint32_t burst_enter, burst_leave, burst_loss;
    uint32_t duplicate;
    uint32_t corrupt; /* one bit flips, which every checksum detects */
    uint32_t reorder; /* chance that a frame is delayed further, by up to reorder_ns, so that others overtake it */
    uint64_t reorder_ns;
};

#define SIM_PATH_STATS(X)                                                                                              \
    X(sent, "Frames sent into the path")                                                                               \
    X(delivered, "Frames that arrived at its end, including duplicates")                                               \
    X(cut, "Frames lost because the link is cut")                                                                      \
    X(too_long, "Frames lost because of the path's MTU")                                                               \
    X(queue_full, "Frames lost because the queue before the path was full")                                            \
    X(lost, "Frames lost by chance")                                                                                   \
    X(lost_in_bursts, "Frames lost in the bad state")                                                                  \
    X(duplicated, "Frames that arrived twice")                                                                         \
    X(corrupted, "Frames with a bit flipped")                                                                          \
    X(reordered, "Frames delayed so that others could overtake them")                                                  \
    X(limit, "Frames lost because frames_max was reached, there was no memory, or they passed too many switches")      \
    X(host_full, "Frames lost because the host's queue was full")                                                      \
    X(host_away, "Frames that arrived at a host whose device is closed or unplugged")

struct sim_path_stats {
#define X(name, text) uint64_t name;
    SIM_PATH_STATS(X)
#undef X
};

/* Returns NULL if there is no memory or a limit is out of bounds. */
struct sim *sim_new(const struct sim_config *config);
/* All its devices must be closed. sim may be NULL. */
void sim_free(struct sim *sim);

/*
 * Adds a node. Returns its number, from 0; -EEXIST: the name is in use; -EINVAL: the name is too long or the MTU is out
 * of bounds; -ENOBUFS: nodes_max is reached; -ENOMEM.
 */
int sim_add_host(struct sim *sim, const char *name, const uint8_t mac[NETDEV_MAC_BYTES], uint32_t mtu);
int sim_add_switch(struct sim *sim, const char *name);

/*
 * Connects two nodes. Returns the link's number, from 0. A NULL path is an ideal link. -EINVAL: no such node, or both
 * are the same; -EBUSY: the host is already connected; -ENOBUFS: the switch has no free port, or there are too many
 * links; -ENOMEM.
 */
int sim_connect(struct sim *sim, int a, int b, const struct sim_path *a_to_b, const struct sim_path *b_to_a);

/* Changes a path. Frames in flight are not affected. from_a: the direction from sim_connect's first node. */
void sim_set_path(struct sim *sim, int link, bool from_a, const struct sim_path *path);

/* A cut link loses all frames; the hosts cannot detect it. */
void sim_cut(struct sim *sim, int link, bool cut);

/* Unplugs the host or plugs it in again: the host's link goes down, and its device returns -ENETDOWN. */
void sim_unplug(struct sim *sim, int host, bool unplugged);

/* Returns 0, or -EINVAL if mtu is out of bounds. */
int sim_set_mtu(struct sim *sim, int host, uint32_t mtu);

/* When the next frame arrives anywhere; NETDEV_NEVER: none is in flight. */
uint64_t sim_next_ns(const struct sim *sim);

/* Processes all events up to now_ns. A time in the past has no effect. */
void sim_advance(struct sim *sim, uint64_t now_ns);

uint64_t sim_now_ns(const struct sim *sim);
struct sim_path_stats sim_get_stats(const struct sim *sim, int link, bool from_a);

#endif
