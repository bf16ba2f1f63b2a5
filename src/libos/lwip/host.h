/* SPDX-License-Identifier: MIT */
/*
 * lwIP as a host on a network device: frames in and out, timers, memory, random numbers. lwIP keeps its state in
 * globals, so a process has one host at a time, on one thread; whoever has opened it calls lwIP's raw API as well.
 * Functions return 0 or a negative errno.
 */
#ifndef LIBOS_LWIP_HOST_H
#define LIBOS_LWIP_HOST_H

#include "inet/inet.h"
#include "netdev/netdev.h"

/*
 * `config`: MAC, MTU, first address, gateway, neighbours, seed; the rest is not looked at. The device stays the
 * caller's, to be closed after the host. -EBUSY: there is a host already; -ENOMEM; -EINVAL: addresses that do not go
 * together.
 */
int host_open(struct netdev *dev, const struct inet_config *config, uint64_t now);

/* Ends what is left of connections, with resets. Sockets get their errors told, and must not close later. */
void host_close(void);

/*
 * Sets the clock. Call it before any call of lwIP's that follows something else than host_poll.
 */
void host_set_time(uint64_t now);

/* Receives a burst, and does what is due. The number of frames, or why the device is lost, for good. */
int host_poll(uint64_t now);

/* When host_poll is next worth calling though nothing arrives; NETDEV_NEVER: not before something else happens. */
uint64_t host_next_ns(void);

/* Closes a connection or listener, in order, and leaves it to lwIP: no call may name it from here on. */
struct tcp_pcb;
void host_leave(struct tcp_pcb *pcb);

/* Whether one of those that were left has not ended on both sides. */
bool host_closing(void);

/* The device had no room for something that lwIP wanted to send: true once, when it is worth trying again. */
bool host_take_refused(void);

#endif
