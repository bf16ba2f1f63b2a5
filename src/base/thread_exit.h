/* SPDX-License-Identifier: MIT */
/*
 * Handlers that run when a thread exits. One pthread key serves all of them, because the destructors of several keys
 * run in no defined order; these handlers run in the order of the enumeration.
 */
#ifndef BASE_THREAD_EXIT_H
#define BASE_THREAD_EXIT_H

#include <stdbool.h>

/* The runtime comes first: its destruction allocates and frees memory. */
enum thread_exit { THREAD_EXIT_RUNTIME, THREAD_EXIT_HEAP, THREAD_EXIT_COUNT };

/*
 * Calls fn(arg) once when the calling thread exits; replaces the handler set before. Returns false if the key cannot be
 * created or set.
 */
bool thread_exit_set(enum thread_exit which, void (*fn)(void *arg), void *arg);

#endif
