/* SPDX-License-Identifier: MIT */
/*
 * Network devices receive and transmit Ethernet frames in bursts. A device does not interpret the bytes.
 *
 * A struct netdev is one queue of a device. It belongs to one thread at a time, and all its state is in its own
 * structure. A device with several queues is opened once per queue, by any threads, with the same options and
 * netdev_args.queue counting up from 0; the kind manages what the queues share.
 *
 * Time is an argument: nanoseconds of any clock that does not go back.
 */
#ifndef NETDEV_NETDEV_H
#define NETDEV_NETDEV_H

#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETDEV_MAC_BYTES    6u
#define NETDEV_MACS_BYTES   ((size_t)2 * NETDEV_MAC_BYTES) /* destination and source */
#define NETDEV_HEADER_BYTES 14u                            /* of the Ethernet header, which the MTU does not include */
#define NETDEV_TAG_BYTES    4u                             /* of an 802.1Q tag, which the MTU does not include either */
#define NETDEV_MTU_MIN      68u
#define NETDEV_MTU_MAX      65535u
#define NETDEV_SEGS_MAX     64u
#define NETDEV_RETRY_NS     100000u /* after a short transmit, for devices that cannot signal that they have room */
#define NETDEV_NEVER        UINT64_MAX
#define NETDEV_OWN_MAX      128u /* limit of a device's own counters */
#define NETDEV_OWN_BYTES    64u  /* of such a counter's name, with its NUL */

/* A received frame in heap memory. The receiver owns it and frees it with heap_free. */
struct netdev_buffer {
    void *data;
    uint32_t bytes;
    uint16_t flags; /* NETDEV_RX_* */
    uint16_t mss;   /* not 0: the frame is several TCP segments of this size that the device coalesced */
};

/*
 * The transport checksum needs no check: the device verified it, or the sender omitted it because the path is memory.
 */
#define NETDEV_RX_CSUM_GOOD 1u

struct netdev_seg {
    const void *data; /* heap memory */
    uint32_t bytes;
};

/*
 * Offloads: the bits that a device supports, and the bits that a frame requests. For NETDEV_CSUM the checksum field
 * holds the pseudo header's sum, folded, not inverted. NETDEV_TSO* implies NETDEV_CSUM.
 */
#define NETDEV_CSUM 1u /* write the transport checksum */
#define NETDEV_TSO4 2u /* segment a TCP frame over IPv4, with mss bytes of payload in each segment */
#define NETDEV_TSO6 4u /* the same over IPv6 */

/* A frame to transmit. */
struct netdev_frame {
    const struct netdev_seg *segs;
    uint32_t bytes; /* of all segments */
    uint16_t segs_count;
    uint16_t offloads; /* a subset of the device's; 0: the lengths below are ignored */
    uint16_t l2_bytes, l3_bytes, l4_bytes;
    uint16_t csum_offset; /* of the checksum field in the transport header */
    uint16_t mss;
};

#define NETDEV_STATS(X)                                                                                                \
    X(rx_frames, "Frames received")                                                                                    \
    X(rx_bytes, "Bytes received")                                                                                      \
    X(rx_no_memory, "Received frames dropped because the heap had no memory")                                          \
    X(rx_too_long, "Received frames dropped because they exceed the MTU")                                              \
    X(rx_malformed, "Received frames dropped because their length or their description is invalid")                    \
    X(rx_other_vlan, "Received frames dropped because they belong to another VLAN, or to none")                        \
    X(rx_held, "Times a driver found no receive buffer because the application held them all")                         \
    X(rx_overrun, "Received frames lost because the stack did not fetch them in time")                                 \
    X(tx_frames, "Frames transmitted")                                                                                 \
    X(tx_bytes, "Bytes transmitted")                                                                                   \
    X(tx_kicks, "Calls that passed frames to the kernel or to a driver: one for each burst")                           \
    X(tx_short, "Bursts that the device accepted only in part")                                                        \
    X(tx_refused, "Frames dropped because they exceed the MTU or request an offload that the device lacks")            \
    X(tx_errors, "Frames that the device accepted but could not send")                                                 \
    X(rx_copied,                                                                                                       \
      "Received frames copied because they arrived in pieces or the device had no buffer to replace theirs")           \
    X(tx_copied, "Frames of more than 1 KiB copied because the device cannot read their memory or that many pieces")   \
    X(wakes, "Times a sleeping peer was woken")                                                                        \
    X(link_changes, "Times the link went up or down")                                                                  \
    X(capture_lost, "Frames missing from the capture file because it could not be written")

