/* SPDX-License-Identifier: MIT */
/*
 * Size classes of small blocks: multiples of 16 up to 128, then four to a doubling, which bounds what a block
 * wastes to a fifth of it. And the division by them, as a multiplication.
 */
#ifndef MEM_SIZE_CLASS_H
#define MEM_SIZE_CLASS_H

#include <stddef.h>
#include <stdint.h>

#define SMALL_MAX   ((size_t)256 << 10) /* largest block that shares a slab; larger ones are runs of their own */
#define CLASS_COUNT 52u

/* The class of a size in 1 ... SMALL_MAX. The arithmetic is a histogram's: octave, and two bits below it. */
static inline unsigned class_of(size_t size) {
    uint32_t granules = (uint32_t)(size - 1) >> 4;
    unsigned shift = 29u - (unsigned)__builtin_clz(granules | 4);
    return (shift << 2) + (granules >> shift);
}

static inline uint32_t class_size(unsigned cls) {
    unsigned shift = cls < 8 ? 0 : cls / 4 - 1;
    return (cls - shift * 4 + 1) << shift << 4;
}

/*
 * offset / size == offset * reciprocal(size) >> RECIPROCAL_SHIFT, exact while offset * size < 2^RECIPROCAL_SHIFT:
 * slabs are at most 2 MiB, small sizes at most 256 KiB.
 */
#define RECIPROCAL_SHIFT 40
static inline uint64_t reciprocal(uint32_t size) {
    return (((uint64_t)1 << RECIPROCAL_SHIFT) + size - 1) / size;
}

#endif
