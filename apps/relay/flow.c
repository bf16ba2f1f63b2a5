/* SPDX-License-Identifier: MIT */
/* A hash table of flows by client address, keyed with a random seed, because clients choose their addresses. */
#include "flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int flow_table_init(struct flow_table *t, uint32_t max) {
    uint32_t chains = 16;
    memset(t, 0, sizeof *t);
    while (chains < max)
        chains *= 2;
    t->max = max;
    t->mask = chains - 1;
    t->flows = calloc(max, sizeof *t->flows);
    t->chains = calloc(chains, sizeof(struct relay_flow *));
    if (!t->flows || !t->chains) {
        flow_table_fini(t);
        return ENOMEM;
    }
    if (getrandom(&t->seed, sizeof t->seed, 0) != sizeof t->seed) t->seed = dmtr_now_ns();
    for (uint32_t i = 0; i < max; i++) {
        t->flows[i].next = t->free;
        t->free = &t->flows[i];
    }
    return 0;
}

void flow_table_fini(struct flow_table *t) {
    free(t->chains);
    free(t->flows);
    t->flows = NULL;
    t->chains = NULL;
}

/* Compares only address and port: the rest of a socket address may differ for one sender. */
static bool same(const struct address *a, const struct address *b) {
    if (a->sa.sa_family != b->sa.sa_family) return false;
    if (a->sa.sa_family == AF_INET6)
        return a->in6.sin6_port == b->in6.sin6_port && a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
               memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0;
    return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static struct relay_flow **chain(const struct flow_table *t, const struct address *a) {
    uint64_t h = mix(t->seed, a->in.sin_port), part[2];
    if (a->sa.sa_family == AF_INET6) {
        memcpy(part, &a->in6.sin6_addr, sizeof part);
        h = mix(mix(h, part[0]), part[1]);
    } else {
        h = mix(h, a->in.sin_addr.s_addr);
    }
    return &t->chains[mix(h, t->seed) & t->mask];
}

struct relay_flow *flow_find(const struct flow_table *t, const struct address *client) {
    struct relay_flow *f = *chain(t, client);
    while (f && !same(&f->client, client))
        f = f->next;
    return f;
}

static void unlink_use(struct flow_table *t, struct relay_flow *f) {
    *(f->older ? &f->older->newer : &t->oldest) = f->newer;
    *(f->newer ? &f->newer->older : &t->newest) = f->older;
}

static void link_newest(struct flow_table *t, struct relay_flow *f) {
    f->older = t->newest;
    f->newer = NULL;
    *(t->newest ? &t->newest->newer : &t->oldest) = f;
    t->newest = f;
}

struct relay_flow *flow_add(struct flow_table *t, const struct address *client, int qd, uint64_t now) {
    struct relay_flow *f = t->free, **at = chain(t, client);
    if (!f) return NULL;
    t->free = f->next;
    *f = (struct relay_flow){.client = *client, .qd = qd, .used_ns = now, .next = *at};
    *at = f;
    link_newest(t, f);
    t->count++;
    return f;
}

void flow_remove(struct flow_table *t, struct relay_flow *f) {
    struct relay_flow **at = chain(t, &f->client);
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    unlink_use(t, f);
    f->next = t->free;
    t->free = f;
    t->count--;
}

void flow_touch(struct flow_table *t, struct relay_flow *f, uint64_t now) {
    f->used_ns = now;
    f->datagrams++;
    if (t->newest == f) return;
    unlink_use(t, f);
    link_newest(t, f);
}
