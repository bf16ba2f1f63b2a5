/* SPDX-License-Identifier: MIT */
/*
 * Transmitting. The kernel reads a frame's segments from the heap; they are held until it has sent them. Segments
 * outside the UMEM, and frames that would need too many descriptors, are copied into bounce blocks. So are small frames
 * in several segments, for which a copy is cheaper.
 */
#include "netdev/xdp/xdp.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <assert.h>
#include <string.h>

#define PAGE_BYTES  4096u
#define SMALL_BYTES 1024u /* frames up to this size are copied rather than sent with several descriptors */

int xdp_tx_start(struct xdp_device *d, void **others) {
    uint32_t count = d->slots / 4;
    uint64_t address;
    d->sent = sys_calloc(d->slots, sizeof *d->sent);
    d->bounce = sys_calloc(count, sizeof *d->bounce);
    if (!d->sent || !d->bounce) return -ENOMEM;
    while (d->bounce_count < count) {
        if (!xdp_find_block(&d->socket, &address, others)) return -ENOMEM;
        d->bounce[d->bounce_count++] = (uint32_t)(address / XDP_GRAIN);
    }
    return 0;
}

static void release_sent(struct xdp_device *d, const struct xdp_sent *sent) {
    if (sent->bounce)
        d->bounce[d->bounce_count++] = (uint32_t)(sent->address / XDP_GRAIN);
    else
        heap_release(d->socket.base + sent->address);
}

static struct xdp_sent *sent_at(const struct xdp_device *d, uint32_t i) {
    return &d->sent[(d->sent_first + i) & (d->slots - 1)];
}

void xdp_tx_stop(struct xdp_device *d) {
    for (uint32_t i = 0; i < d->sent_count; i++)
        release_sent(d, sent_at(d, i));
    while (d->bounce_count > 0)
        heap_free(d->socket.base + (uint64_t)d->bounce[--d->bounce_count] * XDP_GRAIN);
    if (d->bounce) sys_free(d->bounce);
    if (d->sent) sys_free(d->sent);
}

/* Completes one descriptor. The kernel completes descriptors approximately in order. */
static void reap_one(struct xdp_device *d, uint64_t address) {
    struct xdp_sent found;
    uint32_t i = 0;
    while (i < d->sent_count && sent_at(d, i)->address != address)
        i++;
    assert(i < d->sent_count); /* else the kernel completed a descriptor that was not sent */
    found = *sent_at(d, i);
    *sent_at(d, i) = *sent_at(d, 0);
    d->sent_first++;
    d->sent_count--;
    release_sent(d, &found);
}

void xdp_reap(struct xdp_device *d) {
    struct xdp_ring *done = &d->socket.completion;
    uint32_t n = xdp_ring_ready(done);
    if (n == 0) return;
    for (; n > 0; n--)
        reap_one(d, xdp_address(*xdp_ring_address(done, done->at++)));
    xdp_ring_consume(done);
}

struct piece {
    uint64_t address;
    uint32_t bytes;
};

/*
 * The longest descriptor that may start at this address. With zero copy, consecutive pages may not be contiguous for
 * the device.
 */
static uint32_t piece_max(const struct xdp_socket *s, uint64_t address) {
    uint32_t in_page = PAGE_BYTES - (uint32_t)(address % PAGE_BYTES);
    return s->zero_copy && in_page < s->chunk_bytes ? in_page : s->chunk_bytes;
}

/* Splits a frame into descriptors in place. Returns their number, or 0 if the frame must be copied. */
static uint32_t split(const struct xdp_socket *s, const struct netdev_frame *f, struct piece *pieces) {
    uint32_t most = s->multi_buffer ? XDP_PIECES_MAX : 1, count = 0;
    if (f->segs_count > most || (f->segs_count > 1 && f->bytes <= SMALL_BYTES)) return 0;
    for (uint32_t i = 0; i < f->segs_count; i++) {
        uint32_t left = f->segs[i].bytes;
        uint64_t address;
        if (!xdp_umem_address(s, f->segs[i].data, left, &address)) return 0;
        while (left > 0) {
            uint32_t bytes = piece_max(s, address);
            if (bytes > left) bytes = left;
            if (count == most) return 0;
            pieces[count++] = (struct piece){address, bytes};
            address += bytes;
            left -= bytes;
        }
    }
    return count;
}

