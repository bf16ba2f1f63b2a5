/* SPDX-License-Identifier: MIT */
/*
 * Device-visible memory. The heap belongs to the process: these calls do not need dmtr_init, any thread may make them,
 * and memory may be freed on another thread than the one that allocated it.
 */
#ifndef DMTR_MEM_H
#define DMTR_MEM_H

#include <dmtr/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Like malloc(3), calloc(3) and aligned_alloc(3), but they store the pointer in *ptr_out. Memory is aligned to 16
 * bytes. Sizes are in bytes; size 0 returns a unique pointer. EINVAL: ptr_out is NULL, or the alignment is not a power
 * of two. ENOMEM: no memory, or the heap's limit is reached. After an error *ptr_out is unchanged.
 */
DMTR_EXPORT int dmtr_malloc(void **ptr_out, size_t size);
DMTR_EXPORT int dmtr_calloc(void **ptr_out, size_t count, size_t size);
DMTR_EXPORT int dmtr_memalign(void **ptr_out, size_t alignment, size_t size);

/* Changes the size of the memory at *ptr and updates *ptr. NULL in *ptr allocates; size 0 keeps a unique pointer. */
DMTR_EXPORT int dmtr_realloc(void **ptr, size_t size);

/*
 * Frees memory. If a device or protocol still uses it, it is freed when they are done. ptr may be NULL. EINVAL: not
 * from this heap or, in debug builds, already freed.
 */
DMTR_EXPORT int dmtr_free(void *ptr);

/* Returns the usable bytes at ptr, at least the requested size; 0 if ptr is not from this heap. */
DMTR_EXPORT size_t dmtr_usable_size(const void *ptr);

#ifdef __cplusplus
}
#endif
#endif
