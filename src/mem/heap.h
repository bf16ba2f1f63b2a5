/* SPDX-License-Identifier: MIT */
/*
 * The heap: device-visible memory for payload.
 *
 * The heap has one region of address space per process, divided into units of 64 KiB. A slab is a run of units that
 * holds blocks of one size. Its descriptor is outside the region, so that an application's buffer overflow cannot reach
 * it. Any pointer, also into the middle of a block, leads to its slab and block in O(1) without access to the block.
 *
 * Each thread allocates from its own slabs. A free on another thread returns the block to the slab's owner through a
 * lock-free list. A block has owners (the application) and holds (devices and protocols), and returns to its slab when
 * it has neither. A block with one owner and no hold, the usual case, pays nothing for that: the heap ignores a slab's
 * counts until the first of its blocks is held or shared.
 *
 * Any thread may call these functions, and so may the child after a fork; the child does not reuse memory of the
 * parent's other threads. No function is safe in a signal handler.
 */
#ifndef MEM_HEAP_H
#define MEM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_UNIT_BYTES 65536u
#define HEAP_RUN_BYTES  ((size_t)2 << 20) /* granularity of memory mapped for devices */
#define HEAP_MAX_ALLOC  (64u << 20)
#define HEAP_MIN_ALIGN  16u

/*
 * The first allocation of the process reads the bounds and the page policy from the environment: DMTR_HEAP_MAX_BYTES
 * and DMTR_HEAP_HUGEPAGES (auto, always, never).
 */

/*
 * Allocates at least `size` bytes (0 counts as 1), aligned to HEAP_MIN_ALIGN. Returns NULL if there is no memory or the
 * heap's limit is reached. The size is bounded only by that limit; callers above bound one buffer by HEAP_MAX_ALLOC.
 */
void *heap_alloc(size_t size);
void *heap_alloc_zeroed(size_t size);
/* alignment is a power of two. */
void *heap_alloc_aligned(size_t alignment, size_t size);

/*
 * Gives up one owner of the block that `p` points into; keeps errno. Returns 0, or -EINVAL: p is not in the heap, the
 * block has only holds, or (debug builds) the block is already free.
 */
int heap_free(void *p);

/* Whether p points into a block, allocated or free. O(1), for any address. */
bool heap_owns(const void *p);

/* Bytes of the block that p points into; 0: p is not in the heap. */
size_t heap_block_bytes(const void *p);

/* Bytes from p to the end of its block; 0: p is not in the heap. */
size_t heap_usable_size(const void *p);

/* First byte of the block that p points into; NULL: p is not in the heap. */
void *heap_block(const void *p);

/*
 * Takes a hold on the block that `p` points into, for a device or protocol. Returns false if p is not in the heap. The
 * caller must be an owner or holder, or act for one, so that the block is not freed meanwhile.
 */
bool heap_hold(const void *p);

/* Releases a hold, on any thread. The last release frees a block that has no owner left. */
void heap_release(const void *p);

/*
 * Adds an owner, with the conditions of heap_hold: the block needs one more heap_free. Used for several popped slices
 * of one receive buffer.
 */
bool heap_share(const void *p);

/*
 * If the block has no owner and only the caller's hold, makes the caller its owner again, keeps the hold and returns
 * true. A device that lends blocks to owners uses this to find those that were freed.
 */
bool heap_reclaim(const void *p);

/*
 * A device. The heap calls map for each run of memory, present and future, and unmap before it unmaps the run; `run`
 * never moves. The size is HEAP_RUN_BYTES or a multiple. heap_device_add returns 0, -ENOSPC (too many devices) or the
 * error of map.
 */
struct heap_device {
    int (*map)(void *ctx, void *run, size_t bytes);
    void (*unmap)(void *ctx, void *run, size_t bytes);
    void *ctx;
};
/*
 * Returns the address range of all blocks, present and future; the first call that needs the range reserves it. Returns
 * 0 or -ENOMEM.
 */
int heap_range(void **base, size_t *bytes);

int heap_device_add(const struct heap_device *d);
void heap_device_remove(const struct heap_device *d);

/*
 * For devices that accept one fixed range: maps up to *bytes of the heap's lowest addresses, which are allocated first,
 * and keeps them mapped until a matching number of calls of heap_unpin. *bytes is a multiple of 2 MiB; the call lowers
 * it to the size of the heap if necessary. Returns 0 and *base, or -ENOMEM without effect.
 */
int heap_pin(size_t *bytes, void **base);
void heap_unpin(void);

struct heap_stats {
    size_t reserved_bytes; /* address space */
    size_t mapped_bytes;   /* backed by memory */
    size_t huge_bytes;     /* of mapped_bytes, on hugepages */
    size_t used_bytes;     /* in blocks of this thread's slabs */
    size_t large_bytes;    /* in blocks too large for slabs, of all threads */
};
void heap_get_stats(struct heap_stats *s);

#endif
