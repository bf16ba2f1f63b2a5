/* SPDX-License-Identifier: MIT */
/*
 * The runtime: all state of one thread. Functions below the API take it as an argument.
 */
#ifndef CORE_RUNTIME_H
#define CORE_RUNTIME_H

#include "base/array.h"
#include "base/counters.h"
#include "base/list.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "core/config.h"
#include "core/evloop.h"
#include "core/libos.h"
#include "core/registry.h"
#include "core/timer.h"

#define RUNTIME_MAX_OPS 4194304 /* 22 bits of a token */
#define RUNTIME_MAX_QDS 2097152 /* 21 bits of a descriptor */

/*
 * Something that each poll calls: a device, a ring.
 *
 * poll     does all work that needs no blocking; returns the number of events handled.
 * fd       readable when poll would find work; -1: no descriptor, so waits spin while the poller exists.
 * prepare  before a sleep: enables signals through fd. True: there is work already. May be NULL.
 * sleep    may be NULL. If only one poller has it, a wait sleeps there instead of in epoll, which saves a system
 *          call: returns when poll would find something, when epoll_fd is readable, or after timeout_ns
 *          (UINT64_MAX: no limit), having handled events as poll does. 1 if epoll_fd is readable (the runtime then
 * looks at it), 0 if not, or a negative errno; a signal is 0.
 */
struct poller {
    struct list link;
    uint32_t (*poll)(struct poller *p);
    bool (*prepare)(struct poller *p);
    int (*sleep)(struct poller *p, int epoll_fd, uint64_t timeout_ns);
    int fd;
    struct dmtr_runtime *rt; /* the runtime sets this and the next fields */
    struct evloop_item item;
    bool unwatched; /* an attempt to watch fd has failed, and the log says so */
};

/* What dmtr_event_fd needs; see event_fd.h. */
struct event_fd {
    int epoll_fd; /* -1: event_fd_get was never called */
    int ready_fd;
    int timer_fd;
    bool signalled;    /* ready_fd is readable */
    uint64_t armed_ns; /* the deadline that timer_fd is set to; UINT64_MAX: none */
};

struct libos_slot {
    const struct libos *libos;
    void *state;
};

/* The results since the last poll; turn.h has the rules. */
struct turn {
    uint32_t results; /* results counted so far */
    uint32_t look_at; /* number of results at which the clock is read */
    int32_t granted;  /* initial value of `left` */
    int32_t left;     /* results that may be returned before they are counted; may become negative */
    bool many;        /* one wait has returned several results */
};

/* What was pushed and not passed to the devices yet; turn.h has the rules. */
struct unsent {
    uint32_t frames;
    uint64_t flushed_ns; /* when pushes were last passed to the devices */
    struct list senders; /* struct sender */
};

/* A network to whose sockets pushes are made. Its libos embeds one. */
struct sender {
    struct list link;
    void (*flush)(struct sender *s, uint64_t now_ns); /* passes on what was pushed, as far as there is room */
};

struct op;
struct queue;

#define RUNTIME_LIBOS_MAX 8

/* A slot of the table of queues: the queue, or the next free slot. Slot 0 stays unused, so that 0 ends the chain. */
struct queue_slot {
    struct queue *q;
    uint32_t next_free;
};

struct dmtr_runtime {
    uint32_t id;
    uint32_t calls;  /* API calls, polls and sleeps that run now; they nest, because callbacks may call the API */
    int pid;         /* of the process that made the runtime */
    bool ending;     /* timer_begin_internal fails */
    uint64_t now_ns; /* as of the last poll */
    bool now_is_old; /* this poll began with the time of an earlier one */

    struct array ops;
    struct op *ops_free;
    uint32_t ops_outstanding;     /* operations that are named */
    struct list ready;            /* complete operations, in order */
    struct list parked;           /* completed before those in ready; not in the lists of recent wait_any calls */
    struct list internal;         /* complete internal operations whose `done` has not run */
    struct turn turn, turn_first; /* the current turn, and the initial value of each; turn.h */
    struct unsent unsent;
    uint32_t parked_skips;        /* wait_any calls since the parked list was last searched */
    uint32_t last_offset, last_n; /* of the last wait_any */

    struct array queues; /* struct queue_slot */
    uint32_t queue_free; /* index of the first free slot; 0: none */
    uint64_t queue_serial;
    uint32_t lingering; /* closed queues that still deliver; their kinds count them */
    uint32_t answering; /* stacks with closed connections whose peers have not finished; their libos counts them */

    struct wheel wheel;
    uint64_t next_timer_ns;
    struct evloop ev;
    uint32_t poller_items; /* pollers whose descriptors the evloop watches */
    uint32_t eager_items;  /* evloop items that carry data: while there are any, every poll runs the evloop */
    uint64_t last_ev_poll_ns;
    uint64_t slept_ns; /* the end of the last sleep */
    struct list pollers;
    uint64_t spin_budget_ns; /* adaptive policy: how long the next wait spins */
    struct evloop_item wake_item;
    struct event_fd event;
    struct array watches; /* struct watch * by kernel descriptor */

    struct counters counters;
    struct log log;
    struct config config;
    struct rng rng;
    struct libos_slot libos[RUNTIME_LIBOS_MAX];
    uint32_t libos_count;
};

/* Makes a runtime with this configuration (copied) and registers it. */
int runtime_new(struct dmtr_runtime **rt_out, const struct config *config);
/* Closes every queue, waits at most core.linger_ms for delivery and for peers to finish, stops libOSes, frees rt. */
void runtime_delete(struct dmtr_runtime *rt);

void runtime_timer_arm(struct dmtr_runtime *rt, struct runtime_timer *t, uint64_t deadline_ns);
void runtime_timer_cancel(struct dmtr_runtime *rt, struct runtime_timer *t);

/* The caller has set p->fd, p->poll ... */
int runtime_poller_add(struct dmtr_runtime *rt, struct poller *p);
void runtime_poller_remove(struct dmtr_runtime *rt, struct poller *p);

/* Sets now_ns to the current time. */
void runtime_read_clock(struct dmtr_runtime *rt);

/*
 * The time of this poll, for a poller that has found work. A wait that spins does not read the clock before each poll,
 * so that now_ns may be a few polls old; this function then reads it.
 */
static inline uint64_t runtime_now_ns(struct dmtr_runtime *rt) {
    if (rt->now_is_old) runtime_read_clock(rt);
    return rt->now_ns;
}

/* One round: pollers, timers, descriptors, internal operations. Never blocks. */
void runtime_poll(struct dmtr_runtime *rt);

/* Runs `done` of a bounded number of complete internal operations. */
void runtime_run_internal(struct dmtr_runtime *rt);

/* True if an internal operation or a result is pending, so that a sleep would be wrong. */
static inline bool runtime_has_work(const struct dmtr_runtime *rt) {
    return !list_empty(&rt->ready) || !list_empty(&rt->internal);
}

/* Sleeps until an event or until deadline_ns (of clock_now_ns), and handles the events and internal operations. 0 or a
 * negative errno. */
int runtime_sleep(struct dmtr_runtime *rt, uint64_t deadline_ns);

/* Returns the instance of a libos, and starts it if needed. 0, or the error of its start. */
int runtime_libos(struct dmtr_runtime *rt, const struct libos *libos, void **state_out);

#endif
