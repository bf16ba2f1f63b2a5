/* SPDX-License-Identifier: MIT */
/*
 * Waiting for results.
 *
 * wait_any takes the first ready operation that is in the caller's list without walking the list: each operation
 * records where its token was last seen (hint), and wait_any checks that entry. Hints are learnt from the entries
 * that change from call to call (the entry returned last, appended entries), and by walking the whole list only
 * when the hint of a ready operation is wrong. Operations that are not listed move to the list `parked`.
 */
#include "core/wait.h"

#include "core/completion.h"
#include "core/event_fd.h"
#include "core/idle.h"
#include "core/result.h"
#include "core/turn.h"
#include "core/watch.h"

#include <errno.h>

#define HINT_REACH    8  /* entries by which a token may have moved down after removals before it */
#define HINT_APPENDED 16 /* appended entries checked on entry */
#define VALIDATE_STEP 64 /* entries checked for validity in each idle step */
#define PARKED_RESCAN 32 /* calls after which parked operations are searched again */
#define NOT_LISTED    UINT32_MAX

static void result_none(dmtr_qresult_t *qr) {
    qr->qr_opcode = DMTR_OPC_INVALID;
    qr->qr_qd = -1;
    qr->qr_qt = 0;
    qr->qr_error = 0;
    qr->qr_user = NULL;
}

static void result_fetch(struct dmtr_runtime *rt, struct op *op, dmtr_qresult_t *qr) {
    result_take(rt, op, qr);
    runtime_event_sync(rt);
}

int wait_poll(struct dmtr_runtime *rt, dmtr_qtoken_t qt, dmtr_qresult_t *qr) {
    result_none(qr);
    struct op *op = op_find(rt, qt);
    if (!op) return -EINVAL;
    if (op->state != OP_READY) turn_flush_idle(rt);
    if (op->state != OP_READY)
        runtime_poll(rt);
    else if (turn_is_due(rt))
        (void)turn_look(rt);
    if (op->state != OP_READY) return -EAGAIN;
    result_fetch(rt, op, qr);
    return 0;
}

/* Every wait begins with this. 0, or -EINTR: dmtr_wake was called; a wait that never idles checks it only here. */
static int wait_begin(struct dmtr_runtime *rt) {
    return turn_is_due(rt) && turn_look(rt) ? idle_take_wake(rt) : 0;
}

/* Idles until op is ready. */
static int await(struct idle *idle, const struct op *op) {
    int r = 0;
    idle->rt->calls++;
    while (op->state != OP_READY && !r)
        r = idle_step(idle);
    idle->rt->calls--;
    return op->state == OP_READY ? 0 : r;
}

int wait_one(struct dmtr_runtime *rt, dmtr_qtoken_t qt, uint64_t timeout_ns, dmtr_qresult_t *qr) {
    result_none(qr);
    struct op *op = op_find(rt, qt);
    if (!op) return -EINVAL;
    int r = wait_begin(rt);
    if (!r && op->state != OP_READY) {
        struct idle idle;
        idle_begin(&idle, rt, timeout_ns);
        r = await(&idle, op);
        if (!r) idle_end(&idle);
    }
    if (!r) result_fetch(rt, op, qr);
    return r;
}

struct any {
    struct dmtr_runtime *rt;
    const dmtr_qtoken_t *qts;
    uint32_t n;
    uint32_t validated; /* entries [0, validated) were checked in this call */
    bool nonzero;       /* one of the validated entries is a token */
    bool scanned;       /* all hints were learnt in this call */
};

static void learn(struct any *a, uint32_t i) {
    struct op *op = op_find(a->rt, a->qts[i]);
    if (op) op->hint = i;
}

static uint32_t any_offset(const struct any *a, const struct op *op) {
    dmtr_qtoken_t qt = op->token;
    for (uint32_t down = 0; down <= HINT_REACH && down <= op->hint; down++) {
        uint32_t i = op->hint - down;
        if (i < a->n && a->qts[i] == qt) return i;
    }
    return NOT_LISTED;
}

