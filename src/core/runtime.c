/* SPDX-License-Identifier: MIT */
/* The runtime: its parts made and unmade, one round of polling, sleeping. */
#include "core/runtime.h"

#include "base/clock.h"
#include "base/sys.h"
#include "core/event_fd.h"
#include "core/registry.h"
#include "core/turn.h"
#include "core/watch.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Descriptors that carry no data are looked at this often while a wait spins. */
#define EV_POLL_INTERVAL_NS 2000
/* Internal operations run in one round, so that a cycle of forwarding queues cannot hold a wait for ever. */
#define INTERNAL_BATCH 256
/* Timers fired in one round, so that those which are armed anew for now cannot either. */
#define TIMER_BATCH 256

static void wake_ready(struct evloop_item *item, uint32_t events) {
    (void)events;
    registry_drain(item->fd);
}

static int runtime_init(struct dmtr_runtime *rt) {
    int cause = 0;
    if (rt->id == 0 && rt->config.stats_share) counters_remove_stale();
    int r = counters_init(&rt->counters, rt->id, rt->config.stats_share, &cause);
    if (r < 0) return r;
    if (r > 0) log_info(&rt->log, "counters are not shared with other processes: %s", strerror(cause));
    r = rng_init_random(&rt->rng);
    if (!r) r = array_init(&rt->ops, sizeof(struct op), (uint32_t)rt->config.max_operations + 1);
    if (!r) r = queue_table_init(rt);
    if (!r) r = watch_table_init(rt);
    if (!r) r = evloop_init(&rt->ev);
    if (r) return r;
    rt->wake_item = (struct evloop_item){.fd = registry_wake_fd(rt->id), .ready = wake_ready};
    return evloop_set(&rt->ev, &rt->wake_item, EPOLLIN);
}

int runtime_new(struct dmtr_runtime **rt_out, const struct config *config) {
    struct dmtr_runtime *rt = sys_calloc(1, sizeof *rt);
    if (!rt) return -ENOMEM;
    int id = registry_take();
    if (id < 0) {
        sys_free(rt);
        return id;
    }
    rt->id = (uint32_t)id;
    rt->pid = (int)getpid();
    rt->config = *config;
    rt->log = (struct log){.level = (enum log_level)config->log_level, .sink = (enum log_sink)config->log_sink};
    rt->now_ns = clock_now_ns();
    rt->next_timer_ns = UINT64_MAX;
    rt->spin_budget_ns = config->wait_spin_us * 1000;
    rt->event = (struct event_fd){.epoll_fd = -1, .ready_fd = -1, .timer_fd = -1};
    rt->ev.epoll_fd = -1;
    turn_init(rt);
    list_init(&rt->ready);
    list_init(&rt->parked);
    list_init(&rt->internal);
    list_init(&rt->pollers);
    wheel_init(&rt->wheel, rt->now_ns);
    int r = runtime_init(rt);
    if (r) {
        runtime_delete(rt);
        return r;
    }
    *rt_out = rt;
    return 0;
}

static bool is_ending(const struct dmtr_runtime *rt) {
    return rt->lingering || rt->answering;
}

static void close_queues(struct dmtr_runtime *rt) {
    uint32_t cursor = 0;
    for (struct queue *q; (q = queue_next(rt, &cursor));)
        queue_close(q, NULL);
    uint64_t deadline_ns = clock_now_ns() + rt->config.linger_ms * 1000000;
    while (is_ending(rt) && clock_now_ns() < deadline_ns) {
        runtime_poll(rt);
        if (is_ending(rt) && list_empty(&rt->internal) && runtime_sleep(rt, deadline_ns)) break;
    }
    if (rt->lingering) log_warn(&rt->log, "%u closed queues had data that was not delivered in time", rt->lingering);
}

/* Results nobody fetched. Internal operations run first, so that what they hold is given back. */
static void release_operations(struct dmtr_runtime *rt) {
    while (!list_empty(&rt->internal))
        runtime_run_internal(rt);
    list_splice_back(&rt->parked, &rt->ready);
    for (struct list *l; (l = list_pop_front(&rt->parked));) {
        struct op *op = list_entry(l, struct op, link);
        op_release_result(rt, op);
        op_free(rt, op);
    }
}

