/* SPDX-License-Identifier: MIT */
/*
 * The descriptor of dmtr_event_fd, for the program's own event loop: an epoll instance over everything that can make a
 * wait return: the runtime's descriptors, each poller's, an eventfd for results that wait, a timerfd for the next
 * timer.
 */
#ifndef CORE_EVENT_FD_H
#define CORE_EVENT_FD_H

#include "core/runtime.h"

/* Returns the descriptor, created on first use. 0 or a negative errno; -EOPNOTSUPP: a device has no descriptor. */
int event_fd_get(struct dmtr_runtime *rt, int *fd_out);
void event_fd_fini(struct event_fd *e);

/* Updates ready_fd and timer_fd, and calls the pollers' prepare. */
void event_fd_sync(struct dmtr_runtime *rt);

/* Adds or removes a poller; does nothing if event_fd_get was never called. */
int event_fd_add_poller(struct event_fd *e, struct poller *p);
void event_fd_remove_poller(struct event_fd *e, struct poller *p);

/* Updates the descriptor of dmtr_event_fd; called after every change of results or timers. */
static inline void runtime_event_sync(struct dmtr_runtime *rt) {
    if (rt->event.epoll_fd >= 0) event_fd_sync(rt);
}

#endif
