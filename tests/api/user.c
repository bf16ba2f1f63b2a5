/* SPDX-License-Identifier: MIT */
/* The user pointer in results: set per queue or token, applied to later operations, and changed only by the program. */
#include "api_test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stddef.h>
#include <unistd.h>

/* The binary interface of a result. The fields of every result are in the first half of a cache line. */
_Static_assert(offsetof(dmtr_qresult_t, qr_opcode) == 0 && offsetof(dmtr_qresult_t, qr_qd) == 4, "binary interface");
_Static_assert(offsetof(dmtr_qresult_t, qr_qt) == 8 && offsetof(dmtr_qresult_t, qr_error) == 16, "binary interface");
_Static_assert(offsetof(dmtr_qresult_t, qr_user) == 24 && offsetof(dmtr_qresult_t, qr_value) == 32, "binary interface");
_Static_assert(sizeof(dmtr_qresult_t) == 240, "binary interface");

static int state_a, state_b; /* targets of the pointers */

static dmtr_qresult_t wait_result(dmtr_qtoken_t qt, int error) {
    dmtr_qresult_t qr;
    assert_int_equal(dmtr_wait_timed(&qr, qt, HANG), error);
    assert_true(qr.qr_qt == qt);
    return qr;
}

static void expect_user(dmtr_qtoken_t qt, const void *user) {
    dmtr_qresult_t qr = wait_result(qt, 0);
    assert_ptr_equal(qr.qr_user, user);
    if (qr.qr_opcode == DMTR_OPC_POP) assert_ok(dmtr_sgafree(&qr.qr_value.sga));
}

static void a_result_has_the_pointer_of_its_queue(void **state) {
    (void)state;
    int a = new_queue(), b = new_queue(), none = new_queue();
    assert_ok(dmtr_set_user(a, &state_a));
    assert_ok(dmtr_set_user(b, &state_b));
    dmtr_qtoken_t early = pop_begin(a); /* a pop that waits takes another code path in the queue */
    expect_user(push_text(a, "1"), &state_a);
    expect_user(early, &state_a);
    expect_user(push_text(b, "2"), &state_b);
    expect_user(push_text(none, "3"), NULL);
    expect_user(pop_begin(b), &state_b);
    expect_user(pop_begin(none), NULL);
}

static void every_wait_returns_the_pointer(void **state) {
    (void)state;
    int qd = new_queue(), at, got;
    dmtr_qresult_t qr, qrs[2];
    dmtr_qtoken_t qts[2];
    assert_ok(dmtr_set_user(qd, &state_a));
    assert_ok(dmtr_wait(&qr, push_text(qd, "1")));
    assert_ptr_equal(qr.qr_user, &state_a);
    qts[0] = push_text(qd, "2");
    assert_ok(dmtr_wait_any(&qr, &at, qts, 1));
    assert_ptr_equal(qr.qr_user, &state_a);
    qts[0] = push_text(qd, "3");
    qts[1] = 0;
    assert_ok(dmtr_wait_all(qrs, qts, 2));
    assert_ptr_equal(qrs[0].qr_user, &state_a);
    assert_null(qrs[1].qr_user);
    push_text(qd, "4");
    assert_ok(dmtr_wait_next_n(qrs, 2, &got, 0));
    assert_int_equal(got, 1);
    assert_ptr_equal(qrs[0].qr_user, &state_a);
    assert_ok(dmtr_poll(&qr, push_text(qd, "5")));
    assert_ptr_equal(qr.qr_user, &state_a);
    /* Without a result the pointer is NULL. */
    dmtr_qtoken_t never = pop_begin(new_queue());
    qr.qr_user = &state_b;
    assert_int_equal(dmtr_poll(&qr, never), EAGAIN);
    assert_null(qr.qr_user);
    qr.qr_user = &state_b;
    assert_int_equal(dmtr_wait_timed(&qr, never, 0), ETIMEDOUT);
    assert_null(qr.qr_user);
}

