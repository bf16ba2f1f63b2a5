/* What is the same for every stack over a network device: its options, the device itself, the addresses on it. */
#ifndef LIBOS_LINK_H
#define LIBOS_LINK_H

#include "inet/inet.h"
#include "netdev/netdev.h"

#define LINK_NEIGHBOURS_MAX 16u

/* The options of one libos. Texts are CONFIG_STRING_MAX bytes, as in struct config. */
struct link_options {
    const struct log *log;
    const char *group; /* what their keys begin with: "inet" */
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

#endif
