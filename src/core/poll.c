/* SPDX-License-Identifier: MIT */
/* Timers, pollers, one round of polling, and sleeping. */
#include "core/runtime.h"

#include "base/clock.h"
#include "core/event_fd.h"
#include "core/op.h"
#include "core/turn.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

/* The interval at which a spinning wait checks descriptors that carry no data. */
#define EV_POLL_INTERVAL_NS 2000
/* Limit on internal operations in one round, so that a cycle of forwarding queues cannot block a wait for ever. */
#define INTERNAL_BATCH 256
/* Limit on timers fired in one round, so that timers that re-arm themselves at once cannot either. */
#define TIMER_BATCH 256
/* Time without a sleep after which descriptors of pollers are no longer watched. */
#define AWAKE_NS 10000000

void runtime_timer_arm(struct dmtr_runtime *rt, struct runtime_timer *t, uint64_t deadline_ns) {
    wheel_arm(&rt->wheel, &t->timer, deadline_ns);
    if (deadline_ns < rt->next_timer_ns) rt->next_timer_ns = deadline_ns;
}

void runtime_timer_cancel(struct dmtr_runtime *rt, struct runtime_timer *t) {
    wheel_cancel(&rt->wheel, &t->timer);
}

void runtime_read_clock(struct dmtr_runtime *rt) {
    rt->now_ns = clock_now_ns();
    rt->now_is_old = false;
}

static void poller_ready(struct evloop_item *item, uint32_t events) {
    (void)events;
    struct poller *p = list_entry(item, struct poller, item);
    runtime_read_clock(p->rt); /* after a sleep now_ns is out of date */
    p->poll(p);
}

/*
 * The evloop watches a poller's descriptor only while the runtime sleeps from time to time. If epoll watches a socket,
 * the kernel wakes epoll for each frame that arrives and for each frame that was sent, which costs more than the poll.
 * A poller with `sleep` is never watched, because its sleep watches the evloop. False: the runtime must not sleep,
 * because p could not end the sleep.
 */
static bool poller_watch(struct dmtr_runtime *rt, struct poller *p) {
    if (p->fd < 0 || p->sleep || p->item.events) return true;
    int r = evloop_set(&rt->ev, &p->item, EPOLLIN);
    if (r == 0)
        rt->poller_items++;
    else if (!p->unwatched)
        log_warn(&rt->log, "waits spin, because descriptor %d of a device cannot be watched: %s", p->fd, strerror(-r));
    p->unwatched = r < 0;
    return r == 0;
}

static void poller_unwatch(struct dmtr_runtime *rt, struct poller *p) {
    if (p->item.events) rt->poller_items--;
    evloop_set(&rt->ev, &p->item, 0);
}

static __attribute__((noinline)) void unwatch_pollers(struct dmtr_runtime *rt) {
    struct list *l, *tmp;
    list_for_each (&rt->pollers, l, tmp)
        poller_unwatch(rt, list_entry(l, struct poller, link));
}

int runtime_poller_add(struct dmtr_runtime *rt, struct poller *p) {
    p->rt = rt;
    p->item = (struct evloop_item){.fd = p->fd, .ready = poller_ready};
    p->unwatched = false;
    int r = event_fd_add_poller(&rt->event, p);
    if (r) return r;
    list_push_back(&rt->pollers, &p->link);
    return 0;
}

void runtime_poller_remove(struct dmtr_runtime *rt, struct poller *p) {
    list_remove(&p->link);
    event_fd_remove_poller(&rt->event, p);
    poller_unwatch(rt, p);
}

static void fire_timers(struct dmtr_runtime *rt) {
    struct timer *t;
    for (int i = 0; i < TIMER_BATCH && (t = wheel_expire(&rt->wheel, rt->now_ns)); i++) {
        struct runtime_timer *timer = list_entry(t, struct runtime_timer, timer);
        counter_inc(&rt->counters, timers_fired);
        timer->fire(rt, timer);
    }
    rt->next_timer_ns = wheel_next_ns(&rt->wheel);
}

void runtime_run_internal(struct dmtr_runtime *rt) {
    for (int i = 0; i < INTERNAL_BATCH; i++) {
        struct list *l = list_pop_front(&rt->internal);
        if (!l) return;
        struct op *op = list_entry(l, struct op, link);
        op->done(rt, op);
    }
}

