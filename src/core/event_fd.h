/* SPDX-License-Identifier: MIT */
/*
 * What stands behind dmtr_event_fd: an epoll instance over all that can make a wait return, for event loops that are
 * not ours: the runtime's descriptors, each poller's, an eventfd for results that wait, a timerfd for the next timer.
 */
#ifndef CORE_EVENT_FD_H
#define CORE_EVENT_FD_H

#include "core/runtime.h"

/* The descriptor, made on first use. 0 or a negative errno; EOPNOTSUPP: a device that cannot signal is in use. */
int event_fd_get(struct dmtr_runtime *rt, int *fd_out);
void event_fd_fini(struct event_fd *e);

/* Brings ready_fd and timer_fd up to date and lets pollers prepare for being watched. */
void event_fd_sync(struct dmtr_runtime *rt);

/* Pollers that come and go; nothing to do where the descriptor was never asked for. */
int event_fd_add_poller(struct event_fd *e, struct poller *p);
void event_fd_remove_poller(struct event_fd *e, struct poller *p);

/* Makes the descriptor of dmtr_event_fd tell the truth; called after whatever may change it. */
static inline void runtime_event_sync(struct dmtr_runtime *rt) {
    if (rt->event.epoll_fd >= 0) event_fd_sync(rt);
}

#endif
