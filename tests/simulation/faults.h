/* SPDX-License-Identifier: MIT */
/* What the network does to a world: drawn from the seed at the start, changed at random times, and good at last. */
#ifndef TESTS_SIMULATION_FAULTS_H
#define TESTS_SIMULATION_FAULTS_H

#include "datagrams.h"
#include "streams.h"

enum weather {
    WEATHER_IDEAL,  /* delay alone */
    WEATHER_GENTLE, /* a few frames lost, late or twice: connections survive */
    WEATHER_HARSH,  /* all that can be, changing; cut links, hosts without power */
};

struct faults {
    struct world *w;
    struct streams *streams;
    struct datagrams *datagrams;
    enum weather weather;
    uint64_t next_ns, end_ns; /* after end_ns there are none */
};

/* The paths as they are at first. */
void faults_init(struct faults *f, struct world *w, enum weather weather, struct streams *streams,
                 struct datagrams *datagrams);

/* Does what is due; when to call it again, UINT64_MAX: there are none any more. */
uint64_t faults_act(struct faults *f);

#endif
