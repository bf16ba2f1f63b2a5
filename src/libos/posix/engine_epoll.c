/* SPDX-License-Identifier: MIT */
/* The engine for kernels without io_uring: readiness through the runtime's evloop; file operations block. */
#include "libos/posix/posix.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* An item is registered while something waits for it. While any is, the runtime checks the evloop in every poll. */
static int set_events(struct sock *s, uint32_t events) {
    struct evloop_item *item = &s->epoll.item;
    struct dmtr_runtime *rt = s->q.rt;
    if (events == item->events) return 0;
    bool was = item->events != 0;
    s->q.syscalls++;
    posix_count(s->px, syscalls);
    int r = evloop_set(&rt->ev, item, events);
    rt->eager_items += (uint32_t)(item->events != 0) - (uint32_t)was;
    s->engine_reads = (item->events & EPOLLIN) != 0;
    return r;
}

/* Removes events that nobody waits for when they occur, rather than each time a wait was served. */
static void item_ready(struct evloop_item *item, uint32_t events) {
    struct sock *s = list_entry(item, struct sock, epoll.item);
    uint32_t failed = events & (EPOLLHUP | EPOLLERR);
    unsigned ready = 0;
    uint32_t keep = item->events;
    if (failed || events & EPOLLIN) ready |= SOCK_READ;
    if (failed || events & EPOLLOUT) ready |= SOCK_WRITE;
    /* A pausing listener would always be ready. */
    if (ready & SOCK_READ && (list_empty(&s->waiters) || sock_is_pausing(s))) keep &= ~(uint32_t)EPOLLIN;
    if (ready & SOCK_WRITE && list_empty(&s->pushes) && !s->connect_op) keep &= ~(uint32_t)EPOLLOUT;
    set_events(s, keep);
    sock_ready(s, ready);
}

static void epoll_sock_init(struct sock *s) {
    s->epoll.item = (struct evloop_item){.fd = s->fd, .ready = item_ready};
}

static int epoll_want(struct sock *s, unsigned events) {
    uint32_t add = (events & SOCK_READ ? EPOLLIN : 0u) | (events & SOCK_WRITE ? EPOLLOUT : 0u);
    return set_events(s, s->epoll.item.events | add);
}

static int epoll_want_read(struct sock *s) {
    return epoll_want(s, SOCK_READ);
}

static bool epoll_stop_receiving(struct sock *s) {
    set_events(s, s->epoll.item.events & ~(uint32_t)EPOLLIN);
    return true;
}

static void epoll_release(struct sock *s) {
    set_events(s, 0);
    sock_free(s);
}

static void epoll_file_release(struct file *f) {
    (void)f;
}

static uint32_t spinner_poll(struct poller *p) {
    return posix_direct_poll(list_entry(p, struct posix, poller));
}

static bool spinner_prepare(struct poller *p) {
    posix_direct_end(list_entry(p, struct posix, poller));
    return false;
}

/* Only the spin policy receives directly. Its poller has a descriptor that never becomes ready. */
static int epoll_start(struct posix *px) {
    if (!px->direct_allowed) return 0;
    int fd = SYS(eventfd, 0, EFD_CLOEXEC);
    if (fd < 0) return fd;
    px->poller = (struct poller){.poll = spinner_poll, .prepare = spinner_prepare, .fd = fd};
    int r = runtime_poller_add(px->rt, &px->poller);
    if (r) close(fd);
    return r;
}

static void epoll_stop(struct posix *px) {
    if (!px->direct_allowed) return;
    runtime_poller_remove(px->rt, &px->poller);
    close(px->poller.fd);
}

const struct engine engine_epoll = {
    .backend = "posix/epoll",
    .start = epoll_start,
    .stop = epoll_stop,
    .sock_init = epoll_sock_init,
    .want = epoll_want,
    .receive = epoll_want_read,
    .accept = epoll_want_read,
    .stop_receiving = epoll_stop_receiving,
    .release = epoll_release,
    .file_run = file_run_blocking,
    .file_release = epoll_file_release,
};
