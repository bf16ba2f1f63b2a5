/* SPDX-License-Identifier: MIT */
/*
 * What the queues of one interface that are open in this process share: the program in front of the kernel, and how
 * often each port is open. Any thread may call anything here.
 */
#ifndef NETDEV_XDP_INTERFACE_H
#define NETDEV_XDP_INTERFACE_H

#include "netdev/linux_if.h"
#include "netdev/xdp/program.h"
#include "netdev/xdp/socket.h"

#include "base/list.h"

#define XDP_QUEUES_MAX 64u
#define XDP_PORTS      65536u

enum xdp_mode { XDP_MODE_AUTO, XDP_MODE_NATIVE, XDP_MODE_GENERIC };

struct xdp_interface {
    struct list link;
    uint64_t network; /* with the index, what it is */
    int index;
    uint32_t queues;
    uint64_t open; /* bit per queue */
    struct xdp_program program;
    bool native;                 /* the program runs in the driver */
    bool shares;                 /* the kernel has some of our addresses, too */
    uint32_t (*uses)[XDP_PORTS]; /* where it does: of TCP's ports and of UDP's */
};

/*
 * Joins the others who have queues of this interface, args->queue becoming ours, or is the first, who puts the program
 * there. 0; -EBUSY: that queue is open, or (XDP_STEP_ATTACH) another program is there; another negative errno.
 */
int xdp_interface_join(struct xdp_interface **interface, const struct netdev_args *args, const struct linux_if *name,
                       enum xdp_mode mode, enum xdp_step *step);
/* The last one takes the program away. */
void xdp_interface_leave(struct xdp_interface *interface, uint32_t queue);

/* As netdev_ops.claim. */
void xdp_interface_claim(struct xdp_interface *interface, uint8_t protocol, uint16_t port, bool on);

/* Waits a little after -EBUSY: the kernel gives queues and interfaces back late. False: long enough. */
bool xdp_wait_busy(uint32_t *tries);

#endif
