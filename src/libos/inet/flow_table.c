/* SPDX-License-Identifier: MIT */
/* Shards of open addressing with linear probing; a removal shifts entries back. */
#include "libos/inet/flow_table.h"

#include "base/sys.h"

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

#define FIRST_SLOTS 16u
#define TRIES       100u /* attempts of a reader, or of a writer for the lock, before it yields the processor */

/* `rest` contains both ports, the protocol, whether the slot is used, and the owner. */
#define OWNER_BITS 63ull
#define USED       (1ull << 8)

/* `rest` is written last. 0: the slot is free, and a search ends there. */
struct slot {
    _Atomic uint64_t rest, addrs;
};

struct slots {
    struct slots *older; /* the previous, smaller array, which readers may still use */
    uint32_t mask;
    struct slot slot[];
};

struct shard {
    /* read by readers */
    _Alignas(64) _Atomic uint64_t changes; /* odd: entries are being moved */
    struct slots *_Atomic slots;           /* NULL: no entry yet */
    /* used only by writers */
    _Alignas(64) _Atomic bool locked; /* held for less than a microsecond, unless the array grows */
    uint32_t count;
};

struct flow_table {
    struct shard shards[FLOW_SHARDS];
    uint64_t secret[FLOW_KEY_WORDS];
    uint32_t shard_limit;
};

static uint64_t addrs_of(const struct flow_key *k) {
    return (uint64_t)k->local << 32 | k->remote;
}

static uint64_t rest_of(const struct flow_key *k) {
    return (uint64_t)k->local_port << 48 | (uint64_t)k->remote_port << 32 | (uint64_t)k->protocol << 16 | USED;
}

/* The low bits select the shard, the high bits the slot. */
static uint32_t hash(const struct flow_table *t, uint64_t addrs, uint64_t rest) {
    const uint64_t *s = t->secret;
    uint64_t sum = s[0] + s[1] * (uint32_t)(addrs >> 32) + s[2] * (uint32_t)addrs + s[3] * (uint32_t)(rest >> 32) +
                   s[4] * (uint8_t)(rest >> 16);
    return (uint32_t)(sum >> 32);
}

static uint32_t place(uint32_t hash, uint32_t mask) {
    return hash / FLOW_SHARDS & mask;
}

int flow_table_new(struct flow_table **out, uint32_t limit, const uint64_t secret[FLOW_KEY_WORDS]) {
    struct flow_table *t = sys_calloc(1, sizeof *t);
    if (!t) return -ENOMEM;
    for (uint32_t i = 0; i < FLOW_KEY_WORDS; i++)
        t->secret[i] = secret[i];
    t->shard_limit = (limit + FLOW_SHARDS - 1) / FLOW_SHARDS;
    *out = t;
    return 0;
}

void flow_table_free(struct flow_table *t) {
    for (uint32_t i = 0; i < FLOW_SHARDS; i++) {
        struct slots *older, *s = atomic_load_explicit(&t->shards[i].slots, memory_order_relaxed);
        for (; s; s = older) {
            older = s->older;
            sys_free(s);
        }
    }
    sys_free(t);
}

/*
 * The slot of the flow; NULL: none. The loads of `slots` and `rest`, and the stores that add an entry, are sequentially
 * consistent because steering_open needs that. All loads here acquire, so a reader that sees a store of a removal also
 * sees the counter that was stored before it.
 */
static struct slot *find(struct slots *s, uint64_t addrs, uint64_t rest, uint32_t hash, uint64_t *found) {
    if (!s) return NULL;
    for (uint32_t i = place(hash, s->mask), n = 0; n <= s->mask; i = (i + 1) & s->mask, n++) {
        *found = atomic_load(&s->slot[i].rest);
        if (*found == 0) return NULL;
        if ((*found & ~OWNER_BITS) == rest && atomic_load_explicit(&s->slot[i].addrs, memory_order_acquire) == addrs)
            return &s->slot[i];
    }
    return NULL; /* reached only by a reader while a writer moves the slots */
}

uint32_t flow_find(const struct flow_table *t, const struct flow_key *key) {
    uint64_t addrs = addrs_of(key), rest = rest_of(key), found = 0;
    uint32_t h = hash(t, addrs, rest);
    const struct shard *shard = &t->shards[h % FLOW_SHARDS];
    for (uint32_t tries = 1;; tries++) {
        uint64_t before = atomic_load_explicit(&shard->changes, memory_order_acquire);
        bool there = find(atomic_load(&shard->slots), addrs, rest, h, &found);
        if (before % 2 == 0 && atomic_load_explicit(&shard->changes, memory_order_relaxed) == before)
            return there ? (uint32_t)(found & OWNER_BITS) : FLOW_NOBODY;
        if (tries % TRIES == 0) sched_yield();
    }
}

/* Stores between change_begin and change_end are release stores, so no reader sees them before the odd counter. */
static void change_begin(struct shard *shard) {
    uint64_t before = atomic_load_explicit(&shard->changes, memory_order_relaxed);
    atomic_store_explicit(&shard->changes, before + 1, memory_order_relaxed);
}

