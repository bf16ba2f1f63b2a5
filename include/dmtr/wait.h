/* SPDX-License-Identifier: MIT */
/*
 * Waiting for operations to complete. A wait drives the devices; nothing happens outside calls of the library. A wait
 * that returns a result uses up its token, except that of a timer with a period.
 *
 * Calls for one result return the operation's own error (0, or a positive errno such as ECONNRESET), equal to qr_error.
 * The wait's own errors are
 *   EINVAL     qr_out is NULL, or a token is not outstanding: invented, used up, dropped, or of another thread's
 *              runtime. qr_out->qr_qt is 0 then.
 *   ETIMEDOUT  the time has passed; all tokens stay outstanding and qr_out->qr_qt is 0
 *   EINTR      dmtr_wake was called; all tokens stay outstanding and qr_out->qr_qt is 0
 *   ENOSYS     dmtr_init was not called on this thread
 * Times are relative, in nanoseconds; 0 polls once.
 *
 * A program whose operations complete at once still receives: every call below that returns results polls the devices
 * first if 256 results were returned since the last poll, or if 100 microseconds have passed since then. The call reads
 * the clock after 16 results and each time their number has doubled. Results are returned in order of completion, so
 * that none waits behind later ones for ever.
 */
#ifndef DMTR_WAIT_H
#define DMTR_WAIT_H

#include <dmtr/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns EAGAIN while qt is pending; otherwise the operation's result. */
DMTR_EXPORT int dmtr_poll(dmtr_qresult_t *qr_out, dmtr_qtoken_t qt);

/*
 * Abandons the result of qt. A pending pop or accept is cancelled and loses no data or connection; a pending push is
 * still delivered; a result that is already available is released.
 */
DMTR_EXPORT int dmtr_drop(dmtr_qtoken_t qt);

DMTR_EXPORT int dmtr_wait(dmtr_qresult_t *qr_out, dmtr_qtoken_t qt);
DMTR_EXPORT int dmtr_wait_timed(dmtr_qresult_t *qr_out, dmtr_qtoken_t qt, uint64_t timeout_ns);

/*
 * Returns the result of the listed operation that completed first; *offset_out is its index in qts. If one
 * completed and a wait did not list it, later waits may return others before it, a bounded number of times. Zero
 * entries are skipped; a list of zeros is EINVAL. While other operations complete, an invalid token in the list may go
 * unreported, but never once the call would sleep. The cost does not grow with num_qts as long as the caller replaces
 * the entry that was returned.
 */
DMTR_EXPORT int dmtr_wait_any(dmtr_qresult_t *qr_out, int *offset_out, const dmtr_qtoken_t qts[], int num_qts);
DMTR_EXPORT int dmtr_wait_any_timed(dmtr_qresult_t *qr_out, int *offset_out, const dmtr_qtoken_t qts[], int num_qts,
                                    uint64_t timeout_ns);

/*
 * Returns all results, qrs_out[i] for qts[i]. Entries for zero tokens have qr_qt 0. The return value is the first
 * operation's error in list order, or 0. A token listed twice is EINVAL.
 */
DMTR_EXPORT int dmtr_wait_all(dmtr_qresult_t qrs_out[], const dmtr_qtoken_t qts[], int num_qts);
DMTR_EXPORT int dmtr_wait_all_timed(dmtr_qresult_t qrs_out[], const dmtr_qtoken_t qts[], int num_qts,
                                    uint64_t timeout_ns);

/*
 * Returns up to n results of any operations, in order of completion. *got_out is their number, at least 1 on success.
 * The return value is only that of the wait: each result's error is in its qr_error. A timeout_ns of UINT64_MAX waits
 * without limit; it is EINVAL if no operation is outstanding then.
 */
DMTR_EXPORT int dmtr_wait_next_n(dmtr_qresult_t qrs_out[], int n, int *got_out, uint64_t timeout_ns);

/*
 * Ends the current wait of `runtime`, or else its next one, with EINTR. Any thread and any signal handler may call it.
 * A runtime that finds a result in every wait notices it at its next poll (see above). EINVAL: there is no such
 * runtime, or it has ended.
 */
DMTR_EXPORT int dmtr_wake(dmtr_runtime_t runtime);

/*
 * Completes when the kernel descriptor fd has one of `events` (POLLIN, POLLOUT, ... of poll(2)). The descriptor stays
 * the caller's. EBADF: not open; EPERM: it cannot be polled, such as a regular file.
 */
DMTR_EXPORT int dmtr_watch(dmtr_qtoken_t *qt_out, int fd, uint32_t events);

/* Completes ns nanoseconds from now. */
DMTR_EXPORT int dmtr_timer(dmtr_qtoken_t *qt_out, uint64_t ns);

/*
 * Expires ns nanoseconds from now and then every period_ns. Each period starts when the previous one was due to end, so
 * that delays do not add up. Unlike other tokens, its token stays outstanding when a result is returned, until
 * dmtr_drop ends it. There is at most one result at a time: if several periods end before it is returned, its
 * qr_value.expirations is their number, and the next expiration is the first one in the future. EINVAL: period_ns is 0.
 */
DMTR_EXPORT int dmtr_timer_periodic(dmtr_qtoken_t *qt_out, uint64_t ns, uint64_t period_ns);

/*
 * Sets the qr_user of an outstanding operation's result, in place of its queue's (dmtr_set_user). For timers and
 * watches, which have no queue, this is the only way. It applies to all results of a timer with a period. EINVAL: the
 * token is not outstanding.
 */
DMTR_EXPORT int dmtr_set_token_user(dmtr_qtoken_t qt, void *user);

/*
 * Stores a descriptor for an external event loop. It is readable when a wait may have something to return. It belongs
 * to the library and is valid until dmtr_fini. Do not read from it; call a wait with timeout 0 until ETIMEDOUT.
 */
DMTR_EXPORT int dmtr_event_fd(int *fd_out);

#ifdef __cplusplus
}
#endif
#endif
