/* SPDX-License-Identifier: MIT */
/*
 * Hash table from keys of one fixed length to pointers, keyed with a random seed of its own, so that nobody can
 * choose keys that collide. Linear probing; deletion shifts back, so there are no tombstones. It doubles when three
 * quarters full and then moves a few entries with each change, so that no call costs more than a bounded amount.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/siphash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One array of slots; an implementation detail. */
struct hash_slots {
    unsigned char *base;
    uint32_t mask;  /* slots - 1 */
    uint32_t count; /* entries */
};

struct hash {
    struct hash_slots now;
    struct hash_slots old; /* while entries move: what is left of the smaller array; else base is NULL */
    uint32_t moved;        /* slots of `old` below this one are empty */
    uint32_t key_bytes, slot_bytes;
    uint32_t max;
    uint8_t seed[SIPHASH_KEY_BYTES];
};

/*
 * An empty table for keys of key_bytes (1 ... 64) and at most max entries (1 ... 2^30). seed is copied: random, or
 * chosen where a run is to be repeated. 0, -EINVAL, -ENOMEM.
 */
int hash_init(struct hash *h, uint32_t key_bytes, uint32_t max, const uint8_t seed[SIPHASH_KEY_BYTES]);
/* The values are the caller's. */
void hash_fini(struct hash *h);

/* The value of key; NULL: not there. */
void *hash_find(const struct hash *h, const void *key);

/* Adds key with a value that is not NULL. 0; -EEXIST: it is there, unchanged; -ENOBUFS: max reached; -ENOMEM. */
int hash_insert(struct hash *h, const void *key, void *value);

/* Removes key. Its value; NULL: not there. */
void *hash_remove(struct hash *h, const void *key);

static inline uint32_t hash_count(const struct hash *h) {
    return h->now.count + h->old.count;
}

/*
 * Iterates: *at begins at 0; each call gives the next value, NULL at the end, and the key if key is not NULL.
 * An insertion or removal in between ends the iteration's meaning.
 */
void *hash_next(const struct hash *h, uint64_t *at, const void **key);

#endif
