/* SPDX-License-Identifier: MIT */
/* Monotonic time in nanoseconds: from the processor's counter if the kernel trusts it, else from clock_gettime. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* The first call in the process calibrates, which takes a few milliseconds. Thread-safe. */
uint64_t clock_now_ns(void);

/* Whether clock_now_ns reads the processor's counter. */
bool clock_uses_tsc(void);

#endif
