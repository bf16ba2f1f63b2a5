/* SPDX-License-Identifier: MIT */
/* Linear probing at a load of at most one half; removal shifts back, so there are no tombstones. */
#include "qdmap.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int qdmap_init(struct qdmap *m, size_t max) {
    size_t size = 16;
    while (size < 2 * max)
        size *= 2;
    m->entries = calloc(size, sizeof *m->entries);
    m->mask = size - 1;
    m->count = 0;
    return m->entries ? 0 : ENOMEM;
}

void qdmap_fini(struct qdmap *m) {
    free(m->entries);
    m->entries = NULL;
}

static size_t home(const struct qdmap *m, int qd) {
    return ((uint32_t)qd * 2654435769u >> 7) & m->mask;
}

/* Where qd is, or the free entry where it would be. */
static size_t find(const struct qdmap *m, int qd) {
    size_t i = home(m, qd);
    while (m->entries[i].value && m->entries[i].qd != qd)
        i = (i + 1) & m->mask;
    return i;
}

void *qdmap_get(const struct qdmap *m, int qd) {
    return m->entries[find(m, qd)].value;
}

void qdmap_put(struct qdmap *m, int qd, void *value) {
    m->entries[find(m, qd)] = (struct qdmap_entry){qd, value};
    m->count++;
}

void qdmap_remove(struct qdmap *m, int qd) {
    size_t hole = find(m, qd);
    if (!m->entries[hole].value) return;
    for (size_t i = (hole + 1) & m->mask; m->entries[i].value; i = (i + 1) & m->mask) {
        size_t distance = (i - home(m, m->entries[i].qd)) & m->mask;
        if (distance < ((i - hole) & m->mask)) continue; /* its home is behind the hole */
        m->entries[hole] = m->entries[i];
        hole = i;
    }
    m->entries[hole].value = NULL;
    m->count--;
}
