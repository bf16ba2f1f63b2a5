/* SPDX-License-Identifier: MIT */
/* Readiness of kernel descriptors: one epoll instance per runtime. Level-triggered. */
#ifndef CORE_EVLOOP_H
#define CORE_EVLOOP_H

#include <stdbool.h>
#include <stdint.h>

struct evloop_item;
typedef void (*evloop_fn)(struct evloop_item *item, uint32_t events);

/* Embedded in a structure that waits for a descriptor. `ready` may remove and free any item, its own included. */
struct evloop_item {
    int fd;
    uint32_t events; /* EPOLL*; 0 while not registered */
    evloop_fn ready;
};

#define EVLOOP_BATCH 64

struct evloop {
    int epoll_fd;
    uint32_t items; /* registered */
    int batch_len;
    struct evloop_item *batch[EVLOOP_BATCH]; /* events being handed out; removed items are NULL */
};

int evloop_init(struct evloop *ev);
void evloop_fini(struct evloop *ev);

/* Registers an item or changes its events; 0 events removes it. 0 or a negative errno (-EEXIST: fd is registered
 * already). */
int evloop_set(struct evloop *ev, struct evloop_item *item, uint32_t events);

/*
 * Waits up to timeout_ns (0: not at all, UINT64_MAX: without limit) and calls `ready` for each event. The number of
 * events, or a negative errno; -EINTR is 0 events.
 */
int evloop_run(struct evloop *ev, uint64_t timeout_ns);

#endif
