/* SPDX-License-Identifier: MIT */
/*
 * The runtimes of this process, by number, with the state that dmtr_wake needs on other threads and in signal handlers.
 * Runtimes share no other state.
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#define RUNTIME_MAX 1024 /* runtimes in a process: 10 bits of a token and of a descriptor */

/* Allocates the number of a new runtime: 0 ... RUNTIME_MAX - 1; -EMFILE, -ENOMEM, or the error of eventfd. */
int registry_take(void);
void registry_give_back(uint32_t id);

/*
 * An eventfd that is readable after registry_wake. This process never closes it, because a late wake may still write to
 * it. -1: the runtime belongs to the parent from which this process was forked.
 */
int registry_wake_fd(uint32_t id);
void registry_drain(int wake_fd);

/* May be called on any thread and in signal handlers. 0 or -EINVAL: no such runtime. */
int registry_wake(uint32_t id);

/* True from registry_wake to registry_take_wake. */
bool registry_wake_pending(uint32_t id);

/* True, once, after registry_wake. */
bool registry_take_wake(uint32_t id);

#endif
