/* SPDX-License-Identifier: MIT */
/* Quiet pushes: no result on success, and one result for all failures of a queue. Argument: the network. */
#include "counter_test.h"
#include "push_test.h"

static int failure_user;

static void expect_silence(void) {
    dmtr_qresult_t qr;
    int got;
    int r = dmtr_wait_next_n(&qr, 1, &got, 0);
    if (r != ETIMEDOUT) fail_msg("%s, opcode %d", strerror(r), got ? (int)qr.qr_opcode : -1);
}

/* Expects that the next result reports `failures` failed pushes on qd. */
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

/* Expects that no operation is outstanding. */
static void expect_nothing_outstanding(void) {
    dmtr_qresult_t qr;
    int got;
    assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, UINT64_MAX), EINVAL);
}

/* Returns an array of two segments. The second one is in the middle of its block. */
static dmtr_sgarray_t two_segments(size_t len) {
    char *whole = new_pattern_block(0, len), *second = new_block() + 77;
    memcpy(second, whole + len / 2, len - len / 2);
    return (dmtr_sgarray_t){.sga_numsegs = 2,
                            .sga_segs = {{.sgaseg_buf = whole, .sgaseg_len = (uint32_t)(len / 2)},
                                         {.sgaseg_buf = second, .sgaseg_len = (uint32_t)(len - len / 2)}}};
}

/* Returns a queue on which every push begins and then fails: a filter whose source is closed. */
static int failing_queue(void) {
    int source = new_queue(), filter;
    assert_ok(dmtr_filter(&filter, source, pass_if_arg, NULL));
    assert_ok(dmtr_close(source));
    return filter;
}

static void push_and_fail(int qd) {
    assert_ok(dmtr_push_buf_quiet(qd, new_pattern_block(0, 0), 10));
}

static void a_successful_quiet_push_has_no_result_and_leaves_no_operation(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!is_supported(kind)) continue;
        struct ends e = open_ends(kind);
        assert_ok(dmtr_push_buf_quiet(e.in, new_pattern_block(5, 1000), 1000));
        if (kind == DISK) { /* waits until the write is complete */
            expect_nothing_outstanding();
        }
        expect_arrival(&e, 1000);
        wait_for_blocks(0);
        expect_silence();
        expect_nothing_outstanding();
        close_ends(&e);
    }
}

static void a_quiet_push_of_an_array_leaves_it_to_the_caller(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!is_supported(kind)) continue;
        struct ends e = open_ends(kind);
        dmtr_sgarray_t sga = two_segments(1000);
        assert_ok(dmtr_push_quiet(e.in, &sga));
        assert_ok(dmtr_sgafree(&sga)); /* allowed immediately after the call */
        if (kind == DISK) expect_nothing_outstanding();
        expect_arrival(&e, 1000);
        wait_for_blocks(0);
        expect_nothing_outstanding();
        close_ends(&e);
    }
}

static void a_quiet_push_sends_a_datagram_to_an_address(void **state) {
    (void)state;
    struct sockaddr_in at, from;
    int a = bound_socket(SOCK_DGRAM, &from), b = bound_socket(SOCK_DGRAM, &at);
    dmtr_sgarray_t sga = two_segments(1000);
    assert_ok(dmtr_pushto_quiet(a, &sga, (struct sockaddr *)&at, sizeof at));
    assert_ok(dmtr_sgafree(&sga));
    expect_pattern(b, 1000);
    wait_for_blocks(0);
    expect_nothing_outstanding();
}

static void a_quiet_push_of_foreign_memory_is_refused(void **state) {
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
    /* An empty segment without memory is accepted. */
    assert_ok(dmtr_push_quiet(qd, &none));
    assert_ok(dmtr_pushto_quiet(datagrams, &none, (struct sockaddr *)&at, sizeof at));
    expect_pattern(qd, 0);
    expect_pattern(datagrams, 0);
}

static void completed_quiet_pushes_do_not_use_up_operations(void **state) {
    (void)state;
    assert_ok(dmtr_fini());
    assert_ok(start_network("core.max_operations=16"));
    int qd = new_queue();
    for (int i = 0; i < 1000; i++)
        assert_ok(dmtr_push_buf_quiet(qd, new_pattern_block(0, 0), 100));
    assert_int_equal(blocks_bytes(), (size_t)1000 * BLOCK_BYTES);
    assert_ok(dmtr_close(qd));
    struct ends e = open_ends(TCP);
    for (int i = 0; i < 100; i++) {
        assert_ok(dmtr_push_buf_quiet(e.in, new_pattern_block(0, 100), 100));
        expect_pattern(e.out, 100);
    }
    close_ends(&e);
    wait_for_blocks(0);
}

