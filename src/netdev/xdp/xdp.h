/* SPDX-License-Identifier: MIT */
/* The device `xdp` as its files see it: xdp.c opens and closes, xdp_rx.c receives, xdp_tx.c transmits. */
#ifndef NETDEV_XDP_XDP_H
#define NETDEV_XDP_XDP_H

#include "netdev/device.h"
#include "netdev/linux_if.h"
#include "netdev/xdp/interface.h"
#include "netdev/xdp/socket.h"

#define XDP_PIECES_MAX 8u    /* of one frame */
#define XDP_GRAIN      2048u /* blocks that the kernel has, and ours, begin at multiples of it */

/* A piece that the kernel has to send. */
struct xdp_sent {
    uint64_t address;
    bool bounce; /* it is a block of ours, else memory that is held */
};

struct xdp_device {
    struct netdev dev;
    struct linux_if interface;
    struct xdp_interface *shared;
    struct xdp_socket socket;
    uint32_t queue, slots;
    uint32_t mtu_max;
    bool pinned; /* the part of the heap that the kernel knows */
    int arp;     /* a socket that hears the replies to ARP, where the kernel gets them; -1: we get them */
    uint64_t next_look_ns, next_arp_ns;
    uint64_t *posted; /* bit per 2 KiB: a block begins there that waits to be received into */
    struct xdp_sent *sent;
    uint32_t sent_first, sent_count; /* the first runs on; its slot is that modulo slots */
    uint32_t *bounce;                /* blocks of ours that are not in use, by XDP_GRAIN */
    uint32_t bounce_count;
};

/*
 * Blocks to receive into and to copy into: made once, with the others that xdp_find_block met. 0 or -ENOMEM: the part
 * that the kernel knows is full.
 */
int xdp_rx_start(struct xdp_device *d, void **others);
int xdp_tx_start(struct xdp_device *d, void **others);
/* The kernel has done with the socket: gives them up, and what was held. */
void xdp_rx_stop(struct xdp_device *d);
void xdp_tx_stop(struct xdp_device *d);

/* As netdev_ops.rx and tx, with nothing done but that. */
uint32_t xdp_receive(struct xdp_device *d, struct netdev_buffer *frames, uint32_t n);
uint32_t xdp_transmit(struct xdp_device *d, const struct netdev_frame *frames, uint32_t n);

/*
 * A block that the kernel knows. The heap gives first what the thread has already, wherever that is: blocks that the
 * kernel does not know are put aside, in a chain, until all that is needed is found. False: there is no room.
 */
bool xdp_find_block(const struct xdp_socket *s, uint64_t *address, void **others);
void xdp_free_blocks(void *others);

/* Gives up what the kernel has sent. */
void xdp_reap(struct xdp_device *d);
/* Has the kernel send what it did not send yet. Whether it has all of it; *error: 0 or what send says. */
bool xdp_push(struct xdp_device *d, int *error);

/* Where in the part that the kernel knows p points; false: elsewhere, or the `bytes` from there are not inside. */
static inline bool xdp_knows(const struct xdp_socket *s, const void *p, size_t bytes, uint64_t *address) {
    *address = (uint64_t)((const char *)p - s->base);
    return *address < s->bytes && s->bytes - *address >= bytes;
}

#endif
