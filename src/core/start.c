/* SPDX-License-Identifier: MIT */
/* Makes and deletes runtimes. */
#include "core/runtime.h"

#include "base/clock.h"
#include "base/sys.h"
#include "core/completion.h"
#include "core/event_fd.h"
#include "core/registry.h"
#include "core/turn.h"
#include "core/watch.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

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
    list_init(&rt->unsent.senders);
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
    uint64_t now_ns = clock_now_ns(), deadline_ns = now_ns + rt->config.linger_ms * 1000000;
    turn_flush(rt, now_ns);
    while (is_ending(rt) && clock_now_ns() < deadline_ns) {
        runtime_poll(rt);
        if (is_ending(rt) && list_empty(&rt->internal) && runtime_sleep(rt, deadline_ns)) break;
    }
    if (rt->lingering) log_warn(&rt->log, "%u closed queues had data that was not delivered in time", rt->lingering);
}

/* Releases results that were not fetched. Internal operations run first, so that they release what they hold. */
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
