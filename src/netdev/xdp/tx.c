/* SPDX-License-Identifier: MIT */
/*
 * Transmitting: the segments of a frame are heap memory, which the kernel reads where it lies, held until it has sent
 * them. What it does not know, or would take too many pieces, is copied into blocks of ours; so are small frames, which
 * cost less in one piece.
 */
#include "netdev/xdp/xdp.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <assert.h>
#include <string.h>

#define PAGE_BYTES  4096u
#define SMALL_BYTES 1024u /* frames up to this are copied rather than sent in several pieces */

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

static void give_up(struct xdp_device *d, const struct xdp_sent *sent) {
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
        give_up(d, sent_at(d, i));
    while (d->bounce_count > 0)
        heap_free(d->socket.base + (uint64_t)d->bounce[--d->bounce_count] * XDP_GRAIN);
    if (d->bounce) sys_free(d->bounce);
    if (d->sent) sys_free(d->sent);
}

/* Pieces come back in about the order in which they were given. */
static void reap_one(struct xdp_device *d, uint64_t address) {
    struct xdp_sent found;
    uint32_t i = 0;
    while (i < d->sent_count && sent_at(d, i)->address != address)
        i++;
    assert(i < d->sent_count); /* or the kernel has sent what we did not give it */
    found = *sent_at(d, i);
    *sent_at(d, i) = *sent_at(d, 0);
    d->sent_first++;
    d->sent_count--;
    give_up(d, &found);
}

void xdp_reap(struct xdp_device *d) {
    struct xdp_ring *done = &d->socket.done;
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

/* The longest piece that begins here. A driver that reads the heap itself may find the next page anywhere. */
static uint32_t piece_max(const struct xdp_socket *s, uint64_t address) {
    uint32_t in_page = PAGE_BYTES - (uint32_t)(address % PAGE_BYTES);
    return s->zero_copy && in_page < s->chunk_bytes ? in_page : s->chunk_bytes;
}

/* Cuts a frame into pieces where it lies; their number, or 0: it must be copied. */
static uint32_t cut(const struct xdp_socket *s, const struct netdev_frame *f, struct piece *pieces) {
    uint32_t most = s->pieces ? XDP_PIECES_MAX : 1, count = 0;
    if (f->segs_count > most || (f->segs_count > 1 && f->bytes <= SMALL_BYTES)) return 0;
    for (uint32_t i = 0; i < f->segs_count; i++) {
        uint32_t left = f->segs[i].bytes;
        uint64_t address;
        if (!xdp_knows(s, f->segs[i].data, left, &address)) return 0;
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

/* Copies a frame into blocks of ours; their number, or 0: there are not enough. */
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

/* Whether the kernel and our book of what it has take so many more. */
static bool has_room(struct xdp_device *d, uint32_t pieces) {
    return d->slots - d->sent_count >= pieces && xdp_ring_room(&d->socket.tx) >= pieces;
}

static void enter(struct xdp_device *d, const struct piece *piece, bool bounce, bool last) {
    struct xdp_ring *tx = &d->socket.tx;
    *xdp_ring_piece(tx, tx->at++) =
        (struct xdp_desc){.addr = piece->address, .len = piece->bytes, .options = last ? 0 : XDP_PKT_CONTD};
    if (!bounce) heap_hold(d->socket.base + piece->address);
    *sent_at(d, d->sent_count++) = (struct xdp_sent){piece->address, bounce};
}

/* False: there is no room now. */
static bool put(struct xdp_device *d, const struct netdev_frame *f) {
    struct piece pieces[XDP_PIECES_MAX];
    uint32_t count;
    bool bounce;
    if (!has_room(d, XDP_PIECES_MAX)) return false;
    count = cut(&d->socket, f, pieces);
    bounce = count == 0;
    if (bounce) count = copy(d, f, pieces);
    for (uint32_t i = 0; i < count; i++)
        enter(d, &pieces[i], bounce, i + 1 == count);
    return count > 0;
}

uint32_t xdp_transmit(struct xdp_device *d, const struct netdev_frame *frames, uint32_t n) {
    uint32_t before = d->socket.tx.at, i;
    xdp_reap(d);
    for (i = 0; i < n; i++) {
        if (!netdev_frame_fits(&d->dev, &frames[i])) continue;
        if (!put(d, &frames[i])) break;
        netdev_count_tx(&d->dev, frames[i].bytes);
    }
    if (d->socket.tx.at != before) xdp_ring_produce(&d->socket.tx);
    return i;
}

bool xdp_push(struct xdp_device *d, int *error) {
    struct xdp_ring *tx = &d->socket.tx;
    *error = 0;
    if (d->sent_count == 0 || xdp_ring_room(tx) == tx->slots) return true;
    if (xdp_ring_wants_wakeup(tx)) *error = xdp_socket_kick(&d->socket);
    return xdp_ring_room(tx) == tx->slots;
}