static void each_quiet_push_is_counted_as_an_operation(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!is_supported(kind)) continue;
        struct ends e = open_ends(kind);
        uint64_t before = counter_value("ops_completed");
        for (int i = 0; i < 10; i++)
            assert_ok(dmtr_push_buf_quiet(e.in, new_pattern_block(0, 10), 10));
        expect_nothing_outstanding();
        assert_int_equal(counter_value("ops_completed") - before, 10);
        close_ends(&e);
    }
    int failing = failing_queue();
    uint64_t completed = counter_value("ops_completed"), failed = counter_value("ops_failed");
    for (int i = 0; i < 10; i++)
        push_and_fail(failing);
    expect_failures(failing, 10, ECANCELED);
    assert_int_equal(counter_value("ops_completed") - completed, 10);
    assert_int_equal(counter_value("ops_failed") - failed, 10);
}

/* A quiet push that waits for room uses an operation slot until it is complete. */
static void a_waiting_quiet_push_is_outstanding_until_it_completes(void **state) {
    (void)state;
    assert_ok(dmtr_fini());
    assert_ok(start_network("memory.max_elements=1"));
    dmtr_qresult_t qr;
    int got, qd = new_queue();
    for (int i = 0; i < 3; i++)
        assert_ok(dmtr_push_buf_quiet(qd, new_pattern_block(0, 10), 10));
    dmtr_qtoken_t timer;
    assert_ok(dmtr_timer(&timer, MS));
    assert_ok(dmtr_wait_next_n(&qr, 1, &got, UINT64_MAX)); /* the quiet pushes are outstanding, so the wait is valid */
    assert_true(qr.qr_qt == timer);
    assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, MS), ETIMEDOUT);
    for (int i = 0; i < 3; i++)
        expect_pattern(qd, 10);
    expect_nothing_outstanding();
    assert_int_equal(blocks_bytes(), 0);
}

static void a_failure_is_returned_in_order_of_completion(void **state) {
    (void)state;
    int qd = failing_queue(), other = new_queue();
    assert_ok(dmtr_set_user(qd, &failure_user));
    dmtr_qtoken_t before = push_text(other, "1");
    push_and_fail(qd);
    dmtr_qtoken_t after = push_text(other, "2");
    dmtr_qresult_t qr;
    int got;
    assert_int_equal(blocks_bytes(), 0); /* the failed push has freed its block */
    assert_ok(dmtr_wait_next_n(&qr, 1, &got, 0));
    assert_true(qr.qr_qt == before);
    qr = expect_failures(qd, 1, ECANCELED);
    assert_ptr_equal(qr.qr_user, &failure_user);
    assert_true(qr.qr_qt != before && qr.qr_qt != after);
    assert_ok(dmtr_wait_next_n(&qr, 1, &got, 0));
    assert_true(qr.qr_qt == after);
    expect_nothing_outstanding();
}

static void failures_of_a_queue_are_merged_until_the_result_is_returned(void **state) {
    (void)state;
    int a = failing_queue(), b = failing_queue();
    dmtr_sgarray_t sga = two_segments(10);
    for (int i = 0; i < 1000; i++)
        push_and_fail(a);
    push_and_fail(b);
    assert_ok(dmtr_push_quiet(a, &sga));
    assert_ok(dmtr_sgafree(&sga));
    expect_failures(a, 1001, ECANCELED);
    expect_failures(b, 1, ECANCELED);
    expect_silence();
    push_and_fail(b);
    push_and_fail(b);
    push_and_fail(a);
    expect_failures(b, 2, ECANCELED);
    expect_failures(a, 1, ECANCELED);
    expect_nothing_outstanding();
}

static void waits_for_tokens_skip_the_failure_result(void **state) {
    (void)state;
    int qd = failing_queue(), other = new_queue(), at;
    dmtr_qresult_t qr;
    push_and_fail(qd);
    expect_wait_error(push_text(other, "1"), 0);
    dmtr_qtoken_t qts[] = {pop_begin(new_queue()), push_text(other, "2")};
    assert_ok(dmtr_wait_any(&qr, &at, qts, 2));
    assert_int_equal(at, 1);
    qts[1] = push_text(other, "3");
    assert_ok(dmtr_wait_all(&qr, &qts[1], 1));
    assert_int_equal(dmtr_wait_any_timed(&qr, &at, qts, 1, MS), ETIMEDOUT);
    push_and_fail(qd);
    /* wait_any has parked the failure result. It still precedes later results. */
    qts[1] = push_text(other, "4");
    expect_failures(qd, 2, ECANCELED);
    expect_wait_error(qts[1], 0);
}

