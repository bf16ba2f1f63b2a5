/* SPDX-License-Identifier: MIT */
/*
 * Hash table from keys of one fixed length to structures that contain their key. An entry is the pointer to the
 * structure and a 32-bit hash, 12 bytes; a lookup reads a structure only if the hash is equal. A secret random seed per
 * table keeps attackers from choosing keys that collide. Linear probing in the order of Robin Hood hashing; deletion
 * shifts entries back, so there are no tombstones. A table that is six sevenths full grows by half and then moves a few
 * entries with each change, so that the cost of a call is bounded. An entry takes 14 to 21 bytes.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/siphash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_slot;

/* One array of slots; internal. */
struct hash_slots {
    struct hash_slot *base;
    uint32_t size;  /* slots */
    uint32_t count; /* entries */
};

struct hash {
    struct hash_slots now;
    struct hash_slots old; /* the smaller array while its entries move; else base is NULL */
    uint32_t moved;        /* slots of `old` below this index are empty */
    uint32_t key_bytes, key_at;
    uint32_t max;
    uint64_t seed[2];
};

/*
 * Creates an empty table for at most max (1 ... 2^30) structures, whose keys are the key_bytes (1 ... 64) bytes from
 * byte key_at on. seed is copied; it is random, or fixed if a run must be repeatable. Returns 0, -EINVAL or -ENOMEM.
 * After an error, hash_next finds nothing, and hash_fini may be called.
 */
int hash_init(struct hash *h, uint32_t key_bytes, uint32_t key_at, uint32_t max, const uint8_t seed[SIPHASH_KEY_BYTES]);
/* Does not free the structures: they belong to the caller. */
void hash_fini(struct hash *h);

/* Returns the structure with this key, or NULL if it is absent. */
void *hash_find(const struct hash *h, const void *key);

/*
 * Adds a structure. It stays where it is, and its key stays as it is, until it is removed. Returns 0, -EEXIST (the key
 * is present), -ENOBUFS (max reached) or -ENOMEM; on error nothing has changed.
 */
int hash_insert(struct hash *h, void *value);

/* Removes the structure with this key. Returns it, or NULL if it is absent. */
void *hash_remove(struct hash *h, const void *key);

static inline uint32_t hash_count(const struct hash *h) {
    return h->now.count + h->old.count;
}

/* Iterates. *at starts at 0. Each call returns the next structure, or NULL at the end. A change ends the iteration. */
void *hash_next(const struct hash *h, uint64_t *at);

#endif
