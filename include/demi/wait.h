/* SPDX-License-Identifier: MIT */
/*
 * Results of operations. Timeouts are relative; NULL waits without limit. The return value is only that of the wait; an
 * operation's own failure is in the result (DEMI_OPC_FAILED, qr_ret):
 *   EINVAL     a token is not outstanding, a timeout is malformed, an argument is NULL or a number is not positive
 *   ETIMEDOUT  the time has passed; the tokens stay outstanding
 *   ENOSYS     demi_init was not called on this thread
 */
#ifndef DEMI_WAIT_H
#define DEMI_WAIT_H

#include <demi/types.h>
#include <sched.h> /* struct timespec, which strict C99 hides in <time.h> */
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the result of one operation and uses up its token. */
ATTR_EXPORT int demi_wait(demi_qresult_t *qr_out, demi_qtoken_t qt, const struct timespec *timeout) ATTR_NONNULL(1);

/*
 * Returns the result of the listed operation that completed first. If one completed and a wait did not list it, later
 * waits may return others before it, a bounded number of times. *ready_offset is its index in qts.
 */
ATTR_EXPORT int demi_wait_any(demi_qresult_t *qr_out, int *ready_offset, const demi_qtoken_t qts[], int num_qts,
                              const struct timespec *timeout) ATTR_NONNULL(1, 2, 3);

/*
 * Returns the results of the next num_qrs operations to complete, in that order. *num_qrs_out is their number. It is
 * num_qrs after 0, unless timeout is NULL and no more operations were outstanding; after ETIMEDOUT it is the number
 * that completed. EINVAL also: timeout is NULL and nothing is outstanding.
 */
ATTR_EXPORT int demi_wait_next_n(demi_qresult_t *qr_out, int num_qrs, int *num_qrs_out, const struct timespec *timeout)
    ATTR_NONNULL(1, 3);

#ifdef __cplusplus
}
#endif
#endif
