/* SPDX-License-Identifier: MIT */
/*
 * What a run shows: each frame that a node offers to its device, each event of a socket, the random numbers that the
 * world has drawn until then, and what the stacks have counted, with the time. Two runs that show the same have equal
 * traces.
 */
#ifndef TESTS_SIMULATION_TRACE_H
#define TESTS_SIMULATION_TRACE_H

#include "inet/inet.h"

struct trace_entry {
    uint64_t now, hash; /* of the entry's content */
    uint32_t node;
    uint32_t what; /* bytes of a frame; TRACE_EVENT and the events; TRACE_COUNTERS */
};

#define TRACE_EVENT    0x80000000u
#define TRACE_COUNTERS UINT32_MAX

struct trace {
    struct trace_entry *entries;
    size_t count, room;
};

void trace_frame(struct trace *t, uint64_t now, uint32_t node, const struct inet_frame *f);
void trace_add(struct trace *t, uint64_t now, uint32_t node, uint32_t what, const void *content, size_t bytes);
void trace_clear(struct trace *t);
void trace_free(struct trace *t);

/* Whether both are equal; says where they part otherwise. */
bool trace_equal(const struct trace *a, const struct trace *b);

#endif
