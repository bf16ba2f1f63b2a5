/* SPDX-License-Identifier: MIT */
/* Traces of runs. */
#include "trace.h"

#include "base/siphash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 1024u

static const uint8_t key[SIPHASH_KEY_BYTES];

static void add(struct trace *t, const struct trace_entry *e) {
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : ROOM_FIRST;
        t->entries = realloc(t->entries, t->room * sizeof *t->entries);
        if (!t->entries) abort();
    }
    t->entries[t->count++] = *e;
}

void trace_frame(struct trace *t, uint64_t now, uint32_t node, const struct inet_frame *f) {
    uint16_t fields[] = {f->flags, f->csum_start, f->csum_offset, f->header_bytes, f->tso_bytes};
    if (!(f->flags & INET_FRAME_CSUM)) fields[1] = fields[2] = 0;
    if (!(f->flags & INET_FRAME_TSO)) fields[3] = fields[4] = 0;
    uint64_t hash = siphash13(key, fields, sizeof fields);
    uint8_t *bytes = malloc(f->bytes), *at = bytes;
    if (!bytes) abort();
    for (uint32_t i = 0; i < f->count; at += f->segments[i++].len)
        memcpy(at, f->segments[i].base, f->segments[i].len);
    if (at != bytes + f->bytes) abort();
    hash ^= siphash24(key, bytes, f->bytes);
    free(bytes);
    add(t, &(struct trace_entry){now, hash, node, f->bytes});
}

void trace_add(struct trace *t, uint64_t now, uint32_t node, uint32_t what, const void *content, size_t bytes) {
    add(t, &(struct trace_entry){now, siphash13(key, content, bytes), node, what});
}

void trace_clear(struct trace *t) {
    t->count = 0;
}

void trace_free(struct trace *t) {
    free(t->entries);
    *t = (struct trace){.entries = NULL};
}

static void say(const char *which, const struct trace *t, size_t i) {
    if (i >= t->count)
        fprintf(stderr, "  %s: no more\n", which);
    else
        fprintf(stderr, "  %s: at %.6f s node %u, %s%u, hash %016llx\n", which, (double)t->entries[i].now / 1e9 - 1,
                t->entries[i].node, t->entries[i].what & TRACE_EVENT ? "events " : "a frame of ",
                t->entries[i].what & ~TRACE_EVENT, (unsigned long long)t->entries[i].hash);
}

bool trace_equal(const struct trace *a, const struct trace *b) {
    size_t i = 0;
    while (i < a->count && i < b->count && memcmp(&a->entries[i], &b->entries[i], sizeof a->entries[i]) == 0)
        i++;
    if (i == a->count && i == b->count) return true;
    fprintf(stderr, "entry %zu differs:\n", i);
    say("first", a, i);
    say("second", b, i);
    return false;
}
