/* SPDX-License-Identifier: MIT */
/*
 * Size classes of small blocks: multiples of 16 up to 128, then four per doubling, which limits the waste to a fifth of
 * a block. Also division by a class size, as a multiplication.
 */
#ifndef MEM_SIZE_CLASS_H
#define MEM_SIZE_CLASS_H

#include <stddef.h>
#include <stdint.h>

#define SMALL_MAX   ((size_t)256 << 10) /* largest block in a shared slab; larger blocks have a run each */
#define CLASS_COUNT 52u

/* The class of a size in 1 ... SMALL_MAX, computed like a histogram bucket: the octave and the two bits below it. */
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
 * offset / size == offset * reciprocal(size) >> RECIPROCAL_SHIFT. Exact while offset * size < 2^RECIPROCAL_SHIFT: slabs
 * are at most 2 MiB, small sizes at most 256 KiB.
 */
#define RECIPROCAL_SHIFT 40
static inline uint64_t reciprocal(uint32_t size) {
    return (((uint64_t)1 << RECIPROCAL_SHIFT) + size - 1) / size;
}

#endif
