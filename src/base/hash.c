/* SPDX-License-Identifier: MIT */
/* Open addressing in one array of slots, or in two while entries move from the smaller to the larger array. */
#include "base/hash.h"

#include "base/sys.h"

#include <assert.h>
#include <string.h>

#define SLOTS_MIN       16u
#define KEY_BYTES_MAX   64u
#define USUAL_KEY_BYTES 36u /* of flows: their lookups are compiled for this length */
#define COUNT_MAX       (1u << 30)
/*
 * Slots examined or entries moved with each change while a smaller array of N slots is emptied. It starts with 6/7 N
 * entries, so 13/7 N steps empty it, and the larger array has room for 3/7 N changes until then.
 */
#define STEPS_PER_CHANGE 8
#define DISTANCE_EVERY   8u

/* The pointer is in bytes, so that a slot has no padding. */
struct hash_slot {
    uint32_t
        hash; /* filters most mismatches without reading the structure; also gives the slot that probing starts at */
    unsigned char value[sizeof(void *)];
};

static inline void *value_of(const struct hash_slot *s) {
    void *value;
    memcpy(&value, s->value, sizeof value);
    return value;
}

static inline const void *key_in(const struct hash *h, const void *value) {
    return (const char *)value + h->key_at;
}

/* ---- keys ---- */

