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
#include <string.h>

/* Internal. The pointer is in bytes, so that a slot has no padding. */
struct hash_slot {
    uint32_t hash; /* a lookup reads only structures for which it is equal; also gives the slot to start at */
    unsigned char value[sizeof(void *)];
};

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

/* ---- the lookup, inline so that the datapath compiles it for the length of its keys ---- */

#define HASH_DISTANCE_EVERY 8u

static inline void *hash_value(const struct hash_slot *s) {
    void *value;
    memcpy(&value, s->value, sizeof value);
    return value;
}

static inline const void *hash_key(const struct hash *h, const void *value) {
    return (const char *)value + h->key_at;
}

static inline uint64_t hash_load64(const unsigned char *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline uint32_t hash_load32(const unsigned char *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* The exclusive or of both halves of the product. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Up to 15 bytes in two words. */
static inline void hash_load_tail(const unsigned char *p, uint32_t n, uint64_t *a, uint64_t *b) {
    *a = *b = 0;
    if (n >= 8) {
        *a = hash_load64(p);
        *b = hash_load64(p + n - 8);
    } else if (n >= 4) {
        *a = hash_load32(p);
        *b = hash_load32(p + n - 4);
    } else {
        memcpy(a, p, n);
    }
}

/*
 * Keyed products of 128 bits. Each factor contains secret bits: the seed, or the state, which depends on it. An
 * attacker who does not know the seed cannot choose keys that collide, nor make a factor zero.
 */
static inline uint32_t hash_bytes(const struct hash *h, const void *key, uint32_t n) {
    const unsigned char *p = key;
    uint64_t state = h->seed[0], secret = h->seed[1], a, b;
    for (; n >= 16; n -= 16, p += 16)
        state = hash_fold(hash_load64(p) ^ state, hash_load64(p + 8) ^ secret);
    hash_load_tail(p, n, &a, &b);
    return (uint32_t)(hash_fold(a ^ state, b ^ secret) >> 32);
}

static inline bool hash_keys_equal(const void *x, const void *y, uint32_t n) {
    const unsigned char *a = x, *b = y;
    for (; n >= 8; n -= 8, a += 8, b += 8)
        if (hash_load64(a) != hash_load64(b)) return false;
    if (n == 4) return hash_load32(a) == hash_load32(b);
    return memcmp(a, b, n) == 0;
}

static inline uint32_t hash_home(const struct hash_slots *a, uint32_t hash) {
    return (uint32_t)((uint64_t)hash * a->size >> 32);
}

static inline uint32_t hash_next_slot(const struct hash_slots *a, uint32_t i) {
    return i + 1 == a->size ? 0 : i + 1;
}

/* How far the entry in slot i is from its home. */
static inline uint32_t hash_distance(const struct hash_slots *a, uint32_t i) {
    uint32_t home = hash_home(a, a->base[i].hash);
    return i >= home ? i - home : i + a->size - home;
}

/*
 * Entries lie in the order of their homes, so that the search for an absent key may end at one that is closer to its
 * home. Computing a distance costs more than comparing a tag, so only some entries are checked for it.
 */
static inline __attribute__((always_inline)) struct hash_slot *
hash_slots_find(const struct hash *h, const struct hash_slots *a, uint32_t hash, const void *key, uint32_t n) {
    if (a->count == 0) return NULL;
    for (uint32_t i = hash_home(a, hash), distance = 0;; i = hash_next_slot(a, i), distance++) {
        struct hash_slot *s = &a->base[i];
        const void *value = hash_value(s);
        if (!value) return NULL;
        if (s->hash == hash && hash_keys_equal(hash_key(h, value), key, n)) return s;
        if (distance % HASH_DISTANCE_EVERY == HASH_DISTANCE_EVERY - 1 && hash_distance(a, i) < distance) return NULL;
    }
}

/* As hash_find. n: the length of the table's keys in bytes, a constant. */
static inline __attribute__((always_inline)) void *hash_find_n(const struct hash *h, const void *key, uint32_t n) {
    const struct hash_slot *s = hash_slots_find(h, &h->now, hash_bytes(h, key, n), key, n);
    if (__builtin_expect(!!s, 1)) return hash_value(s);
    return h->old.count > 0 ? hash_find(h, key) : NULL;
}

#endif