static void close_discards_the_failure_result(void **state) {
    (void)state;
    dmtr_qresult_t qr;
    int at;
    for (int aside = 0; aside < 2; aside++) {
        int qd = failing_queue(), other = new_queue();
        push_and_fail(qd);
        dmtr_qtoken_t qt = pop_begin(other);
        if (aside) assert_int_equal(dmtr_wait_any_timed(&qr, &at, &qt, 1, 0), ETIMEDOUT);
        assert_ok(dmtr_close(qd));
        expect_silence();
        assert_ok(dmtr_drop(qt));
        expect_nothing_outstanding();
        /* A new queue with the same descriptor has no failures. */
        int again = new_queue();
        assert_int_equal(again, qd);
        assert_ok(dmtr_close(again));
        assert_ok(dmtr_close(other));
    }
}

static void pushes_cancelled_by_close_are_not_reported(void **state) {
    (void)state;
    assert_ok(dmtr_fini());
    assert_ok(start_network("memory.max_elements=1"));
    int qd = new_queue();
    for (int i = 0; i < 5; i++)
        assert_ok(dmtr_push_buf_quiet(qd, new_pattern_block(0, 10), 10));
    assert_int_equal(blocks_bytes(), 5 * BLOCK_BYTES);
    assert_ok(dmtr_close(qd));
    assert_int_equal(blocks_bytes(), 0);
    expect_silence();
    expect_nothing_outstanding();
}

static void close_delivers_quiet_pushes(void **state) {
    (void)state;
    static const enum kind kinds[] = {TCP, FRAMED, ACKED};
    for (size_t i = 0; i < 3; i++) {
        struct ends e = open_ends(kinds[i]);
        assert_ok(dmtr_push_buf_quiet(e.in, new_pattern_block(0, BLOCK_BYTES), BLOCK_BYTES));
        assert_ok(dmtr_close(e.in));
        expect_pattern(e.out, BLOCK_BYTES);
        e.in = -1;
        close_ends(&e);
        wait_for_blocks(0);
        expect_silence();
        expect_nothing_outstanding();
    }
}

/* The peer resets a connection with many outstanding pushes. The failure results must count them all. */
static void a_reset_is_reported_with_the_number_of_failed_pushes(void **state) {
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
            assert_ok(dmtr_push_buf_quiet(e.in, new_pattern_block(0, 0), BLOCK_BYTES));
        assert_ok(dmtr_setsockopt(e.out, SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
        assert_ok(dmtr_close(e.out));
        e.out = -1;
        uint64_t failures = 0;
        wait_for_blocks(0);
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

/* The first push causes an ICMP error. A later push reports it: in its return value or as a failure result. */
static void a_refused_datagram_is_reported_once(void **state) {
    (void)state;
    struct sockaddr_in at;
    int gone = bound_socket(SOCK_DGRAM, &at), qd;
    assert_ok(dmtr_close(gone));
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0));
    connect_to(qd, &at);
    for (int i = 0; i < 50; i++) {
        char *block = new_pattern_block(0, 100);
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
    wait_for_blocks(0);
    expect_nothing_outstanding();
}

static void flush_succeeds_with_and_without_pushes(void **state) {
    (void)state;
    assert_ok(dmtr_flush());
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!is_supported(kind)) continue;
        struct ends e = open_ends(kind);
        assert_ok(dmtr_push_buf_quiet(e.in, new_pattern_block(0, 1000), 1000));
        assert_ok(dmtr_flush());
        if (kind == DISK) expect_nothing_outstanding();
        expect_arrival(&e, 1000);
        assert_ok(dmtr_flush());
        close_ends(&e);
    }
    wait_for_blocks(0);
    expect_silence();
}

int main(int argc, char *argv[]) {
    const struct CMUnitTest tests[] = {
        push_test(a_successful_quiet_push_has_no_result_and_leaves_no_operation),
        push_test(a_quiet_push_of_an_array_leaves_it_to_the_caller),
        push_test(a_quiet_push_sends_a_datagram_to_an_address),
        push_test(a_quiet_push_of_foreign_memory_is_refused),
        push_test(completed_quiet_pushes_do_not_use_up_operations),
        push_test(each_quiet_push_is_counted_as_an_operation),
        push_test(a_waiting_quiet_push_is_outstanding_until_it_completes),
        push_test(a_failure_is_returned_in_order_of_completion),
        push_test(failures_of_a_queue_are_merged_until_the_result_is_returned),
        push_test(waits_for_tokens_skip_the_failure_result),
        push_test(close_discards_the_failure_result),
        push_test(pushes_cancelled_by_close_are_not_reported),
        push_test(close_delivers_quiet_pushes),
        push_test(a_reset_is_reported_with_the_number_of_failed_pushes),
        push_test(a_refused_datagram_is_reported_once),
        push_test(flush_succeeds_with_and_without_pushes),
    };
    return push_main(argc, argv, "push_quiet", tests, sizeof tests / sizeof *tests);
}
