/* SPDX-License-Identifier: MIT */
/* A libos: one implementation of queues. libos/registry.c has the table of them. */
#ifndef CORE_LIBOS_H
#define CORE_LIBOS_H

#include <sys/types.h>

struct dmtr_runtime;
struct queue;

struct libos {
    const char *name;
    const char *const *aliases; /* NULL-terminated */
    const char *text;           /* one sentence for documentation */

    /* Called once per runtime, before the first queue. 0 or a negative errno, with a log line that names the cause. */
    int (*start)(struct dmtr_runtime *rt, void **state_out);
    void (*stop)(struct dmtr_runtime *rt, void *state);

    /* Make a queue (initialised, not opened). A NULL entry: this libos does not support it. */
    int (*socket)(struct dmtr_runtime *rt, void *state, int domain, int type, int protocol, struct queue **q_out);
    /* Makes the queue whose accepts return the connections that other runtimes transfer. */
    int (*handover)(struct dmtr_runtime *rt, void *state, struct queue **q_out);
    int (*open)(struct dmtr_runtime *rt, void *state, const char *path, int flags, mode_t mode, struct queue **q_out);
};

#endif
