/* SPDX-License-Identifier: MIT */
/* Turns: a program that finds a result in every wait still gets timers, forwarded data and wakes, in a fair order. */
#include "busy_test.h"

#include "counter_test.h"

static void begin_busy(struct busy *b, enum busy_side side) {
    busy_begin(b, side, new_queue(), NULL);
}

static void a_timer_completes_in_a_busy_program(void **state) {
    (void)state;
    for (int side = BUSY_QUEUE; side <= BUSY_TIMERS; side++)
        for (int kind = 0; kind < BUSY_WAITS; kind++) {
            struct busy b;
            dmtr_qtoken_t timer;
            dmtr_qresult_t qr;
            begin_busy(&b, (enum busy_side)side);
            assert_ok(dmtr_timer(&timer, MS));
            busy_until(&b, (enum busy_wait)kind, timer, &qr);
            busy_end(&b);
        }
}

static void queues_are_forwarded_in_a_busy_program(void **state) {
    (void)state;
    for (int side = BUSY_QUEUE; side <= BUSY_TIMERS; side++)
        for (int kind = 0; kind < BUSY_WAITS; kind++) {
            struct busy b;
            dmtr_qresult_t qr;
            int from = new_queue(), to = new_queue();
            assert_ok(dmtr_qconnect(from, to));
            begin_busy(&b, (enum busy_side)side);
            assert_ok(dmtr_drop(push_text(from, "on")));
            busy_until(&b, (enum busy_wait)kind, pop_begin(to), &qr);
            expect_text(&qr, "on");
            busy_end(&b);
        }
}

/* The calls that return results. */
enum named { WAIT, WAIT_ANY, WAIT_ALL, POLL, NEXT_N, EVENT_FD, NAMED };

static void take_result(enum named kind, dmtr_qtoken_t qt) {
    dmtr_qresult_t qr;
    int at;
    if (kind == WAIT || kind == EVENT_FD) assert_ok(dmtr_wait(&qr, qt));
    if (kind == WAIT_ANY) assert_ok(dmtr_wait_any(&qr, &at, &qt, 1));
    if (kind == WAIT_ALL) assert_ok(dmtr_wait_all(&qr, &qt, 1));
    if (kind == POLL) assert_ok(dmtr_poll(&qr, qt));
    if (kind == NEXT_N) assert_ok(dmtr_wait_next_n(&qr, 1, &at, 0));
    assert_true(qr.qr_qt == qt);
    if (qr.qr_opcode == DMTR_OPC_POP) expect_text(&qr, "m");
}

#define ROUNDS       4096
#define TURN_RESULTS 256 /* the limit in dmtr_wait(3) */

static void every_wait_polls_after_a_limited_number_of_results(void **state) {
    (void)state;
    for (int kind = 0; kind < NAMED; kind++) {
        int qd = new_queue(), fd;
        if (kind == EVENT_FD) assert_ok(dmtr_event_fd(&fd));
        uint64_t before = counter_value("polls");
        for (int i = 0; i < ROUNDS; i++) {
            take_result((enum named)kind, push_text(qd, "m"));
            take_result((enum named)kind, pop_begin(qd));
        }
        uint64_t polls = counter_value("polls") - before;
        if (polls < 2 * ROUNDS / TURN_RESULTS) fail_msg("wait %d: %llu polls", kind, (unsigned long long)polls);
        assert_ok(dmtr_close(qd));
    }
}

static void each_result_of_a_batch_counts_towards_the_turn(void **state) {
    (void)state;
    enum { N = 64 };
    int qd = new_queue(), got;
    uint64_t before = counter_value("polls");
    for (int round = 0; round < ROUNDS / N; round++) {
        dmtr_qtoken_t qts[N];
        dmtr_qresult_t qrs[N];
        for (int i = 0; i < N; i++)
            qts[i] = push_text(qd, "m");
        if (round % 2)
            assert_ok(dmtr_wait_all(qrs, qts, N));
        else
            assert_ok(dmtr_wait_next_n(qrs, N, &got, 0));
    }
    assert_true(counter_value("polls") - before >= ROUNDS / TURN_RESULTS);
}

static void a_wake_reaches_a_busy_program(void **state) {
    (void)state;
    for (int kind = 0; kind < NAMED; kind++) {
        if (kind == POLL) continue; /* dmtr_poll does not wait */
        int qd = new_queue(), results = 0, at, r;
        dmtr_runtime_t runtime;
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        assert_ok(dmtr_runtime_current(&runtime));
        assert_ok(dmtr_wake(runtime));
        do {
            qt = push_text(qd, "m");
            if (kind == WAIT || kind == EVENT_FD) r = dmtr_wait(&qr, qt);
            if (kind == WAIT_ANY) r = dmtr_wait_any(&qr, &at, &qt, 1);
            if (kind == WAIT_ALL) r = dmtr_wait_all(&qr, &qt, 1);
            if (kind == NEXT_N) r = dmtr_wait_next_n(&qr, 1, &at, 0);
        } while (!r && ++results <= TURN_RESULTS);
        assert_int_equal(r, EINTR);
        take_result(WAIT, qt); /* the operation is still outstanding */
        assert_ok(dmtr_close(qd));
    }
}

static void a_parked_result_is_returned_when_its_token_is_listed(void **state) {
    (void)state;
    enum { PARKED = 20, LIMIT = 40 };
    int busy = new_queue(), qd[PARKED], at;
    dmtr_qtoken_t qts[PARKED + 1];
    dmtr_qresult_t qr;
    for (int i = 0; i < PARKED; i++) {
        qd[i] = new_queue();
        qts[i] = pop_begin(qd[i]);
        push_wait(qd[i], "parked");
    }
    take_result(WAIT_ANY, push_text(busy, "m")); /* this list lacks the complete pops, which are parked */
    for (int i = 0; i < PARKED; i++) {
        for (int calls = 0;; calls++) {
            assert_true(calls < LIMIT);
            qts[PARKED] = push_text(busy, "m");
            assert_ok(dmtr_wait_any(&qr, &at, qts, PARKED + 1));
            if (at < PARKED) break;
        }
        expect_text(&qr, "parked");
        qts[at] = 0;
        take_result(WAIT, qts[PARKED]);
    }
}

static void timers_due_together_complete_in_several_polls(void **state) {
    (void)state;
    enum { N = 2000 };
    static dmtr_qtoken_t qts[N];
    static dmtr_qresult_t qrs[N];
    int got;
    for (int i = 0; i < N; i++)
        assert_ok(dmtr_timer(&qts[i], 0));
    assert_ok(dmtr_wait_next_n(qrs, N, &got, HANG));
    assert_true(got < N); /* one poll fires a limited number of timers */
    for (int total = got; total < N; total += got)
        assert_ok(dmtr_wait_next_n(qrs, N, &got, HANG));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(a_timer_completes_in_a_busy_program),
        api_test(queues_are_forwarded_in_a_busy_program),
        api_test(every_wait_polls_after_a_limited_number_of_results),
        api_test(each_result_of_a_batch_counts_towards_the_turn),
        api_test(a_wake_reaches_a_busy_program),
        api_test(a_parked_result_is_returned_when_its_token_is_listed),
        api_test(timers_due_together_complete_in_several_polls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