struct netdev_stats {
#define X(name, text) uint64_t name;
    NETDEV_STATS(X)
#undef X
};

struct netdev_ops;
struct address_lock;

/* The common part of all devices, at the start of each kind's own structure. Other components only read it. */
struct netdev {
    const struct netdev_ops *ops;
    uint64_t retry_ns; /* when to offer the rest of a short transmit again; else NETDEV_NEVER */
    uint32_t mtu;      /* bytes of a frame after the Ethernet header */
    uint16_t offloads; /* NETDEV_CSUM ... */
    bool link_up;
    int fd; /* readable, after netdev_prepare, when there is something to receive; -1: the device must be polled */
    uint32_t tso_bytes; /* longest frame with NETDEV_TSO*; 0: none */
    /*
     * The device steers IPv4 TCP and UDP flows to its queues with the hash of base/toeplitz.h: a frame arrives at queue
     * toeplitz_queue(hash, queues). Frames without ports may arrive at any queue. False: any frame may arrive at any
     * queue.
     */
    bool spreads;
    bool virtual_time; /* the time passed to the device is simulated, not related to the time of day */
    bool wire;         /* point to point: it leads to one peer, such as another process */
    uint8_t mac[NETDEV_MAC_BYTES];
    struct netdev_stats stats;
    const char *interface;     /* name of the kernel interface it uses; NULL: none. This and `engine` never change */
    const char *engine;        /* which of several ways to drive the device is used; NULL: there is one way */
    struct address_lock *lock; /* on the addresses of its interface; managed by netdev_open */
};

struct sim;

/* The arguments for opening a device. */
struct netdev_args {
    const char *options;    /* "key=value,key=value"; NULL: none. netdev_ops.options lists the keys */
    const struct log *log;  /* NULL: silent */
    struct netdev *lower;   /* for wrappers: the device below. The wrapper closes it once it is open itself */
    uint32_t queue, queues; /* this queue, and the number of queues that will be opened; 0 and 0 mean one queue */
    const uint32_t *ip4;    /* the stack's addresses, in network order, for devices that share an interface */
    uint32_t ip4_count;
    struct sim *sim;                            /* for sim: the network */
    void (*trace)(void *ctx, const char *line); /* for trace: called for each frame; the line has no newline */
    void *trace_ctx;
    char *why; /* receives one line with the reason of a failure; NULL: not wanted */
    size_t why_bytes;
};

struct netdev_option;

struct netdev_ops {
    const char *name;
    const char *text; /* what the device is: one sentence without a full stop */
    const struct netdev_option *options;
    size_t options_count;
    bool wraps;          /* a wrapper: needs args->lower */
    uint32_t queues_max; /* 0: one queue only */

    /* The option that names a kernel interface, on which the stack's addresses are locked; NULL: none. */
    const char *interface_option;

    /* Returns 0 and *dev, or a negative errno and args->why. -ECHRNG: it has fewer queues than args->queues. */
    int (*open)(const struct netdev_args *args, struct netdev **dev);
    /* Releases everything, including holds on memory of unsent frames. */
    void (*close)(struct netdev *dev);

    /*
     * Receives up to n frames. Returns their number, which may be below n although more are ready; -ENETDOWN: the link
     * is down, possibly for a time; -ENODEV: the device was removed; another errno: the device failed. The last two are
     * permanent.
     */
    int (*rx)(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns);

