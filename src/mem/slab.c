/* SPDX-License-Identifier: MIT */
/* Slabs: their geometry, creating and deleting them, and the parts of their free list that are not on the fast path. */
#include "mem/slab.h"

#include "mem/poison.h"

#include <assert.h>
#include <errno.h>

#define BLOCKS_MIN   4u                     /* with fewer, a slab would be no better than a run for each block */
#define TAIL_MAX     16u                    /* at most 1/16 of a slab is unused after its last block */
#define EXTEND_BYTES (HEAP_UNIT_BYTES / 16) /* fresh blocks linked in one step, so that pages are touched gradually */

_Static_assert(offsetof(struct slab, counts) == 64, "allocating and freeing touch one cache line");
#ifndef DMTR_DEBUG
_Static_assert(sizeof(struct slab) / 64 % 2 == 1,
               "an odd number of cache lines, so that descriptors spread over the cache's sets");
#endif

/* Returns the smallest run of units that holds BLOCKS_MIN blocks and wastes little after the last one. */
static uint32_t slab_units(size_t block_bytes) {
    for (uint32_t units = 1;; units++) {
        size_t bytes = (size_t)units * HEAP_UNIT_BYTES, tail = bytes % block_bytes;
        if (bytes / block_bytes >= BLOCKS_MIN && tail * TAIL_MAX <= bytes) return units;
    }
}

/* Initialises the descriptor of a run. Under the region's lock. */
static struct slab *slab_begin(uint32_t first_unit, uint32_t units) {
    struct slab *s = &region.descriptors[first_unit];
    *s = (struct slab){.base = region_unit(first_unit),
                       .free = BLOCK_NONE,
                       .first_unit = first_unit,
                       .units = units,
                       .next = s->few_next,
                       .counts = s->few_counts,
                       .remote = BLOCK_NONE};
    list_init(&s->link);
    return s;
}

static void slab_publish(struct slab *s) {
    for (uint32_t i = 0; i < s->units; i++)
        atomic_store_explicit(&region.slabs[s->first_unit + i], s, memory_order_release);
}

static struct slab *alloc_slab(uint32_t units, uint32_t align, bool *zeroed) {
    int64_t first = region_init();
    if (first == 0) first = region_alloc(units, align, zeroed);
    return first < 0 ? NULL : slab_begin((uint32_t)first, units);
}

struct slab *slab_new_small(struct thread_heap *owner, unsigned cls) {
    uint32_t block_bytes = class_size(cls), units = slab_units(block_bytes);
    bool zeroed;
    region_lock();
    struct slab *s = alloc_slab(units, 1, &zeroed);
    if (s) {
        s->owner = owner;
        s->cls = (uint8_t)cls;
        s->block_bytes = block_bytes;
        s->reciprocal = reciprocal(block_bytes);
        s->blocks = (uint16_t)((size_t)units * HEAP_UNIT_BYTES / block_bytes);
        s->plain = s->blocks;
        if (s->blocks > BLOCKS_FEW) {
            s->next = (uint16_t *)(void *)(region.lists + s->first_unit * LISTS_STRIDE);
            s->counts = (block_count *)(void *)(region.counts + s->first_unit * COUNTS_STRIDE);
        }
        slab_publish(s);
    }
    region_unlock();
    return s;
}

struct slab *slab_new_large(size_t bytes, size_t alignment, bool *zeroed) {
    size_t units = bytes / HEAP_UNIT_BYTES + (bytes % HEAP_UNIT_BYTES != 0);
    size_t align = alignment <= HEAP_UNIT_BYTES ? 1 : alignment / HEAP_UNIT_BYTES;
    if (units > UINT32_MAX / 2 || align > UINT32_MAX / 2) return NULL;
    region_lock();
    struct slab *s = alloc_slab((uint32_t)units, (uint32_t)align, zeroed);
    if (s) {
        s->blocks = s->fresh = 1;
        s->plain = s->used = 1;
        s->block_bytes = units * HEAP_UNIT_BYTES;
        slab_publish(s);
    }
    region_unlock();
    return s;
}

void slab_delete(struct slab *s) {
    int saved_errno = errno; /* free keeps errno (POSIX.1-2024) */
    region_lock();
    for (uint32_t i = 0; i < s->units; i++)
        atomic_store_explicit(&region.slabs[s->first_unit + i], NULL, memory_order_release);
    region_free(s->first_unit, s->units);
    region_unlock();
    errno = saved_errno;
}

void slab_extend(struct slab *s) {
    assert(s->free == BLOCK_NONE && s->fresh < s->blocks);
    uint32_t step = EXTEND_BYTES / (uint32_t)s->block_bytes + 1, first = s->fresh, end = first + step;
    if (end > s->blocks) end = s->blocks;
    for (uint32_t i = first; i < end; i++)
        s->next[i] = (uint16_t)(i + 1);
    s->next[end - 1] = BLOCK_NONE;
    s->free = first;
    s->fresh = (uint16_t)end;
}

void slab_collect(struct slab *s) {
    uint16_t first = atomic_exchange_explicit(&s->remote, BLOCK_NONE, memory_order_acq_rel), last = first;
    if (first == BLOCK_NONE) return;
    s->used--;
    for (; s->next[last] != BLOCK_NONE; last = s->next[last])
        s->used--;
    s->next[last] = (uint16_t)s->free;
    s->free = first;
}
