/* SPDX-License-Identifier: MIT */
/* Readiness of kernel descriptors: one epoll instance per runtime. */
#include "core/evloop.h"

#include "base/epoll.h"
#include "base/sys.h"

#include <time.h>
#include <unistd.h>

int evloop_init(struct evloop *ev) {
    *ev = (struct evloop){.epoll_fd = -1};
    int fd = SYS(epoll_create1, EPOLL_CLOEXEC);
    if (fd < 0) return fd;
    ev->epoll_fd = fd;
    return 0;
}

void evloop_fini(struct evloop *ev) {
    if (ev->epoll_fd >= 0) close(ev->epoll_fd);
    ev->epoll_fd = -1;
}

static void forget_pending(struct evloop *ev, const struct evloop_item *item) {
    for (int i = 0; i < ev->batch_len; i++)
        if (ev->batch[i] == item) ev->batch[i] = NULL;
}

int evloop_set(struct evloop *ev, struct evloop_item *item, uint32_t events) {
    if (events == item->events) return 0;
    struct epoll_event e = {.events = events, .data.ptr = item};
    if (events == 0) {
        forget_pending(ev, item);
        item->events = 0;
        ev->items--;
        /* Fails harmlessly if the owner has closed the descriptor, which removed it. */
        int r = SYS(epoll_ctl, ev->epoll_fd, EPOLL_CTL_DEL, item->fd, NULL);
        return r == -ENOENT || r == -EBADF ? 0 : r;
    }
    int r = SYS(epoll_ctl, ev->epoll_fd, item->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, item->fd, &e);
    /* The descriptor was closed and opened again with the same number, or an earlier removal failed. */
    if (r == -ENOENT) r = SYS(epoll_ctl, ev->epoll_fd, EPOLL_CTL_ADD, item->fd, &e);
    if (r == -EEXIST) r = SYS(epoll_ctl, ev->epoll_fd, EPOLL_CTL_MOD, item->fd, &e);
    if (r) return r;
    ev->items += item->events == 0;
    item->events = events;
    return 0;
}

static int wait_ns(int epoll_fd, struct epoll_event *events, uint64_t timeout_ns) {
    if (timeout_ns == 0) return SYS(epoll_wait, epoll_fd, events, EVLOOP_BATCH, 0);
    if (timeout_ns == UINT64_MAX) return SYS(epoll_wait, epoll_fd, events, EVLOOP_BATCH, -1);
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000), .tv_nsec = (long)(timeout_ns % 1000000000)};
    int n = SYS(epoll_pwait2, epoll_fd, events, EVLOOP_BATCH, &ts, NULL);
    if (n != -ENOSYS) return n;
    /* Kernels before 5.11: whole milliseconds, rounded up so that no timer is early. */
    uint64_t ms = (timeout_ns + 999999) / 1000000;
    return SYS(epoll_wait, epoll_fd, events, EVLOOP_BATCH, ms < INT32_MAX ? (int)ms : INT32_MAX);
}

int evloop_run(struct evloop *ev, uint64_t timeout_ns) {
    struct epoll_event events[EVLOOP_BATCH];
    int n = wait_ns(ev->epoll_fd, events, timeout_ns);
    if (n < 0) return n == -EINTR ? 0 : n;
    for (int i = 0; i < n; i++)
        ev->batch[i] = events[i].data.ptr;
    ev->batch_len = n;
    for (int i = 0; i < n; i++)
        if (ev->batch[i]) ev->batch[i]->ready(ev->batch[i], events[i].events);
    ev->batch_len = 0;
    return n;
}