static inline uint64_t load64(const unsigned char *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline uint32_t load32(const unsigned char *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* Both halves of the product, added without carry. */
static inline uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Up to 15 bytes in two words. */
static inline void load_tail(const unsigned char *p, uint32_t n, uint64_t *a, uint64_t *b) {
    *a = *b = 0;
    if (n >= 8) {
        *a = load64(p);
        *b = load64(p + n - 8);
    } else if (n >= 4) {
        *a = load32(p);
        *b = load32(p + n - 4);
    } else {
        memcpy(a, p, n);
    }
}

/*
 * Keyed products of 128 bits. Each factor contains secret bits: the seed, or the state, which depends on it. So whoever
 * does not know the seed cannot choose keys that collide, nor make a factor zero.
 */
static inline uint32_t hash_bytes(const struct hash *h, const void *key, uint32_t n) {
    const unsigned char *p = key;
    uint64_t state = h->seed[0], secret = h->seed[1], a, b;
    for (; n >= 16; n -= 16, p += 16)
        state = fold(load64(p) ^ state, load64(p + 8) ^ secret);
    load_tail(p, n, &a, &b);
    return (uint32_t)(fold(a ^ state, b ^ secret) >> 32);
}

static inline bool keys_equal(const void *x, const void *y, uint32_t n) {
    const unsigned char *a = x, *b = y;
    for (; n >= 8; n -= 8, a += 8, b += 8)
        if (load64(a) != load64(b)) return false;
    if (n == 4) return load32(a) == load32(b);
    return memcmp(a, b, n) == 0;
}

/* ---- one array ---- */

static inline uint32_t home_of(const struct hash_slots *a, uint32_t hash) {
    return (uint32_t)((uint64_t)hash * a->size >> 32);
}

static inline uint32_t next_of(const struct hash_slots *a, uint32_t i) {
    return i + 1 == a->size ? 0 : i + 1;
}

/* How far the entry in slot i is from its home. */
static inline uint32_t distance_of(const struct hash_slots *a, uint32_t i) {
    uint32_t home = home_of(a, a->base[i].hash);
    return i >= home ? i - home : i + a->size - home;
}

static int slots_init(struct hash_slots *a, uint32_t slots) {
    struct hash_slot *base = sys_calloc(slots, sizeof *base);
    *a = (struct hash_slots){.base = base, .size = base ? slots : 0};
    return base ? 0 : -ENOMEM;
}

/*
 * Entries lie in the order of their homes, so that the search for an absent key may end at one that is closer to its
 * home. Computing a distance costs more than comparing a tag, so only some entries are checked for it.
 */
static inline __attribute__((always_inline)) struct hash_slot *
slots_find(const struct hash *h, const struct hash_slots *a, uint32_t hash, const void *key, uint32_t n) {
    if (a->count == 0) return NULL;
    for (uint32_t i = home_of(a, hash), distance = 0;; i = next_of(a, i), distance++) {
        struct hash_slot *s = &a->base[i];
        const void *value = value_of(s);
        if (!value) return NULL;
        if (s->hash == hash && keys_equal(key_in(h, value), key, n)) return s;
        if (distance % DISTANCE_EVERY == DISTANCE_EVERY - 1 && distance_of(a, i) < distance) return NULL;
    }
}

/* The array is not full. */
static void slots_insert(struct hash_slots *a, struct hash_slot entry) {
    uint32_t i = home_of(a, entry.hash), distance = 0;
    for (; value_of(&a->base[i]); i = next_of(a, i), distance++) {
        uint32_t there = distance_of(a, i);
        if (there >= distance) continue;
        struct hash_slot displaced = a->base[i];
        a->base[i] = entry;
        entry = displaced;
        distance = there;
    }
    a->base[i] = entry;
    a->count++;
}

/* Empties slot s, and shifts the entries behind it back as far as they are not at home. */
static void slots_remove(struct hash_slots *a, struct hash_slot *s) {
    uint32_t hole = (uint32_t)(s - a->base);
    for (uint32_t i = next_of(a, hole); value_of(&a->base[i]) && distance_of(a, i) > 0; i = next_of(a, i)) {
        a->base[hole] = a->base[i];
        hole = i;
    }
    a->base[hole] = (struct hash_slot){.hash = 0};
    a->count--;
}

/* ---- the table ---- */

static void move_entries(struct hash *h) {
    if (!h->old.base) return;
    for (int step = 0; step < STEPS_PER_CHANGE && h->old.count > 0; step++) {
        struct hash_slot *s = &h->old.base[h->moved];
        if (value_of(s)) {
            slots_insert(&h->now, *s);
            slots_remove(&h->old, s); /* which may shift another entry into this slot */
        } else {
            h->moved++;
        }
    }
    if (h->old.count > 0) return;
    sys_free(h->old.base);
    h->old = (struct hash_slots){0};
}

/* Starts moving to an array that is larger by half. */
static int grow(struct hash *h) {
    struct hash_slots larger;
    assert(!h->old.base);
    int r = slots_init(&larger, h->now.size + h->now.size / 2);
    if (r < 0) return r;
    h->old = h->now;
    h->now = larger;
    h->moved = 0;
    return 0;
}

static bool is_full(const struct hash *h) {
    return hash_count(h) >= h->now.size - h->now.size / 7 - 1;
}

int hash_init(struct hash *h, uint32_t key_bytes, uint32_t key_at, uint32_t max,
              const uint8_t seed[SIPHASH_KEY_BYTES]) {
    memset(h, 0, sizeof *h);
    if (key_bytes == 0 || key_bytes > KEY_BYTES_MAX || max == 0 || max > COUNT_MAX) return -EINVAL;
    h->key_bytes = key_bytes;
    h->key_at = key_at;
    h->max = max;
    for (uint8_t i = 0; i < 2; i++) /* products need dense bits, also where a test's seed has few */
        h->seed[i] = siphash24(seed, &i, sizeof i);
    return slots_init(&h->now, SLOTS_MIN);
}

void hash_fini(struct hash *h) {
    sys_free(h->now.base);
    sys_free(h->old.base);
    memset(h, 0, sizeof *h);
}

/* *in: the array that it is in. */
static struct hash_slot *find(struct hash *h, const void *key, uint32_t hash, struct hash_slots **in) {
    struct hash_slot *s = slots_find(h, *in = &h->now, hash, key, h->key_bytes);
    return s ? s : slots_find(h, *in = &h->old, hash, key, h->key_bytes);
}

static inline __attribute__((always_inline)) void *find_value(const struct hash *h, const void *key, uint32_t n) {
    uint32_t hash = hash_bytes(h, key, n);
    const struct hash_slot *s = slots_find(h, &h->now, hash, key, n);
    if (!s) s = slots_find(h, &h->old, hash, key, n);
    return s ? value_of(s) : NULL;
}

void *hash_find(const struct hash *h, const void *key) {
    return h->key_bytes == USUAL_KEY_BYTES ? find_value(h, key, USUAL_KEY_BYTES) : find_value(h, key, h->key_bytes);
}

int hash_insert(struct hash *h, void *value) {
    assert(value);
    const void *key = key_in(h, value);
    struct hash_slot entry = {.hash = hash_bytes(h, key, h->key_bytes)};
    struct hash_slots *in;
    memcpy(entry.value, &value, sizeof value);
    if (find(h, key, entry.hash, &in)) return -EEXIST;
    if (hash_count(h) >= h->max) return -ENOBUFS;
    if (is_full(h)) {
        int r = grow(h);
        if (r < 0) return r;
    }
    slots_insert(&h->now, entry);
    move_entries(h);
    return 0;
}

void *hash_remove(struct hash *h, const void *key) {
    struct hash_slots *in;
    struct hash_slot *s = find(h, key, hash_bytes(h, key, h->key_bytes), &in);
    if (!s) return NULL;
    void *value = value_of(s);
    slots_remove(in, s);
    move_entries(h);
    return value;
}

void *hash_next(const struct hash *h, uint64_t *at) {
    while (*at < (uint64_t)h->now.size + h->old.size) {
        uint64_t i = (*at)++;
        void *value = value_of(i < h->now.size ? &h->now.base[i] : &h->old.base[i - h->now.size]);
        if (value) return value;
    }
    return NULL;
}
