/* SPDX-License-Identifier: MIT */
/*
 * A bounded array that grows without moving. array_init reserves address space for `max` elements, and array_grow
 * commits the pages, so pointers to elements stay valid.
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
    uint32_t committed; /* accessible elements */
    uint32_t max;
};

/* Reserves room for max elements of elem_size bytes. Returns 0, -EINVAL (overflow, zero) or -ENOMEM. */
int array_init(struct array *a, size_t elem_size, uint32_t max);
void array_fini(struct array *a);

/* Appends count zeroed elements. Returns the index of the first, -ENOBUFS (max reached) or -ENOMEM. */
int64_t array_grow(struct array *a, uint32_t count);

static inline void *array_at(const struct array *a, uint32_t i) {
    return a->base + (size_t)i * a->elem_size;
}

#endif
