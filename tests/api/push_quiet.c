/* SPDX-License-Identifier: MIT */
/* Quiet pushes: silence where they succeed, one result a queue where they do not. Argument: the network. */
#include "counter_test.h"
#include "push_test.h"

static int failure_user;

static void expect_silence(void) {
    dmtr_qresult_t qr;
    int got;
    int r = dmtr_wait_next_n(&qr, 1, &got, 0);
    if (r != ETIMEDOUT) fail_msg("%s, opcode %d", strerror(r), got ? (int)qr.qr_opcode : -1);
}

/* The next result tells of so many failures of qd. */
static dmtr_qresult_t expect_failures(int qd, uint64_t failures, int error) {
    dmtr_qresult_t qr;
    int got;
    assert_ok(dmtr_wait_next_n(&qr, 1, &got, HANG));
    assert_int_equal(qr.qr_opcode, DMTR_OPC_PUSH_FAILED);
    assert_int_equal(qr.qr_qd, qd);
    assert_int_equal(qr.qr_error, error);
    assert_int_equal(qr.qr_value.failures, failures);
    assert_true(qr.qr_qt != 0);
    assert_int_equal(dmtr_drop(qr.qr_qt), EINVAL);
    return qr;
}

/* Nothing is outstanding: every operation has given its slot back. */
static void expect_nothing_outstanding(void) {
    dmtr_qresult_t qr;
    int got;
    assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, UINT64_MAX), EINVAL);
}

/* An array of two segments, the second one in the middle of its block. */
static dmtr_sgarray_t two_segments(size_t len) {
    char *whole = filled(0, len), *second = new_block() + 77;
    memcpy(second, whole + len / 2, len - len / 2);
    return (dmtr_sgarray_t){.sga_numsegs = 2,
                            .sga_segs = {{.sgaseg_buf = whole, .sgaseg_len = (uint32_t)(len / 2)},
                                         {.sgaseg_buf = second, .sgaseg_len = (uint32_t)(len - len / 2)}}};
}

/* A queue on which a push that is begun fails: the filter lets nothing pass, and its source is closed. */
static int failing_queue(void) {
    int source = new_queue(), filter;
    assert_ok(dmtr_filter(&filter, source, pass, NULL));
    assert_ok(dmtr_close(source));
    return filter;
}

static void fail_one(int qd) {
    assert_ok(dmtr_push_buf_quiet(qd, filled(0, 0), 10));
}

static void what_succeeds_has_no_result_and_leaves_nothing(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!applies(kind)) continue;
        struct ends e = open_ends(kind);
        assert_ok(dmtr_push_buf_quiet(e.in, filled(5, 1000), 1000));
        if (kind == DISK) { /* the write is done when there is nothing to wait for */
            expect_nothing_outstanding();
        }
        expect_arrival(&e, 1000);
        until_blocks(0);
        expect_silence();
        expect_nothing_outstanding();
        close_ends(&e);
    }
}

static void arrays_go_quietly_too_and_stay_the_callers(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!applies(kind)) continue;
        struct ends e = open_ends(kind);
        dmtr_sgarray_t sga = two_segments(1000);
        assert_ok(dmtr_push_quiet(e.in, &sga));
        assert_ok(dmtr_sgafree(&sga)); /* at once */
        if (kind == DISK) expect_nothing_outstanding();
        expect_arrival(&e, 1000);
        until_blocks(0);
        expect_nothing_outstanding();
        close_ends(&e);
    }
}

static void datagrams_go_quietly_to_an_address(void **state) {
    (void)state;
    struct sockaddr_in at, from;
    int a = bound_socket(SOCK_DGRAM, &from), b = bound_socket(SOCK_DGRAM, &at);
    dmtr_sgarray_t sga = two_segments(1000);
    assert_ok(dmtr_pushto_quiet(a, &sga, (struct sockaddr *)&at, sizeof at));
    assert_ok(dmtr_sgafree(&sga));
    expect_pattern(b, 1000);
    until_blocks(0);
    expect_nothing_outstanding();
}

