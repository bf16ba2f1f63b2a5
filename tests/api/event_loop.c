/* SPDX-License-Identifier: MIT */
/* Watches, one-shot timers, and the event descriptor for use in other event loops. */
#include "api_test.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void expect_events(dmtr_qtoken_t qt, uint32_t events) {
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    assert_int_equal(qr.qr_opcode, DMTR_OPC_WATCH);
    assert_int_equal(qr.qr_qd, -1);
    assert_int_equal(qr.qr_value.events & events, events);
}

static void timers_complete_in_order_and_never_early(void **state) {
    (void)state;
    dmtr_qtoken_t late, early;
    uint64_t start = dmtr_now_ns();
    assert_ok(dmtr_timer(&late, 6 * MS));
    assert_ok(dmtr_timer(&early, 2 * MS));
    dmtr_qresult_t qr;
    int got;
    assert_ok(dmtr_wait_next_n(&qr, 1, &got, HANG));
    assert_true(qr.qr_qt == early && dmtr_now_ns() - start >= 2 * MS);
    assert_ok(dmtr_wait_next_n(&qr, 1, &got, HANG));
    assert_true(qr.qr_qt == late && dmtr_now_ns() - start >= 6 * MS);
    assert_int_equal(qr.qr_opcode, DMTR_OPC_TIMER);
}

static void a_timer_of_zero_completes_and_one_without_end_can_be_dropped(void **state) {
    (void)state;
    dmtr_qtoken_t now, never;
    dmtr_qresult_t qr;
    assert_ok(dmtr_timer(&never, UINT64_MAX));
    assert_ok(dmtr_timer(&now, 0));
    assert_ok(dmtr_wait_timed(&qr, now, HANG));
    assert_int_equal(dmtr_wait_timed(&qr, never, MS), ETIMEDOUT);
    assert_ok(dmtr_drop(never));
    assert_int_equal(dmtr_poll(&qr, never), EINVAL);
}

static void thousands_of_timers_complete_once_each(void **state) {
    (void)state;
    enum { N = 5000 };
    static dmtr_qtoken_t qts[N];
    static dmtr_qresult_t qrs[N];
    for (int i = 0; i < N; i++)
        assert_ok(dmtr_timer(&qts[i], (uint64_t)(i * 7919 % N) * 1000));
    for (int i = 0; i < N; i += 2)
        assert_ok(dmtr_drop(qts[i]));
    int left = N / 2, got;
    while (left) {
        assert_ok(dmtr_wait_next_n(qrs, N, &got, HANG));
        left -= got;
    }
    assert_int_equal(dmtr_wait_next_n(qrs, N, &got, 6 * MS), ETIMEDOUT);
}

static void a_watch_completes_once_when_its_event_occurs(void **state) {
    (void)state;
    int p[2];
    char byte = 'x';
    assert_int_equal(pipe(p), 0);
    dmtr_qtoken_t in, out;
    dmtr_qresult_t qr;
    assert_ok(dmtr_watch(&in, p[0], POLLIN));
    assert_ok(dmtr_watch(&out, p[1], POLLOUT));
    expect_events(out, POLLOUT);
    assert_int_equal(dmtr_wait_timed(&qr, in, MS), ETIMEDOUT);
    assert_int_equal(write(p[1], &byte, 1), 1);
    expect_events(in, POLLIN);
    assert_int_equal(dmtr_poll(&qr, in), EINVAL);
    close(p[0]);
    close(p[1]);
}

static void several_watches_of_one_descriptor_complete_independently(void **state) {
    (void)state;
    int s[2];
    char byte = 'x';
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    dmtr_qtoken_t in1, in2, out;
    dmtr_qresult_t qr;
    assert_ok(dmtr_watch(&in1, s[0], POLLIN));
    assert_ok(dmtr_watch(&out, s[0], POLLOUT));
    assert_ok(dmtr_watch(&in2, s[0], POLLIN));
    expect_events(out, POLLOUT);
    assert_int_equal(dmtr_poll(&qr, in1), EAGAIN);
    assert_ok(dmtr_drop(in1));
    assert_int_equal(write(s[1], &byte, 1), 1);
    expect_events(in2, POLLIN);
    close(s[1]);
    assert_int_equal(read(s[0], &byte, 1), 1);
    assert_ok(dmtr_watch(&out, s[0], POLLIN | POLLRDHUP));
    expect_events(out, POLLHUP);
    close(s[0]);
}

static void a_new_descriptor_with_the_number_of_a_watched_one_can_be_watched(void **state) {
    (void)state;
    int p[2], q[2];
    char byte = 'x';
    dmtr_qtoken_t lost, qt;
    assert_int_equal(pipe(p), 0);
    assert_ok(dmtr_watch(&lost, p[0], POLLIN));
    close(p[0]);
    close(p[1]);
    assert_int_equal(pipe(q), 0);
    assert_int_equal(q[0], p[0]);
    assert_ok(dmtr_watch(&qt, q[0], POLLIN));
    assert_int_equal(write(q[1], &byte, 1), 1);
    expect_events(qt, POLLIN);
    expect_events(lost, POLLIN);
    close(q[0]);
    close(q[1]);
}

