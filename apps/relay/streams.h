/* SPDX-License-Identifier: MIT */
/*
 * The relay of connections: each client gets a connection of its own to the target; bytes, ends of streams and resets
 * are passed on both ways. A side that does not read stops the other one.
 */
#ifndef RELAY_STREAMS_H
#define RELAY_STREAMS_H

#include "net.h"

#include <stdbool.h>

struct streams_options {
    const char *network, *target_network; /* NULL: the configured one */
    struct address listen, target;
    bool chosen;  /* the user has chosen the address to listen on */
    uint32_t max; /* clients at a time; more wait to be accepted */
};

struct streams_stats {
    uint64_t accepted, refused, resets, bytes, errors;
};

/* Listens, says where, and relays until the program is stopped. 0, or -1 with the reason on stderr. */
int streams_relay(const struct streams_options *o, struct streams_stats *stats);

#endif