/* Checks up to `count` further entries and learns their hints. -EINVAL: one is not outstanding, or all are zero. */
static int any_validate(struct any *a, uint32_t count) {
    uint32_t end = count < a->n - a->validated ? a->validated + count : a->n;
    for (; a->validated < end; a->validated++) {
        dmtr_qtoken_t qt = a->qts[a->validated];
        if (!qt) continue;
        struct op *op = op_find(a->rt, qt);
        if (!op) return -EINVAL;
        op->hint = a->validated;
        a->nonzero = true;
    }
    return a->validated == a->n && !a->nonzero ? -EINVAL : 0;
}

static int any_scan(struct any *a) {
    counter_inc(&a->rt->counters, wait_scans);
    a->scanned = true;
    a->rt->parked_skips = 0;
    a->validated = 0;
    return any_validate(a, a->n);
}

static struct op *any_parked(const struct any *a, uint32_t *offset) {
    struct list *l, *tmp;
    list_for_each (&a->rt->parked, l, tmp) {
        struct op *op = list_entry(l, struct op, link);
        *offset = any_offset(a, op);
        if (*offset != NOT_LISTED) return op;
    }
    return NULL;
}

/* *op_out becomes the listed operation that completed first, or NULL. 0 or -EINVAL. */
static int any_find(struct any *a, struct op **op_out, uint32_t *offset) {
    struct dmtr_runtime *rt = a->rt;
    *op_out = NULL;
    if (!list_empty(&rt->parked) && !a->scanned && ++rt->parked_skips >= PARKED_RESCAN) {
        int r = any_scan(a);
        if (r) return r;
    }
    if (a->scanned && (*op_out = any_parked(a, offset))) return 0;
    struct list *l, *tmp;
    list_for_each (&rt->ready, l, tmp) {
        struct op *op = list_entry(l, struct op, link);
        *offset = any_offset(a, op);
        if (*offset == NOT_LISTED && !a->scanned) {
            int r = any_scan(a);
            if (r) return r;
            if ((*op_out = any_parked(a, offset))) return 0;
            *offset = any_offset(a, op);
        }
        if (*offset != NOT_LISTED) {
            *op_out = op;
            return 0;
        }
        list_remove(&op->link);
        list_push_back(&rt->parked, &op->link);
    }
    return 0;
}

/* Idles until a listed operation is ready. */
static int any_await(struct any *a, struct idle *idle, struct op **op_out, uint32_t *offset) {
    int r = 0;
    a->rt->calls++;
    while (!r && !*op_out) {
        r = any_validate(a, idle_may_sleep(idle) ? a->n : VALIDATE_STEP);
        if (r) break;
        r = idle_step(idle);
        int found = any_find(a, op_out, offset);
        if (found || *op_out) r = found;
    }
    a->rt->calls--;
    return r;
}

static int any_idle(struct any *a, struct idle *idle, struct op **op_out, uint32_t *offset) {
    int r = any_find(a, op_out, offset);
    /* A parked operation may be listed now: search before idling, because nothing would end the idle wait for it. */
    if (!r && !*op_out && !a->scanned && !list_empty(&a->rt->parked)) {
        r = any_scan(a);
        if (!r) *op_out = any_parked(a, offset);
    }
    return r || *op_out ? r : any_await(a, idle, op_out, offset);
}

int wait_any(struct dmtr_runtime *rt, const dmtr_qtoken_t *qts, uint32_t n, uint64_t timeout_ns, dmtr_qresult_t *qr,
             int *offset_out) {
    struct any a = {.rt = rt, .qts = qts, .n = n};
    if (rt->last_offset < n) learn(&a, rt->last_offset);
    for (uint32_t i = rt->last_n; i < n && i < rt->last_n + HINT_APPENDED; i++)
        learn(&a, i);
    struct idle idle;
    idle_begin(&idle, rt, timeout_ns);
    struct op *op = NULL;
    uint32_t offset = 0;
    int r = wait_begin(rt);
    if (!r) r = any_idle(&a, &idle, &op, &offset);
    rt->last_n = n;
    if (r) {
        result_none(qr);
        return r;
    }
    idle_end(&idle);
    rt->last_offset = offset;
    *offset_out = (int)offset;
    result_fetch(rt, op, qr);
    return 0;
}

