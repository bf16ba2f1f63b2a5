/* SPDX-License-Identifier: MIT */
/* Allocates, frees and answers questions about blocks. */
#include "mem/heap.h"

#include "mem/thread_heap.h"

#include <string.h>

/* Allocates a block that has a run of units to itself. */
static void *alloc_large(size_t alignment, size_t size, bool *zeroed) {
    struct slab *s = slab_new_large(size, alignment, zeroed);
    if (!s && thread_heap_trim()) s = slab_new_large(size, alignment, zeroed);
    if (!s) return NULL;
    slab_mark_allocated(s, 0);
    unpoison(s->base, s->block_bytes);
    return s->base;
}

static void *alloc_class(unsigned cls) {
    struct slab *s = thread_heap->current[cls];
    return s->free == BLOCK_NONE ? thread_heap_alloc_slow(cls) : slab_pop(s);
}

/* Not inlined, so that heap_alloc needs no stack frame. */
static __attribute__((noinline)) void *alloc_any(size_t size) {
    bool zeroed;
    if (size > SMALL_MAX) return alloc_large(1, size, &zeroed);
    return alloc_class(class_of(size ? size : 1));
}

void *heap_alloc(size_t size) {
    if (size <= DIRECT_MAX) {
        struct slab *s = thread_heap->direct[(size + GRANULE - 1) / GRANULE];
        if (__builtin_expect(s->free != BLOCK_NONE, 1)) return slab_pop(s);
    }
    return alloc_any(size);
}

void *heap_alloc_zeroed(size_t size) {
    bool zeroed = false;
    void *p = size > SMALL_MAX ? alloc_large(1, size, &zeroed) : heap_alloc(size);
    if (p && !zeroed) memset(p, 0, size);
    return p;
}

void *heap_alloc_aligned(size_t alignment, size_t size) {
    bool zeroed;
    if (alignment <= HEAP_MIN_ALIGN) return heap_alloc(size);
    /* A slab starts at a unit boundary, so blocks whose size is a multiple of the alignment are aligned. */
    if (alignment <= HEAP_UNIT_BYTES && size <= SMALL_MAX) {
        unsigned cls = class_of(size > alignment ? size : alignment);
        while (class_size(cls) % alignment != 0)
            cls++;
        return alloc_class(cls);
    }
    return alloc_large(alignment, size ? size : 1, &zeroed);
}

/*
 * Gives up one owner of a block that may have several owners or holds. -EINVAL: p is past the last block, or the block
 * has only holds.
 */
static __attribute__((noinline)) int free_counted(struct slab *s, uint32_t block) {
    if (block >= s->blocks) return -EINVAL;
    if (atomic_load_explicit(&s->counts[block], memory_order_acquire) == 0) return block_free(s, block);
    int64_t old = atomic_fetch_sub_explicit(&s->counts[block], ONE_OWNER, memory_order_acq_rel);
    if (old >> 32 < 0) { /* the block has holds but no owner */
        atomic_fetch_add_explicit(&s->counts[block], ONE_OWNER, memory_order_relaxed);
        return -EINVAL;
    }
    if (old - ONE_OWNER != COUNT_DEAD) return 0;
    atomic_store_explicit(&s->counts[block], 0, memory_order_relaxed);
    return block_free(s, block);
}

int heap_free(void *p) {
    struct slab *s = slab_of(p);
    if (__builtin_expect(!s, 0)) return -EINVAL;
    uint32_t block = slab_block(s, p);
    if (block >= atomic_load_explicit(&s->plain, memory_order_relaxed)) return free_counted(s, block);
    return block_free(s, block);
}

bool heap_owns(const void *p) {
    return heap_block(p) != NULL;
}

void *heap_block(const void *p) {
    struct slab *s = slab_of(p);
    if (!s) return NULL;
    uint32_t block = slab_block(s, p);
    return block < s->blocks ? slab_at(s, block) : NULL;
}

size_t heap_block_bytes(const void *p) {
    struct slab *s = slab_of(p);
    return s ? s->block_bytes : 0;
}

size_t heap_usable_size(const void *p) {
    struct slab *s = slab_of(p);
    char *block = heap_block(p);
    return block ? (size_t)(block + s->block_bytes - (const char *)p) : 0;
}

void heap_get_stats(struct heap_stats *st) {
    thread_heap_drain(thread_heap);
    region_lock();
    region_stats(st);
    st->used_bytes = st->large_bytes = 0;
    for (uint32_t unit = 0; unit < region_units_end(); unit++) {
        const struct slab *s = region.slabs[unit];
        if (!s || s->first_unit != unit) continue;
        if (!s->owner)
            st->large_bytes += s->block_bytes;
        else if (s->owner == thread_heap)
            st->used_bytes += (size_t)(s->used - (s == thread_heap->current[s->cls])) * s->block_bytes;
    }
    region_unlock();
}
