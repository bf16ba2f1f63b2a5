/* SPDX-License-Identifier: MIT */
/*
 * A busy program: whenever it waits, one of its own operations is complete. It must still get the results of all other
 * operations.
 */
#ifndef TESTS_BUSY_TEST_H
#define TESTS_BUSY_TEST_H

#include "api_test.h"

enum busy_side { BUSY_QUEUE, BUSY_TIMERS, BUSY_SOCKET, BUSY_SIDES };
enum busy_wait { BUSY_ANY, BUSY_NEXT_N, BUSY_WAITS };

#define BUSY_TIMERS_COUNT 64
#define BUSY_OUTSTANDING  BUSY_TIMERS_COUNT

static const char *const busy_side_names[] = {"queue", "timers", "socket"};
static const char *const busy_wait_names[] = {"wait_any", "wait_next_n"};

struct busy {
    enum busy_side side;
    int qd;                    /* a queue in memory, or a datagram socket */
    const struct sockaddr *to; /* destination of its datagrams */
    dmtr_qtoken_t qts[BUSY_OUTSTANDING + 1],
        *watched; /* the busy operations; the last one is the operation under test */
};

static inline dmtr_qtoken_t busy_begin_one(const struct busy *b) {
    dmtr_qtoken_t qt;
    if (b->side == BUSY_TIMERS) {
        assert_ok(dmtr_timer(&qt, 0));
        return qt;
    }
    dmtr_sgarray_t sga = message("busy");
    assert_ok(b->side == BUSY_SOCKET ? dmtr_pushto(&qt, b->qd, &sga, b->to, sizeof(struct sockaddr_in))
                                     : dmtr_push(&qt, b->qd, &sga));
    assert_ok(dmtr_sgafree(&sga));
    return qt;
}

/* Begins the busy operations on `qd`. The caller keeps `qd` and `to`. */
static inline void busy_begin(struct busy *b, enum busy_side side, int qd, const struct sockaddr *to) {
    *b = (struct busy){.side = side, .qd = qd, .to = to, .watched = &b->qts[BUSY_OUTSTANDING]};
    for (int i = 0; i < BUSY_OUTSTANDING; i++)
        b->qts[i] = busy_begin_one(b);
}

static inline void busy_renew(struct busy *b, dmtr_qtoken_t qt) {
    for (int i = 0; i < BUSY_OUTSTANDING; i++)
        if (b->qts[i] == qt) b->qts[i] = busy_begin_one(b);
    if (b->side != BUSY_QUEUE) return;
    dmtr_qtoken_t pop = pop_begin(b->qd);
    expect_wait_text(pop, "busy");
}

/* Takes one result and begins another busy operation in its place. Returns true if the watched one is complete. */
static inline bool busy_step(struct busy *b, enum busy_wait kind, dmtr_qresult_t *qr) {
    int at;
    if (kind == BUSY_ANY)
        assert_ok(dmtr_wait_any_timed(qr, &at, b->qts, BUSY_OUTSTANDING + 1, HANG));
    else
        assert_ok(dmtr_wait_next_n(qr, 1, &at, HANG));
    assert_int_equal(qr->qr_error, 0);
    if (qr->qr_qt == *b->watched) return true;
    busy_renew(b, qr->qr_qt);
    return false;
}

/* Continues until `watched` is complete. Stores its result in *qr. */
static inline void busy_until(struct busy *b, enum busy_wait kind, dmtr_qtoken_t watched, dmtr_qresult_t *qr) {
    uint64_t end = dmtr_now_ns() + HANG;
    *b->watched = watched;
    while (!busy_step(b, kind, qr))
        if (dmtr_now_ns() > end)
            fail_msg("%s with busy %s: the watched operation does not complete", busy_wait_names[kind],
                     busy_side_names[b->side]);
    *b->watched = 0;
}

static inline void busy_end(struct busy *b) {
    for (int i = 0; i < BUSY_OUTSTANDING; i++)
        assert_ok(dmtr_drop(b->qts[i]));
}

#endif
