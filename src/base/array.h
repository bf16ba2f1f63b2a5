/* SPDX-License-Identifier: MIT */
/*
 * Bounded array that grows without moving: address space for `max` elements is reserved at the
 * start, pages are committed as it grows, so a pointer to an element stays valid.
 */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stddef.h>
#include <stdint.h>

struct array {
    char *base;
    size_t elem_size;
    size_t reserved_bytes;
    uint32_t len;       /* elements in use: [0, len) */
    uint32_t committed; /* elements that may be touched */
    uint32_t max;
};

/* Reserves room for max elements of elem_size bytes. 0, -EINVAL (overflow, zero), -ENOMEM. */
int array_init(struct array *a, size_t elem_size, uint32_t max);
void array_fini(struct array *a);

/* Adds count zeroed elements at the end. The index of the first, or -ENOBUFS (max reached), -ENOMEM. */
int64_t array_grow(struct array *a, uint32_t count);

static inline void *array_at(const struct array *a, uint32_t i) {
    return a->base + (size_t)i * a->elem_size;
}

#endif
