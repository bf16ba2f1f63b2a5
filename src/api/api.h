/* SPDX-License-Identifier: MIT */
/*
 * The public edge: the thread's runtime is found here, arguments are checked here, and the sign of errors is turned
 * here.
 */
#ifndef API_API_H
#define API_API_H

#include "core/completion.h"
#include "core/event_fd.h"

#include <errno.h>

/* This thread's runtime; NULL before dmtr_init. */
extern _Thread_local struct dmtr_runtime *api_runtime;

/* Calls are counted while they run, so that exit() in one of them does not close the runtime under it. */
static inline void api_leave(struct dmtr_runtime **rt) {
    if (*rt) (*rt)->calls--;
}

/* In a call: declares rt, or returns ENOSYS. */
#define API_RUNTIME(rt)                                                                                                \
    __attribute__((cleanup(api_leave))) struct dmtr_runtime *rt = api_runtime;                                         \
    if (!rt) return ENOSYS;                                                                                            \
    rt->calls++

/* The same in a call whose fast path is not counted, because it runs nobody else's code and every instruction tells. */
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
