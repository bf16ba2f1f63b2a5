/* SPDX-License-Identifier: MIT */
/* The calls of the target "calls" that give results, timers and watches. */
#include "calls.h"

#include <poll.h>
#include <sys/eventfd.h>

#define HOUR_NS 3600000000000ull

static int event = -1;

void waits_init(void) {
    event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(event >= 0);
}

/* A wait that has found nothing. */
static void nothing(int r, int pending) {
    must(r == pending || (r == EINTR && woken));
    if (r == EINTR)
        woken = false;
    else
        shadow_nothing();
}

void call_poll(struct input *in) {
    struct shadow_token *t = shadow_pick_token(in);
    dmtr_qresult_t qr;
    if (!t) return;
    bool ready = t->foretold == FORETOLD_READY, with_poll = take_byte(in) & 1;
    int r = with_poll ? dmtr_poll(&qr, t->qt) : dmtr_wait_timed(&qr, t->qt, 0);
    if (qr.qr_qt) {
        shadow_result(r, &qr);
        return;
    }
    /* A wake is reported in place of a result when a bound of the turn is reached. */
    must(r == EINTR ? woken && !with_poll : !ready && r == (with_poll ? EAGAIN : ETIMEDOUT));
    if (r == EINTR) woken = false;
}

void call_drop(struct input *in) {
    struct shadow_token *t = shadow_pick_token(in);
    if (!t) return;
    must(dmtr_drop(t->qt) == 0);
    shadow_dropped(t);
}

/* A wait without a token: a wake that comes first may be reported first. */
static void no_token(int r, const dmtr_qresult_t *qr) {
    must((r == EINVAL || (r == EINTR && woken)) && qr->qr_qt == 0);
    if (r == EINTR) woken = false;
}

static int list_tokens(dmtr_qtoken_t qts[TOKENS_MAX + 1]) {
    for (uint32_t i = 0; i < shadow.tokens_len; i++)
        qts[i] = shadow.tokens[i].qt;
    qts[shadow.tokens_len] = 0; /* zeros are skipped */
    return (int)shadow.tokens_len + 1;
}

void call_wait_any(struct input *in) {
    dmtr_qtoken_t qts[TOKENS_MAX + 1];
    dmtr_qresult_t qr;
    int offset = -1, n = list_tokens(qts);
    (void)in;
    int r = dmtr_wait_any_timed(&qr, &offset, qts, n, 0);
    if (!shadow.tokens_len)
        no_token(r, &qr);
    else if (!qr.qr_qt)
        nothing(r, ETIMEDOUT);
    else {
        must(offset >= 0 && offset < n && qts[offset] == qr.qr_qt);
        shadow_result(r, &qr);
    }
}

void call_wait_all(struct input *in) {
    dmtr_qtoken_t qts[TOKENS_MAX + 1];
    static dmtr_qresult_t qrs[TOKENS_MAX + 1];
    int n = list_tokens(qts) - 1;
    (void)in;
    if (!n) return;
    memset(qrs, 0, sizeof qrs);
    int r = dmtr_wait_all_timed(qrs, qts, n, 0);
    if (qrs[0].qr_qt != qts[0]) {
        must(r == ETIMEDOUT || (r == EINTR && woken));
        if (r == EINTR) woken = false;
        return;
    }
    int first = 0;
    for (int i = 0; i < n; i++) {
        must(qrs[i].qr_qt == qts[i]);
        if (!first) first = qrs[i].qr_error;
        shadow_result(qrs[i].qr_error, &qrs[i]);
    }
    must(r == first);
}

void take_next(int most, uint64_t timeout_ns) {
    dmtr_qresult_t qrs[8];
    int got = -1, r = dmtr_wait_next_n(qrs, most, &got, timeout_ns);
    must(got >= 0 && got <= most && (got > 0) == (r == 0));
    if (r) nothing(r, ETIMEDOUT);
    for (int i = 0; i < got; i++)
        shadow_result(qrs[i].qr_error, &qrs[i]);
}

void call_wait_next(struct input *in) {
    take_next(1 + take_byte(in) % 8, 0);
}

void call_timer(struct input *in) {
    uint8_t how = take_byte(in);
    dmtr_qtoken_t qt;
    if (!granted(dmtr_timer(&qt, how & 1 ? HOUR_NS : how))) return;
    struct shadow_token *t = shadow_begun(NULL, DMTR_OPC_TIMER, qt);
    if (how & 1) t->foretold = FORETOLD_PENDING;
}

/* An event counter at 0 can be written and not be read. */
void call_watch(struct input *in) {
    static const struct {
        uint32_t events;
        int error;
    } watches[] = {{POLLIN, 0}, {POLLOUT, 0}, {POLLIN | POLLOUT, 0}, {0, EINVAL}, {POLLERR, EINVAL}};
    uint8_t which = take_byte(in) % (sizeof watches / sizeof *watches);
    dmtr_qtoken_t qt;
    must(dmtr_watch(&qt, -1, POLLIN) == EBADF);
    int r = dmtr_watch(&qt, event, watches[which].events);
    must(r == watches[which].error || (tight && r == ENOBUFS));
    if (r) return;
    struct shadow_token *t = shadow_begun(NULL, DMTR_OPC_WATCH, qt);
    if (watches[which].events == POLLIN) t->foretold = FORETOLD_PENDING;
}

void call_event_fd(struct input *in) {
    int fd;
    (void)in;
    must(dmtr_event_fd(&fd) == 0 && fd >= 0);
}

void call_wake(struct input *in) {
    dmtr_runtime_t self;
    (void)in;
    must(dmtr_runtime_current(&self) == 0 && dmtr_wake(self) == 0);
    woken = true;
}