static void a_change_applies_to_later_operations(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t before = pop_begin(qd);
    assert_ok(dmtr_set_user(qd, &state_a));
    dmtr_qtoken_t between = pop_begin(qd), changed = pop_begin(qd);
    assert_ok(dmtr_set_user(qd, &state_b));
    dmtr_qtoken_t after = pop_begin(qd);
    assert_ok(dmtr_set_token_user(changed, &state_b));
    for (int i = 0; i < 4; i++)
        expect_user(push_text(qd, "m"), &state_b);
    expect_user(before, NULL);
    expect_user(between, &state_a);
    expect_user(changed, &state_b);
    expect_user(after, &state_b);
    assert_ok(dmtr_set_user(qd, NULL));
    expect_user(push_text(qd, "m"), NULL);
}

static void the_pointer_of_a_complete_operation_can_be_set(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t qt = push_text(qd, "m");
    assert_ok(dmtr_set_token_user(qt, &state_a));
    expect_user(qt, &state_a);
    expect_user(pop_begin(qd), NULL);
}

/* A program can count outstanding operations in its state and free it with the last result. */
static void results_after_a_close_keep_the_pointer(void **state) {
    (void)state;
    int qd = new_queue();
    assert_ok(dmtr_set_user(qd, &state_a));
    dmtr_qtoken_t complete = push_text(qd, "m");
    dmtr_qtoken_t first = pop_begin(qd), cancelled = pop_begin(qd);
    assert_ok(dmtr_close(qd));
    int again = new_queue();
    assert_int_equal(again, qd); /* the descriptor is reused immediately */
    assert_ok(dmtr_set_user(again, &state_b));
    expect_user(complete, &state_a);
    expect_user(first, &state_a);
    dmtr_qresult_t qr = wait_result(cancelled, ECANCELED);
    assert_ptr_equal(qr.qr_user, &state_a);
    assert_int_equal(qr.qr_qd, qd);
    expect_user(push_text(again, "m"), &state_b);
}

static void a_new_queue_has_no_pointer(void **state) {
    (void)state;
    int qd = new_queue();
    assert_ok(dmtr_set_user(qd, &state_a));
    assert_ok(dmtr_close(qd));
    assert_int_equal(new_queue(), qd);
    expect_user(push_text(qd, "m"), NULL);
}

static void failed_operations_have_the_pointer(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t qt;
    assert_ok(dmtr_set_user(qd, &state_a));
    push_wait(qd, "longer than two");
    assert_ok(dmtr_pop2(&qt, qd, 2));
    assert_ptr_equal(wait_result(qt, EMSGSIZE).qr_user, &state_a);
    dmtr_qtoken_t close;
    assert_ok(dmtr_async_close(&close, qd));
    assert_ptr_equal(wait_result(close, 0).qr_user, &state_a);
}

static bool keep(const dmtr_sgarray_t *sga, void *arg) {
    (void)sga, (void)arg;
    return true;
}

/* The operations that an operator begins on its source are its own. */
static void an_operator_and_its_source_have_separate_pointers(void **state) {
    (void)state;
    int source = new_queue(), filter;
    assert_ok(dmtr_filter(&filter, source, keep, NULL));
    assert_ok(dmtr_set_user(source, &state_a));
    dmtr_qtoken_t pop = pop_begin(filter);
    assert_ok(dmtr_set_user(filter, &state_b));
    expect_user(push_text(filter, "m"), &state_b);
    expect_user(pop, NULL);
    expect_user(push_text(filter, "m"), &state_b);
    expect_user(pop_begin(source), &state_a);
}

