/* SPDX-License-Identifier: MIT */
/* Open addressing in one array of slots, or in two while entries move from the smaller to the larger array. */
#include "base/hash.h"

#include "base/sys.h"

#include <assert.h>
#include <string.h>

#define SLOTS_MIN     16u
#define KEY_BYTES_MAX 64u
#define COUNT_MAX     (1u << 30)
/*
 * Slots examined or entries moved with each change while a smaller array of N slots is emptied. It starts with 6/7 N
 * entries, so 13/7 N steps empty it, and the larger array has room for 3/7 N changes until then.
 */
#define STEPS_PER_CHANGE 8

static int slots_init(struct hash_slots *a, uint32_t slots) {
    struct hash_slot *base = sys_calloc(slots, sizeof *base);
    *a = (struct hash_slots){.base = base, .size = base ? slots : 0};
    return base ? 0 : -ENOMEM;
}

/* The array is not full. */
static void slots_insert(struct hash_slots *a, struct hash_slot entry) {
    uint32_t i = hash_home(a, entry.hash), distance = 0;
    for (; hash_value(&a->base[i]); i = hash_next_slot(a, i), distance++) {
        uint32_t there = hash_distance(a, i);
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
    for (uint32_t i = hash_next_slot(a, hole); hash_value(&a->base[i]) && hash_distance(a, i) > 0;
         i = hash_next_slot(a, i)) {
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
        if (hash_value(s)) {
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
    struct hash_slot *s = hash_slots_find(h, *in = &h->now, hash, key, h->key_bytes);
    return s ? s : hash_slots_find(h, *in = &h->old, hash, key, h->key_bytes);
}

void *hash_find(const struct hash *h, const void *key) {
    uint32_t hash = hash_bytes(h, key, h->key_bytes);
    const struct hash_slot *s = hash_slots_find(h, &h->now, hash, key, h->key_bytes);
    if (!s) s = hash_slots_find(h, &h->old, hash, key, h->key_bytes);
    return s ? hash_value(s) : NULL;
}

int hash_insert(struct hash *h, void *value) {
    assert(value);
    const void *key = hash_key(h, value);
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
    void *value = hash_value(s);
    slots_remove(in, s);
    move_entries(h);
    return value;
}

void *hash_next(const struct hash *h, uint64_t *at) {
    while (*at < (uint64_t)h->now.size + h->old.size) {
        uint64_t i = (*at)++;
        void *value = hash_value(i < h->now.size ? &h->now.base[i] : &h->old.base[i - h->now.size]);
        if (value) return value;
    }
    return NULL;
}
