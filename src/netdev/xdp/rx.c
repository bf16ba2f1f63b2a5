/* SPDX-License-Identifier: MIT */
/*
 * Receiving: the kernel has as many blocks of the heap as there are slots, at any time. A block that comes back full
 * goes to the receiver, and another is posted in its place. Where the heap gives none that the kernel knows, the frame
 * is copied out, and the block posted again: reception goes on whatever the application holds.
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

/* False: the heap has none that the kernel knows. */
static bool new_block(const struct xdp_socket *s, uint64_t *address) {
    void *p = heap_alloc_aligned(s->chunk_bytes, s->chunk_bytes);
    if (p && xdp_knows(s, p, s->chunk_bytes, address)) return true;
    if (p) heap_free(p);
    return false;
}

bool xdp_find_block(const struct xdp_socket *s, uint64_t *address, void **others) {
    for (uint32_t i = 0; i < FIND_TRIES; i++) {
        void *p = heap_alloc_aligned(s->chunk_bytes, s->chunk_bytes);
        if (!p) break;
        if (xdp_knows(s, p, s->chunk_bytes, address)) return true;
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

/* The block that a piece lies in is not posted any more. */
static void take_back(struct xdp_device *d, const struct xdp_desc *piece) {
    uint64_t at = xdp_address(piece->addr), grain = block_of(d, at) / XDP_GRAIN, bit = 1ull << grain % 64;
    assert(at < d->socket.bytes && (d->posted[grain / 64] & bit)); /* or the kernel has what we did not give it */
    assert(piece->len <= d->socket.chunk_bytes - at % d->socket.chunk_bytes);
    d->posted[grain / 64] &= ~bit;
}

/* Copies `bytes` of a frame out of its `count` pieces, which begin at the place `at` of the ring. */
static void *copy_out(struct xdp_device *d, uint32_t at, uint32_t count, uint32_t bytes) {
    char *to = heap_alloc(bytes), *end = to;
    if (!to) {
        d->dev.stats.rx_no_memory++;
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct xdp_desc *piece = xdp_ring_piece(&d->socket.rx, at + i);
        memcpy(end, d->socket.base + xdp_address(piece->addr), piece->len);
        end += piece->len;
    }
    d->dev.stats.rx_copied++;
    return to;
}

static void post_again(struct xdp_device *d, uint32_t at, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        post(d, block_of(d, xdp_address(xdp_ring_piece(&d->socket.rx, at + i)->addr)));
}

/* The first frame's `count` pieces come out of the ring; what they hold, or NULL: lost, and counted. */
static void *take_frame(struct xdp_device *d, uint32_t count, uint32_t *bytes) {
    struct xdp_ring *rx = &d->socket.rx;
    uint32_t at = rx->at;
    uint64_t other;
    void *data = NULL;
    *bytes = 0;
    for (; rx->at != at + count; rx->at++) {
        const struct xdp_desc *piece = xdp_ring_piece(rx, rx->at);
        take_back(d, piece);
        *bytes += piece->len;
    }
    if (*bytes < NETDEV_HEADER_BYTES) {
        d->dev.stats.rx_malformed++;
    } else if (*bytes > netdev_frame_max(d->dev.mtu)) {
        d->dev.stats.rx_too_long++;
    } else if (count == 1 && new_block(&d->socket, &other)) {
        post(d, other);
        return d->socket.base + xdp_address(xdp_ring_piece(rx, at)->addr);
    } else {
        data = copy_out(d, at, count, *bytes);
    }
    post_again(d, at, count);
    return data;
}

/* How many pieces make up the first frame; 0: none is there, or not its end. */
static uint32_t first_pieces(struct xdp_ring *rx) {
    uint32_t ready = xdp_ring_ready(rx);
    for (uint32_t i = 0; i < ready; i++)
        if (!(xdp_ring_piece(rx, rx->at + i)->options & XDP_PKT_CONTD)) return i + 1;
    rx->other = rx->at; /* look again the next time */
    return 0;
}

uint32_t xdp_receive(struct xdp_device *d, struct netdev_buffer *frames, uint32_t n) {
    struct xdp_socket *s = &d->socket;
    uint32_t taken = 0, count, bytes;
    while (taken < n && (count = first_pieces(&s->rx)) > 0) {
        void *data = take_frame(d, count, &bytes);
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
