/* SPDX-License-Identifier: MIT */
/*
 * The runtimes of this process, by number: what dmtr_wake, which runs on other threads and in signal handlers, needs of
 * them. The only state that runtimes share.
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#define RUNTIME_MAX 1024 /* runtimes in a process: 10 bits of a token and of a descriptor */

/* A number for a new runtime: 0 ... RUNTIME_MAX - 1, or -EMFILE, or why no eventfd could be made. */
int registry_take(void);
void registry_give_back(uint32_t id);

/*
 * An eventfd that is readable after registry_wake; it is never closed, because a late wake may still write to it. -1:
 * the runtime is that of a process from which this one was forked.
 */
int registry_wake_fd(uint32_t id);
void registry_drain(int wake_fd);

/* Any thread, and signal handlers. 0 or -EINVAL: no such runtime. */
int registry_wake(uint32_t id);

/* True, once, after registry_wake. */
bool registry_take_wake(uint32_t id);

#endif
