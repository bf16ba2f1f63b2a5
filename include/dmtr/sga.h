/* SPDX-License-Identifier: MIT */
/* Allocating, measuring and releasing scatter-gather arrays. Any thread may make these calls, without dmtr_init. */
#ifndef DMTR_SGA_H
#define DMTR_SGA_H

#include <dmtr/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Returns an array with one segment of `size` bytes of device-visible, uninitialised memory. On failure, and for size
 * 0, it has no segment. size is at most 64 MiB.
 */
DMTR_EXPORT dmtr_sgarray_t dmtr_sgaalloc(size_t size);

/*
 * Releases the array's memory and empties the array. The memory came from dmtr_sgaalloc or a pop or, if sga_buf is
 * NULL, each segment's came from dmtr_malloc. An empty array is valid. EINVAL: sga is NULL or malformed, or some memory
 * is not the library's; nothing is released then.
 */
DMTR_EXPORT int dmtr_sgafree(dmtr_sgarray_t *sga);

/* Stores the sum of the segments' lengths, in bytes. EINVAL: an argument is NULL, or there are too many segments. */
DMTR_EXPORT int dmtr_sgalen(size_t *len_out, const dmtr_sgarray_t *sga);

#ifdef __cplusplus
}
#endif
#endif
