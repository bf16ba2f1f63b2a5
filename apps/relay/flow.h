/* SPDX-License-Identifier: MIT */
/*
 * The relay's table of flows: for each client's address, the queue that carries its datagrams to the target. The table
 * is bounded; its list begins with the flow that was idle longest.
 */
#ifndef RELAY_FLOW_H
#define RELAY_FLOW_H

#include "net.h"

#include <dmtr/dmtr.h>
#include <stdbool.h>
#include <stdint.h>

struct relay_flow {
    struct relay_flow *older, *newer; /* by last use */
    struct relay_flow *next;          /* in the hash chain, or in the free list */
    struct address client;
    int qd;               /* connected to the target; its results point to the flow */
    dmtr_qtoken_t pop_qt; /* pop of a reply from the target */
    uint64_t used_ns;
    uint64_t datagrams;
};

struct flow_table {
    struct relay_flow *flows, *free, *oldest, *newest;
    struct relay_flow **chains;
    uint64_t seed;
    uint32_t max, count, mask;
};

/* 0 or ENOMEM. */
int flow_table_init(struct flow_table *t, uint32_t max);
void flow_table_fini(struct flow_table *t);

struct relay_flow *flow_find(const struct flow_table *t, const struct address *client);

/* Adds a flow for a client that has none; NULL: the table is full. */
struct relay_flow *flow_add(struct flow_table *t, const struct address *client, int qd, uint64_t now);
void flow_remove(struct flow_table *t, struct relay_flow *f);

/* Marks f as used now. */
void flow_touch(struct flow_table *t, struct relay_flow *f, uint64_t now);

#endif
