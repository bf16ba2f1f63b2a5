/* SPDX-License-Identifier: MIT */
/*
 * Slab: a run of units that holds blocks of one size. Free blocks are linked by index in an array outside the region,
 * so that allocating and freeing a block does not touch its bytes or cache lines.
 *
 * A slab belongs to one thread heap for life. Other threads free into it through `remote`, a lock-free stack of block
 * indices. The thread that makes this stack non-empty puts the slab on the owner's list of notices. Only the owner
 * empties the stack, and only after it has taken the slab off that list, so a slab is never on the list twice.
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

/* Debug builds keep a bit per block. Each function returns whether the block was in the other state before. */
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

/*
 * Create a slab for the class, or for one large block of `bytes` bytes. Return NULL if there is no memory. They take
 * the region's lock.
 */
struct slab *slab_new_small(struct thread_heap *owner, unsigned cls);
struct slab *slab_new_large(size_t bytes, size_t alignment, bool *zeroed);
void slab_delete(struct slab *s);

/* Links more fresh blocks; the slab has fresh blocks and no free one. */
void slab_extend(struct slab *s);

/* Moves the blocks freed by other threads to the slab's free list. */
void slab_collect(struct slab *s);

/* The slab that p points into; NULL: p is not in the heap. */
static inline struct slab *slab_of(const void *p) {
    size_t bytes = atomic_load_explicit(&region.bytes, memory_order_acquire);
    size_t offset = (size_t)((uintptr_t)p - (uintptr_t)region_base());
    if (offset >= bytes) return NULL;
    return atomic_load_explicit(&region.slabs[offset / HEAP_UNIT_BYTES], memory_order_acquire);
}

/* The index of the block that p points into; `blocks` or more: p is past the last block. */
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
