/* SPDX-License-Identifier: MIT */
/* Scatter-gather arrays. Any thread may make these calls, without demi_init. */
#ifndef DEMI_SGA_H
#define DEMI_SGA_H

#include <demi/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Returns one uninitialised segment of size bytes, 1 ... 65535. For another size, or if there is no memory, all members
 * are zero.
 */
ATTR_EXPORT demi_sgarray_t demi_sgaalloc(size_t size);

/*
 * Releases the memory of an array from demi_sgaalloc or a pop, and empties the array; an empty array is valid. Memory
 * that is still being sent is freed when it is sent. EINVAL: sga is NULL or malformed, or the memory is not the
 * library's.
 */
ATTR_EXPORT int demi_sgafree(demi_sgarray_t *sga) ATTR_NONNULL(1);

#ifdef __cplusplus
}
#endif
#endif
