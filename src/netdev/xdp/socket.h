/* SPDX-License-Identifier: MIT */
/*
 * An AF_XDP socket on one queue of an interface: four rings shared with the kernel, and a UMEM that is the lowest part
 * of the heap. Addresses in the rings are offsets in the UMEM.
 */
#ifndef NETDEV_XDP_SOCKET_H
#define NETDEV_XDP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/if_xdp.h>

/* Missing in older kernel headers. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

#define XDP_HEADROOM_BYTES 256u /* that the kernel reserves before a received frame */
#define XDP_SLOTS_MIN      64u
#define XDP_SLOTS_MAX      16384u

/* One of the rings. Positions increase without wrapping; a position's entry is at position modulo slots. */
struct xdp_ring {
    uint32_t *producer, *consumer, *flags;
    void *entries;
    uint32_t at;    /* our position */
    uint32_t other; /* the kernel's position when last read */
    uint32_t slots;
    void *map;
    size_t map_bytes;
};

struct xdp_socket {
    int fd;
    struct xdp_ring rx, tx, fill, completion;
    char *base; /* the UMEM */
    size_t bytes;
    uint32_t chunk_bytes;
    bool zero_copy;    /* the driver accesses the heap itself */
    bool multi_buffer; /* a frame may use several descriptors */
    bool busy_poll;    /* the kernel processes the queue when we call it */
    uint64_t kicks;    /* calls of send */
};

/* The step at which opening failed. */
enum xdp_step {
    XDP_STEP_INTERFACE,
    XDP_STEP_QUEUES,
    XDP_STEP_PROGRAM,
    XDP_STEP_ATTACH,
    XDP_STEP_SOCKET,
    XDP_STEP_MEMORY,
    XDP_STEP_BIND,
};

struct xdp_socket_args {
    int interface;
    uint32_t queue;
    uint32_t slots; /* of each ring, a power of two */
    void *base;
    size_t bytes;
    uint32_t chunk_bytes;  /* received frames are split into buffers of this size, 2048 or 4096 */
    uint32_t busy_poll_us; /* 0: off; ignored by kernels that do not support it */
    bool zero_copy;        /* may be tried */
};

/* Returns 0, or a negative errno with *step set and nothing left open. */
int xdp_socket_open(struct xdp_socket *s, const struct xdp_socket_args *args, enum xdp_step *step);
void xdp_socket_close(struct xdp_socket *s);

/*
 * Makes the kernel send the frames in the transmit ring. Returns 0, -EAGAIN (some are left) or another error of send.
 */
int xdp_socket_kick(struct xdp_socket *s);
/* Makes the driver process received frames, if it waits for a wakeup. */
void xdp_socket_poll(struct xdp_socket *s);

/* Consumer: number of entries that the kernel has added. */
static inline uint32_t xdp_ring_ready(struct xdp_ring *r) {
    if (r->other == r->at) r->other = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
    return r->other - r->at;
}

/* Producer: number of entries that the ring has room for. */
static inline uint32_t xdp_ring_room(struct xdp_ring *r) {
    r->other = __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
    return r->slots - (r->at - r->other);
}

/* Publishes our position to the kernel, as a ring's producer or consumer. */
static inline void xdp_ring_produce(struct xdp_ring *r) {
    __atomic_store_n(r->producer, r->at, __ATOMIC_RELEASE);
}

static inline void xdp_ring_consume(struct xdp_ring *r) {
    __atomic_store_n(r->consumer, r->at, __ATOMIC_RELEASE);
}

static inline bool xdp_ring_wants_wakeup(const struct xdp_ring *r) {
    return (__atomic_load_n(r->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP) != 0;
}

/* The entry at a position: of rx and tx; of fill and completion. */
static inline struct xdp_desc *xdp_ring_desc(const struct xdp_ring *r, uint32_t at) {
    return (struct xdp_desc *)r->entries + (at & (r->slots - 1));
}

static inline uint64_t *xdp_ring_address(const struct xdp_ring *r, uint32_t at) {
    return (uint64_t *)r->entries + (at & (r->slots - 1));
}

/* The UMEM offset that a ring entry encodes. */
static inline uint64_t xdp_address(uint64_t entry) {
    return (entry & XSK_UNALIGNED_BUF_ADDR_MASK) + (entry >> XSK_UNALIGNED_BUF_OFFSET_SHIFT);
}

#endif
