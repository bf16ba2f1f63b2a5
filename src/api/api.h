/* SPDX-License-Identifier: MIT */
/*
 * The public calls: they find the thread's runtime, check arguments, and change negative errnos of the library to the
 * positive ones of the interface.
 */
#ifndef API_API_H
#define API_API_H

#include "core/completion.h"
#include "core/event_fd.h"

#include <errno.h>

/* This thread's runtime; NULL before dmtr_init. */
extern _Thread_local struct dmtr_runtime *api_runtime;

/* A runtime counts the calls that run, so that exit() in one of them does not end the runtime during the call. */
static inline void api_leave(struct dmtr_runtime **rt) {
    if (*rt) (*rt)->calls--;
}

/* In a call: declares rt, or returns ENOSYS. */
#define API_RUNTIME(rt)                                                                                                \
    __attribute__((cleanup(api_leave))) struct dmtr_runtime *rt = api_runtime;                                         \
    if (!rt) return ENOSYS;                                                                                            \
    rt->calls++

/* The same for a call whose fast path is not counted, because it runs no callbacks and every instruction counts. */
#define API_RUNTIME_UNCOUNTED(rt)                                                                                      \
    struct dmtr_runtime *rt = api_runtime;                                                                             \
    if (!rt) return ENOSYS

/* In a call: declares the open queue q, or returns ENOSYS or EBADF. */
#define API_OPEN_QUEUE(rt, q, qd)                                                                                      \
    struct queue *q = queue_lookup(rt, qd);                                                                            \
    if (!q) return EBADF

#define API_QUEUE(rt, q, qd)                                                                                           \
    API_RUNTIME(rt);                                                                                                   \
    API_OPEN_QUEUE(rt, q, qd)

#endif
