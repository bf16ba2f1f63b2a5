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
 * Slots examined or entries moved with each change while a smaller array of N slots is emptied. It starts with 3/4 N
 * entries, so 7/4 N steps empty it, and the larger array has room for 3/4 N changes until then.
 */
#define STEPS_PER_CHANGE 8

/* A slot, followed by its key. */
struct slot {
    void *value;   /* NULL: empty */
    uint32_t hash; /* filters most mismatches without comparing keys; also gives the slot at which probing started */
    unsigned char key[];
};

static struct slot *slot_at(const struct hash *h, const struct hash_slots *a, uint32_t i) {
    return (struct slot *)(void *)(a->base + (size_t)i * h->slot_bytes);
}

static uint32_t hash_of(const struct hash *h, const void *key) {
    return (uint32_t)siphash13(h->seed, key, h->key_bytes);
}

static int slots_init(const struct hash *h, struct hash_slots *a, uint32_t slots) {
    *a = (struct hash_slots){.base = sys_calloc(slots, h->slot_bytes), .mask = slots - 1};
    return a->base ? 0 : -ENOMEM;
}

static struct slot *slots_find(const struct hash *h, const struct hash_slots *a, uint32_t hash, const void *key) {
    if (a->count == 0) return NULL;
    for (uint32_t i = hash & a->mask;; i = (i + 1) & a->mask) {
        struct slot *s = slot_at(h, a, i);
        if (!s->value) return NULL;
        if (s->hash == hash && memcmp(s->key, key, h->key_bytes) == 0) return s;
    }
}

static void slots_insert(const struct hash *h, struct hash_slots *a, uint32_t hash, const void *key, void *value) {
    uint32_t i = hash & a->mask;
    while (slot_at(h, a, i)->value)
        i = (i + 1) & a->mask;
    struct slot *s = slot_at(h, a, i);
    s->value = value;
    s->hash = hash;
    memcpy(s->key, key, h->key_bytes);
    a->count++;
}

/* Empties slot s and moves back later entries that probed past it. */
static void slots_remove(const struct hash *h, struct hash_slots *a, struct slot *s) {
    uint32_t hole = (uint32_t)((size_t)((unsigned char *)s - a->base) / h->slot_bytes);
    for (uint32_t i = (hole + 1) & a->mask;; i = (i + 1) & a->mask) {
        struct slot *next = slot_at(h, a, i);
        if (!next->value) break;
        uint32_t probed = (i - next->hash) & a->mask; /* probe distance */
        if (probed < ((i - hole) & a->mask)) continue;
        memcpy(slot_at(h, a, hole), next, h->slot_bytes);
        hole = i;
    }
    slot_at(h, a, hole)->value = NULL;
    a->count--;
}

static void move_entries(struct hash *h) {
    if (!h->old.base) return;
    for (int step = 0; step < STEPS_PER_CHANGE && h->old.count > 0; step++) {
        struct slot *s = slot_at(h, &h->old, h->moved);
        if (s->value) {
            slots_insert(h, &h->now, s->hash, s->key, s->value);
            slots_remove(h, &h->old, s); /* which may move another entry into this slot */
        } else {
            h->moved++;
        }
    }
    if (h->old.count > 0) return;
    sys_free(h->old.base);
    h->old = (struct hash_slots){0};
}

/* Starts moving to an array of twice the size. */
static int grow(struct hash *h) {
    struct hash_slots larger;
    assert(!h->old.base);
    int r = slots_init(h, &larger, (h->now.mask + 1) * 2);
    if (r < 0) return r;
    h->old = h->now;
    h->now = larger;
    h->moved = 0;
    return 0;
}

static bool is_full(const struct hash *h) {
    return h->now.count + h->old.count >= (h->now.mask + 1) / 4 * 3;
}

int hash_init(struct hash *h, uint32_t key_bytes, uint32_t max, const uint8_t seed[SIPHASH_KEY_BYTES]) {
    memset(h, 0, sizeof *h);
    if (key_bytes == 0 || key_bytes > KEY_BYTES_MAX || max == 0 || max > COUNT_MAX) return -EINVAL;
    h->key_bytes = key_bytes;
    h->slot_bytes = (uint32_t)((offsetof(struct slot, key) + key_bytes + _Alignof(struct slot) - 1) /
                               _Alignof(struct slot) * _Alignof(struct slot));
    h->max = max;
    memcpy(h->seed, seed, SIPHASH_KEY_BYTES);
    return slots_init(h, &h->now, SLOTS_MIN);
}

void hash_fini(struct hash *h) {
    sys_free(h->now.base);
    sys_free(h->old.base);
    memset(h, 0, sizeof *h);
}

static struct slot *find(const struct hash *h, uint32_t hash, const void *key) {
    struct slot *s = slots_find(h, &h->now, hash, key);
    return s ? s : slots_find(h, &h->old, hash, key);
}

void *hash_find(const struct hash *h, const void *key) {
    struct slot *s = find(h, hash_of(h, key), key);
    return s ? s->value : NULL;
}

int hash_insert(struct hash *h, const void *key, void *value) {
    uint32_t hash = hash_of(h, key);
    assert(value);
    if (find(h, hash, key)) return -EEXIST;
    if (hash_count(h) >= h->max) return -ENOBUFS;
    if (is_full(h)) {
        int r = grow(h);
        if (r < 0) return r;
    }
    slots_insert(h, &h->now, hash, key, value);
    move_entries(h);
    return 0;
}

void *hash_remove(struct hash *h, const void *key) {
    uint32_t hash = hash_of(h, key);
    struct hash_slots *a = &h->now;
    struct slot *s = slots_find(h, a, hash, key);
    if (!s) s = slots_find(h, a = &h->old, hash, key);
    if (!s) return NULL;
    void *value = s->value;
    slots_remove(h, a, s);
    move_entries(h);
    return value;
}

void *hash_next(const struct hash *h, uint64_t *at, const void **key) {
    uint64_t now_slots = (uint64_t)h->now.mask + 1, slots = now_slots + (h->old.base ? (uint64_t)h->old.mask + 1 : 0);
    while (*at < slots) {
        uint64_t i = (*at)++;
        struct slot *s =
            i < now_slots ? slot_at(h, &h->now, (uint32_t)i) : slot_at(h, &h->old, (uint32_t)(i - now_slots));
        if (!s->value) continue;
        if (key) *key = s->key;
        return s->value;
    }
    return NULL;
}
