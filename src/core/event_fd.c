/* SPDX-License-Identifier: MIT */
/* The descriptor for the program's own event loop. */
#include "core/event_fd.h"

#include "base/clock.h"
#include "base/sys.h"
#include "core/runtime.h"
#include "core/turn.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int watch_fd(const struct event_fd *e, int fd) {
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    return SYS(epoll_ctl, e->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

int event_fd_add_poller(struct event_fd *e, struct poller *p) {
    if (e->epoll_fd < 0) return 0;
    return p->fd < 0 ? -EOPNOTSUPP : watch_fd(e, p->fd);
}

void event_fd_remove_poller(struct event_fd *e, struct poller *p) {
    if (e->epoll_fd >= 0 && p->fd >= 0) SYS(epoll_ctl, e->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL);
}

static int event_fd_init(struct dmtr_runtime *rt, struct event_fd *e) {
    int r = e->epoll_fd = SYS(epoll_create1, EPOLL_CLOEXEC);
    if (r >= 0) r = e->ready_fd = SYS(eventfd, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r >= 0) r = e->timer_fd = SYS(timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (r >= 0) r = watch_fd(e, e->ready_fd);
    if (r >= 0) r = watch_fd(e, e->timer_fd);
    if (r >= 0) r = watch_fd(e, rt->ev.epoll_fd);
    struct list *l, *tmp;
    list_for_each (&rt->pollers, l, tmp) {
        if (r >= 0) r = event_fd_add_poller(e, list_entry(l, struct poller, link));
    }
    return r < 0 ? r : 0;
}

int event_fd_get(struct dmtr_runtime *rt, int *fd_out) {
    if (rt->event.epoll_fd < 0) {
        struct event_fd e = {.epoll_fd = -1, .ready_fd = -1, .timer_fd = -1, .armed_ns = UINT64_MAX};
        int r = event_fd_init(rt, &e);
        if (r) {
            event_fd_fini(&e);
            return r;
        }
        rt->event = e;
        turn_init(rt);
        event_fd_sync(rt);
    }
    *fd_out = rt->event.epoll_fd;
    return 0;
}

void event_fd_fini(struct event_fd *e) {
    if (e->epoll_fd >= 0) close(e->epoll_fd);
    if (e->ready_fd >= 0) close(e->ready_fd);
    if (e->timer_fd >= 0) close(e->timer_fd);
    e->epoll_fd = e->ready_fd = e->timer_fd = -1;
}

static void sync_timer(struct dmtr_runtime *rt) {
    struct event_fd *e = &rt->event;
    uint64_t next_ns = rt->next_timer_ns;
    if (next_ns == e->armed_ns) return;
    struct itimerspec at = {0};
    if (next_ns != UINT64_MAX) {
        uint64_t now_ns = clock_now_ns(), in_ns = next_ns > now_ns ? next_ns - now_ns : 1;
        at.it_value.tv_sec = (time_t)(in_ns / 1000000000);
        at.it_value.tv_nsec = (long)(in_ns % 1000000000);
    }
    int r = SYS(timerfd_settime, e->timer_fd, 0, &at, NULL);
    if (r < 0)
        log_error(&rt->log, "the event descriptor cannot signal timers: %s", strerror(-r));
    else
        e->armed_ns = next_ns;
}

void event_fd_sync(struct dmtr_runtime *rt) {
    struct event_fd *e = &rt->event;
    bool work = runtime_has_work(rt) || !list_empty(&rt->parked) || turn_has_unsent(rt);
    struct list *l, *tmp;
    list_for_each (&rt->pollers, l, tmp) {
        struct poller *p = list_entry(l, struct poller, link);
        if (p->prepare && p->prepare(p)) work = true;
    }
    sync_timer(rt);
    if (work == e->signalled) return;
    uint64_t one = 1;
    ssize_t r = work ? SYS(write, e->ready_fd, &one, sizeof one) : SYS(read, e->ready_fd, &one, sizeof one);
    if (r < 0)
        log_error(&rt->log, "the event descriptor cannot signal results: %s", strerror((int)-r));
    else
        e->signalled = work;
}
