/* SPDX-License-Identifier: MIT */
/*
 * Hosts that forge segments of the flows of others. They know the flows, and all numbers but those that would make a
 * segment right: nothing that they send may change a stream or end a connection.
 */
#ifndef TESTS_SIMULATION_SPOOF_H
#define TESTS_SIMULATION_SPOOF_H

#include "streams.h"

struct spoof {
    struct world *w;
    uint16_t listen_port;
    bool floods; /* SYNs of hosts that do not exist as well, which take a listener's backlog */
    uint32_t left;
    uint64_t next_ns, pause_most_ns;
};

/* Draws whether there are any, and how many segments they forge. */
void spoof_init(struct spoof *f, struct world *w, const struct streams *streams);

/* Does what is due; when to call it again, UINT64_MAX: not any more. */
uint64_t spoof_act(struct spoof *f);

#endif
