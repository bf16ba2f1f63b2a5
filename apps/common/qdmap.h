/* SPDX-License-Identifier: MIT */
/* What an application keeps by queue descriptor: a small hash table, since descriptors need not be small numbers. */
#ifndef APPS_QDMAP_H
#define APPS_QDMAP_H

#include <stddef.h>

struct qdmap {
    struct qdmap_entry {
        int qd;
        void *value; /* NULL: free */
    } *entries;
    size_t mask, count;
};

/* Room for up to max entries. 0 or ENOMEM. */
int qdmap_init(struct qdmap *m, size_t max);
void qdmap_fini(struct qdmap *m);

/* NULL: not there. */
void *qdmap_get(const struct qdmap *m, int qd);

/* Adds qd, which is not there, with a value that is not NULL; the caller keeps to `max`. */
void qdmap_put(struct qdmap *m, int qd, void *value);
void qdmap_remove(struct qdmap *m, int qd);

#endif
