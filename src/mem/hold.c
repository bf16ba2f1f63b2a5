/* SPDX-License-Identifier: MIT */
/*
 * Holds and additional owners. A slab's counts are all zero, and ignored, until one of its blocks gets a hold or
 * another owner. Their memory is committed with the slab, so none of these calls can fail for lack of memory.
 */
#include "mem/heap.h"
#include "mem/thread_heap.h"

#include <assert.h>

/*
 * The caller already refers to the block, so nobody frees it at the same time. Returns false if p is not in the heap.
 */
static inline bool add(const void *p, int64_t n) {
    struct slab *s = slab_of(p);
    if (!s) return false;
    uint32_t block = slab_block(s, p);
    if (block >= s->blocks) return false;
    if (atomic_load_explicit(&s->plain, memory_order_relaxed) != 0)
        atomic_store_explicit(&s->plain, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->counts[block], n, memory_order_relaxed);
    return true;
}

bool heap_hold(const void *p) {
    return add(p, ONE_HOLD);
}

bool heap_share(const void *p) {
    return add(p, ONE_OWNER);
}

bool heap_reclaim(const void *p) {
    struct slab *s = slab_of(p);
    int64_t lent = COUNT_DEAD + ONE_HOLD;
    block_count *count = &s->counts[slab_block(s, p)];
    return atomic_load_explicit(count, memory_order_relaxed) == lent &&
           atomic_compare_exchange_strong_explicit(count, &lent, ONE_HOLD, memory_order_acquire, memory_order_relaxed);
}

void heap_release(const void *p) {
    struct slab *s = slab_of(p);
    assert(s);
    uint32_t block = slab_block(s, p);
    assert(block < s->blocks);
    int64_t old = atomic_fetch_sub_explicit(&s->counts[block], ONE_HOLD, memory_order_acq_rel);
    assert((uint32_t)old != 0);
    if (old - ONE_HOLD != COUNT_DEAD) return;
    atomic_store_explicit(&s->counts[block], 0, memory_order_relaxed);
    int r = block_free(s, block);
    assert(r == 0);
    (void)r;
}
