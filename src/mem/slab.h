/* SPDX-License-Identifier: MIT */
/*
 * Slab: a run of units that holds blocks of one size. Free blocks are linked by their index in an array outside the
 * region, so that neither a block's bytes nor its cache lines are touched by allocating and freeing it.
 *
 * A slab belongs to one thread heap for life. Others free into it over `remote`, a lock-free stack of block indices;
 * who makes that stack non-empty tells the owner by putting the slab on the owner's list of notices. Only the owner
 * empties it, and only after it has taken the slab off that list, so a slab is never on it twice.
 */
#ifndef MEM_SLAB_H
#define MEM_SLAB_H

#include "mem/region.h"
#include "mem/size_class.h"
#include "mem/slab_layout.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Debug builds keep a bit per block. Each tells whether the block was in the other state before. */
#ifdef DMTR_DEBUG
static inline bool slab_mark_allocated(struct slab *s, uint32_t block) {
    return !(atomic_fetch_or(&s->allocated[block / 64], 1ull << block % 64) >> block % 64 & 1);
}
static inline bool slab_mark_free(struct slab *s, uint32_t block) {
    return atomic_fetch_and(&s->allocated[block / 64], ~(1ull << block % 64)) >> block % 64 & 1;
}
#else
static inline bool slab_mark_allocated(struct slab *s, uint32_t block) {
    return (void)s, (void)block, true;
}
static inline bool slab_mark_free(struct slab *s, uint32_t block) {
    return (void)s, (void)block, true;
}
#endif

/* A new slab for the class, or for one large block of `units` units. NULL: no memory. Takes the region's lock. */
struct slab *slab_new_small(struct thread_heap *owner, unsigned cls);
struct slab *slab_new_large(size_t bytes, size_t alignment, bool *zeroed);
void slab_delete(struct slab *s);

/* Links some more of the fresh blocks; the slab has fresh blocks and no free one. */
void slab_extend(struct slab *s);

/* Takes back what other threads have freed. */
void slab_collect(struct slab *s);

/* The slab that p lies in; NULL: not the heap's. */
static inline struct slab *slab_of(const void *p) {
    size_t bytes = atomic_load_explicit(&region.bytes, memory_order_acquire);
    size_t offset = (size_t)((uintptr_t)p - (uintptr_t)region_base());
    if (offset >= bytes) return NULL;
    return atomic_load_explicit(&region.slabs[offset / HEAP_UNIT_BYTES], memory_order_acquire);
}

/* The index of the block that p lies in; `blocks` or more: p lies behind the last one. */
static inline uint32_t slab_block(const struct slab *s, const void *p) {
    return (uint32_t)((uint64_t)((const char *)p - s->base) * s->reciprocal >> RECIPROCAL_SHIFT);
}

static inline void *slab_at(const struct slab *s, uint32_t block) {
    return s->base + block * s->block_bytes;
}

static inline bool slab_has_room(const struct slab *s) {
    return s->free != BLOCK_NONE || s->fresh < s->blocks;
}

#endif
