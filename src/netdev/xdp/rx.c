/* SPDX-License-Identifier: MIT */
/*
 * Receiving. The fill ring always has one heap block per slot. A received block goes to the application, and a new
 * block is posted in its place. If the heap has no free block in the UMEM, the frame is copied and its block posted
 * again, so that reception continues whatever the application holds.
 */
#include "netdev/xdp/xdp.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <assert.h>
#include <string.h>

#define FIND_TRIES 16384u

static void post(struct xdp_device *d, uint64_t address) {
    struct xdp_socket *s = &d->socket;
    d->posted[address / XDP_GRAIN / 64] |= 1ull << address / XDP_GRAIN % 64;
    *xdp_ring_address(&s->fill, s->fill.at++) = address;
}

/* Allocates a block in the UMEM. Returns false if the heap returns none there. */
static bool new_block(const struct xdp_socket *s, uint64_t *address) {
    void *p = heap_alloc_aligned(s->chunk_bytes, s->chunk_bytes);
    if (p && xdp_umem_address(s, p, s->chunk_bytes, address)) return true;
    if (p) heap_free(p);
    return false;
}

bool xdp_find_block(const struct xdp_socket *s, uint64_t *address, void **others) {
    for (uint32_t i = 0; i < FIND_TRIES; i++) {
        void *p = heap_alloc_aligned(s->chunk_bytes, s->chunk_bytes);
        if (!p) break;
        if (xdp_umem_address(s, p, s->chunk_bytes, address)) return true;
        *(void **)p = *others;
        *others = p;
    }
    return false;
}

void xdp_free_blocks(void *others) {
    while (others) {
        void *next = *(void **)others;
        heap_free(others);
        others = next;
    }
}

int xdp_rx_start(struct xdp_device *d, void **others) {
    uint64_t address;
    d->posted = sys_calloc(d->socket.bytes / XDP_GRAIN / 64 + 1, sizeof *d->posted);
    if (!d->posted) return -ENOMEM;
    for (uint32_t i = 0; i < d->slots; i++) {
        if (!xdp_find_block(&d->socket, &address, others)) return -ENOMEM;
        post(d, address);
    }
    xdp_ring_produce(&d->socket.fill);
    return 0;
}

void xdp_rx_stop(struct xdp_device *d) {
    if (!d->posted) return;
    for (uint64_t i = 0; i < d->socket.bytes / XDP_GRAIN; i++)
        if (d->posted[i / 64] & 1ull << i % 64) heap_free(d->socket.base + i * XDP_GRAIN);
    sys_free(d->posted);
}

static uint64_t block_of(const struct xdp_device *d, uint64_t address) {
    return address / d->socket.chunk_bytes * d->socket.chunk_bytes;
}

/* Marks the block of a descriptor as not posted. */
static void mark_unposted(struct xdp_device *d, const struct xdp_desc *desc) {
    uint64_t at = xdp_address(desc->addr), grain = block_of(d, at) / XDP_GRAIN, bit = 1ull << grain % 64;
    assert(at < d->socket.bytes &&
           (d->posted[grain / 64] & bit)); /* else the kernel returned a block that was not posted */
    assert(desc->len <= d->socket.chunk_bytes - at % d->socket.chunk_bytes);
    d->posted[grain / 64] &= ~bit;
}

/* Copies a frame of `bytes` bytes out of its `count` descriptors, from position `at` of the ring. */
static void *copy_out(struct xdp_device *d, uint32_t at, uint32_t count, uint32_t bytes) {
    char *to = heap_alloc(bytes), *end = to;
    if (!to) {
        d->dev.stats.rx_no_memory++;
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct xdp_desc *desc = xdp_ring_desc(&d->socket.rx, at + i);
        memcpy(end, d->socket.base + xdp_address(desc->addr), desc->len);
        end += desc->len;
    }
    d->dev.stats.rx_copied++;
    return to;
}

static void repost(struct xdp_device *d, uint32_t at, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        post(d, block_of(d, xdp_address(xdp_ring_desc(&d->socket.rx, at + i)->addr)));
}

/* Consumes the first frame's `count` descriptors. Returns its data, or NULL if it was dropped and counted. */
static void *receive_frame(struct xdp_device *d, uint32_t count, uint32_t *bytes) {
    struct xdp_ring *rx = &d->socket.rx;
    uint32_t at = rx->at;
    uint64_t other;
    void *data = NULL;
    *bytes = 0;
    for (; rx->at != at + count; rx->at++) {
        const struct xdp_desc *desc = xdp_ring_desc(rx, rx->at);
        mark_unposted(d, desc);
        *bytes += desc->len;
    }
    if (*bytes < NETDEV_HEADER_BYTES) {
        d->dev.stats.rx_malformed++;
    } else if (*bytes > netdev_frame_max(d->dev.mtu)) {
        d->dev.stats.rx_too_long++;
    } else if (count == 1 && new_block(&d->socket, &other)) {
        post(d, other);
        return d->socket.base + xdp_address(xdp_ring_desc(rx, at)->addr);
    } else {
        data = copy_out(d, at, count, *bytes);
    }
    repost(d, at, count);
    return data;
}

/* Returns the number of descriptors of the first frame, or 0 if there is no complete frame. */
static uint32_t first_descs(struct xdp_ring *rx) {
    uint32_t ready = xdp_ring_ready(rx);
    for (uint32_t i = 0; i < ready; i++)
        if (!(xdp_ring_desc(rx, rx->at + i)->options & XDP_PKT_CONTD)) return i + 1;
    rx->other = rx->at; /* forces the next call to read the producer index again */
    return 0;
}

uint32_t xdp_receive(struct xdp_device *d, struct netdev_buffer *frames, uint32_t n) {
    struct xdp_socket *s = &d->socket;
    uint32_t taken = 0, count, bytes;
    while (taken < n && (count = first_descs(&s->rx)) > 0) {
        void *data = receive_frame(d, count, &bytes);
        if (!data) continue;
        frames[taken++] = (struct netdev_buffer){.data = data, .bytes = bytes};
        netdev_count_rx(&d->dev, bytes);
    }
    if (*s->rx.consumer != s->rx.at) {
        xdp_ring_consume(&s->rx);
        xdp_ring_produce(&s->fill);
    }
    if ((s->busy_poll && taken == 0) || xdp_ring_wants_wakeup(&s->fill)) xdp_socket_poll(s);
    return taken;
}
