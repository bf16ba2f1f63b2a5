/* SPDX-License-Identifier: MIT */
/* Waits. runtime_poll and runtime_sleep count waits and dmtr_poll as calls (core/poll.c). */
#include "core/wait.h"
#include "api/api.h"
#include "core/result.h"
#include "core/turn.h"
#include "dmtr/wait.h"

/* A wait for one result returns the operation's own error. */
static int outcome(int r, const dmtr_qresult_t *qr) {
    return r ? -r : qr->qr_error;
}

int dmtr_poll(dmtr_qresult_t *qr_out, dmtr_qtoken_t qt) {
    API_RUNTIME_UNCOUNTED(rt);
    if (!qr_out) return EINVAL;
    return outcome(wait_poll(rt, qt, qr_out), qr_out);
}

int dmtr_drop(dmtr_qtoken_t qt) {
    API_RUNTIME(rt);
    return -wait_drop(rt, qt);
}

int dmtr_set_token_user(dmtr_qtoken_t qt, void *user) {
    API_RUNTIME(rt);
    struct op *op = op_find(rt, qt);
    if (!op) return EINVAL;
    op->user = user;
    return 0;
}

static __attribute__((noinline)) int wait_longer(struct dmtr_runtime *rt, dmtr_qtoken_t qt, uint64_t timeout_ns,
                                                 dmtr_qresult_t *qr_out) {
    return outcome(wait_one(rt, qt, timeout_ns, qr_out), qr_out);
}

/* Handles the usual case, a result that is ready, without a call. */
static inline int wait_for(dmtr_qresult_t *qr_out, dmtr_qtoken_t qt, uint64_t timeout_ns) {
    API_RUNTIME_UNCOUNTED(rt);
    if (!qr_out) return EINVAL;
    struct op *op = op_find(rt, qt);
    if (unlikely(!op || op->state != OP_READY || turn_is_due(rt))) return wait_longer(rt, qt, timeout_ns, qr_out);
    return result_take(rt, op, qr_out);
}

int dmtr_wait_timed(dmtr_qresult_t *qr_out, dmtr_qtoken_t qt, uint64_t timeout_ns) {
    return wait_for(qr_out, qt, timeout_ns);
}

int dmtr_wait(dmtr_qresult_t *qr_out, dmtr_qtoken_t qt) {
    return wait_for(qr_out, qt, WAIT_FOREVER);
}

int dmtr_wait_any_timed(dmtr_qresult_t *qr_out, int *offset_out, const dmtr_qtoken_t qts[], int num_qts,
                        uint64_t timeout_ns) {
    API_RUNTIME_UNCOUNTED(rt);
    if (!qr_out || !offset_out || !qts || num_qts <= 0) return EINVAL;
    return outcome(wait_any(rt, qts, (uint32_t)num_qts, timeout_ns, qr_out, offset_out), qr_out);
}

int dmtr_wait_any(dmtr_qresult_t *qr_out, int *offset_out, const dmtr_qtoken_t qts[], int num_qts) {
    return dmtr_wait_any_timed(qr_out, offset_out, qts, num_qts, WAIT_FOREVER);
}

int dmtr_wait_all_timed(dmtr_qresult_t qrs_out[], const dmtr_qtoken_t qts[], int num_qts, uint64_t timeout_ns) {
    API_RUNTIME_UNCOUNTED(rt);
    if (!qrs_out || !qts || num_qts <= 0) return EINVAL;
    int r = wait_all(rt, qts, (uint32_t)num_qts, timeout_ns, qrs_out);
    for (int i = 0; i < num_qts && !r; i++)
        r = -qrs_out[i].qr_error;
    return -r;
}

int dmtr_wait_all(dmtr_qresult_t qrs_out[], const dmtr_qtoken_t qts[], int num_qts) {
    return dmtr_wait_all_timed(qrs_out, qts, num_qts, WAIT_FOREVER);
}

int dmtr_wait_next_n(dmtr_qresult_t qrs_out[], int n, int *got_out, uint64_t timeout_ns) {
    API_RUNTIME_UNCOUNTED(rt);
    if (!qrs_out || !got_out || n <= 0) return EINVAL;
    uint32_t got = 0;
    int r = wait_next_n(rt, qrs_out, (uint32_t)n, timeout_ns, &got);
    *got_out = (int)got;
    return -r;
}
