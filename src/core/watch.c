/* SPDX-License-Identifier: MIT */
/* Watches on kernel descriptors, and timers, as operations. */
#include "core/watch.h"

#include "base/clock.h"
#include "base/sys.h"
#include "core/completion.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

/* poll and epoll have the same bits on Linux. */
_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLPRI == EPOLLPRI && POLLRDHUP == EPOLLRDHUP, "poll bits");
#define WATCH_EVENTS (POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND)
#define WATCH_FD_MAX (1u << 20)

/* All watches of one descriptor, because epoll accepts a descriptor once. Kept for reuse until the runtime ends. */
struct watch {
    struct evloop_item item;
    struct dmtr_runtime *rt;
    struct list ops;
};

/* When a periodic timer is due. */
#define TIMER_DUE(op) ((op)->backend[0])

static uint32_t op_events(const struct op *op) {
    return (uint32_t)op->bytes;
}

int watch_table_init(struct dmtr_runtime *rt) {
    return array_init(&rt->watches, sizeof(struct watch *), WATCH_FD_MAX);
}

void watch_table_fini(struct dmtr_runtime *rt) {
    for (uint32_t fd = 0; fd < rt->watches.len; fd++)
        sys_free(*(struct watch **)array_at(&rt->watches, fd));
    array_fini(&rt->watches);
}

static int watch_rearm(struct watch *w) {
    uint32_t events = 0;
    struct list *l, *tmp;
    list_for_each (&w->ops, l, tmp)
        events |= op_events(list_entry(l, struct op, link));
    return evloop_set(&w->rt->ev, &w->item, events);
}

static void watch_ready(struct evloop_item *item, uint32_t events) {
    struct watch *w = list_entry(item, struct watch, item);
    uint32_t always = events & (EPOLLERR | EPOLLHUP);
    struct list *l, *tmp;
    list_for_each (&w->ops, l, tmp) {
        struct op *op = list_entry(l, struct op, link);
        uint32_t ready = (events & op_events(op)) | always;
        if (!ready) continue;
        list_remove(&op->link);
        op->events = ready;
        op_complete(w->rt, op, 0);
    }
    int r = watch_rearm(w);
    if (!r) return;
    /* The descriptor can no longer be watched: fail its watches, which would never complete. */
    ops_complete(w->rt, &w->ops, r);
}

static int watch_of(struct dmtr_runtime *rt, int fd, struct watch **w_out) {
    if ((uint32_t)fd >= rt->watches.len) {
        int64_t r = array_grow(&rt->watches, (uint32_t)fd + 1 - rt->watches.len);
        if (r < 0) return (int)r;
    }
    struct watch **slot = array_at(&rt->watches, (uint32_t)fd);
    if (!*slot) {
        struct watch *w = sys_calloc(1, sizeof *w);
        if (!w) return -ENOMEM;
        w->item = (struct evloop_item){.fd = fd, .ready = watch_ready};
        w->rt = rt;
        list_init(&w->ops);
        *slot = w;
    }
    *w_out = *slot;
    return 0;
}

int watch_begin(struct dmtr_runtime *rt, int fd, uint32_t events, struct op **op_out) {
    if (!(events & WATCH_EVENTS)) return -EINVAL;
    if (fd < 0) return -EBADF;
    int r = SYS(fcntl, fd, F_GETFD);
    if (r < 0) return r;
    struct watch *w = NULL;
    r = watch_of(rt, fd, &w);
    if (r) return r;
    struct op *op;
    r = op_new(rt, NULL, DMTR_OPC_WATCH, &op);
    if (r) return r;
    op->bytes = events & WATCH_EVENTS;
    op->ctx = w;
    /* Watched already: register it again, because it may have been closed and reopened with the same number. */
    if (!list_empty(&w->ops)) evloop_set(&rt->ev, &w->item, 0);
    list_push_back(&w->ops, &op->link);
    r = watch_rearm(w);
    if (r) {
        list_remove(&op->link);
        op_free(rt, op);
        return r;
    }
    *op_out = op;
    return 0;
}

static void timer_fire(struct dmtr_runtime *rt, struct runtime_timer *t) {
    op_complete(rt, list_entry(t, struct op, timer), 0);
}

#define NEVER (UINT64_MAX - 1)

static uint64_t later(uint64_t at_ns, uint64_t ns) {
    return ns < NEVER - at_ns ? at_ns + ns : NEVER;
}

static void timer_start(struct dmtr_runtime *rt, struct op *op, uint64_t ns, uint64_t period_ns) {
    timer_init(&op->timer.timer);
    op->timer.fire = timer_fire;
    uint64_t due_ns = later(clock_now_ns(), ns);
    op->bytes = period_ns;
    if (period_ns) TIMER_DUE(op) = due_ns;
    runtime_timer_arm(rt, &op->timer, due_ns);
}

int timer_begin(struct dmtr_runtime *rt, uint64_t ns, uint64_t period_ns, struct op **op_out) {
    int r = op_begin(rt, NULL, DMTR_OPC_TIMER, op_out);
    if (!r) timer_start(rt, *op_out, ns, period_ns);
    return r;
}

uint64_t timer_expiries(uint64_t *due_ns, uint64_t period_ns, uint64_t now_ns) {
    uint64_t n = now_ns < *due_ns ? 1 : (now_ns - *due_ns) / period_ns + 1;
    *due_ns = later(*due_ns + (n - 1) * period_ns, period_ns);
    return n;
}

uint64_t timer_returned(struct dmtr_runtime *rt, struct op *op) {
    if (!op->bytes) return 1;
    rt->ops_free = op->next_free;
    rt->ops_outstanding++;
    op->token -= TOKEN_GENERATION;
    op->named = true;
    op->state = OP_PENDING;
    uint64_t n = timer_expiries(&TIMER_DUE(op), op->bytes, clock_now_ns());
    runtime_timer_arm(rt, &op->timer, TIMER_DUE(op));
    return n;
}

int timer_begin_internal(struct dmtr_runtime *rt, uint64_t ns, op_done_fn done, void *ctx) {
    struct op *op;
    if (rt->ending) return -ECANCELED;
    int r = op_new_internal(rt, NULL, DMTR_OPC_TIMER, done, ctx, &op);
    if (!r) timer_start(rt, op, ns, 0);
    return r;
}

void timer_cancel_internal(struct dmtr_runtime *rt) {
    rt->ending = true;
    for (uint32_t i = 1; i < rt->ops.len; i++) {
        struct op *op = op_at(rt, i);
        if (op->state != OP_PENDING || op->opcode != DMTR_OPC_TIMER || !(op->flags & OP_INTERNAL)) continue;
        runtime_timer_cancel(rt, &op->timer);
        op_complete(rt, op, -ECANCELED);
    }
}

void watch_cancel(struct dmtr_runtime *rt, struct op *op) {
    if (op->opcode == DMTR_OPC_TIMER) {
        runtime_timer_cancel(rt, &op->timer);
    } else {
        struct watch *w = op->ctx;
        list_remove(&op->link);
        int r = watch_rearm(w);
        if (r) log_warn(&rt->log, "descriptor %d is still watched: %s", w->item.fd, strerror(-r));
    }
    op_free(rt, op);
}
