/* SPDX-License-Identifier: MIT */
/* Scatter-gather arrays: allocating, measuring and releasing them. Any thread, no dmtr_init needed. */
#ifndef DMTR_SGA_H
#define DMTR_SGA_H

#include <dmtr/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * An array with one segment of `size` bytes of device-visible memory, uninitialised. On failure, and for
 * size 0, it has no segment. size is at most 64 MiB.
 */
DMTR_EXPORT dmtr_sgarray_t dmtr_sgaalloc(size_t size);

/*
 * Releases the array's memory, which came from dmtr_sgaalloc, a pop, or (sga_buf NULL) is segment
 * by segment from dmtr_malloc, and empties it. An empty array is fine.
 * EINVAL: sga is NULL or malformed, or memory is not the library's; nothing is released then.
 */
DMTR_EXPORT int dmtr_sgafree(dmtr_sgarray_t *sga);

/* Sum of the segments' lengths, in bytes. EINVAL: an argument is NULL, or too many segments. */
DMTR_EXPORT int dmtr_sgalen(size_t *len_out, const dmtr_sgarray_t *sga);

#ifdef __cplusplus
}
#endif
#endif
