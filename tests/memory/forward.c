/* SPDX-License-Identifier: MIT */
/* qconnect: elements pushed to one queue arrive at another. */
#include "api_test.h"

static void elements_flow_from_one_queue_to_the_other(void **state) {
    (void)state;
    int in = new_queue(), out = new_queue();
    push_wait(in, "before");
    assert_ok(dmtr_qconnect(in, out));
    push_wait(in, "after");
    expect_pop_text(out, "before");
    expect_pop_text(out, "after");
}

static void chains_and_operators_can_be_connected(void **state) {
    (void)state;
    int a = new_queue(), b = new_queue(), c = new_queue(), merge;
    assert_ok(dmtr_merge(&merge, a, b));
    assert_ok(dmtr_qconnect(merge, c));
    push_wait(a, "x");
    expect_pop_text(c, "x");
    push_wait(b, "y");
    expect_pop_text(c, "y");
}

static void a_cycle_does_not_block_a_wait(void **state) {
    (void)state;
    int a = new_queue(), b = new_queue();
    assert_ok(dmtr_qconnect(a, b));
    assert_ok(dmtr_qconnect(b, a));
    push_wait(a, "round");
    dmtr_qtoken_t timer;
    dmtr_qresult_t qr;
    assert_ok(dmtr_timer(&timer, 2 * MS));
    assert_ok(dmtr_wait_timed(&qr, timer, HANG));
}

static void closing_either_end_ends_the_forwarding(void **state) {
    (void)state;
    for (int end = 0; end < 2; end++) {
        int in = new_queue(), out = new_queue();
        assert_ok(dmtr_qconnect(in, out));
        assert_ok(dmtr_close(end ? out : in));
        if (end == 0) continue;
        push_wait(in, "lost with the forwarding");
        push_wait(in, "stays");
        dmtr_qresult_t qr;
        dmtr_qtoken_t timer;
        assert_ok(dmtr_timer(&timer, MS));
        assert_ok(dmtr_wait_timed(&qr, timer, HANG));
        expect_pop_text(in, "stays");
    }
}

static void backpressure_stops_the_source(void **state) {
    (void)state;
    restart_with("memory.max_elements=1");
    int in = new_queue(), out = new_queue();
    assert_ok(dmtr_qconnect(in, out));
    dmtr_qtoken_t qts[6];
    char text[4];
    for (int i = 0; i < 6; i++) {
        snprintf(text, sizeof text, "%d", i);
        qts[i] = push_text(in, text);
    }
    for (int i = 0; i < 6; i++) {
        snprintf(text, sizeof text, "%d", i);
        expect_pop_text(out, text);
    }
    dmtr_qresult_t qrs[6];
    assert_ok(dmtr_wait_all_timed(qrs, qts, 6, HANG));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(elements_flow_from_one_queue_to_the_other),
        api_test(chains_and_operators_can_be_connected),
        api_test(a_cycle_does_not_block_a_wait),
        api_test(closing_either_end_ends_the_forwarding),
        api_test(backpressure_stops_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
