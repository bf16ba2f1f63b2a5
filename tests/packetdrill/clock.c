/* SPDX-License-Identifier: MIT */
/*
 * Time. Virtual: it stands still but for a creeping microsecond with every look at it, and goes from event to event
 * when somebody lets it pass; whoever an event wakes has run before it goes on. Real: a thread does what falls due.
 */
#include "host.h"

#include <errno.h>
#include <time.h>

#define STEPS_MAX 10000000u /* of a clock that goes from event to event */

uint64_t clock_read(struct host *h) {
    struct timespec now;
    if (h->flags.real_time) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        h->now_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
    }
    return h->now_ns;
}

uint64_t clock_deadline(const struct host *h, int timeout_ms) {
    return timeout_ms < 0 ? NEVER : h->now_ns + (uint64_t)timeout_ms * NS_PER_MS;
}

static struct timespec at_time(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

static void *timers_run(void *arg) {
    struct host *h = arg;
    pthread_mutex_lock(&h->lock);
    while (!h->ending) {
        uint64_t next = inet_next_ns(h->stack);
        if (next <= clock_read(h)) {
            inet_timers(h->stack, h->now_ns);
            host_tell(h);
        } else if (next == NEVER) {
            pthread_cond_wait(&h->rearm, &h->lock);
        } else {
            struct timespec at = at_time(next);
            pthread_cond_timedwait(&h->rearm, &h->lock, &at);
        }
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

int clock_start(struct host *h) {
    return h->flags.real_time ? -pthread_create(&h->timers, NULL, timers_run, h) : 0;
}

void clock_stop(struct host *h) {
    if (!h->flags.real_time) return;
    pthread_mutex_lock(&h->lock);
    pthread_cond_signal(&h->rearm);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->timers, NULL);
}

/* When the first of those who sleep has slept enough. */
static uint64_t next_deadline(const struct host *h) {
    uint64_t next = NEVER;
    for (const struct list *node = h->waiters.next; node != &h->waiters; node = node->next) {
        uint64_t deadline = list_entry(node, struct waiter, link)->deadline_ns;
        if (deadline < next) next = deadline;
    }
    return next;
}

static void pass_virtual(struct host *h, uint64_t until, bool packet) {
    for (uint32_t steps = 0; steps < STEPS_MAX; steps++) {
        while (h->waking > 0)
            pthread_cond_wait(&h->settled, &h->lock);
        if (h->ending || (packet && h->packet_count > 0)) return;
        uint64_t next = inet_next_ns(h->stack), deadline = next_deadline(h);
        if (deadline < next) next = deadline;
        if (next > until) break;
        if (next > h->now_ns) h->now_ns = next;
        inet_timers(h->stack, h->now_ns);
        if (deadline <= h->now_ns) h->changed = true;
        host_tell(h);
    }
    if (until != NEVER && h->now_ns < until) h->now_ns = until;
}

void clock_pass(struct host *h, uint64_t until, bool packet) {
    if (!h->flags.real_time) {
        pass_virtual(h, until, packet);
        return;
    }
    while (!(packet && h->packet_count > 0))
        if (host_wait(h, until)) return;
}
