/* SPDX-License-Identifier: MIT */
/*
 * Network devices: what receives and transmits Ethernet frames, in bursts. A device knows nothing of what the bytes
 * mean.
 *
 * A struct netdev is one queue of a device and belongs to one thread at a time; all state of it is in its own
 * structure. A device with several queues is opened once for each, by any threads, with the same options and
 * netdev_args.queue counting up from 0; a kind keeps what the queues share for itself.
 * Time is an argument: nanoseconds of any one clock that does not go back.
 */
#ifndef NETDEV_NETDEV_H
#define NETDEV_NETDEV_H

#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETDEV_MAC_BYTES    6u
#define NETDEV_HEADER_BYTES 14u /* Ethernet, before what the MTU counts */
#define NETDEV_TAG_BYTES    4u  /* an 802.1Q tag, which the MTU does not count either */
#define NETDEV_MTU_MIN      68u
#define NETDEV_MTU_MAX      65535u
#define NETDEV_SEGS_MAX     64u
#define NETDEV_RETRY_NS     100000u /* after a short transmit, where the device cannot tell when it has room */
#define NETDEV_NEVER        UINT64_MAX
#define NETDEV_OWN_MAX      128u /* counters of a device's own that are looked at */
#define NETDEV_OWN_BYTES    64u  /* of such a counter's name, its NUL included */

/* A received frame: heap memory that is now the receiver's, who frees it with heap_free. */
struct netdev_buffer {
    void *data;
    uint32_t bytes;
    uint16_t flags; /* NETDEV_RX_* */
    uint16_t mss;   /* not 0: TCP segments of this size that the device put together */
};

/* The transport checksum needs no check: the device did it, or the sender left it out because the path is memory. */
#define NETDEV_RX_CSUM_GOOD 1u

struct netdev_seg {
    const void *data; /* heap memory */
    uint32_t bytes;
};

/* What a device can do for a frame that it is given, and what a frame asks for: one set of bits. */
#define NETDEV_CSUM                                                                                                    \
    1u                 /* write the transport checksum; its field holds the pseudo header's sum, folded, not inverted  \
                        */
#define NETDEV_TSO4 2u /* cut a TCP frame over IPv4 into segments of mss bytes of payload; implies NETDEV_CSUM */
#define NETDEV_TSO6 4u /* the same over IPv6 */

/* A frame to transmit. */
struct netdev_frame {
    const struct netdev_seg *segs;
    uint32_t bytes; /* of all segments */
    uint16_t segs_count;
    uint16_t offloads; /* a subset of the device's; 0: the lengths below are not looked at */
    uint16_t l2_bytes, l3_bytes, l4_bytes;
    uint16_t csum_offset; /* of the checksum field in the transport header */
    uint16_t mss;
};

#define NETDEV_STATS(X)                                                                                                \
    X(rx_frames, "Frames received")                                                                                    \
    X(rx_bytes, "Bytes received")                                                                                      \
    X(rx_no_memory, "Received frames lost because the heap had no memory")                                             \
    X(rx_too_long, "Received frames dropped because they exceed what the MTU allows")                                  \
    X(rx_malformed, "Received frames dropped because the device described them wrongly")                               \
    X(rx_other_vlan, "Received frames dropped because they are of another VLAN than the device, or of none")           \
    X(rx_held, "Times a driver found no receive buffer, because the application held them all")                        \
    X(rx_overrun, "Received frames lost because they were not fetched in time")                                        \
    X(tx_frames, "Frames transmitted")                                                                                 \
    X(tx_bytes, "Bytes transmitted")                                                                                   \
    X(tx_short, "Bursts of which the device did not take all")                                                         \
    X(tx_refused, "Frames dropped because they exceed the MTU or ask for what the device cannot do")                   \
    X(tx_errors, "Frames that the device took and could not send")                                                     \
    X(rx_copied,                                                                                                       \
      "Received frames copied because they came in pieces, or the device had no memory to put in their place")         \
    X(tx_copied, "Frames of more than 1 KiB copied because the device cannot read their memory, or so many pieces")    \
    X(wakes, "Times a sleeping peer was woken")                                                                        \
    X(link_changes, "Times the link went up or down")                                                                  \
    X(capture_lost, "Frames that are not in the capture file because it could not be written")

