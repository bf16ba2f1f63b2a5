/* SPDX-License-Identifier: MIT */
/* How random local ports are chosen. */
#ifndef INET_PORT_H
#define INET_PORT_H

#include <stdint.h>

#define PORT_EPHEMERAL_FIRST 32768u
#define PORT_EPHEMERAL_COUNT 28232u /* up to 60999, Linux's range */

/* The i-th port to try, from a random start (RFC 6056 section 3.3.1). */
static inline uint16_t port_candidate(uint32_t start, uint32_t i) {
    return (uint16_t)(PORT_EPHEMERAL_FIRST + (start + i) % PORT_EPHEMERAL_COUNT);
}

#endif
