/* SPDX-License-Identifier: MIT */
/* poll and epoll: readiness of our files, level-triggered, edge-triggered, or once. */
#include "host.h"

#include "base/sys.h"

#include <errno.h>

#define ALWAYS ((uint32_t)(POLLERR | POLLHUP))

/* A file that an epoll descriptor watches. */
struct watch {
    struct list link;
    struct file *file; /* not held: closing it ends the watch */
    struct epoll_event event;
    bool spent; /* EPOLLONESHOT has told */
    uint64_t in_seen, out_seen;
};

static int poll_once(struct host *h, struct pollfd *fds, nfds_t count) {
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) {
        fds[i].revents = 0;
        if (fds[i].fd < 0) continue;
        const struct file *f = fds[i].fd < HOST_FDS ? h->files[fds[i].fd] : NULL;
        fds[i].revents = (short)(f ? file_ready(f) & ((uint32_t)(unsigned short)fds[i].events | ALWAYS) : POLLNVAL);
        ready += fds[i].revents != 0;
    }
    return ready;
}

int host_poll(struct host *h, struct pollfd *fds, nfds_t count, int timeout_ms) {
    uint64_t deadline = clock_deadline(h, timeout_ms);
    for (;;) {
        int ready = poll_once(h, fds, count);
        if (ready > 0 || timeout_ms == 0) return ready;
        int error = host_wait(h, deadline);
        if (error == -ETIMEDOUT) return poll_once(h, fds, count);
        if (error) return error;
    }
}

static struct watch *watch_of(const struct file *e, const struct file *f) {
    for (struct list *node = e->watches.next; node != &e->watches; node = node->next)
        if (list_entry(node, struct watch, link)->file == f) return list_entry(node, struct watch, link);
    return NULL;
}

/* What there is to tell of a watch now. */
static uint32_t watch_ready(const struct watch *w) {
    uint32_t ready = file_ready(w->file) & (w->event.events | ALWAYS);
    if (w->spent) return 0;
    if (!(w->event.events & EPOLLET)) return ready;
    bool edge = w->in_seen != w->file->in_edges || ((w->event.events & EPOLLOUT) && w->out_seen != w->file->out_edges);
    return edge ? ready : 0;
}

bool epoll_ready(const struct file *e) {
    for (struct list *node = e->watches.next; node != &e->watches; node = node->next)
        if (watch_ready(list_entry(node, struct watch, link))) return true;
    return false;
}

static void watch_set(struct watch *w, const struct epoll_event *event) {
    w->event = *event;
    w->spent = false;
    w->in_seen = w->file->in_edges - 1; /* what is ready already is an edge too */
    w->out_seen = w->file->out_edges - 1;
}

int host_epoll_ctl(struct host *h, struct file *e, struct file *f, int op, const struct epoll_event *event) {
    struct watch *w;
    if (e->kind != FILE_EPOLL || f->kind == FILE_EPOLL) return -EINVAL;
    if (op != EPOLL_CTL_DEL && !event) return -EFAULT;
    w = watch_of(e, f);
    if (op == EPOLL_CTL_ADD && w) return -EEXIST;
    if (op != EPOLL_CTL_ADD && !w) return -ENOENT;
    switch (op) {
    case EPOLL_CTL_ADD:
        if (e->watch_count == HOST_WATCHES_MAX) return -ENOSPC;
        if (!(w = sys_calloc(1, sizeof *w))) return -ENOMEM;
        w->file = f;
        list_push_back(&e->watches, &w->link);
        e->watch_count++;
        break;
    case EPOLL_CTL_MOD:
        break;
    case EPOLL_CTL_DEL:
        list_remove(&w->link);
        e->watch_count--;
        sys_free(w);
        return 0;
    default:
        return -EINVAL;
    }
    watch_set(w, event);
    h->changed = true;
    return 0;
}

/* Those that have been told stand at the end of the list, so that none is left out for long. */
static int epoll_collect(struct file *e, struct epoll_event *events, int count) {
    int n = 0;
    for (uint32_t left = e->watch_count; left > 0 && n < count; left--) {
        struct list *node = list_pop_front(&e->watches);
        struct watch *w = list_entry(node, struct watch, link);
        uint32_t ready = watch_ready(w);
        list_push_back(&e->watches, node);
        if (!ready) continue;
        events[n++] = (struct epoll_event){.events = ready, .data = w->event.data};
        w->in_seen = w->file->in_edges;
        w->out_seen = w->file->out_edges;
        w->spent = w->event.events & EPOLLONESHOT;
    }
    return n;
}

int host_epoll_wait(struct host *h, struct file *e, struct epoll_event *events, int count, int timeout_ms) {
    uint64_t deadline = clock_deadline(h, timeout_ms);
    if (e->kind != FILE_EPOLL || count <= 0) return -EINVAL;
    if (!events) return -EFAULT;
    for (;;) {
        int ready = epoll_collect(e, events, count);
        if (ready > 0 || timeout_ms == 0) return ready;
        int error = e->closed ? -EBADF : host_wait(h, deadline);
        if (error == -ETIMEDOUT) return epoll_collect(e, events, count);
        if (error) return error;
    }
}

void epoll_clear(struct file *e) {
    struct list *node;
    while ((node = list_pop_front(&e->watches)))
        sys_free(list_entry(node, struct watch, link));
    e->watch_count = 0;
}

void epoll_forget(struct host *h, const struct file *f) {
    for (int fd = 0; fd < HOST_FDS; fd++) {
        struct file *e = h->files[fd];
        struct watch *w = e && e->kind == FILE_EPOLL ? watch_of(e, f) : NULL;
        if (!w) continue;
        list_remove(&w->link);
        e->watch_count--;
        sys_free(w);
    }
}