/* Checks that all tokens are outstanding, none is listed twice, and not all are zero. */
static int all_check(struct dmtr_runtime *rt, const dmtr_qtoken_t *qts, uint32_t n) {
    struct any a = {.rt = rt, .qts = qts, .n = n};
    int r = any_validate(&a, n);
    for (uint32_t i = 0; i < n && !r; i++)
        if (qts[i] && op_find(rt, qts[i])->hint != i) r = -EINVAL;
    return r;
}

int wait_all(struct dmtr_runtime *rt, const dmtr_qtoken_t *qts, uint32_t n, uint64_t timeout_ns, dmtr_qresult_t *qrs) {
    for (uint32_t i = 0; i < n; i++)
        result_none(&qrs[i]);
    int r = all_check(rt, qts, n);
    if (!r) r = wait_begin(rt);
    if (r) return r;
    struct idle idle;
    idle_begin(&idle, rt, timeout_ns);
    for (uint32_t i = 0; i < n && !r; i++)
        if (qts[i]) r = await(&idle, op_find(rt, qts[i]));
    if (r) return r;
    idle_end(&idle);
    rt->turn.many |= n > 1;
    for (uint32_t i = 0; i < n; i++) {
        struct op *op = op_find(rt, qts[i]); /* NULL: the entry is 0 */
        if (op) result_fetch(rt, op, &qrs[i]);
    }
    return 0;
}

static inline bool has_results(const struct dmtr_runtime *rt) {
    return !list_empty(&rt->ready) || !list_empty(&rt->parked);
}

/* Moves at most n results of a list to qrs. Returns their number. */
static inline uint32_t take_from(struct dmtr_runtime *rt, struct list *ops, dmtr_qresult_t *qrs, uint32_t n) {
    uint32_t i = 0;
    for (struct list *l; i < n && (l = list_first(ops)); i++)
        (void)result_take(rt, list_entry(l, struct op, link), &qrs[i]);
    return i;
}

/* Parked operations are older. */
static inline uint32_t take_next(struct dmtr_runtime *rt, dmtr_qresult_t *qrs, uint32_t n) {
    uint32_t got = unlikely(!list_empty(&rt->parked)) ? take_from(rt, &rt->parked, qrs, n) : 0;
    got += take_from(rt, &rt->ready, qrs + got, n - got);
    rt->turn.many |= got > 1;
    runtime_event_sync(rt);
    return got;
}

/* Not inlined, so that a wait that finds results needs no struct idle. */
static __attribute__((noinline)) int await_next(struct dmtr_runtime *rt, uint64_t timeout_ns) {
    struct idle idle;
    int r = wait_begin(rt);
    if (r) return r;
    idle_begin(&idle, rt, timeout_ns);
    rt->calls++;
    while (!has_results(rt) && !r) {
        bool endless = rt->ops_outstanding == 0 && timeout_ns == WAIT_FOREVER && !turn_has_unsent(rt);
        r = endless ? -EINVAL : idle_step(&idle);
    }
    rt->calls--;
    if (!has_results(rt)) return r;
    idle_end(&idle);
    return 0;
}

int wait_next_n(struct dmtr_runtime *rt, dmtr_qresult_t *qrs, uint32_t n, uint64_t timeout_ns, uint32_t *got) {
    *got = 0;
    if (turn_is_due(rt) || !has_results(rt)) {
        int r = await_next(rt, timeout_ns);
        if (r) return r;
    }
    *got = take_next(rt, qrs, n);
    return 0;
}

int wait_drop(struct dmtr_runtime *rt, dmtr_qtoken_t qt) {
    struct op *op = op_find(rt, qt);
    if (!op) return -EINVAL;
    counter_inc(&rt->counters, ops_dropped);
    if (op->state == OP_READY) {
        op_release_result(rt, op);
        list_remove(&op->link);
        op_free(rt, op);
    } else if (op->opcode == DMTR_OPC_WATCH || op->opcode == DMTR_OPC_TIMER) {
        watch_cancel(rt, op);
    } else if (op->q) {
        queue_cancel(op->q, op);
    } else { /* a push that continues after its queue was closed */
        op_drop(rt, op);
    }
    runtime_event_sync(rt);
    return 0;
}