static void check_connections(bool framed) {
    int listener, client, one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    dmtr_qtoken_t accept, connect;
    assert_ok(dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0));
    if (framed) assert_ok(dmtr_setsockopt(listener, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &one, sizeof one));
    assert_ok(dmtr_bind(listener, (struct sockaddr *)&at, sizeof at));
    assert_ok(dmtr_listen(listener, 8));
    assert_ok(dmtr_getsockname(listener, (struct sockaddr *)&at, &len));
    assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    if (framed) assert_ok(dmtr_setsockopt(client, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &one, sizeof one));
    assert_ok(dmtr_set_user(listener, &state_a));
    assert_ok(dmtr_set_user(client, &state_b));
    assert_ok(dmtr_accept(&accept, listener));
    assert_ok(dmtr_connect(&connect, client, (struct sockaddr *)&at, sizeof at));
    expect_user(connect, &state_b);
    dmtr_qresult_t qr = wait_result(accept, 0);
    assert_ptr_equal(qr.qr_user, &state_a);
    int server = qr.qr_value.ares.qd;
    dmtr_qtoken_t unnamed = pop_begin(server);
    expect_user(push_text(client, "m"), &state_b);
    expect_user(unnamed, NULL);
    assert_ok(dmtr_set_user(server, &state_a));
    expect_user(push_text(server, "m"), &state_a);
    expect_user(pop_begin(client), &state_b);
    dmtr_qtoken_t pop = pop_begin(server);
    assert_ok(dmtr_close(server));
    assert_ptr_equal(wait_result(pop, ECANCELED).qr_user, &state_a);
    assert_ok(dmtr_close(client));
    assert_ok(dmtr_close(listener));
}

static void an_accepted_connection_has_no_pointer_until_it_is_set(void **state) {
    (void)state;
    check_connections(false);
}

static void framed_messages_have_the_pointer(void **state) {
    (void)state;
    check_connections(true);
}

static void pointers_of_timers_and_watches_are_set_by_token(void **state) {
    (void)state;
    int ends[2];
    dmtr_qtoken_t timer, watch, plain;
    assert_int_equal(pipe(ends), 0);
    assert_ok(dmtr_timer(&timer, MS));
    assert_ok(dmtr_timer(&plain, MS));
    assert_ok(dmtr_watch(&watch, ends[0], POLLIN));
    assert_ok(dmtr_set_token_user(timer, &state_a));
    assert_ok(dmtr_set_token_user(watch, &state_b));
    assert_int_equal(write(ends[1], "x", 1), 1);
    dmtr_qresult_t qr = wait_result(watch, 0);
    assert_ptr_equal(qr.qr_user, &state_b);
    assert_int_equal(qr.qr_value.events, POLLIN);
    expect_user(timer, &state_a);
    expect_user(plain, NULL);
    close(ends[0]);
    close(ends[1]);
}

static void a_token_that_is_not_outstanding_is_refused(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t used = push_text(qd, "m"), dropped = pop_begin(new_queue());
    wait_result(used, 0);
    assert_ok(dmtr_drop(dropped));
    assert_int_equal(dmtr_set_token_user(used, &state_a), EINVAL);
    assert_int_equal(dmtr_set_token_user(dropped, &state_a), EINVAL);
    assert_int_equal(dmtr_set_token_user(0, &state_a), EINVAL);
    assert_ok(dmtr_close(qd));
    assert_int_equal(dmtr_set_user(qd, &state_a), EBADF);
    assert_int_equal(dmtr_set_user(-1, &state_a), EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(a_result_has_the_pointer_of_its_queue),
        api_test(every_wait_returns_the_pointer),
        api_test(a_change_applies_to_later_operations),
        api_test(the_pointer_of_a_complete_operation_can_be_set),
        api_test(results_after_a_close_keep_the_pointer),
        api_test(a_new_queue_has_no_pointer),
        api_test(failed_operations_have_the_pointer),
        api_test(an_operator_and_its_source_have_separate_pointers),
        api_test(an_accepted_connection_has_no_pointer_until_it_is_set),
        api_test(framed_messages_have_the_pointer),
        api_test(pointers_of_timers_and_watches_are_set_by_token),
        api_test(a_token_that_is_not_outstanding_is_refused),
    };
    return cmocka_run_group_tests_name("user", tests, NULL, NULL);
}
