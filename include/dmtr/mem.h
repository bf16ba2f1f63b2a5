/* SPDX-License-Identifier: MIT */
/*
 * Device-visible memory. The heap belongs to the process: these calls need no dmtr_init, may be
 * called on any thread, and memory may be freed on another thread than the one that allocated it.
 */
#ifndef DMTR_MEM_H
#define DMTR_MEM_H

#include <dmtr/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * As malloc(3) and its kin, 16-byte aligned, the pointer stored in *ptr_out. Sizes are in bytes; 0 gives
 * a unique pointer. EINVAL: ptr_out is NULL, or an alignment is not a power of two.
 * ENOMEM: no memory, or more than the heap's limit; *ptr_out is unchanged.
 */
DMTR_EXPORT int dmtr_malloc(void **ptr_out, size_t size);
DMTR_EXPORT int dmtr_calloc(void **ptr_out, size_t count, size_t size);
DMTR_EXPORT int dmtr_memalign(void **ptr_out, size_t alignment, size_t size);

/* Changes the size of *ptr (NULL allocates; size 0 keeps a unique pointer); *ptr is updated. */
DMTR_EXPORT int dmtr_realloc(void **ptr, size_t size);

/*
 * Frees. While a device or protocol still uses the memory it is kept, and freed when they are done.
 * NULL is fine. EINVAL: not from this heap, or, in debug builds, freed already.
 */
DMTR_EXPORT int dmtr_free(void *ptr);

/* Bytes that may be used at ptr, at least what was asked for; 0 if ptr is not from this heap. */
DMTR_EXPORT size_t dmtr_usable_size(const void *ptr);

#ifdef __cplusplus
}
#endif
#endif
