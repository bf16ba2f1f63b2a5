/* SPDX-License-Identifier: MIT */
/*
 * An AF_XDP socket on one queue of an interface: four rings shared with the kernel, over the lowest part of the heap.
 * Addresses in the rings count from the beginning of that part.
 */
#ifndef NETDEV_XDP_SOCKET_H
#define NETDEV_XDP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/if_xdp.h>

/* Newer than the headers of some. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

#define XDP_HEADROOM_BYTES 256u /* that the kernel leaves in front of a received frame */
#define XDP_SLOTS_MIN      64u
#define XDP_SLOTS_MAX      16384u

/* One of the rings. The counts run on; the entry of a count is that modulo the slots. */
struct xdp_ring {
    uint32_t *producer, *consumer, *flags;
    void *entries;
    uint32_t at;    /* ours */
    uint32_t other; /* the kernel's, when last looked at */
    uint32_t slots;
    void *map;
    size_t map_bytes;
};

struct xdp_socket {
    int fd;
    struct xdp_ring rx, tx, fill, done;
    char *base; /* the part of the heap that the kernel knows */
    size_t bytes;
    uint32_t chunk_bytes;
    bool zero_copy; /* the driver writes into the heap itself */
    bool pieces;    /* a frame may lie in several pieces */
    bool busy_poll; /* the kernel works on the queue when we ask for it */
};

/* What is being done when opening fails. */
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
    uint32_t chunk_bytes;  /* received frames are put into pieces of this size, 2048 or 4096 */
    uint32_t busy_poll_us; /* 0: no; where the kernel does not take it, the socket is opened without */
    bool zero_copy;        /* may be tried */
};

/* 0, or a negative errno with *step and nothing left open. */
int xdp_socket_open(struct xdp_socket *s, const struct xdp_socket_args *args, enum xdp_step *step);
void xdp_socket_close(struct xdp_socket *s);

/* Makes the kernel send what is in the ring. 0; -EAGAIN: not all of it; what send says. */
int xdp_socket_kick(struct xdp_socket *s);
/* Lets the driver work on what is to be received, where it waits to be told. */
void xdp_socket_poll(struct xdp_socket *s);

/* How many entries the kernel has put in for us. */
static inline uint32_t xdp_ring_ready(struct xdp_ring *r) {
    if (r->other == r->at) r->other = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
    return r->other - r->at;
}

/* How many entries have room for the kernel. */
static inline uint32_t xdp_ring_room(struct xdp_ring *r) {
    r->other = __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
    return r->slots - (r->at - r->other);
}

/* Tells the kernel how far we are, as the producer or the consumer of a ring. */
static inline void xdp_ring_produce(struct xdp_ring *r) {
    __atomic_store_n(r->producer, r->at, __ATOMIC_RELEASE);
}

static inline void xdp_ring_consume(struct xdp_ring *r) {
    __atomic_store_n(r->consumer, r->at, __ATOMIC_RELEASE);
}

static inline bool xdp_ring_wants_wakeup(const struct xdp_ring *r) {
    return (__atomic_load_n(r->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP) != 0;
}

/* Of rx and tx; of fill and done. */
static inline struct xdp_desc *xdp_ring_piece(const struct xdp_ring *r, uint32_t at) {
    return (struct xdp_desc *)r->entries + (at & (r->slots - 1));
}

static inline uint64_t *xdp_ring_address(const struct xdp_ring *r, uint32_t at) {
    return (uint64_t *)r->entries + (at & (r->slots - 1));
}

/* What an address in a ring means. */
static inline uint64_t xdp_address(uint64_t entry) {
    return (entry & XSK_UNALIGNED_BUF_ADDR_MASK) + (entry >> XSK_UNALIGNED_BUF_OFFSET_SHIFT);
}

#endif