static void foreign_memory_is_refused(void **state) {
    (void)state;
    char foreign[10] = "";
    struct sockaddr_in at;
    int datagrams = bound_socket(SOCK_DGRAM, &at), qd = new_queue();
    dmtr_sgarray_t sga = two_segments(10), none = {.sga_numsegs = 1};
    sga.sga_numsegs = 3;
    sga.sga_segs[2] = (dmtr_sgaseg_t){.sgaseg_buf = foreign, .sgaseg_len = 10};
    assert_int_equal(dmtr_push_quiet(qd, &sga), EINVAL);
    assert_int_equal(dmtr_pushto_quiet(datagrams, &sga, (struct sockaddr *)&at, sizeof at), EINVAL);
    expect_nothing_outstanding();
    sga.sga_numsegs = 2;
    assert_ok(dmtr_sgafree(&sga));
    /* No memory at all is nobody's. */
    assert_ok(dmtr_push_quiet(qd, &none));
    assert_ok(dmtr_pushto_quiet(datagrams, &none, (struct sockaddr *)&at, sizeof at));
    expect_pattern(qd, 0);
    expect_pattern(datagrams, 0);
}

static void more_than_there_are_operations_can_be_pushed_one_after_the_other(void **state) {
    (void)state;
    assert_ok(dmtr_fini());
    assert_ok(start_network("core.max_operations=16"));
    int qd = new_queue();
    for (int i = 0; i < 1000; i++)
        assert_ok(dmtr_push_buf_quiet(qd, filled(0, 0), 100));
    assert_int_equal(blocks_bytes(), (size_t)1000 * BLOCK_BYTES);
    assert_ok(dmtr_close(qd));
    struct ends e = open_ends(TCP);
    for (int i = 0; i < 100; i++) {
        assert_ok(dmtr_push_buf_quiet(e.in, filled(0, 100), 100));
        expect_pattern(e.out, 100);
    }
    close_ends(&e);
    until_blocks(0);
}

static void each_is_counted_as_an_operation(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!applies(kind)) continue;
        struct ends e = open_ends(kind);
        uint64_t before = counter_value("ops_completed");
        for (int i = 0; i < 10; i++)
            assert_ok(dmtr_push_buf_quiet(e.in, filled(0, 10), 10));
        expect_nothing_outstanding();
        assert_int_equal(counter_value("ops_completed") - before, 10);
        close_ends(&e);
    }
    int failing = failing_queue();
    uint64_t completed = counter_value("ops_completed"), failed = counter_value("ops_failed");
    for (int i = 0; i < 10; i++)
        fail_one(failing);
    expect_failures(failing, 10, ECANCELED);
    assert_int_equal(counter_value("ops_completed") - completed, 10);
    assert_int_equal(counter_value("ops_failed") - failed, 10);
}

/* Those that wait for room hold operations, and give them back. */
static void a_quiet_push_that_waits_is_outstanding_until_it_is_done(void **state) {
    (void)state;
    assert_ok(dmtr_fini());
    assert_ok(start_network("memory.max_elements=1"));
    dmtr_qresult_t qr;
    int got, qd = new_queue();
    for (int i = 0; i < 3; i++)
        assert_ok(dmtr_push_buf_quiet(qd, filled(0, 10), 10));
    dmtr_qtoken_t timer;
    assert_ok(dmtr_timer(&timer, MS));
    assert_ok(dmtr_wait_next_n(&qr, 1, &got, UINT64_MAX)); /* it waits, as for any other push */
    assert_true(qr.qr_qt == timer);
    assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, MS), ETIMEDOUT);
    for (int i = 0; i < 3; i++)
        expect_pattern(qd, 10);
    expect_nothing_outstanding();
    assert_int_equal(blocks_bytes(), 0);
}

static void a_failure_is_the_next_result(void **state) {
    (void)state;
    int qd = failing_queue(), other = new_queue();
    assert_ok(dmtr_set_user(qd, &failure_user));
    dmtr_qtoken_t before = push_text(other, "1");
    fail_one(qd);
    dmtr_qtoken_t after = push_text(other, "2");
    dmtr_qresult_t qr;
    int got;
    assert_int_equal(blocks_bytes(), 0); /* the block was freed with the push */
    assert_ok(dmtr_wait_next_n(&qr, 1, &got, 0));
    assert_true(qr.qr_qt == before);
    qr = expect_failures(qd, 1, ECANCELED);
    assert_ptr_equal(qr.qr_user, &failure_user);
    assert_true(qr.qr_qt != before && qr.qr_qt != after);
    assert_ok(dmtr_wait_next_n(&qr, 1, &got, 0));
    assert_true(qr.qr_qt == after);
    expect_nothing_outstanding();
}

