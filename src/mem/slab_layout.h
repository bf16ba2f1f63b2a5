/* SPDX-License-Identifier: MIT */
/* The structure of a slab, and the memory reserved for each; slab.h explains slabs. */
#ifndef MEM_SLAB_LAYOUT_H
#define MEM_SLAB_LAYOUT_H

#include "base/list.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCKS_MAX 4096u
#define BLOCKS_FEW 32u /* slabs of at most this many blocks keep their arrays in the descriptor */
#define BLOCK_NONE 0xffffu
#define LISTS_STRIDE                                                                                                   \
    (BLOCKS_MAX * sizeof(uint16_t) + 64) /* an odd number of cache lines, to spread over the cache's sets */
#define COUNTS_STRIDE (BLOCKS_MAX * sizeof(uint64_t) + 64)

/*
 * A block's references as one signed number: owners - 1 in the upper half, holds in the lower. 0 is the usual block,
 * with one owner and no hold.
 */
typedef _Atomic int64_t block_count;
#define ONE_HOLD   ((int64_t)1)
#define ONE_OWNER  ((int64_t)1 << 32)
#define COUNT_DEAD (-ONE_OWNER) /* neither owner nor hold */

struct thread_heap;

struct slab {
    /* the fields that allocating and freeing touch: one cache line */
    _Alignas(64) char *base;
    size_t block_bytes;
    uint64_t reciprocal;       /* of block_bytes; 0: the slab is one block */
    uint16_t *next;            /* [blocks] next free block */
    struct thread_heap *owner; /* NULL: one large block, which belongs to no thread */
    uint32_t free;             /* first free block, or BLOCK_NONE */
    uint32_t used;             /* blocks allocated, plus one while this is its class's current slab */
    _Atomic uint32_t
        plain; /* blocks with indices below this are known to have count 0: all, until one is counted, then none */
    uint16_t blocks, fresh; /* blocks from `fresh` on were never allocated and are not linked */
    uint8_t cls;
    bool kept; /* empty, kept for reuse */
    /* the other fields */
    _Alignas(64) block_count *counts; /* [blocks] zero for free blocks */
    struct list link;                 /* in its owner's partial list, or unlinked */
    struct slab *notice_next;
    uint32_t first_unit, units;
    _Atomic uint16_t remote; /* blocks freed by other threads */
    _Alignas(64) uint16_t few_next[BLOCKS_FEW];
    block_count few_counts[BLOCKS_FEW];
#ifdef DMTR_DEBUG
    _Atomic uint64_t allocated[BLOCKS_MAX / 64]; /* bit per block */
#endif
};

#endif