void runtime_delete(struct dmtr_runtime *rt) {
    close_queues(rt);
    timer_cancel_internal(rt);
    release_operations(rt);
    while (rt->libos_count) {
        struct libos_slot *slot = &rt->libos[--rt->libos_count];
        slot->libos->stop(rt, slot->state);
    }
    release_operations(rt);
    watch_table_fini(rt);
    event_fd_fini(&rt->event);
    evloop_fini(&rt->ev);
    array_fini(&rt->queues);
    array_fini(&rt->ops);
    if (rt->counters.values) counters_fini(&rt->counters);
    registry_give_back(rt->id);
    sys_free(rt);
}

int runtime_libos(struct dmtr_runtime *rt, const struct libos *libos, void **state_out) {
    for (uint32_t i = 0; i < rt->libos_count; i++) {
        if (rt->libos[i].libos != libos) continue;
        *state_out = rt->libos[i].state;
        return 0;
    }
    if (rt->libos_count == RUNTIME_LIBOS_MAX) return -ENOBUFS;
    struct libos_slot slot = {.libos = libos};
    int r = libos->start(rt, &slot.state);
    if (r) return r;
    rt->libos[rt->libos_count++] = slot;
    *state_out = slot.state;
    return 0;
}

void runtime_timer_arm(struct dmtr_runtime *rt, struct runtime_timer *t, uint64_t deadline_ns) {
    wheel_arm(&rt->wheel, &t->timer, deadline_ns);
    if (deadline_ns < rt->next_timer_ns) rt->next_timer_ns = deadline_ns;
}

void runtime_timer_cancel(struct dmtr_runtime *rt, struct runtime_timer *t) {
    wheel_cancel(&rt->wheel, &t->timer);
}

static void poller_ready(struct evloop_item *item, uint32_t events) {
    (void)events;
    struct poller *p = list_entry(item, struct poller, item);
    p->rt->now_ns = clock_now_ns(); /* there may have been a sleep before */
    p->poll(p);
}

static void poller_unwatch(struct dmtr_runtime *rt, struct poller *p) {
    if (p->item.events) rt->poller_items--;
    evloop_set(&rt->ev, &p->item, 0);
}

int runtime_poller_add(struct dmtr_runtime *rt, struct poller *p) {
    p->rt = rt;
    p->item = (struct evloop_item){.fd = p->fd, .ready = poller_ready};
    /* One that sleeps itself is not put into the evloop, because it watches the evloop. */
    if (p->fd >= 0 && !p->sleep) {
        int r = evloop_set(&rt->ev, &p->item, EPOLLIN);
        if (r) return r;
        rt->poller_items++;
    }
    int r = event_fd_add_poller(&rt->event, p);
    if (r) {
        poller_unwatch(rt, p);
        return r;
    }
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

void runtime_poll(struct dmtr_runtime *rt) {
    rt->calls++;
    counter_inc(&rt->counters, polls);
    turn_begin(rt);
    rt->now_ns = clock_now_ns();
    struct list *l, *tmp;
    list_for_each (&rt->pollers, l, tmp) {
        struct poller *p = list_entry(l, struct poller, link);
        p->poll(p);
    }
    if (rt->now_ns >= rt->next_timer_ns) fire_timers(rt);
    /* Pollers have just been asked, and the wake item alone needs no look: runtime_wake also sets a flag. */
    if (rt->eager_items ||
        (rt->ev.items > 1 + rt->poller_items && rt->now_ns - rt->last_ev_poll_ns >= EV_POLL_INTERVAL_NS)) {
        rt->last_ev_poll_ns = rt->now_ns;
        int r = evloop_run(&rt->ev, 0);
        if (r < 0) log_error(&rt->log, "cannot poll descriptors: %s", strerror(-r));
    }
    if (!list_empty(&rt->internal)) runtime_run_internal(rt);
    runtime_event_sync(rt);
    rt->calls--;
}

/* The poller to sleep in: the only one that offers it. NULL: sleep in the evloop. */
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
        if (p->prepare && p->prepare(p)) cannot_sleep = true;
    }
    /* Results that were there before are not what this wait is for. */
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
    rt->now_ns = clock_now_ns();
    if (rt->now_ns >= rt->next_timer_ns) fire_timers(rt);
    return r < 0 ? r : 0;
}

int runtime_sleep(struct dmtr_runtime *rt, uint64_t deadline_ns) {
    rt->calls++;
    int r = sleep_until(rt, deadline_ns);
    if (!list_empty(&rt->internal)) runtime_run_internal(rt);
    rt->calls--;
    return r;
}
