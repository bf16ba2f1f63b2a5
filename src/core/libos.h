/* SPDX-License-Identifier: MIT */
/* A libos: one way of carrying queues. Its table stands in libos/registry.c. */
#ifndef CORE_LIBOS_H
#define CORE_LIBOS_H

#include <sys/types.h>

struct dmtr_runtime;
struct queue;

struct libos {
    const char *name;
    const char *const *aliases; /* NULL-terminated */
    const char *text;           /* one sentence for documentation */

    /* Once a runtime, before the first queue. 0 or a negative errno, with a log line that says what is wrong. */
    int (*start)(struct dmtr_runtime *rt, void **state_out);
    void (*stop)(struct dmtr_runtime *rt, void *state);

    /* Make a queue (initialised, not opened). NULL entries: EOPNOTSUPP. */
    int (*socket)(struct dmtr_runtime *rt, void *state, int domain, int type, int protocol, struct queue **q_out);
    /* The queue whose accepts give the connections that other runtimes transfer. */
    int (*handover)(struct dmtr_runtime *rt, void *state, struct queue **q_out);
    int (*open)(struct dmtr_runtime *rt, void *state, const char *path, int flags, mode_t mode, struct queue **q_out);
};

#endif
