/* SPDX-License-Identifier: MIT */
/*
 * lwIP as a host on a network device: frames, timers, memory, random numbers. lwIP keeps its state in globals, so a
 * process has one host at a time, on one thread. The thread that has opened it also calls lwIP's raw API. Functions
 * return 0 or a negative errno.
 */
#ifndef LIBOS_LWIP_HOST_H
#define LIBOS_LWIP_HOST_H

#include "inet/inet.h"
#include "netdev/netdev.h"

/*
 * Uses from `config`: MAC, MTU, first address, gateway, neighbours, seed. The device stays the caller's, which closes
 * it after the host. -EBUSY: there is a host already; -ENOMEM; -EINVAL: the addresses do not match each other.
 */
int host_open(struct netdev *dev, const struct inet_config *config, uint64_t now);

/* Ends the remaining connections with resets. lwIP reports the error to sockets, which must not be closed later. */
void host_close(void);

/* Sets the clock. Call it before any lwIP call that does not directly follow host_poll. */
void host_set_time(uint64_t now);

/*
 * Receives a burst and processes due timers. Returns the number of frames, or the error that ended the device for good.
 */
int host_poll(uint64_t now);

/* When host_poll must be called next if nothing arrives; NETDEV_NEVER: no timer runs. */
uint64_t host_next_ns(void);

/* Closes a connection or listener, in order, and leaves it to lwIP. The caller must not use pcb any more. */
struct tcp_pcb;
void host_release(struct tcp_pcb *pcb);

/* Whether a released connection has not ended on both sides. */
bool host_closing(void);

/* Returns true once after the device has rejected a frame for lack of room; sending is then worth a retry. */
bool host_pop_refused(void);

#endif
