/* SPDX-License-Identifier: MIT */
/*
 * Results: waiting for operations to complete. A wait drives the devices; nothing moves behind the
 * application's back. Returning a result uses its token up, except that of a timer with a period.
 *
 * What the calls for one result return is the operation's own error (0, or a positive errno such as
 * ECONNRESET), equal to qr_error; the wait's own errors are
 *   EINVAL     qr_out is NULL, or a token is not outstanding: invented, used up, dropped, or of
 *              another thread's runtime. qr_out->qr_qt is 0 then.
 *   ETIMEDOUT  the time ran out; all tokens stay outstanding and qr_out->qr_qt is 0
 *   EINTR      dmtr_wake was called; likewise
 *   ENOSYS     no dmtr_init on this thread
 * Times are relative, in nanoseconds; 0 polls once.
 *
 * A program whose operations complete at once still receives. Every call below that returns results polls the
 * devices first if 256 results were returned since the last poll, or if 100 microseconds have passed since then;
 * the time is looked at after 16 results and each time their number has doubled. Results are served in order of
 * completion, so that none waits behind later ones for ever.
 */
#ifndef DMTR_WAIT_H
#define DMTR_WAIT_H

#include <dmtr/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* EAGAIN while qt is pending; else its result. */
DMTR_EXPORT int dmtr_poll(dmtr_qresult_t *qr_out, dmtr_qtoken_t qt);

/*
 * The result of qt is not wanted. A pending pop or accept is cancelled and loses neither data nor
 * connection; a pending push is still delivered; a result that was already there is released.
 */
DMTR_EXPORT int dmtr_drop(dmtr_qtoken_t qt);

DMTR_EXPORT int dmtr_wait(dmtr_qresult_t *qr_out, dmtr_qtoken_t qt);
DMTR_EXPORT int dmtr_wait_timed(dmtr_qresult_t *qr_out, dmtr_qtoken_t qt, uint64_t timeout_ns);

/*
 * The result of the listed operation that completed first; *offset_out is its place in qts. Zero
 * entries are skipped; a list with nothing but zeros is EINVAL. An invalid token elsewhere in the
 * list may go unreported while others complete, but never once the call would sleep.
 * Cost does not grow with num_qts as long as callers replace the entry that was returned.
 */
DMTR_EXPORT int dmtr_wait_any(dmtr_qresult_t *qr_out, int *offset_out, const dmtr_qtoken_t qts[], int num_qts);
DMTR_EXPORT int dmtr_wait_any_timed(dmtr_qresult_t *qr_out, int *offset_out, const dmtr_qtoken_t qts[], int num_qts,
                                    uint64_t timeout_ns);

/*
 * All results, qrs_out[i] for qts[i]; entries for zero tokens have qr_qt 0. The return value is the first
 * operation's error in list order, or 0. A token listed twice is EINVAL.
 */
DMTR_EXPORT int dmtr_wait_all(dmtr_qresult_t qrs_out[], const dmtr_qtoken_t qts[], int num_qts);
DMTR_EXPORT int dmtr_wait_all_timed(dmtr_qresult_t qrs_out[], const dmtr_qtoken_t qts[], int num_qts,
                                    uint64_t timeout_ns);

/*
 * Up to n results of whatever completed, in order of completion; *got_out is their number, at least 1
 * on success. The return value speaks of the wait alone: each result's error is in its qr_error.
 * timeout_ns UINT64_MAX waits without limit; EINVAL if then no operation is outstanding.
 */
DMTR_EXPORT int dmtr_wait_next_n(dmtr_qresult_t qrs_out[], int n, int *got_out, uint64_t timeout_ns);

/*
 * Ends the wait that `runtime` is in, or else its next one, with EINTR. From any thread, and from a
 * signal handler. A runtime that finds a result in every wait notices it when it next polls (see above).
 * EINVAL: no such runtime (any more).
 */
DMTR_EXPORT int dmtr_wake(dmtr_runtime_t runtime);

/*
 * Completes when the kernel descriptor fd has one of `events` (poll(2)'s POLLIN, POLLOUT, ...). The descriptor
 * stays the caller's. EBADF: not open; EPERM: a kind that cannot be polled, such as a regular file.
 */
DMTR_EXPORT int dmtr_watch(dmtr_qtoken_t *qt_out, int fd, uint32_t events);

/* Completes ns nanoseconds from now. */
DMTR_EXPORT int dmtr_timer(dmtr_qtoken_t *qt_out, uint64_t ns);

/*
 * Expires ns nanoseconds from now and then every period_ns, counted from the time at which it was to expire, so that
 * delays do not add up. Unlike others, its token stays outstanding when a result is returned, until dmtr_drop ends it.
 * There is at most one result at a time: where several periods end before it is returned, its qr_value.expirations says
 * how many, and the next expiry is the first one that is still to come.
 * EINVAL: period_ns is 0.
 */
DMTR_EXPORT int dmtr_timer_periodic(dmtr_qtoken_t *qt_out, uint64_t ns, uint64_t period_ns);

/*
 * Sets the qr_user of an outstanding operation's result, in place of its queue's (dmtr_set_user); for timers and
 * watches, which have no queue, the only way. It holds for all results of a timer with a period.
 * EINVAL: the token is not outstanding.
 */
DMTR_EXPORT int dmtr_set_token_user(dmtr_qtoken_t qt, void *user);

/*
 * A descriptor for somebody else's event loop: readable when a wait may have something to return. It belongs
 * to the library and lives until dmtr_fini; read nothing from it, call a wait with timeout 0 until ETIMEDOUT.
 */
DMTR_EXPORT int dmtr_event_fd(int *fd_out);

#ifdef __cplusplus
}
#endif
#endif