/* The pushes of internal operations are sent before the round ends. */
static void run_internal_and_flush(struct dmtr_runtime *rt) {
    runtime_run_internal(rt);
    if (turn_has_unsent(rt)) turn_flush(rt, clock_now_ns());
}

void runtime_poll(struct dmtr_runtime *rt) {
    rt->calls++;
    counter_inc(&rt->counters, polls);
    runtime_read_clock(rt);
    if (turn_has_unsent(rt)) turn_flush(rt, rt->now_ns);
    turn_begin(rt);
    struct list *l, *tmp;
    list_for_each (&rt->pollers, l, tmp) {
        struct poller *p = list_entry(l, struct poller, link);
        p->poll(p);
    }
    if (rt->now_ns >= rt->next_timer_ns) fire_timers(rt);
    if (rt->poller_items && rt->now_ns - rt->slept_ns > AWAKE_NS) unwatch_pollers(rt);
    /* The pollers have just run, and the wake item needs no check: registry_wake also sets a flag. */
    if (rt->eager_items ||
        (rt->ev.items > 1 + rt->poller_items && rt->now_ns - rt->last_ev_poll_ns >= EV_POLL_INTERVAL_NS)) {
        rt->last_ev_poll_ns = rt->now_ns;
        int r = evloop_run(&rt->ev, 0);
        if (r < 0) log_error(&rt->log, "cannot poll descriptors: %s", strerror(-r));
    }
    if (!list_empty(&rt->internal)) run_internal_and_flush(rt);
    runtime_event_sync(rt);
    rt->calls--;
}

/* The poller whose `sleep` a wait uses. NULL: sleep in the evloop. */
static struct poller *choose_sleeper(const struct dmtr_runtime *rt, bool *cannot_sleep) {
    struct poller *sleeper = NULL;
    int sleepers = 0;
    struct list *l, *tmp;
    list_for_each (&rt->pollers, l, tmp) {
        struct poller *p = list_entry(l, struct poller, link);
        if (p->sleep) {
            sleeper = p;
            sleepers++;
        } else if (p->fd < 0) {
            *cannot_sleep = true;
        }
    }
    if (sleepers > 1) *cannot_sleep = true;
    return sleeper;
}

static int sleep_until(struct dmtr_runtime *rt, uint64_t deadline_ns) {
    bool cannot_sleep = false;
    struct poller *sleeper = choose_sleeper(rt, &cannot_sleep);
    struct list *l, *tmp, *last = rt->ready.prev;
    list_for_each (&rt->pollers, l, tmp) {
        struct poller *p = list_entry(l, struct poller, link);
        if (!poller_watch(rt, p) || (p->prepare && p->prepare(p))) cannot_sleep = true;
    }
    /* A result that was ready before is not in this wait's list; only a new one ends the wait. */
    if (cannot_sleep || !list_empty(&rt->internal) || rt->ready.prev != last) {
        runtime_poll(rt);
        return 0;
    }
    if (rt->next_timer_ns < deadline_ns) deadline_ns = rt->next_timer_ns;
    uint64_t timeout_ns = UINT64_MAX;
    if (deadline_ns != UINT64_MAX) {
        uint64_t now_ns = clock_now_ns();
        timeout_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    }
    counter_inc(&rt->counters, wait_sleeps);
    turn_begin(rt);
    int r = sleeper ? sleeper->sleep(sleeper, rt->ev.epoll_fd, timeout_ns) : evloop_run(&rt->ev, timeout_ns);
    if (sleeper && r > 0) r = evloop_run(&rt->ev, 0);
    runtime_read_clock(rt);
    rt->slept_ns = rt->now_ns;
    if (rt->now_ns >= rt->next_timer_ns) fire_timers(rt);
    return r < 0 ? r : 0;
}

int runtime_sleep(struct dmtr_runtime *rt, uint64_t deadline_ns) {
    rt->calls++;
    int r = sleep_until(rt, deadline_ns);
    if (!list_empty(&rt->internal)) run_internal_and_flush(rt);
    rt->calls--;
    return r;
}
