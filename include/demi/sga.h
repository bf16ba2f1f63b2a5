/* SPDX-License-Identifier: MIT */
/* Scatter-gather arrays. Any thread; no demi_init needed. */
#ifndef DEMI_SGA_H
#define DEMI_SGA_H

#include <demi/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One segment of size bytes, 1 ... 65535, uninitialised. Another size, or no memory: all members are zero. */
ATTR_EXPORT demi_sgarray_t demi_sgaalloc(size_t size);

/*
 * Releases an array of demi_sgaalloc or a pop, and empties it; an empty array is fine. Memory still being sent is kept
 * until it is sent. EINVAL: sga is NULL or malformed, or the memory is not the library's.
 */
ATTR_EXPORT int demi_sgafree(demi_sgarray_t *sga) ATTR_NONNULL(1);

#ifdef __cplusplus
}
#endif
#endif
