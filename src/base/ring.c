/* SPDX-License-Identifier: MIT */
/* Creates and destroys rings. */
#include "base/ring.h"

#include "base/sys.h"

#include <string.h>

#define CAPACITY_MAX (1u << 31)

static bool capacity_fits(uint32_t capacity) {
    return capacity != 0 && capacity <= CAPACITY_MAX && (capacity & (capacity - 1)) == 0;
}

int spsc_init(struct spsc *r, uint32_t capacity) {
    memset(r, 0, sizeof *r);
    if (!capacity_fits(capacity)) return -EINVAL;
    r->slots = sys_calloc(capacity, sizeof *r->slots);
    if (!r->slots) return -ENOMEM;
    r->mask = capacity - 1;
    return 0;
}

void spsc_fini(struct spsc *r) {
    sys_free(r->slots);
    memset(r, 0, sizeof *r);
}

int mpsc_init(struct mpsc *r, uint32_t capacity) {
    memset(r, 0, sizeof *r);
    if (!capacity_fits(capacity)) return -EINVAL;
    r->slots = sys_calloc(capacity, sizeof *r->slots);
    if (!r->slots) return -ENOMEM;
    r->mask = capacity - 1;
    for (uint32_t i = 0; i < capacity; i++)
        atomic_init(&r->slots[i].turn, i);
    return 0;
}

void mpsc_fini(struct mpsc *r) {
    sys_free(r->slots);
    memset(r, 0, sizeof *r);
}
