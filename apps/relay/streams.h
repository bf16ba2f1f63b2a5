/* SPDX-License-Identifier: MIT */
/*
 * The relay of connections: each client gets its own connection to the target. The relay forwards bytes, ends of
 * streams and resets in both directions. If one side does not read, the relay stops reading from the other.
 */
#ifndef RELAY_STREAMS_H
#define RELAY_STREAMS_H

#include "net.h"

#include <stdbool.h>

struct streams_options {
    const char *network, *target_network; /* NULL: the configured one */
    struct address listen, target;
    bool chosen;  /* the user has chosen the address to listen on */
    uint32_t max; /* maximum number of clients; further ones wait to be accepted */
};

struct streams_stats {
    uint64_t accepted, refused, resets, bytes, errors;
};

/* Listens, prints its address, and relays until the program is stopped. 0, or -1 with the reason on stderr. */
int streams_relay(const struct streams_options *o, struct streams_stats *stats);

#endif