static void failures_of_a_queue_are_one_result_until_it_is_fetched(void **state) {
    (void)state;
    int a = failing_queue(), b = failing_queue();
    dmtr_sgarray_t sga = two_segments(10);
    for (int i = 0; i < 1000; i++)
        fail_one(a);
    fail_one(b);
    assert_ok(dmtr_push_quiet(a, &sga));
    assert_ok(dmtr_sgafree(&sga));
    expect_failures(a, 1001, ECANCELED);
    expect_failures(b, 1, ECANCELED);
    expect_silence();
    fail_one(b);
    fail_one(b);
    fail_one(a);
    expect_failures(b, 2, ECANCELED);
    expect_failures(a, 1, ECANCELED);
    expect_nothing_outstanding();
}

static void waits_for_tokens_leave_it_and_serve_what_they_wait_for(void **state) {
    (void)state;
    int qd = failing_queue(), other = new_queue(), at;
    dmtr_qresult_t qr;
    fail_one(qd);
    expect_wait_error(push_text(other, "1"), 0);
    dmtr_qtoken_t qts[] = {pop_begin(new_queue()), push_text(other, "2")};
    assert_ok(dmtr_wait_any(&qr, &at, qts, 2));
    assert_int_equal(at, 1);
    qts[1] = push_text(other, "3");
    assert_ok(dmtr_wait_all(&qr, &qts[1], 1));
    assert_int_equal(dmtr_wait_any_timed(&qr, &at, qts, 1, MS), ETIMEDOUT);
    fail_one(qd);
    /* Looked at by wait_any, it was put aside; it is the oldest all the same. */
    qts[1] = push_text(other, "4");
    expect_failures(qd, 2, ECANCELED);
    expect_wait_error(qts[1], 0);
}

static void close_takes_the_result_back(void **state) {
    (void)state;
    dmtr_qresult_t qr;
    int at;
    for (int aside = 0; aside < 2; aside++) {
        int qd = failing_queue(), other = new_queue();
        fail_one(qd);
        dmtr_qtoken_t qt = pop_begin(other);
        if (aside) assert_int_equal(dmtr_wait_any_timed(&qr, &at, &qt, 1, 0), ETIMEDOUT);
        assert_ok(dmtr_close(qd));
        expect_silence();
        assert_ok(dmtr_drop(qt));
        expect_nothing_outstanding();
        /* A later queue of that number begins anew. */
        int again = new_queue();
        assert_int_equal(again, qd);
        assert_ok(dmtr_close(again));
        assert_ok(dmtr_close(other));
    }
}

static void pushes_that_fail_by_the_close_are_not_told(void **state) {
    (void)state;
    assert_ok(dmtr_fini());
    assert_ok(start_network("memory.max_elements=1"));
    int qd = new_queue();
    for (int i = 0; i < 5; i++)
        assert_ok(dmtr_push_buf_quiet(qd, filled(0, 10), 10));
    assert_int_equal(blocks_bytes(), 5 * BLOCK_BYTES);
    assert_ok(dmtr_close(qd));
    assert_int_equal(blocks_bytes(), 0);
    expect_silence();
    expect_nothing_outstanding();
}

static void what_was_pushed_is_delivered_after_a_close(void **state) {
    (void)state;
    static const enum kind kinds[] = {TCP, FRAMED, ACKED};
    for (size_t i = 0; i < 3; i++) {
        struct ends e = open_ends(kinds[i]);
        assert_ok(dmtr_push_buf_quiet(e.in, filled(0, BLOCK_BYTES), BLOCK_BYTES));
        assert_ok(dmtr_close(e.in));
        expect_pattern(e.out, BLOCK_BYTES);
        e.in = -1;
        close_ends(&e);
        until_blocks(0);
        expect_silence();
        expect_nothing_outstanding();
    }
}