static void change_end(struct shard *shard) {
    uint64_t before = atomic_load_explicit(&shard->changes, memory_order_relaxed);
    atomic_store_explicit(&shard->changes, before + 1, memory_order_release);
}

static void put(struct slots *s, uint32_t hash, uint64_t addrs, uint64_t rest) {
    uint32_t i = place(hash, s->mask);
    while (atomic_load_explicit(&s->slot[i].rest, memory_order_relaxed))
        i = (i + 1) & s->mask;
    atomic_store_explicit(&s->slot[i].addrs, addrs, memory_order_release);
    atomic_store(&s->slot[i].rest, rest);
}

/* Makes a larger array with all entries. NULL: no memory. */
static struct slots *grow(const struct flow_table *t, struct shard *shard, struct slots *old) {
    uint32_t n = old ? 2 * (old->mask + 1) : FIRST_SLOTS;
    struct slots *s = sys_calloc(1, sizeof *s + n * sizeof *s->slot);
    if (!s) return NULL;
    s->mask = n - 1;
    s->older = old;
    for (uint32_t i = 0; old && i <= old->mask; i++) {
        uint64_t rest = old->slot[i].rest, addrs = old->slot[i].addrs;
        if (rest) put(s, hash(t, addrs, rest), addrs, rest);
    }
    change_begin(shard);
    atomic_store(&shard->slots, s);
    change_end(shard);
    return s;
}

/* The caller has the lock of the shard. Half of the slots stay free, so that searches are short. */
static int insert(const struct flow_table *t, struct shard *shard, uint32_t hash, uint64_t addrs, uint64_t rest) {
    struct slots *s = shard->slots;
    uint64_t found;
    if (find(s, addrs, rest & ~OWNER_BITS, hash, &found)) return -EEXIST;
    if (shard->count >= t->shard_limit) return -ENOBUFS;
    if ((!s || 2 * (shard->count + 1) > s->mask + 1) && !(s = grow(t, shard, s))) return -ENOMEM;
    put(s, hash, addrs, rest);
    shard->count++;
    return 0;
}

static struct shard *lock(struct flow_table *t, uint32_t hash) {
    struct shard *shard = &t->shards[hash % FLOW_SHARDS];
    for (uint32_t tries = 1; atomic_exchange_explicit(&shard->locked, true, memory_order_acquire); tries++)
        if (tries % TRIES == 0) sched_yield();
    return shard;
}

static void unlock(struct shard *shard) {
    atomic_store_explicit(&shard->locked, false, memory_order_release);
}

int flow_insert(struct flow_table *t, const struct flow_key *key, uint32_t owner) {
    uint64_t addrs = addrs_of(key), rest = rest_of(key);
    uint32_t h = hash(t, addrs, rest);
    struct shard *shard = lock(t, h);
    int r = insert(t, shard, h, addrs, rest | owner);
    unlock(shard);
    return r;
}

bool flow_move(struct flow_table *t, const struct flow_key *key, uint32_t from, uint32_t to) {
    uint64_t addrs = addrs_of(key), rest = rest_of(key), found;
    uint32_t h = hash(t, addrs, rest);
    struct shard *shard = lock(t, h);
    struct slot *slot = find(shard->slots, addrs, rest, h, &found);
    bool moved = slot && (found & OWNER_BITS) == from;
    if (moved) atomic_store(&slot->rest, rest | to);
    unlock(shard);
    return moved;
}

/* Closes the gap at i: moves later entries into it, unless their hash selects a slot after the gap. */
static void close_gap(const struct flow_table *t, struct slots *s, uint32_t i) {
    for (uint32_t k = (i + 1) & s->mask;; k = (k + 1) & s->mask) {
        uint64_t rest = atomic_load_explicit(&s->slot[k].rest, memory_order_relaxed);
        uint64_t addrs = atomic_load_explicit(&s->slot[k].addrs, memory_order_relaxed);
        if (rest == 0) break;
        uint32_t from_place = (k - place(hash(t, addrs, rest), s->mask)) & s->mask;
        if (from_place < ((k - i) & s->mask)) continue;
        atomic_store_explicit(&s->slot[i].addrs, addrs, memory_order_release);
        atomic_store_explicit(&s->slot[i].rest, rest, memory_order_release);
        i = k;
    }
    atomic_store_explicit(&s->slot[i].rest, 0, memory_order_release);
}

bool flow_remove(struct flow_table *t, const struct flow_key *key, uint32_t owner) {
    uint64_t addrs = addrs_of(key), rest = rest_of(key), found;
    uint32_t h = hash(t, addrs, rest);
    struct shard *shard = lock(t, h);
    struct slots *s = shard->slots;
    struct slot *slot = find(s, addrs, rest, h, &found);
    bool removed = slot && (found & OWNER_BITS) == owner;
    if (removed) {
        change_begin(shard);
        close_gap(t, s, (uint32_t)(slot - s->slot));
        change_end(shard);
        shard->count--;
    }
    unlock(shard);
    return removed;
}

uint32_t flow_count(struct flow_table *t) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < FLOW_SHARDS; i++) {
        struct shard *shard = lock(t, i);
        count += shard->count;
        unlock(shard);
    }
    return count;
}