struct netdev_stats {
#define X(name, text) uint64_t name;
    NETDEV_STATS(X)
#undef X
};

struct netdev_ops;
struct address_lock;

/* What is common to all devices; each kind has it at the start of its own structure. For others to read only. */
struct netdev {
    const struct netdev_ops *ops;
    uint64_t retry_ns; /* when the rest of a short transmit is worth offering again; else NETDEV_NEVER */
    uint32_t mtu;      /* bytes of a frame after the Ethernet header */
    uint16_t offloads; /* NETDEV_CSUM ... */
    bool link_up;
    int fd; /* readable after netdev_prepare when there is something to receive; -1: this device is polled */
    uint32_t tso_bytes; /* longest frame with NETDEV_TSO*; 0: none */
    /*
     * The device gives IPv4 TCP and UDP flows to its queues by base/toeplitz.h: a frame arrives at queue
     * toeplitz_queue(hash, queues), what has no ports at any queue. Else frames may arrive at any of the queues.
     */
    bool spreads;
    bool virtual_time; /* the clock that the device is given is a simulation's, and tells nothing of the time of day */
    bool wire;         /* it leads to one peer and nobody else, such as another process */
    uint8_t mac[NETDEV_MAC_BYTES];
    struct netdev_stats stats;
    const char *interface;     /* of the system that it is over, by name; NULL: none. This and the next never change */
    const char *engine;        /* how it is driven, of several ways that there are; NULL: there is one */
    struct address_lock *lock; /* of the addresses on its interface; netdev_open's */
};

struct sim;

/* What a device is opened with. */
struct netdev_args {
    const char *options;    /* "key=value,key=value"; NULL: none. Keys: netdev_ops.options */
    const struct log *log;  /* NULL: silent */
    struct netdev *lower;   /* wrappers: the device they go over, which is theirs to close once they are open */
    uint32_t queue, queues; /* this queue, and how many are going to be opened; 0 and 0 stand for the only one */
    const uint32_t *ip4;    /* addresses of the stack over it, in network order, for devices that share an interface */
    uint32_t ip4_count;
    struct sim *sim;                            /* sim: the network */
    void (*trace)(void *ctx, const char *line); /* trace: called for each frame; the line has no newline */
    void *trace_ctx;
    char *why; /* on failure one line that says why; NULL: not wanted */
    size_t why_bytes;
};

struct netdev_option;

struct netdev_ops {
    const char *name;
    const char *text; /* what the device is: one sentence without its full stop */
    const struct netdev_option *options;
    size_t options_count;
    bool wraps;          /* goes over args->lower */
    uint32_t queues_max; /* 0: has one queue and cannot be opened twice */

    /* The option that names an interface of the kernel, on which the stack's addresses are locked; NULL: there is none.
     */
    const char *interface_option;

    /* 0 and *dev; or a negative errno and args->why. -ECHRNG: it has fewer queues than args->queues. */
    int (*open)(const struct netdev_args *args, struct netdev **dev);
    /* Gives up everything; holds on memory of frames not sent yet too. */
    void (*close)(struct netdev *dev);

    /*
     * Receives up to n frames. Their number; -ENETDOWN: the link is down, which may pass; -ENODEV: the device is gone,
     * for good; another errno: it is broken, for good.
     */
    int (*rx)(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns);

    /*
     * Transmits the first k of n frames; k, or an error as of rx. What was not taken stays the caller's, to be offered
     * again. A device that needs the memory of a taken frame after it returned has taken holds on it: the caller may
     * give up its own at once. A frame that breaks the rules above is taken, dropped, and counted.
     */
    int (*tx)(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns);

