/* SPDX-License-Identifier: MIT */
/* Ports, receivers and the flow table, and the steering decision. */
#include "libos/inet/steering.h"

#include "base/rng.h"
#include "base/toeplitz.h"
#include "inet/wire/ip4.h"

#include <errno.h>

#define WILDCARD 0u

int steering_init(struct steering *s, uint32_t members) {
    uint64_t secret[FLOW_KEY_WORDS];
    struct rng rng;
    int r = rng_init_random(&rng);
    if (r) return r;
    for (uint32_t i = 0; i < FLOW_KEY_WORDS; i++)
        secret[i] = rng_next(&rng);
    s->members = members;
    return flow_table_new(&s->flows, STEERING_FLOWS_MAX, secret);
}

void steering_fini(struct steering *s) {
    if (s->flows) flow_table_free(s->flows);
}

void steering_join(struct steering *s, uint32_t member) {
    atomic_fetch_or(&s->present, 1ull << member);
}

void steering_leave(struct steering *s, uint32_t member) {
    atomic_fetch_and(&s->present, ~(1ull << member));
}

static uint32_t protocol_place(uint8_t protocol) {
    return protocol == IP_UDP;
}

static void set_change(_Atomic uint64_t *set, uint32_t member, bool on) {
    if (on)
        atomic_fetch_or(set, 1ull << member);
    else
        atomic_fetch_and(set, ~(1ull << member));
}

void steering_port(struct steering *s, uint32_t member, uint16_t port, bool on) {
    uint32_t *uses = &s->uses[member][port];
    if (on && (*uses)++ == 0) set_change(&s->has_port[port], member, true);
    if (!on && --*uses == 0) set_change(&s->has_port[port], member, false);
}

/* The index of an address; WILDCARD: the address is unknown. */
static uint32_t addr_find(const struct steering *s, uint32_t addr) {
    for (uint32_t i = 0; i < STEERING_ADDRS_MAX; i++) {
        uint32_t known = atomic_load_explicit(&s->addrs[i], memory_order_relaxed);
        if (known == addr) return 1 + i;
        if (known == 0) break;
    }
    return WILDCARD;
}

/* The same, but adds an unknown address; WILDCARD: no room. */
static uint32_t addr_place(struct steering *s, uint32_t addr) {
    for (uint32_t i = 0; i < STEERING_ADDRS_MAX; i++) {
        uint32_t known = 0;
        if (atomic_compare_exchange_strong(&s->addrs[i], &known, addr) || known == addr) return 1 + i;
    }
    return WILDCARD;
}

int steering_receive(struct steering *s, uint32_t member, uint8_t protocol, uint32_t local, uint16_t port, bool on) {
    uint32_t at = local == 0 ? WILDCARD : addr_place(s, local);
    if (local != 0 && at == WILDCARD) return -ENOBUFS;
    set_change(&s->receives[protocol_place(protocol)][at][port], member, on);
    return 0;
}

static uint32_t hash_of(const struct flow_key *k) {
    return toeplitz_ip4(k->local, k->remote, k->local_port, k->remote_port);
}

uint32_t steering_home(const struct steering *s, const struct flow_key *key) {
    return toeplitz_queue(hash_of(key), s->members);
}

/* Whether the member is the home of the flow, for rule 2. A UDP flow has no home. */
static bool is_home(const struct steering *s, uint32_t member, const struct flow_key *key) {
    return key->protocol == IP_TCP && steering_home(s, key) == member;
}

/* Sequentially consistent, because steering_open needs that. */
static bool has_port(const struct steering *s, uint32_t member, uint16_t port) {
    return atomic_load(&s->has_port[port]) >> member & 1;
}

int steering_open(struct steering *s, uint32_t member, const struct flow_key *key, bool asked) {
    if (is_home(s, member, key)) return flow_find(s->flows, key) == FLOW_NOBODY ? 0 : -EADDRINUSE;
    int r = flow_insert(s->flows, key, member);
    if (r) return r == -EEXIST ? -EADDRINUSE : r;
    if (key->protocol != IP_TCP || asked || !has_port(s, steering_home(s, key), key->local_port)) return 0;
    flow_remove(s->flows, key, member);
    return -EADDRINUSE;
}

/* At home the flow needs no entry: rule 2 selects the home, because it has the port. */
void steering_attached(struct steering *s, uint32_t member, const struct flow_key *key) {
    if (is_home(s, member, key)) flow_remove(s->flows, key, member);
}

void steering_lost(struct steering *s, uint32_t member, const struct flow_key *key) {
    flow_remove(s->flows, key, member);
}

void steering_end(struct steering *s, uint32_t member, const struct flow_key *key) {
    if (!is_home(s, member, key)) flow_remove(s->flows, key, member);
}

int steering_hold(struct steering *s, uint32_t member, const struct flow_key *key) {
    return is_home(s, member, key) ? flow_insert(s->flows, key, member) : 0;
}

void steering_release(struct steering *s, uint32_t member, const struct flow_key *key) {
    steering_attached(s, member, key);
}

void steering_pass(struct steering *s, uint32_t member, const struct flow_key *key, uint32_t to) {
    flow_move(s->flows, key, member, to);
}

/* The nth member of `set`, counted from 0; `set` has more than n members. */
static uint32_t nth(uint64_t set, uint32_t n) {
    while (n-- > 0)
        set &= set - 1;
    return (uint32_t)__builtin_ctzll(set);
}

/* The receiver by rule 3. */
static uint32_t receiver(const struct steering *s, uint32_t here, const struct flow_key *key) {
    const _Atomic uint64_t(*sets)[STEERING_PORTS] = s->receives[protocol_place(key->protocol)];
    uint32_t at = addr_find(s, key->local);
    uint64_t set = atomic_load_explicit(&sets[at][key->local_port], memory_order_relaxed);
    if (set == 0 && at != WILDCARD) set = atomic_load_explicit(&sets[WILDCARD][key->local_port], memory_order_relaxed);
    set &= atomic_load_explicit(&s->present, memory_order_relaxed);
    if (set == 0) return here;
    if ((set & (set - 1)) == 0) return nth(set, 0);
    uint32_t hash = hash_of(key), place = toeplitz_queue(hash, s->members);
    return set >> place & 1 ? place : nth(set, hash % (uint32_t)__builtin_popcountll(set));
}

struct steered steering_steer_entered(const struct steering *s, uint32_t here, const struct flow_key *key) {
    uint32_t owner = flow_find(s->flows, key);
    return owner == FLOW_NOBODY ? (struct steered){here, false} : (struct steered){owner, true};
}

struct steered steering_steer(const struct steering *s, uint32_t here, const struct flow_key *key) {
    struct steered entered = steering_steer_entered(s, here, key);
    if (entered.entered) return entered;
    if (key->protocol == IP_TCP) {
        uint64_t having = atomic_load_explicit(&s->has_port[key->local_port], memory_order_relaxed);
        if (having == 0) return entered; /* stays here, where the stack refuses it */
        uint32_t home = steering_home(s, key);
        if (having >> home & 1) return (struct steered){home, false};
    }
    return (struct steered){receiver(s, here, key), false};
}

struct steered steering_steer_on(const struct steering *s, uint32_t here, const struct flow_key *key) {
    struct steered entered = steering_steer_entered(s, here, key);
    return entered.entered ? entered : (struct steered){receiver(s, here, key), false};
}
