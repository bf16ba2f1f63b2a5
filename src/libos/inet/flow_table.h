/* SPDX-License-Identifier: MIT */
/*
 * Which member of a device group owns a flow. Any thread may call any function.
 *
 * flow_find takes no lock and writes nothing. Each shard has a counter that is odd while a writer moves entries; a
 * reader that sees it change searches again. Insertions and changes of the owner do not make a reader retry. Writers
 * take the lock of the flow's shard. An array that has become too small is kept until the table is freed, because a
 * reader may be using it; each array is twice as large as the previous one, so all old ones together are smaller than
 * the current.
 */
#ifndef LIBOS_INET_FLOW_TABLE_H
#define LIBOS_INET_FLOW_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define FLOW_SHARDS     64u /* a power of two */
#define FLOW_OWNERS_MAX 64u
#define FLOW_NOBODY     UINT32_MAX
#define FLOW_KEY_WORDS  5u

/* Addresses are in network order, ports in host order. */
struct flow_key {
    uint32_t local, remote;
    uint16_t local_port, remote_port;
    uint8_t protocol;
};

struct flow_table;

/*
 * A table that holds at most `limit` flows: each shard holds limit / FLOW_SHARDS, rounded up. `secret` keys the hash,
 * which is multilinear (Lemire and Kaser, "Strongly universal string hashing is fast", 2014): two flows that a sender
 * chooses without knowing the secret share a hash value with a probability of 2^-32. -ENOMEM.
 */
int flow_table_new(struct flow_table **out, uint32_t limit, const uint64_t secret[FLOW_KEY_WORDS]);
/* No other call may be running. */
void flow_table_free(struct flow_table *t);

/* The owner; FLOW_NOBODY: no entry. */
uint32_t flow_find(const struct flow_table *t, const struct flow_key *key);

/* 0; -EEXIST: the flow has an owner, which does not change; -ENOBUFS: the limit is reached; -ENOMEM. */
int flow_insert(struct flow_table *t, const struct flow_key *key, uint32_t owner);

/* Changes the owner. False: `from` is not the owner, and nothing changes. */
bool flow_move(struct flow_table *t, const struct flow_key *key, uint32_t from, uint32_t to);

/* False: `owner` is not the owner, and nothing changes. */
bool flow_remove(struct flow_table *t, const struct flow_key *key, uint32_t owner);

/* The number of entries. */
uint32_t flow_count(struct flow_table *t);

#endif
