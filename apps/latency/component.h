/* SPDX-License-Identifier: MIT */
/* What dmtr-latency measures: small things done n times in a row. */
#ifndef LATENCY_COMPONENT_H
#define LATENCY_COMPONENT_H

#include <stdint.h>

struct component {
    const char *name;
    const char *text;
    uint64_t argument; /* a size, a number of tokens */
    /* Before and after a measurement; 0, or a positive errno. May be NULL. */
    int (*begin)(uint64_t argument);
    /* Does it n times; the nanoseconds that the part to be measured took. UINT64_MAX: failed. */
    uint64_t (*run)(uint64_t n, uint64_t argument);
    void (*end)(uint64_t argument);
};

#define COMPONENT_FAILED UINT64_MAX

/* Tables that end with an entry without name. */
extern const struct component plain_components[], queue_components[], socket_components[];

#endif
