/* SPDX-License-Identifier: MIT */
/* What is the same for every stack over a network device: its options, the device itself, the addresses on it. */
#ifndef LIBOS_LINK_H
#define LIBOS_LINK_H

#include "inet/inet.h"
#include "netdev/netdev.h"

#define LINK_NEIGHBOURS_MAX 16u

/* The options of one libos. Texts are CONFIG_STRING_MAX bytes, as in struct config. */
struct link_options {
    const struct log *log;
    const char *prefix; /* what their keys begin with: "inet" */
    const char *device, *device_options, *wrappers, *mac, *address, *gateway, *neighbours;
    uint64_t mtu;
    uint32_t queue, queues; /* as in struct netdev_args */
    bool *shares;           /* set where the device has fewer queues, and was opened with one; NULL: that is refused */
    uint32_t addresses_max; /* 1 ... INET_ADDRS_MAX */
    bool tso;               /* to be used where the device has it */
};

/*
 * Opens the device and what it is wrapped in, and fills in, of *c, the MAC, MTU, addresses, gateway, neighbours,
 * offloads and a fresh seed; a device that *dev is already is only read. 0, or a negative errno with a log
 * line. *dev is the caller's to close once it is not NULL, also on failure.
 */
int link_open(const struct link_options *o, struct inet_config *c,
              struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX], struct netdev **dev);

/* A frame of the stack's as the device is told of it; segs: its segments in heap memory. */
static inline struct netdev_frame link_frame(const struct inet_frame *f, const struct netdev_seg *segs) {
    struct netdev_frame to = {.segs = segs, .bytes = f->bytes, .segs_count = f->count};
    if (!(f->flags & INET_FRAME_CSUM)) return to;
    to.offloads = f->flags & INET_FRAME_TSO ? NETDEV_CSUM | NETDEV_TSO4 : NETDEV_CSUM;
    to.l2_bytes = NETDEV_HEADER_BYTES;
    to.l3_bytes = (uint16_t)(f->csum_start - NETDEV_HEADER_BYTES);
    to.l4_bytes = (uint16_t)((f->flags & INET_FRAME_TSO ? f->header_bytes : f->segments[0].len) - f->csum_start);
    to.csum_offset = f->csum_offset;
    to.mss = f->tso_bytes;
    return to;
}

/* Then it has one queue, whatever the device below has. */
bool link_is_wrapped(const struct link_options *o);

/* ---- link_watch.c ---- */

#define LINK_WATCH_NS 100000000u /* how often it is worth looking */

/* What is told of a device while it is in use. */
struct link_watch {
    const struct log *log;
    const char *prefix, *device, *interface;
    bool others_tell; /* of the link: another runtime has a queue of the same device */
    uint32_t mtu;
    uint64_t changes, too_long, bad_checksums; /* as last told */
    uint64_t told_ns;                          /* when frames were last told of; 0: never */
};

struct link_state {
    bool up;
    uint32_t mtu;
    uint64_t changes;       /* netdev_stats.link_changes */
    uint64_t too_long;      /* netdev_stats.rx_too_long */
    uint64_t bad_checksums; /* TCP segments and UDP datagrams that the stack dropped for that */
};

/* Logs what was opened, at info. */
void link_log_open(const struct link_options *o, const struct netdev *dev, const struct inet_config *c);

/* Texts stay valid as long as the watch. */
void link_watch_begin(struct link_watch *w, const struct log *log, const char *prefix, const char *device,
                      const struct netdev *dev, const struct link_state *state);

/*
 * Logs what has changed: the link and its MTU, at info; frames that the sender's interface was to finish, at warn, with
 * the remedy, not more often than every ten seconds.
 */
void link_watch(struct link_watch *w, const struct link_state *state, uint64_t now_ns);

#endif