/* A reset under many pushes: one result, and it tells of all that failed. */
static void a_reset_is_told_once(void **state) {
    (void)state;
    static const enum kind kinds[] = {TCP, FRAMED, ACKED};
    static const struct linger hard = {.l_onoff = 1};
    enum { PUSHES = 32 };
    for (size_t k = 0; k < 3; k++) {
        struct ends e = open_ends(kinds[k]);
        size_t limit = (size_t)PUSHES * BLOCK_BYTES;
        dmtr_qresult_t qr;
        int got;
        assert_ok(dmtr_set_user(e.in, &failure_user));
        assert_ok(dmtr_setsockopt(e.in, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
        for (int i = 0; i < PUSHES; i++)
            assert_ok(dmtr_push_buf_quiet(e.in, filled(0, 0), BLOCK_BYTES));
        assert_ok(dmtr_setsockopt(e.out, SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
        assert_ok(dmtr_close(e.out));
        e.out = -1;
        uint64_t failures = 0;
        until_blocks(0);
        while (dmtr_wait_next_n(&qr, 1, &got, UINT64_MAX) == 0) {
            assert_int_equal(qr.qr_opcode, DMTR_OPC_PUSH_FAILED);
            assert_int_equal(qr.qr_qd, e.in);
            assert_ptr_equal(qr.qr_user, &failure_user);
            assert_true(qr.qr_error == ECONNRESET || qr.qr_error == EPIPE);
            failures += qr.qr_value.failures;
        }
        assert_uint_in_range(failures, 1, PUSHES);
        close_ends(&e);
    }
}

/* The first push brings the refusal, which a later one meets: in the call, or as its result. */
static void a_refused_datagram_is_told_in_the_call_or_once(void **state) {
    (void)state;
    struct sockaddr_in at;
    int gone = bound_socket(SOCK_DGRAM, &at), qd;
    assert_ok(dmtr_close(gone));
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0));
    connect_to(qd, &at);
    for (int i = 0; i < 50; i++) {
        char *block = filled(0, 100);
        dmtr_qresult_t qr;
        dmtr_qtoken_t timer;
        int got, r = dmtr_push_buf_quiet(qd, block, 100);
        assert_true(r == 0 || r == ECONNREFUSED);
        if (r) assert_ok(dmtr_free(block));
        assert_ok(dmtr_timer(&timer, MS / 10));
        for (bool done = false; !done;) {
            assert_ok(dmtr_wait_next_n(&qr, 1, &got, HANG));
            done = qr.qr_qt == timer;
            if (done) continue;
            assert_int_equal(qr.qr_opcode, DMTR_OPC_PUSH_FAILED);
            assert_int_equal(qr.qr_error, ECONNREFUSED);
            assert_int_equal(qr.qr_value.failures, 1);
        }
    }
    until_blocks(0);
    expect_nothing_outstanding();
}

static void flush_succeeds_with_and_without_pushes(void **state) {
    (void)state;
    assert_ok(dmtr_flush());
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!applies(kind)) continue;
        struct ends e = open_ends(kind);
        assert_ok(dmtr_push_buf_quiet(e.in, filled(0, 1000), 1000));
        assert_ok(dmtr_flush());
        if (kind == DISK) expect_nothing_outstanding();
        expect_arrival(&e, 1000);
        assert_ok(dmtr_flush());
        close_ends(&e);
    }
    until_blocks(0);
    expect_silence();
}

int main(int argc, char *argv[]) {
    const struct CMUnitTest tests[] = {
        push_test(what_succeeds_has_no_result_and_leaves_nothing),
        push_test(arrays_go_quietly_too_and_stay_the_callers),
        push_test(datagrams_go_quietly_to_an_address),
        push_test(foreign_memory_is_refused),
        push_test(more_than_there_are_operations_can_be_pushed_one_after_the_other),
        push_test(each_is_counted_as_an_operation),
        push_test(a_quiet_push_that_waits_is_outstanding_until_it_is_done),
        push_test(a_failure_is_the_next_result),
        push_test(failures_of_a_queue_are_one_result_until_it_is_fetched),
        push_test(waits_for_tokens_leave_it_and_serve_what_they_wait_for),
        push_test(close_takes_the_result_back),
        push_test(pushes_that_fail_by_the_close_are_not_told),
        push_test(what_was_pushed_is_delivered_after_a_close),
        push_test(a_reset_is_told_once),
        push_test(a_refused_datagram_is_told_in_the_call_or_once),
        push_test(flush_succeeds_with_and_without_pushes),
    };
    return push_main(argc, argv, "push_quiet", tests, sizeof tests / sizeof *tests);
}
