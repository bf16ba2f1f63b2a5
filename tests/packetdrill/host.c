/* SPDX-License-Identifier: MIT */
/* The host: its beginning and end, and what surrounds every call. */
#include "host.h"

#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>

static void lock_init(struct host *h) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->wake, &monotonic);
    pthread_cond_init(&h->settled, NULL);
    pthread_cond_init(&h->rearm, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void lock_fini(struct host *h) {
    pthread_cond_destroy(&h->rearm);
    pthread_cond_destroy(&h->settled);
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
}

struct host *host_new(const struct flags *f) {
    struct host *h = sys_calloc(1, sizeof *h);
    if (!h) return NULL;
    h->flags = *f;
    list_init(&h->waiters);
    lock_init(h);
    h->now_ns = f->real_time ? clock_read(h) : NS_PER_S;
    if (wire_start(h) == 0) {
        if (clock_start(h) == 0) return h;
        inet_delete(h->stack);
    }
    lock_fini(h);
    sys_free(h);
    return NULL;
}

/* All that sleep look again. */
static void wake_all(struct host *h) {
    struct list *node;
    while ((node = list_pop_front(&h->waiters))) {
        list_entry(node, struct waiter, link)->woken = true;
        h->waking++;
    }
    pthread_cond_broadcast(&h->wake);
}

void host_delete(struct host *h) {
    pthread_mutex_lock(&h->lock);
    h->ending = true;
    wake_all(h);
    while (h->callers > 0)
        pthread_cond_wait(&h->settled, &h->lock);
    pthread_mutex_unlock(&h->lock);
    clock_stop(h);
    for (int fd = 0; fd < HOST_FDS; fd++)
        if (h->files[fd]) file_close(h, fd);
    inet_delete(h->stack);
    for (; h->packet_count > 0; h->packet_count--)
        sys_free(h->packets[h->packet_first++ % HOST_PACKETS].data);
    lock_fini(h);
    sys_free(h);
}

struct host *host_enter(void *userdata) {
    struct host *h = userdata;
    pthread_mutex_lock(&h->lock);
    h->callers++;
    clock_read(h);
    return h;
}

void host_tell(struct host *h) {
    inet_flush(h->stack, h->now_ns);
    struct inet_socket *k;
    uint32_t events;
    while ((k = inet_next_event(h->stack, &events))) {
        struct file *f = k->user;
        if (!f) continue;
        bool room = (events & INET_EVENT_WRITABLE) && f->full;
        if (events & (INET_EVENT_READABLE | INET_EVENT_ACCEPTABLE | INET_EVENT_CLOSED)) f->in_edges++;
        if (room || (events & (INET_EVENT_CONNECTED | INET_EVENT_CLOSED))) f->out_edges++;
        if (room) f->full = false;
        h->changed = true;
    }
    if (h->changed) wake_all(h);
    h->changed = false;
    pthread_cond_signal(&h->rearm);
}

int64_t host_leave(struct host *h, int64_t result) {
    host_tell(h);
    if (--h->callers == 0 && h->ending) pthread_cond_broadcast(&h->settled);
    pthread_mutex_unlock(&h->lock);
    if (result >= 0) return result;
    errno = (int)-result;
    return -1;
}

int host_wait(struct host *h, uint64_t deadline_ns) {
    struct waiter w = {.deadline_ns = deadline_ns};
    if (h->ending) return -EINTR;
    if (deadline_ns <= h->now_ns) return -ETIMEDOUT;
    host_tell(h); /* what this call has done so far concerns others */
    list_push_back(&h->waiters, &w.link);
    struct timespec at = {.tv_sec = (time_t)(deadline_ns / NS_PER_S), .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    while (!w.woken) {
        if (!h->flags.real_time || deadline_ns == NEVER) {
            pthread_cond_wait(&h->wake, &h->lock);
        } else if (pthread_cond_timedwait(&h->wake, &h->lock, &at) == ETIMEDOUT && !w.woken) {
            list_remove(&w.link);
            clock_read(h);
            return -ETIMEDOUT;
        }
    }
    if (--h->waking == 0) pthread_cond_broadcast(&h->settled);
    clock_read(h);
    return h->ending ? -EINTR : deadline_ns <= h->now_ns ? -ETIMEDOUT : 0;
}
