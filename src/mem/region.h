/* SPDX-License-Identifier: MIT */
/*
 * The region: address space that is reserved once, backed with memory in chunks of 2 MiB and allocated in runs of 64
 * KiB units. Free chunks above a limit return to the kernel. One lock protects all of it; the fast paths never take it.
 */
#ifndef MEM_REGION_H
#define MEM_REGION_H

#include "mem/heap.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_BYTES     HEAP_RUN_BYTES
#define UNITS_PER_CHUNK 32u

struct slab;

struct region {
    _Atomic(char *) base;          /* aligned to CHUNK_BYTES */
    _Atomic size_t bytes;          /* 0 until the region is reserved, then constant, as are all fields below */
    _Atomic(struct slab *) *slabs; /* by unit: the slab that it belongs to; NULL: none */
    struct slab *descriptors;      /* by unit: the descriptor of a slab that starts there */
    char *lists, *counts;          /* by unit: memory for the arrays of a slab with many blocks; see slab_layout.h */
};
extern struct region region;

/* Takes the region's lock. It is recursive, because a device's map may allocate if this heap replaces malloc. */
void region_lock(void);
void region_unlock(void);

/*
 * The first call reserves address space. Returns 0 or -ENOMEM; after an error it may be called again. The caller of
 * this and all functions below holds the lock.
 */
int region_init(void);

/*
 * Allocates a run of `count` units that starts at a multiple of `align` units (a power of two). Returns the index of
 * its first unit, or -ENOMEM. *zeroed: all of it is known to be zero.
 */
int64_t region_alloc(uint32_t count, uint32_t align, bool *zeroed);
void region_free(uint32_t first, uint32_t count);

/* No unit from this one on was ever allocated. */
uint32_t region_units_end(void);

/* Sets reserved_bytes, mapped_bytes and huge_bytes. */
void region_stats(struct heap_stats *s);

static inline char *region_base(void) {
    return atomic_load_explicit(&region.base, memory_order_relaxed);
}

static inline char *region_unit(uint32_t unit) {
    return region_base() + (size_t)unit * HEAP_UNIT_BYTES;
}

#endif
