/* SPDX-License-Identifier: MIT */
/*
 * The heap: device-visible memory for payload.
 *
 * One region of address space per process, cut into 64 KiB units. A slab is a run of units that holds blocks of
 * one size; its descriptor lies outside the region, so that an application's overflow cannot reach it. From any
 * pointer, also into the middle of a block, slab and block are found in O(1) without touching the block.
 *
 * Each thread allocates from slabs of its own; a free on another thread goes to the slab's owner over a lock-free
 * list. A block is held by its owners (the application) and by holds (devices and protocols). It returns to its
 * slab when both are gone. Blocks with one owner and no hold, the usual case, cost nothing for that: a slab's counts
 * are not looked at until the first of its blocks is held or shared.
 *
 * Any thread may call anything here, and so may the child after a fork; what other threads of the parent had is not
 * used again there. Nothing here is safe in a signal handler.
 */
#ifndef MEM_HEAP_H
#define MEM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_UNIT_BYTES 65536u
#define HEAP_RUN_BYTES  ((size_t)2 << 20) /* what is mapped for devices at a time */
#define HEAP_MAX_ALLOC  (64u << 20)
#define HEAP_MIN_ALIGN  16u

/*
 * Bounds and page policy, read once, at the first allocation of the process: the environment's DMTR_HEAP_MAX_BYTES
 * and DMTR_HEAP_HUGEPAGES (auto, always, never).
 */

/*
 * At least `size` bytes (0 counts as 1), aligned to HEAP_MIN_ALIGN. NULL: no memory, or the heap's limit is reached.
 * Any size up to that limit; HEAP_MAX_ALLOC is what the callers above grant one buffer.
 */
void *heap_alloc(size_t size);
void *heap_alloc_zeroed(size_t size);
/* alignment: a power of two. */
void *heap_alloc_aligned(size_t alignment, size_t size);

/*
 * Gives up one owner of the block that `p` lies in; errno stays as it is. 0; -EINVAL: not the heap's, or it has only
 * holds left, or (debug builds) it is free already.
 */
int heap_free(void *p);

/* Whether p lies in a block, allocated or free. O(1), for any address. */
bool heap_owns(const void *p);

/* Bytes of the block that p lies in; 0: not the heap's. */
size_t heap_block_bytes(const void *p);

/* Bytes from p to the end of its block; 0: not the heap's. */
size_t heap_usable_size(const void *p);

/* First byte of the block that p lies in; NULL: not the heap's. */
void *heap_block(const void *p);

/*
 * A device or protocol takes a hold on the block that `p` lies in; false, and nothing done: p is not the heap's. The
 * caller sees to it that the block is not freed meanwhile: it is, or acts for, an owner or holder.
 */
bool heap_hold(const void *p);

/* Gives up a hold that was taken, on any thread; the last one frees a block that has no owner any more. */
void heap_release(const void *p);

/* A further owner, as heap_hold: the block needs one more heap_free (several popped slices of one receive buffer). */
bool heap_share(const void *p);

/*
 * Who has a hold on the block becomes its owner again, if there is no owner and no other hold; the hold stays. Whether
 * that was so: a device lends a block to an owner and learns that it was freed.
 */
bool heap_take_back(const void *p);

/*
 * Devices: map is called for each run of memory present and to come, unmap before it goes; `run` is stable. -ENOSPC:
 * too many devices. Runs are HEAP_RUN_BYTES or multiples.
 */
struct heap_device {
    int (*map)(void *ctx, void *run, size_t bytes);
    void (*unmap)(void *ctx, void *run, size_t bytes);
    void *ctx;
};
/*
 * The address space in which all blocks lie, now and later; reserved by the first call that needs it. 0 or -ENOMEM.
 */
int heap_range(void **base, size_t *bytes);

int heap_device_add(const struct heap_device *d);
void heap_device_remove(const struct heap_device *d);

/*
 * Devices that take one fixed range: the heap's lowest addresses, which are the first to be allocated from. *bytes of
 * them, a multiple of 2 MiB and lowered to what there is, are mapped and stay so until as many heap_unpin. 0 and *base;
 * or -ENOMEM, nothing done.
 */
int heap_pin(size_t *bytes, void **base);
void heap_unpin(void);

struct heap_stats {
    size_t reserved_bytes; /* address space */
    size_t mapped_bytes;   /* backed by memory */
    size_t huge_bytes;     /* of those, on hugepages */
    size_t used_bytes;     /* in blocks of this thread's slabs */
    size_t large_bytes;    /* in blocks larger than slabs hold, of all threads */
};
void heap_get_stats(struct heap_stats *s);

#endif
