/* SPDX-License-Identifier: MIT */
/* What dmtr-latency measures: small components, each run n times in a row. */
#ifndef LATENCY_COMPONENT_H
#define LATENCY_COMPONENT_H

#include <stdint.h>

struct component {
    const char *name;
    const char *text;
    uint64_t argument; /* such as a size or a number of tokens */
    /* Run before and after a measurement; begin returns 0 or a positive errno. May be NULL. */
    int (*begin)(uint64_t argument);
    /* Runs the component n times. Returns the nanoseconds of its measured part. UINT64_MAX: failed. */
    uint64_t (*run)(uint64_t n, uint64_t argument);
    void (*end)(uint64_t argument);
};

#define COMPONENT_FAILED UINT64_MAX

/* Tables that end with an entry without a name. */
extern const struct component plain_components[], queue_components[], socket_components[];

#endif