/* Copies a frame into bounce blocks. Returns their number, or 0 if too few are free. */
static uint32_t copy(struct xdp_device *d, const struct netdev_frame *f, struct piece *pieces) {
    uint32_t chunk = d->socket.chunk_bytes, count = (f->bytes + chunk - 1) / chunk, at = 0, used = chunk;
    if (count > d->bounce_count) return 0;
    for (uint32_t i = 0; i < f->segs_count; i++) {
        const char *from = f->segs[i].data, *end = from + f->segs[i].bytes;
        while (from < end) {
            uint32_t room, bytes = (uint32_t)(end - from);
            if (used == chunk) {
                pieces[at++] = (struct piece){(uint64_t)d->bounce[--d->bounce_count] * XDP_GRAIN, 0};
                used = 0;
            }
            room = chunk - used;
            if (bytes > room) bytes = room;
            memcpy(d->socket.base + pieces[at - 1].address + used, from, bytes);
            pieces[at - 1].bytes = used += bytes;
            from += bytes;
        }
    }
    d->dev.stats.tx_copied += f->bytes > SMALL_BYTES;
    return count;
}

/* Whether the transmit ring and the list of sent descriptors have room for this many. */
static bool has_room_for(struct xdp_device *d, uint32_t pieces) {
    return d->slots - d->sent_count >= pieces && xdp_ring_room(&d->socket.tx) >= pieces;
}

static void queue_piece(struct xdp_device *d, const struct piece *piece, bool bounce, bool last) {
    struct xdp_ring *tx = &d->socket.tx;
    *xdp_ring_desc(tx, tx->at++) =
        (struct xdp_desc){.addr = piece->address, .len = piece->bytes, .options = last ? 0 : XDP_PKT_CONTD};
    if (!bounce) heap_hold(d->socket.base + piece->address);
    *sent_at(d, d->sent_count++) = (struct xdp_sent){piece->address, bounce};
}

/* Queues a frame. Returns false if there is no room now. */
static bool queue_frame(struct xdp_device *d, const struct netdev_frame *f) {
    struct piece pieces[XDP_PIECES_MAX];
    uint32_t count;
    bool bounce;
    if (!has_room_for(d, XDP_PIECES_MAX)) return false;
    count = split(&d->socket, f, pieces);
    bounce = count == 0;
    if (bounce) count = copy(d, f, pieces);
    for (uint32_t i = 0; i < count; i++)
        queue_piece(d, &pieces[i], bounce, i + 1 == count);
    return count > 0;
}

int xdp_put(struct xdp_device *d, const struct netdev_frame *f) {
    struct piece piece;
    if (!netdev_frame_fits(&d->dev, f)) return 1;
    if (f->bytes > SMALL_BYTES) return 0;
    if (!has_room_for(d, 1) || d->bounce_count == 0) xdp_reap(d);
    if (!has_room_for(d, 1) || copy(d, f, &piece) == 0) return 0;
    queue_piece(d, &piece, true, true);
    netdev_count_tx(&d->dev, f->bytes);
    return 1;
}

uint32_t xdp_transmit(struct xdp_device *d, const struct netdev_frame *frames, uint32_t n) {
    uint32_t i;
    xdp_reap(d);
    for (i = 0; i < n; i++) {
        if (!netdev_frame_fits(&d->dev, &frames[i])) continue;
        if (!queue_frame(d, &frames[i])) break;
        netdev_count_tx(&d->dev, frames[i].bytes);
    }
    return i;
}

bool xdp_send_rest(struct xdp_device *d, int *error) {
    struct xdp_ring *tx = &d->socket.tx;
    *error = 0;
    if (d->sent_count == 0 || xdp_ring_room(tx) == tx->slots) return true;
    if (xdp_ring_wants_wakeup(tx)) {
        *error = xdp_socket_kick(&d->socket);
        d->dev.stats.tx_kicks = d->socket.kicks;
    }
    return xdp_ring_room(tx) == tx->slots;
}
