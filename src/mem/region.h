/* SPDX-License-Identifier: MIT */
/*
 * The region: address space reserved once, backed with memory in chunks of 2 MiB, handed out in runs of 64 KiB units.
 * Chunks that stay free go back to the kernel. All of it under one lock, which the fast paths never take.
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
    _Atomic size_t bytes;          /* 0 until the region stands, then fixed, as all below */
    _Atomic(struct slab *) *slabs; /* by unit: the slab it belongs to; NULL: none */
    struct slab *descriptors;      /* by unit: the slab that would begin there */
    char *lists, *counts;          /* by unit: room for the arrays of a slab with many blocks; see slab.h */
};
extern struct region region;

/* The lock. Recursive, because a device's map may itself allocate where malloc is replaced by this heap. */
void region_lock(void);
void region_unlock(void);

/* Reserves address space on the first call. 0 or -ENOMEM; may be tried again. Under the lock, as all below. */
int region_init(void);

/*
 * Takes a run of `count` units that begins at a multiple of `align` units (a power of two). The index of its first
 * unit, or -ENOMEM. *zeroed tells whether all of it is known to be zero.
 */
int64_t region_take(uint32_t count, uint32_t align, bool *zeroed);
void region_give(uint32_t first, uint32_t count);

/* No unit from here on was ever taken. */
uint32_t region_units_end(void);

/* Sets what the region knows: reserved, mapped and huge bytes. */
void region_stats(struct heap_stats *s);

static inline char *region_base(void) {
    return atomic_load_explicit(&region.base, memory_order_relaxed);
}

static inline char *region_unit(uint32_t unit) {
    return region_base() + (size_t)unit * HEAP_UNIT_BYTES;
}

#endif
