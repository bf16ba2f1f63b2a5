/* SPDX-License-Identifier: MIT */
/* Kernel sockets in an external event loop, together with watches, and many at a time. */
#include "posix_test.h"

#include <pthread.h>

/* Sleeps in poll(2) on the library's descriptor until qt is complete. */
static void await_outside(int event_fd, dmtr_qtoken_t qt, dmtr_qresult_t *qr) {
    for (int i = 0; i < 1000; i++) {
        int r = dmtr_poll(qr, qt);
        if (r == 0) return;
        assert_int_equal(r, EAGAIN);
        struct pollfd p = {.fd = event_fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 10000), 1);
    }
    fail();
}

static void the_event_descriptor_signals_every_event(void **state) {
    static const char *const policies[] = {"wait.policy=adaptive", "wait.policy=spin"};
    (void)state;
    skip_without_engine();
    for (int round = 0; round < 2; round++) {
        restart_engine_with(policies[round]);
        struct sockaddr_in addr;
        dmtr_qresult_t qr;
        int event_fd, l = listener(&addr);
        assert_ok(dmtr_event_fd(&event_fd));
        dmtr_qtoken_t qt = accept_begin(l);
        int fd = raw_connect(&addr);
        await_outside(event_fd, qt, &qr);
        int qd = qr.qr_value.ares.qd;
        for (int i = 0; i < 5; i++) {
            qt = pop_begin(qd);
            assert_int_equal(dmtr_poll(&qr, qt), EAGAIN);
            raw_send(fd, "hello", 5);
            await_outside(event_fd, qt, &qr);
            expect_text(&qr, "hello");
        }
        qt = pop_begin(qd);
        close(fd);
        await_outside(event_fd, qt, &qr);
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 0);
        assert_ok(dmtr_close(qd));
        assert_ok(dmtr_close(l));
    }
}

static void *send_later(void *arg) {
    poll(NULL, 0, 30);
    raw_send(*(int *)arg, "late", 4);
    return NULL;
}

static void a_sleeping_external_loop_is_woken(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    int event_fd;
    assert_ok(dmtr_event_fd(&event_fd));
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        dmtr_qresult_t qr;
        dmtr_qtoken_t qt = pop_begin(e.server);
        assert_int_equal(dmtr_poll(&qr, qt), EAGAIN);
        assert_int_equal(pthread_create(&thread, NULL, send_later, &e.fd), 0);
        await_outside(event_fd, qt, &qr);
        expect_text(&qr, "late");
        pthread_join(thread, NULL);
    }
    raw_close(&e);
}

static void files_complete_in_an_external_loop(void **state) {
    (void)state;
    skip_without_engine();
    char path[64];
    int event_fd, qd;
    dmtr_qresult_t qr;
    snprintf(path, sizeof path, "/tmp/dmtr-test-loop.%d", (int)getpid());
    assert_ok(dmtr_event_fd(&event_fd));
    assert_ok(dmtr_open2(&qd, path, O_RDWR | O_CREAT | O_TRUNC, 0600));
    await_outside(event_fd, push_text(qd, "text"), &qr);
    assert_ok(qr.qr_error);
    assert_ok(dmtr_close(qd));
    unlink(path);
}

static void a_watch_and_a_socket_are_waited_for_together(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("wait.policy=block");
    struct raw_ends e = raw_connected();
    int fds[2], which;
    dmtr_qtoken_t qts[2];
    dmtr_qresult_t qr;
    assert_int_equal(pipe(fds), 0);
    for (int i = 0; i < 5; i++) {
        assert_ok(dmtr_watch(&qts[0], fds[0], POLLIN));
        qts[1] = pop_begin(e.server);
        assert_int_equal(dmtr_wait_any_timed(&qr, &which, qts, 2, 5 * MS), ETIMEDOUT);
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_ok(dmtr_wait_any_timed(&qr, &which, qts, 2, HANG));
        assert_int_equal(which, 0);
        assert_int_equal(qr.qr_value.events & POLLIN, POLLIN);
        char c;
        assert_int_equal(read(fds[0], &c, 1), 1);
        raw_send(e.fd, "data", 4);
        expect_wait_text(qts[1], "data");
    }
    close(fds[0]);
    close(fds[1]);
    raw_close(&e);
}

#define MANY 300

static void many_connections_share_a_small_ring(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("posix.ring_entries=16");
    static struct sockaddr_in addr;
    static int fds[MANY], qds[MANY];
    static dmtr_qtoken_t pops[MANY];
    static dmtr_qresult_t qrs[MANY];
    int l = listener(&addr);
    for (int i = 0; i < MANY; i++) {
        fds[i] = raw_connect(&addr);
        qds[i] = accept_wait(l);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            pops[i] = pop_begin(qds[i]);
        for (int i = 0; i < MANY; i++)
            raw_send(fds[i], "all", 3);
        assert_ok(dmtr_wait_all_timed(qrs, pops, MANY, HANG));
        for (int i = 0; i < MANY; i++)
            expect_text(&qrs[i], "all");
    }
    for (int i = 0; i < MANY; i++) {
        close(fds[i]);
        assert_ok(dmtr_close(qds[i]));
    }
    assert_ok(dmtr_close(l));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        both_engines(the_event_descriptor_signals_every_event),
        both_engines(a_sleeping_external_loop_is_woken),
        both_engines(files_complete_in_an_external_loop),
        both_engines(a_watch_and_a_socket_are_waited_for_together),
        both_engines(many_connections_share_a_small_ring),
    };
    return cmocka_run_group_tests_name("posix event loop", tests, NULL, NULL);
}
