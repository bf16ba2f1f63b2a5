/* SPDX-License-Identifier: MIT */
/*
 * What is done when a thread exits. One key of the threads library serves all, because its destructors have no order:
 * these run in the order of the enumeration.
 */
#ifndef BASE_THREAD_EXIT_H
#define BASE_THREAD_EXIT_H

#include <stdbool.h>

/* The runtime first: its end allocates and frees. */
enum thread_exit { THREAD_EXIT_RUNTIME, THREAD_EXIT_HEAP, THREAD_EXIT_COUNT };

/* fn(arg) is called once when the calling thread exits, in place of what was set before. False: it cannot be. */
bool thread_exit_set(enum thread_exit which, void (*fn)(void *arg), void *arg);

#endif
