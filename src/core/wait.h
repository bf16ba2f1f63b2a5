/* SPDX-License-Identifier: MIT */
/*
 * Waiting for results. Functions return 0 or a negative errno of the wait, not of an operation: -EINVAL (a token is not
 * outstanding), -ETIMEDOUT, -EINTR (woken). Timeouts are relative, in ns; WAIT_FOREVER means no timeout.
 */
#ifndef CORE_WAIT_H
#define CORE_WAIT_H

#include "core/op.h"

#define WAIT_FOREVER UINT64_MAX

/* Polls once. -EAGAIN: pending. */
int wait_poll(struct dmtr_runtime *rt, dmtr_qtoken_t qt, dmtr_qresult_t *qr);
int wait_one(struct dmtr_runtime *rt, dmtr_qtoken_t qt, uint64_t timeout_ns, dmtr_qresult_t *qr);
int wait_any(struct dmtr_runtime *rt, const dmtr_qtoken_t *qts, uint32_t n, uint64_t timeout_ns, dmtr_qresult_t *qr,
             int *offset_out);
int wait_all(struct dmtr_runtime *rt, const dmtr_qtoken_t *qts, uint32_t n, uint64_t timeout_ns, dmtr_qresult_t *qrs);
int wait_next_n(struct dmtr_runtime *rt, dmtr_qresult_t *qrs, uint32_t n, uint64_t timeout_ns, uint32_t *got);
int wait_drop(struct dmtr_runtime *rt, dmtr_qtoken_t qt);

#endif
