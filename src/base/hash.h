/* SPDX-License-Identifier: MIT */
/*
 * Hash table from keys of one fixed length to pointers. A secret random seed per table keeps attackers from choosing
 * keys that collide. Linear probing; deletion shifts entries back, so there are no tombstones. The table doubles when
 * it is three quarters full and then moves a few entries with each change, so that the cost of a call is bounded.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/siphash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One array of slots; internal. */
struct hash_slots {
    unsigned char *base;
    uint32_t mask;  /* slots - 1 */
    uint32_t count; /* entries */
};

struct hash {
    struct hash_slots now;
    struct hash_slots old; /* the smaller array while its entries move; else base is NULL */
    uint32_t moved;        /* slots of `old` below this index are empty */
    uint32_t key_bytes, slot_bytes;
    uint32_t max;
    uint8_t seed[SIPHASH_KEY_BYTES];
};

/*
 * Creates an empty table for keys of key_bytes (1 ... 64) bytes and at most max (1 ... 2^30) entries. seed is copied;
 * it is random, or fixed if a run must be repeatable. Returns 0, -EINVAL or -ENOMEM.
 */
int hash_init(struct hash *h, uint32_t key_bytes, uint32_t max, const uint8_t seed[SIPHASH_KEY_BYTES]);
/* Does not free the values: they belong to the caller. */
void hash_fini(struct hash *h);

/* Returns the value of key, or NULL if it is absent. */
void *hash_find(const struct hash *h, const void *key);

/*
 * Adds key with a non-NULL value. Returns 0, -EEXIST (key is present, and unchanged), -ENOBUFS (max reached) or
 * -ENOMEM.
 */
int hash_insert(struct hash *h, const void *key, void *value);

/* Removes key. Returns its value, or NULL if it is absent. */
void *hash_remove(struct hash *h, const void *key);

static inline uint32_t hash_count(const struct hash *h) {
    return h->now.count + h->old.count;
}

/*
 * Iterates. *at starts at 0. Each call returns the next value, or NULL at the end, and stores the key if key is not
 * NULL. An insertion or removal invalidates the iteration.
 */
void *hash_next(const struct hash *h, uint64_t *at, const void **key);

#endif