static void invalid_watches_are_refused(void **state) {
    (void)state;
    dmtr_qtoken_t qt;
    assert_int_equal(dmtr_watch(&qt, -1, POLLIN), EBADF);
    assert_int_equal(dmtr_watch(&qt, 1000000, POLLIN), EBADF);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(dmtr_watch(&qt, file, POLLIN), EPERM);
    assert_int_equal(dmtr_watch(&qt, 0, 0), EINVAL);
    close(file);
}

static int poll_readable(int fd, int timeout_ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms);
}

static void the_event_descriptor_is_readable_for_results_timers_and_watches(void **state) {
    (void)state;
    int fd = -1, again, qd = new_queue(), p[2];
    char byte = 'x';
    assert_ok(dmtr_event_fd(&fd));
    assert_ok(dmtr_event_fd(&again));
    assert_int_equal(fd, again);
    assert_int_equal(poll_readable(fd, 0), 0);

    dmtr_qtoken_t qt = push_text(qd, "x"), pop = pop_begin(qd);
    assert_int_equal(poll_readable(fd, 10000), 1);
    dmtr_qresult_t qrs[8];
    int got;
    assert_ok(dmtr_wait_next_n(qrs, 8, &got, 0));
    assert_int_equal(got, 2);
    assert_true(qrs[0].qr_qt == qt && qrs[1].qr_qt == pop);
    expect_text(&qrs[1], "x");
    assert_int_equal(dmtr_wait_next_n(qrs, 8, &got, 0), ETIMEDOUT);
    assert_int_equal(poll_readable(fd, 0), 0);

    assert_ok(dmtr_timer(&qt, 3 * MS));
    assert_int_equal(poll_readable(fd, 10000), 1);
    assert_ok(dmtr_wait_timed(qrs, qt, HANG));
    assert_int_equal(dmtr_wait_next_n(qrs, 8, &got, 0), ETIMEDOUT);
    assert_int_equal(poll_readable(fd, 0), 0);

    assert_int_equal(pipe(p), 0);
    assert_ok(dmtr_watch(&qt, p[0], POLLIN));
    assert_int_equal(poll_readable(fd, 0), 0);
    assert_int_equal(write(p[1], &byte, 1), 1);
    assert_int_equal(poll_readable(fd, 10000), 1);
    expect_events(qt, POLLIN);
    close(p[0]);
    close(p[1]);
}

static void the_event_descriptor_is_readable_while_operators_have_work(void **state) {
    (void)state;
    int in = new_queue(), out = new_queue(), fd, got;
    assert_ok(dmtr_event_fd(&fd));
    assert_ok(dmtr_qconnect(in, out));
    pop_begin(out);
    assert_ok(dmtr_drop(push_text(in, "through")));
    dmtr_qresult_t qr;
    int r = ETIMEDOUT;
    for (int i = 0; i < 100 && r == ETIMEDOUT; i++) {
        assert_int_equal(poll_readable(fd, 10000), 1);
        r = dmtr_wait_next_n(&qr, 1, &got, 0);
    }
    assert_ok(r);
    expect_text(&qr, "through");
}

static void the_event_descriptor_is_readable_for_results_of_memory_queues(void **state) {
    (void)state;
    int qd = new_queue(), fd;
    assert_ok(dmtr_event_fd(&fd));
    for (int i = 0; i < 2; i++) { /* the second time the queue has room from the start */
        dmtr_qtoken_t push = push_text(qd, "text");
        assert_int_equal(poll_readable(fd, 10000), 1);
        expect_wait_error(push, 0);
        assert_int_equal(poll_readable(fd, 0), 0);
        dmtr_qtoken_t pop = pop_begin(qd);
        assert_int_equal(poll_readable(fd, 10000), 1);
        expect_wait_text(pop, "text");
        assert_int_equal(poll_readable(fd, 0), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(timers_complete_in_order_and_never_early),
        api_test(a_timer_of_zero_completes_and_one_without_end_can_be_dropped),
        api_test(thousands_of_timers_complete_once_each),
        api_test(a_watch_completes_once_when_its_event_occurs),
        api_test(several_watches_of_one_descriptor_complete_independently),
        api_test(a_new_descriptor_with_the_number_of_a_watched_one_can_be_watched),
        api_test(invalid_watches_are_refused),
        api_test(the_event_descriptor_is_readable_for_results_timers_and_watches),
        api_test(the_event_descriptor_is_readable_for_results_of_memory_queues),
        api_test(the_event_descriptor_is_readable_while_operators_have_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
