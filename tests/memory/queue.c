/* SPDX-License-Identifier: MIT */
/* The in-memory FIFO: order, ownership of buffers, limits. */
#include "api_test.h"

static void elements_keep_their_order_when_the_queue_grows(void **state) {
    (void)state;
    int qd = new_queue();
    char text[16];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 300; i++) {
            snprintf(text, sizeof text, "%d", i);
            push_wait(qd, text);
        }
        for (int i = 0; i < 300; i++) {
            snprintf(text, sizeof text, "%d", i);
            expect_pop_text(qd, text);
        }
    }
}

static void waiting_pops_are_served_oldest_first(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t a = pop_begin(qd), b = pop_begin(qd), c = pop_begin(qd);
    push_wait(qd, "1");
    push_wait(qd, "2");
    push_wait(qd, "3");
    expect_wait_text(c, "3");
    expect_wait_text(a, "1");
    expect_wait_text(b, "2");
}

static void the_buffer_is_passed_without_a_copy(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_sgarray_t sga = message("zero copy");
    const void *buffer = sga.sga_segs[0].sgaseg_buf;
    dmtr_qtoken_t qt;
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_ok(dmtr_sgafree(&sga));
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
    assert_ptr_equal(qr.qr_value.sga.sga_segs[0].sgaseg_buf, buffer);
    expect_text(&qr, "zero copy");
    struct dmtr_queue_info info;
    socklen_t len = sizeof info;
    assert_ok(dmtr_getsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_INFO, &info, &len));
    assert_string_equal(info.backend, "memory");
    assert_int_equal(info.copies, 0);
    assert_int_equal(info.pushes, 1);
    assert_int_equal(info.pops, 1);
}

static void foreign_memory_is_copied_and_counted(void **state) {
    (void)state;
    int qd = new_queue();
    char local[] = "on the stack";
    dmtr_sgarray_t sga = {.sga_numsegs = 2};
    sga.sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = local, .sgaseg_len = 7};
    sga.sga_segs[1] = (dmtr_sgaseg_t){.sgaseg_buf = local + 7, .sgaseg_len = 5};
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    memset(local, '?', sizeof local - 1);
    expect_pop_text(qd, "on the stack");
    struct dmtr_queue_info info;
    socklen_t len = sizeof info;
    assert_ok(dmtr_getsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_INFO, &info, &len));
    assert_int_equal(info.copies, 12);
}

static void slices_and_empty_segments_keep_their_segmentation(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_sgarray_t block = message("abcdef"), sga = {.sga_numsegs = 4};
    char *base = block.sga_segs[0].sgaseg_buf;
    sga.sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = base + 4, .sgaseg_len = 2};
    sga.sga_segs[1] = (dmtr_sgaseg_t){.sgaseg_buf = NULL, .sgaseg_len = 0};
    sga.sga_segs[2] = (dmtr_sgaseg_t){.sgaseg_buf = base, .sgaseg_len = 3};
    sga.sga_segs[3] = (dmtr_sgaseg_t){.sgaseg_buf = base + 6, .sgaseg_len = 0};
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_ok(dmtr_sgafree(&block));
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
    assert_int_equal(qr.qr_value.sga.sga_numsegs, 4);
    assert_int_equal(qr.qr_value.sga.sga_segs[1].sgaseg_len, 0);
    expect_text(&qr, "efabc");
}

static void pushes_beyond_the_bound_wait_for_room(void **state) {
    (void)state;
    restart_with("memory.max_elements=2");
    int qd = new_queue();
    push_wait(qd, "1");
    push_wait(qd, "2");
    dmtr_qtoken_t three = push_text(qd, "3"), four = push_text(qd, "4");
    dmtr_qresult_t qr;
    assert_int_equal(dmtr_poll(&qr, three), EAGAIN);
    expect_pop_text(qd, "1");
    assert_ok(dmtr_poll(&qr, three));
    assert_int_equal(dmtr_poll(&qr, four), EAGAIN);
    assert_ok(dmtr_drop(four));
    expect_pop_text(qd, "2");
    expect_pop_text(qd, "3");
    expect_pop_text(qd, "4");
}

static void bytes_beyond_the_push_limit_are_refused_until_pushes_complete(void **state) {
    (void)state;
    restart_with("memory.max_elements=1");
    int qd = new_queue();
    uint64_t limit = 10;
    assert_ok(dmtr_setsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
    push_wait(qd, "stored");
    dmtr_qtoken_t waiting = push_text(qd, "123456"), qt;
    dmtr_sgarray_t five = message("12345"), eleven = message("12345678901");
    assert_int_equal(dmtr_push(&qt, qd, &five), ENOBUFS);
    assert_int_equal(dmtr_push(&qt, qd, &eleven), EMSGSIZE);
    expect_pop_text(qd, "stored");
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, waiting, HANG));
    assert_ok(dmtr_push(&qt, qd, &five));
    assert_ok(dmtr_sgafree(&five));
    assert_ok(dmtr_sgafree(&eleven));
}

static void a_pop_of_too_few_bytes_fails_and_the_message_stays(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t qt;
    for (int i = 0; i < 2; i++) { /* the second time the queue has room from the start */
        assert_ok(dmtr_pop2(&qt, qd, 3));
        push_wait(qd, "four");
        expect_wait_error(qt, EMSGSIZE);
        if (i == 0) expect_pop_text(qd, "four");
    }
    assert_ok(dmtr_pop2(&qt, qd, 3));
    expect_wait_error(qt, EMSGSIZE);
    assert_ok(dmtr_pop2(&qt, qd, 4));
    expect_wait_text(qt, "four");
}

static void close_cancels_waiting_operations_and_frees_stored_elements(void **state) {
    (void)state;
    restart_with("memory.max_elements=1");
    int full = new_queue(), empty = new_queue();
    push_wait(full, "stored");
    dmtr_qtoken_t push = push_text(full, "waits"), pop = pop_begin(empty), close;
    assert_ok(dmtr_close(full));
    assert_ok(dmtr_async_close(&close, empty));
    expect_wait_error(push, ECANCELED);
    expect_wait_error(pop, ECANCELED);
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, close, HANG));
    assert_int_equal(qr.qr_opcode, DMTR_OPC_CLOSE);
    int valid = 1;
    assert_ok(dmtr_is_qd_valid(&valid, full));
    assert_int_equal(valid, 0);
}

static void queues_beyond_the_limit_are_refused_until_one_is_closed(void **state) {
    (void)state;
    restart_with("core.max_queues=8");
    int qd[8], more;
    for (int i = 0; i < 8; i++)
        qd[i] = new_queue();
    assert_int_equal(dmtr_queue(&more), ENOBUFS);
    assert_ok(dmtr_close(qd[3]));
    assert_ok(dmtr_queue(&more));
    assert_int_equal(dmtr_queue(&qd[3]), ENOBUFS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(elements_keep_their_order_when_the_queue_grows),
        api_test(waiting_pops_are_served_oldest_first),
        api_test(the_buffer_is_passed_without_a_copy),
        api_test(foreign_memory_is_copied_and_counted),
        api_test(slices_and_empty_segments_keep_their_segmentation),
        api_test(pushes_beyond_the_bound_wait_for_room),
        api_test(bytes_beyond_the_push_limit_are_refused_until_pushes_complete),
        api_test(a_pop_of_too_few_bytes_fails_and_the_message_stays),
        api_test(close_cancels_waiting_operations_and_frees_stored_elements),
        api_test(queues_beyond_the_limit_are_refused_until_one_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