    /*
     * Transmits the first k of n frames, with one call of the kernel or the driver if it can accept several frames;
     * stats.tx_kicks counts these calls. Returns k, or an error as rx does. The caller keeps the other frames and
     * offers them again. A device that needs the memory of accepted frames after it returns holds it, so the caller may
     * release its own references at once. A frame that breaks the rules above is accepted, dropped and counted.
     */
    int (*tx)(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns);

    /*
     * For devices that copy frames: tx in two steps, which need no memory that lives longer. `put` copies one frame
     * into the device; returns 1, 0 (it has no room, or prefers to send this frame from its own memory: offer it to
     * tx), or an error as rx does. `kick` follows a burst of them: only then must the frames leave. Returns 0 or an
     * error as rx does. NULL, both: the device has only tx.
     */
    int (*put)(struct netdev *dev, const struct netdev_frame *frame);
    int (*kick)(struct netdev *dev, uint64_t now_ns);

    /*
     * Arms dev->fd. Returns 0 if there is nothing to receive, and the descriptor becomes readable when there is; 1 if
     * there is something already, so that the caller must not sleep; or an error as rx does. NULL: never called,
     * because fd is -1.
     */
    int (*prepare)(struct netdev *dev);

    /*
     * Refreshes mac, mtu and link_up. Returns 0, or a negative errno such as -ENODEV. NULL: they change only in rx and
     * tx.
     */
    int (*update)(struct netdev *dev, uint64_t now_ns);

    /*
     * The stack has opened (on) or closed a port, in host order, of protocol 6 or 17. A device that shares an interface
     * and an address with the kernel receives the frames for open ports and leaves the others to the kernel. Returns 0
     * or a negative errno. NULL: the device receives all frames.
     */
    int (*claim)(struct netdev *dev, uint8_t protocol, uint16_t port, bool on);

    /*
     * Reads the names and values (each unless it is NULL) of at most n counters that the device has besides its stats.
     * Their order never changes. Slow. Returns their number. NULL: none.
     */
    uint32_t (*own)(struct netdev *dev, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n);

    /* When the next frame that the device delays is due; NETDEV_NEVER: none. NULL: the device delays no frames. */
    uint64_t (*next_ns)(const struct netdev *dev);
};

/* Returns the i-th kind of device, from 0, or NULL at the end. Loads plug-ins, and skips those that fail to load. */
const struct netdev_ops *netdev_at(size_t i);

/*
 * Returns the kind of this name, and loads it if it is a plug-in. NULL: no such kind, or it cannot be loaded;
 * netdev_open reports why.
 */
const struct netdev_ops *netdev_find(const char *name);

/*
 * Opens a device by the name of its kind. Returns 0 and *dev; -ENODEV: no such kind, or its plug-in cannot be loaded;
 * -EADDRINUSE: one of args->ip4 is already in use on the interface; or an error of the kind's open.
 */
int netdev_open(const char *name, const struct netdev_args *args, struct netdev **dev);

/* Opens a device of this kind. */
int netdev_open_kind(const struct netdev_ops *ops, const struct netdev_args *args, struct netdev **dev);

/* Closes the device and the devices that it wraps. dev may be NULL. */
void netdev_close(struct netdev *dev);

static inline int netdev_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    return dev->ops->rx(dev, frames, n, now_ns);
}

static inline int netdev_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    int accepted = dev->ops->tx(dev, frames, n, now_ns);
    dev->retry_ns = NETDEV_NEVER;
    if (__builtin_expect(accepted >= 0 && (uint32_t)accepted < n, 0)) {
        dev->stats.tx_short++;
        dev->retry_ns = now_ns + NETDEV_RETRY_NS;
    }
    return accepted;
}

/* As netdev_ops.prepare; 1 for a device without a descriptor, which must be polled. */
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

/* When the device must be called next, whatever its descriptor reports. A caller that sleeps must not sleep longer. */
static inline uint64_t netdev_next_ns(const struct netdev *dev) {
    if (!dev->ops->next_ns) return dev->retry_ns;
    uint64_t next = dev->ops->next_ns(dev);
    return next < dev->retry_ns ? next : dev->retry_ns;
}

#endif
