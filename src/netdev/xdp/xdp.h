/* SPDX-License-Identifier: MIT */
/* The device `xdp`, shared by its files: xdp.c opens and closes it, rx.c receives, tx.c transmits. */
#ifndef NETDEV_XDP_XDP_H
#define NETDEV_XDP_XDP_H

#include "netdev/device.h"
#include "netdev/linux_if.h"
#include "netdev/xdp/interface.h"
#include "netdev/xdp/socket.h"

#define XDP_PIECES_MAX 8u    /* descriptors of one frame */
#define XDP_GRAIN      2048u /* alignment of posted and bounce blocks */

/* A descriptor that the kernel has to send. */
struct xdp_sent {
    uint64_t address;
    bool bounce; /* it is a bounce block, else held memory */
};

struct xdp_device {
    struct netdev dev;
    struct linux_if interface;
    struct xdp_interface *shared;
    struct xdp_socket socket;
    uint32_t queue, slots;
    uint32_t mtu_max;
    bool pinned; /* heap_pin was called for the UMEM */
    int arp;     /* a socket that receives ARP replies, if the kernel answers ARP; -1: we answer ARP */
    uint64_t next_check_ns, next_arp_ns;
    uint64_t *posted; /* bit per 2 KiB: a block that starts there is posted for reception */
    struct xdp_sent *sent;
    uint32_t sent_first, sent_count; /* sent_first increases without wrapping; its slot is sent_first modulo slots */
    uint32_t *bounce;                /* free bounce blocks, in units of XDP_GRAIN */
    uint32_t bounce_count;
};

/*
 * Allocate the blocks to receive into and the bounce blocks, once. *others collects blocks as xdp_find_block does.
 * Return 0 or -ENOMEM (the UMEM is full).
 */
int xdp_rx_start(struct xdp_device *d, void **others);
int xdp_tx_start(struct xdp_device *d, void **others);
/* Free the blocks and release the held memory. The socket is closed. */
void xdp_rx_stop(struct xdp_device *d);
void xdp_tx_stop(struct xdp_device *d);

/* The datapath of netdev_ops.rx, tx and put, without link checks. The kernel sees sent frames after xdp_ring_produce.
 */
uint32_t xdp_receive(struct xdp_device *d, struct netdev_buffer *frames, uint32_t n);
uint32_t xdp_transmit(struct xdp_device *d, const struct netdev_frame *frames, uint32_t n);
/* Takes only small frames. */
int xdp_put(struct xdp_device *d, const struct netdev_frame *frame);

/*
 * Allocates a block in the UMEM. The heap first returns free blocks of this thread, wherever they are: blocks outside
 * the UMEM are chained in *others until the search is over. Returns false if the UMEM has no room.
 */
bool xdp_find_block(const struct xdp_socket *s, uint64_t *address, void **others);
void xdp_free_blocks(void *others);

/* Releases what the kernel has sent. */
void xdp_reap(struct xdp_device *d);
/*
 * Makes the kernel send the descriptors it has not sent yet. Returns whether all are sent; *error is 0 or an error of
 * send.
 */
bool xdp_send_rest(struct xdp_device *d, int *error);

/* The UMEM offset of p. Returns false if [p, p + bytes) is not inside the UMEM. */
static inline bool xdp_umem_address(const struct xdp_socket *s, const void *p, size_t bytes, uint64_t *address) {
    *address = (uint64_t)((const char *)p - s->base);
    return *address < s->bytes && s->bytes - *address >= bytes;
}

#endif
