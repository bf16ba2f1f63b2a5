/*
 * The public edge: the thread's runtime is found here, arguments are checked here, and the sign of errors is turned
 * here.
 */
#ifndef API_API_H
#define API_API_H

#include "core/fast.h"

#include <errno.h>

/* This thread's runtime; NULL before dmtr_init. */
extern _Thread_local struct dmtr_runtime *api_runtime;

/* In a call: declares rt, or returns ENOSYS. */
#define API_RUNTIME(rt)                                                                                                \
    struct dmtr_runtime *rt = api_runtime;                                                                             \
    if (!rt) return ENOSYS

/* In a call: declares the open queue q, or returns ENOSYS or EBADF. */
#define API_QUEUE(rt, q, qd)                                                                                           \
    API_RUNTIME(rt);                                                                                                   \
    struct queue *q = queue_lookup(rt, qd);                                                                            \
    if (!q) return EBADF

#endif
