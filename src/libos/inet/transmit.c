/* SPDX-License-Identifier: MIT */
/*
 * Transmission. A device with put gets each frame as the stack makes it, and one kick for the burst. For other devices,
 * and while the device has no room, frames wait in the transmit queue, which sends the frames of one turn in one burst.
 */
#include "libos/inet/device_group.h"
#include "libos/inet/net.h"
#include "libos/link.h"
#include "libos/socket/datagram.h"

#include "mem/heap.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define IP_HEADER_BYTES  20u
#define UDP_HEADER_BYTES 8u

static uint32_t slot_of(uint32_t position) {
    return position & (NET_TX_SLOTS - 1);
}

static void slot_release(struct transmit_queue *t, uint32_t slot) {
    heap_free((void *)(uintptr_t)t->segs[slot][0].data);
    for (uint32_t i = 1; i < t->frames[slot].segs_count; i++)
        heap_release(t->segs[slot][i].data);
}

static void release_first(struct transmit_queue *t, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        slot_release(t, slot_of(t->first++));
    t->count -= n;
}

static void slot_fill(struct transmit_queue *t, uint32_t slot, const struct inet_frame *f, void *header) {
    struct netdev_seg *segs = t->segs[slot];
    memcpy(header, f->segments[0].base, f->segments[0].len);
    segs[0] = (struct netdev_seg){header, f->segments[0].len};
    for (uint32_t i = 1; i < f->count; i++) {
        bool held = heap_hold(f->segments[i].base);
        assert(held);
        segs[i] = (struct netdev_seg){f->segments[i].base, f->segments[i].len};
    }
    t->frames[slot] = link_frame(f, segs);
}

/* Whether the device has taken the frame. If not, the frame goes to the queue, which also finds errors. */
static inline bool put_frame(struct net *net, const struct inet_frame *frame) {
    struct netdev_seg segs[INET_FRAME_SEGMENTS];
    for (uint32_t i = 0; i < frame->count; i++)
        segs[i] = (struct netdev_seg){frame->segments[i].base, frame->segments[i].len};
    struct netdev_frame f = link_frame(frame, segs);
    return (net->shares ? group_put(net, &f) : net->dev->ops->put(net->dev, &f)) > 0;
}

int transmit_frame(void *ctx, const struct inet_frame *frame) {
    struct net *net = ctx;
    struct transmit_queue *t = &net->tx;
    if (net->dev->ops->put && t->count == 0 && !net->sockets.lost && put_frame(net, frame)) {
        net->put++;
        return 0;
    }
    if (t->count == NET_TX_SLOTS) {
        if (net_link_up(net) && !net->sockets.lost) return -EAGAIN;
        net_count(net, link_down_drops);
        return 0;
    }
    void *header = heap_alloc(frame->segments[0].len);
    if (!header) return -ENOMEM;
    slot_fill(t, slot_of(t->first + t->count++), frame, header);
    return 0;
}

bool transmit_has_room(const struct net *net, uint64_t bytes) {
    uint32_t most = (net->mtu - IP_HEADER_BYTES) / 8 * 8;
    uint64_t fragments = (bytes + UDP_HEADER_BYTES + most - 1) / most;
    if (fragments > NET_TX_SLOTS) fragments = NET_TX_SLOTS;
    return !net_link_up(net) || net->sockets.lost || NET_TX_SLOTS - net->tx.count >= fragments;
}

static void kick(struct net *net, uint64_t now) {
    net->put = 0;
    int r = net->sockets.lost ? 0 : net->shares ? group_kick(net, now) : net->dev->ops->kick(net->dev, now);
    if (r < 0 && r != -ENETDOWN) net_lost(net, r);
}

void transmit_flush(struct net *net, uint64_t now) {
    struct transmit_queue *t = &net->tx;
    if (net->put > 0) kick(net, now);
    /* Also while the link is down, so that the device clears its retry time. */
    while (t->count > 0 && !net->sockets.lost) {
        uint32_t slot = slot_of(t->first), run = NET_TX_SLOTS - slot;
        if (run > t->count) run = t->count;
        int n =
            net->shares ? group_tx(net, &t->frames[slot], run, now) : netdev_tx(net->dev, &t->frames[slot], run, now);
        if (n < 0 && n != -ENETDOWN) net_lost(net, n);
        if (n < 0) return;
        release_first(t, (uint32_t)n);
        if ((uint32_t)n < run) return;
    }
}

void transmit_blocked(struct net *net, uint64_t now) {
    datagrams_unblock(&net->sockets, now);
    transmit_flush(net, now);
}

void transmit_fini(struct net *net) {
    release_first(&net->tx, net->tx.count);
}