    /*
     * Arms dev->fd. 0: there is nothing to receive, and the descriptor becomes readable when there is; 1: there is
     * already, do not sleep; or an error as of rx. NULL: never called, because fd is -1.
     */
    int (*prepare)(struct netdev *dev);

    /* Reads mac, mtu and link_up anew. 0, or -ENODEV and the like. NULL: they change in rx and tx alone. */
    int (*update)(struct netdev *dev, uint64_t now_ns);

    /*
     * The stack has opened (on) or closed a port, in host order, of protocol 6 or 17: a device that shares an interface
     * and an address with the kernel takes what is sent to open ports, and leaves the rest. 0, or a negative errno: it
     * cannot. NULL: the device takes all there is.
     */
    int (*claim)(struct netdev *dev, uint8_t protocol, uint16_t port, bool on);

    /*
     * Reads the names and values (each unless it is NULL) of at most n counters that this device has besides its
     * stats, the same at each call; slow. Their number. NULL: it has none.
     */
    uint32_t (*own)(struct netdev *dev, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n);

    /* When a frame that the device keeps falls due; NETDEV_NEVER: none. NULL: it keeps none. */
    uint64_t (*next_ns)(const struct netdev *dev);
};

/* The i-th kind of device, from 0; NULL: there are no more. Plug-ins are loaded; one that cannot be is passed over. */
const struct netdev_ops *netdev_at(size_t i);

/* The kind of this name, loaded if it is a plug-in. NULL: there is none, or it cannot be loaded; netdev_open says why.
 */
const struct netdev_ops *netdev_find(const char *name);

/*
 * Opens a device by the name of its kind. 0 and *dev; -ENODEV: there is no such kind, or its plug-in cannot be loaded;
 * -EADDRINUSE: somebody has one of args->ip4 on its interface; otherwise what the kind's open returns.
 */
int netdev_open(const char *name, const struct netdev_args *args, struct netdev **dev);

/* Opens a device of this kind. */
int netdev_open_kind(const struct netdev_ops *ops, const struct netdev_args *args, struct netdev **dev);

/* Closes it, with all that it wraps. NULL: nothing. */
void netdev_close(struct netdev *dev);

static inline int netdev_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    return dev->ops->rx(dev, frames, n, now_ns);
}

static inline int netdev_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    int taken = dev->ops->tx(dev, frames, n, now_ns);
    dev->retry_ns = NETDEV_NEVER;
    if (__builtin_expect(taken >= 0 && (uint32_t)taken < n, 0)) {
        dev->stats.tx_short++;
        dev->retry_ns = now_ns + NETDEV_RETRY_NS;
    }
    return taken;
}

/* Also where there is no descriptor: then 1, for a device that must be polled. */
static inline int netdev_prepare(struct netdev *dev) {
    return dev->fd < 0 ? 1 : dev->ops->prepare(dev);
}

static inline int netdev_claim(struct netdev *dev, uint8_t protocol, uint16_t port, bool on) {
    return dev->ops->claim ? dev->ops->claim(dev, protocol, port, on) : 0;
}

static inline int netdev_update(struct netdev *dev, uint64_t now_ns) {
    return dev->ops->update ? dev->ops->update(dev, now_ns) : 0;
}

static inline uint32_t netdev_own(struct netdev *dev, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n) {
    return dev->ops->own ? dev->ops->own(dev, names, values, n) : 0;
}

/* When the device is next worth calling, whatever its descriptor says: who sleeps on that sleeps no longer than this.
 */
static inline uint64_t netdev_next_ns(const struct netdev *dev) {
    if (!dev->ops->next_ns) return dev->retry_ns;
    uint64_t next = dev->ops->next_ns(dev);
    return next < dev->retry_ns ? next : dev->retry_ns;
}

#endif
