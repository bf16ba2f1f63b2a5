/* SPDX-License-Identifier: MIT */
/* Monotonic time in nanoseconds: the processor's counter where the kernel trusts it, else clock_gettime. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Calibrates on first use (some ms once per process); thread-safe. */
uint64_t clock_now_ns(void);

/* True where clock_now_ns reads the processor's counter. */
bool clock_uses_tsc(void);

#endif
