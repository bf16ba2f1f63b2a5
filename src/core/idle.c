/* SPDX-License-Identifier: MIT */
/* How one wait idles: spin, adaptive or block. */
#include "core/idle.h"

#include "base/clock.h"
#include "core/registry.h"
#include "core/turn.h"

#include <errno.h>

/* The adaptive policy spins for at least wait.spin_us / SPIN_MIN_FRACTION, to notice when spinning helps again. */
#define SPIN_MIN_FRACTION 16
#define SPIN_ROUNDS       64 /* of one poller, between two full rounds */
#define SPIN_CLOCK_ROUNDS 4  /* spinning reads the clock once in so many rounds */

static void idle_start(struct idle *i) {
    counter_inc(&i->rt->counters, wait_idles);
    uint64_t now_ns = clock_now_ns();
    i->deadline_ns = i->timeout_ns < UINT64_MAX - now_ns ? now_ns + i->timeout_ns : UINT64_MAX;
    i->spin_until_ns = now_ns + i->rt->spin_budget_ns;
}

bool idle_may_sleep(const struct idle *i) {
    switch ((enum wait_policy)i->rt->config.wait_policy) {
    case WAIT_SPIN:
        return false;
    case WAIT_BLOCK:
        return i->timeout_ns != 0;
    case WAIT_ADAPTIVE:
        return i->polled && i->rt->now_ns >= i->spin_until_ns;
    }
    return false;
}

/* Spinning found no result: spin half as long the next time. */
static void spin_less(struct dmtr_runtime *rt) {
    uint64_t least_ns = rt->config.wait_spin_us * 1000 / SPIN_MIN_FRACTION;
    rt->spin_budget_ns /= 2;
    if (rt->spin_budget_ns < least_ns) rt->spin_budget_ns = least_ns;
}

int idle_take_wake(struct dmtr_runtime *rt) {
    if (!registry_take_wake(rt->id)) return 0;
    counter_inc(&rt->counters, wakes);
    return -EINTR;
}

/*
 * Whether only one poller, timers and dmtr_wake can end the wait, so that rounds need not look at anything else. A
 * program with watches or an event descriptor polls in full rounds.
 */
static bool spins_on_one_poller(const struct dmtr_runtime *rt) {
    const struct list *first = rt->pollers.next;
    return first != &rt->pollers && first->next == &rt->pollers && !rt->eager_items &&
           rt->ev.items <= 1 + rt->poller_items && rt->event.epoll_fd < 0;
}

/* After a full round: polls the only poller until there is news, or for SPIN_ROUNDS. */
static void spin(const struct idle *i) {
    struct dmtr_runtime *rt = i->rt;
    struct poller *p = list_entry(rt->pollers.next, struct poller, link);
    uint64_t until_ns = i->deadline_ns < rt->next_timer_ns ? i->deadline_ns : rt->next_timer_ns;
    if (rt->config.wait_policy == WAIT_ADAPTIVE && i->spin_until_ns < until_ns) until_ns = i->spin_until_ns;
    for (uint32_t rounds = 0; rounds < SPIN_ROUNDS && rt->now_ns < until_ns && !runtime_has_work(rt); rounds++) {
        counter_inc(&rt->counters, polls);
        if (rounds % SPIN_CLOCK_ROUNDS == 0)
            runtime_read_clock(rt);
        else
            rt->now_is_old = true;
        if (p->poll(p) > 0 || registry_wake_pending(rt->id)) break;
    }
    rt->now_is_old = false;
}

int idle_step(struct idle *i) {
    struct dmtr_runtime *rt = i->rt;
    bool again = i->flushed;
    i->flushed = turn_has_unsent(rt);
    if (i->flushed && !again) { /* the second time it also polls, because operators may push more with each flush */
        turn_flush_idle(rt);
        return 0;
    }
    if (i->flushed) turn_flush(rt, clock_now_ns());
    if (idle_take_wake(rt)) return -EINTR;
    if (i->spin_until_ns == 0) idle_start(i);
    if (i->polled && rt->now_ns >= i->deadline_ns) return -ETIMEDOUT;
    int r = 0;
    if (!idle_may_sleep(i) || i->flushed || !list_empty(&rt->internal)) {
        runtime_poll(rt);
        if (spins_on_one_poller(rt)) spin(i);
    } else {
        if (rt->config.wait_policy == WAIT_ADAPTIVE) spin_less(rt);
        r = runtime_sleep(rt, i->deadline_ns);
    }
    i->polled = true;
    return r;
}

void idle_end(struct idle *i) {
    struct dmtr_runtime *rt = i->rt;
    uint64_t most_ns = rt->config.wait_spin_us * 1000;
    if (!i->polled || rt->config.wait_policy != WAIT_ADAPTIVE || rt->now_ns >= i->spin_until_ns) return;
    rt->spin_budget_ns = rt->spin_budget_ns * 2 < most_ns ? rt->spin_budget_ns * 2 : most_ns;
}
