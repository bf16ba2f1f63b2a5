/* SPDX-License-Identifier: MIT */
/*
 * State shared by the queues of one interface that are open in this process: the XDP program, and the number of times
 * each port is open. Any thread may call any function.
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
    uint64_t network; /* with the index, identifies the interface */
    int index;
    uint32_t queues;
    uint64_t open; /* a bit per queue */
    struct xdp_program program;
    bool native;                 /* the program runs in the driver */
    bool shares;                 /* the kernel has some of our addresses, too */
    uint32_t (*uses)[XDP_PORTS]; /* if shares: how often each TCP and each UDP port is open */
};

/*
 * Opens args->queue of the interface. The first queue attaches the program, later ones share it. Returns 0; -EBUSY:
 * that queue is open, or (XDP_STEP_ATTACH) another program is attached; another negative errno.
 */
int xdp_interface_join(struct xdp_interface **interface, const struct netdev_args *args, const struct linux_if *name,
                       enum xdp_mode mode, enum xdp_step *step);
/* The last queue detaches the program. */
void xdp_interface_leave(struct xdp_interface *interface, uint32_t queue);

/* As netdev_ops.claim. */
void xdp_interface_claim(struct xdp_interface *interface, uint8_t protocol, uint16_t port, bool on);

/*
 * Waits briefly after -EBUSY, because the kernel releases queues and interfaces late. Returns false if it has waited
 * long enough.
 */
bool xdp_wait_busy(uint32_t *tries);

#endif
