/* SPDX-License-Identifier: MIT */
/* Waits with relative timeouts. */
#include "convert.h"

#include <demi/wait.h>
#include <errno.h>
#include <stdbool.h>

#define NS_PER_S  1000000000
#define UNLIMITED UINT64_MAX
#define BATCH     16 /* results fetched at a time */

/* NULL, and a timeout that does not fit, mean no limit. False: not a valid time. */
static bool timeout_ns(const struct timespec *timeout, uint64_t *ns) {
    *ns = UNLIMITED;
    if (!timeout) return true;
    if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= NS_PER_S) return false;
    if (__builtin_mul_overflow((uint64_t)timeout->tv_sec, (uint64_t)NS_PER_S, ns) ||
        __builtin_add_overflow(*ns, (uint64_t)timeout->tv_nsec, ns))
        *ns = UNLIMITED;
    return true;
}

/* The wait succeeded if it returned an operation, even if that operation failed. */
static int outcome(int r, dmtr_qresult_t *qr, demi_qresult_t *qr_out) {
    if (!qr->qr_qt) return r;
    convert_result(qr_out, qr);
    return 0;
}

int demi_wait(demi_qresult_t *qr_out, demi_qtoken_t qt, const struct timespec *timeout) {
    uint64_t ns;
    dmtr_qresult_t qr;
    if (!qr_out || !timeout_ns(timeout, &ns)) return EINVAL;
    qr.qr_qt = 0;
    int r = dmtr_wait_timed(&qr, qt, ns);
    return outcome(r, &qr, qr_out);
}

int demi_wait_any(demi_qresult_t *qr_out, int *ready_offset, const demi_qtoken_t qts[], int num_qts,
                  const struct timespec *timeout) {
    uint64_t ns;
    dmtr_qresult_t qr;
    if (!qr_out || !ready_offset || !qts || num_qts <= 0 || !timeout_ns(timeout, &ns)) return EINVAL;
    qr.qr_qt = 0;
    int r = dmtr_wait_any_timed(&qr, ready_offset, qts, num_qts, ns);
    return outcome(r, &qr, qr_out);
}

static uint64_t remaining(uint64_t ns, uint64_t start) {
    if (ns == UNLIMITED) return UNLIMITED;
    uint64_t elapsed = dmtr_now_ns() - start;
    return elapsed < ns ? ns - elapsed : 0;
}

int demi_wait_next_n(demi_qresult_t *qr_out, int num_qrs, int *num_qrs_out, const struct timespec *timeout) {
    uint64_t ns;
    if (!qr_out || num_qrs <= 0 || !num_qrs_out || !timeout_ns(timeout, &ns)) return EINVAL;
    const uint64_t start = dmtr_now_ns();
    int total = 0, r = 0;
    while (total < num_qrs && !r) {
        dmtr_qresult_t batch[BATCH];
        int wanted = num_qrs - total < BATCH ? num_qrs - total : BATCH, got = 0;
        r = dmtr_wait_next_n(batch, wanted, &got, remaining(ns, start));
        for (int i = 0; i < got; i++)
            convert_result(&qr_out[total + i], &batch[i]);
        total += got;
    }
    *num_qrs_out = total;
    return r == EINVAL && total > 0 ? 0 : r; /* EINVAL: no outstanding operation is left */
}
