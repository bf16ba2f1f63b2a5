/* SPDX-License-Identifier: MIT */
/* Shared by all stacks over a network device: its options, the device, its addresses. */
#ifndef LIBOS_LINK_H
#define LIBOS_LINK_H

#include "inet/inet.h"
#include "netdev/netdev.h"

#define LINK_NEIGHBOURS_MAX 16u

/* The options of one libos. Texts are CONFIG_STRING_MAX bytes, as in struct config. */
struct link_options {
    const struct log *log;
    const char *prefix; /* of the options' keys, such as "inet" */
    const char *device, *device_options, *wrappers, *mac, *address, *gateway, *neighbours;
    uint64_t mtu;
    uint32_t queue, queues; /* as in struct netdev_args */
    bool *shares;           /* set if the device has fewer queues and was opened with one; NULL: refuse such a device */
    uint32_t addresses_max; /* 1 ... INET_ADDRS_MAX */
    bool tso;               /* use TSO if the device has it */
};

/*
 * Opens the device and its wrappers, and sets the MAC, MTU, addresses, gateway, neighbours, offloads and a new seed in
 * *c. If *dev is open already, only sets *c. 0, or a negative errno with a log line. If *dev is not NULL, the caller
 * closes it, also on failure.
 */
int link_open(const struct link_options *o, struct inet_config *c,
              struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX], struct netdev **dev);

/* Describes a frame of the stack for the device; segs: its segments in heap memory. */
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

/* Whether the device has wrappers; such a device has one queue. */
bool link_is_wrapped(const struct link_options *o);

/* ---- link_watch.c ---- */

#define LINK_WATCH_NS 100000000u /* interval of the checks */

/* State for logging changes of a device while it is in use. */
struct link_watch {
    const struct log *log;
    const char *prefix, *device, *interface;
    bool others_tell; /* another runtime uses the same device and logs its link */
    uint32_t mtu;
    uint64_t changes, too_long, bad_checksums; /* when last logged */
    uint64_t told_ns;                          /* when frames were last logged; 0: never */
};

struct link_state {
    bool up;
    uint32_t mtu;
    uint64_t changes;       /* netdev_stats.link_changes */
    uint64_t too_long;      /* netdev_stats.rx_too_long */
    uint64_t bad_checksums; /* TCP segments and UDP datagrams that the stack dropped because of their checksums */
};

/* Logs the opened device, at info. */
void link_log_open(const struct link_options *o, const struct netdev *dev, const struct inet_config *c);

/* The texts must stay valid as long as the watch. */
void link_watch_begin(struct link_watch *w, const struct log *log, const char *prefix, const char *device,
                      const struct netdev *dev, const struct link_state *state);

/*
 * Logs changes: of the link and its MTU, at info; frames that the sender's interface should have completed (checksums,
 * segmentation), at warn, with the remedy, at most once in ten seconds.
 */
void link_watch(struct link_watch *w, const struct link_state *state, uint64_t now_ns);

#endif
