/* SPDX-License-Identifier: MIT */
/* Limits over both engines: what a peer or a lack of resources can do, and what it cannot. */
#include "posix_test.h"

#include <sys/resource.h>

/* Writes the pattern until the peer accepts no more for a while. Returns the bytes written. */
static uint64_t flood(int fd, uint64_t most) {
    static uint8_t buf[65536];
    uint64_t sent = 0;
    while (sent < most) {
        size_t len = sizeof buf < most - sent ? sizeof buf : (size_t)(most - sent);
        fill_pattern(buf, len, sent);
        ssize_t n = send(fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            sent += (uint64_t)n;
            continue;
        }
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        run_for(MS);
        if (poll(&p, 1, 0) == 0) {
            run_for(50 * MS);
            if (poll(&p, 1, 0) == 0) break;
        }
    }
    return sent;
}

static void expect_pattern(int qd, uint64_t from, uint64_t to) {
    while (from < to) {
        dmtr_qresult_t qr;
        wait_ok(pop_begin(qd), &qr);
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
        dmtr_sgaseg_t *seg = &qr.qr_value.sga.sga_segs[0];
        assert_true(has_pattern(seg->sgaseg_buf, seg->sgaseg_len, from));
        from += seg->sgaseg_len;
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    assert_true(from == to);
}

static void an_unpopped_queue_holds_a_bounded_amount(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("posix.recv_ahead_bytes=65536");
    struct raw_ends e = raw_connected();
    int small = 65536;
    const uint64_t most = 64u << 20;
    assert_int_equal(setsockopt(e.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    assert_ok(dmtr_setsockopt(e.server, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    dmtr_qtoken_t qt = pop_begin(e.server); /* starts reception */
    raw_send(e.fd, "x", 1);
    expect_wait_text(qt, "x");
    uint64_t sent = flood(e.fd, most);
    assert_true(sent < 4u << 20);
    if (on_io_uring()) assert_true(counter_value("posix_recv_ahead_limit") > 0);
    expect_pattern(e.server, 0, sent);
    /* Reception continues after each pop. */
    for (int i = 0; i < 3; i++) {
        sent = flood(e.fd, most);
        assert_true(sent > 0);
        expect_pattern(e.server, 0, sent);
    }
    raw_close(&e);
}

static void a_limit_of_zero_holds_no_data_ahead(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("posix.recv_ahead_bytes=0");
    struct raw_ends e = raw_connected();
    for (int i = 0; i < 20; i++) {
        raw_send(e.fd, "some bytes", 10);
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        assert_ok(dmtr_pop2(&qt, e.server, 4));
        wait_ok(qt, &qr);
        expect_text(&qr, "some");
        expect_stream(e.server, " bytes");
    }
    raw_close(&e);
}

static void few_small_receive_buffers_serve_many_connections(void **state) {
    (void)state;
    skip_without_engine();
    assert_ok(dmtr_fini());
    char *argv[] = {"test",
                    "--dmtr-set",
                    "posix.recv_buffers=8",
                    "--dmtr-set",
                    "posix.recv_buffer_bytes=512",
                    "--dmtr-set",
                    (char *)(on_io_uring() ? "posix.engine=io_uring" : "posix.engine=epoll")};
    assert_ok(dmtr_init(7, argv));
    struct sockaddr_in addr;
    int l = listener(&addr), fds[20], qds[20];
    dmtr_qtoken_t pops[20];
    uint64_t sent[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = raw_connect(&addr);
        qds[i] = accept_wait(l);
        pops[i] = pop_begin(qds[i]);
        assert_int_equal(dmtr_poll(&(dmtr_qresult_t){0}, pops[i]), EAGAIN);
    }
    for (int i = 0; i < 20; i++) {
        static uint8_t buf[100000];
        fill_pattern(buf, sizeof buf, 0);
        sent[i] = sizeof buf;
        raw_send(fds[i], buf, sizeof buf);
    }
    for (int i = 0; i < 20; i++) {
        dmtr_qresult_t qr;
        wait_ok(pops[i], &qr);
        uint32_t len = qr.qr_value.sga.sga_segs[0].sgaseg_len;
        assert_true(has_pattern(qr.qr_value.sga.sga_segs[0].sgaseg_buf, len, 0));
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
        expect_pattern(qds[i], len, sent[i]);
        close(fds[i]);
        assert_ok(dmtr_close(qds[i]));
    }
    assert_ok(dmtr_close(l));
}

static void a_peer_that_never_reads_costs_no_more_than_the_push_limit(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected(), other = raw_connected();
    static char block[1 << 20];
    size_t limit = 8u << 20;
    dmtr_qtoken_t qts[32];
    dmtr_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{.sgaseg_buf = block, .sgaseg_len = sizeof block}}};
    int n = 0, r = 0;
    assert_ok(dmtr_setsockopt(e.server, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
    for (; n < 32 && !r; n += r == 0) {
        r = dmtr_push(&qts[n], e.server, &sga);
        run_for(MS);
    }
    assert_int_equal(r, ENOBUFS);
    push_wait(other.server, "others are served");
    raw_expect(other.fd, "others are served");
    raw_reset(e.fd);
    for (int i = 0; i < n; i++)
        dmtr_wait_timed(&(dmtr_qresult_t){0}, qts[i], HANG);
    assert_ok(dmtr_close(e.server));
    assert_ok(dmtr_close(e.listener));
    raw_close(&other);
}

static void connections_accepted_ahead_are_bounded_and_none_is_lost(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("posix.accept_ahead=2");
    struct sockaddr_in addr;
    int l = listener(&addr), fds[20];
    dmtr_qtoken_t qt = accept_begin(l);
    for (int i = 0; i < 20; i++)
        fds[i] = raw_connect(&addr);
    for (int i = 0; i < 20; i++) {
        dmtr_qresult_t qr;
        wait_ok(qt, &qr);
        raw_send(fds[i], "one of many", 11);
        expect_stream(qr.qr_value.ares.qd, "one of many");
        assert_ok(dmtr_close(qr.qr_value.ares.qd));
        close(fds[i]);
        if (i < 19) qt = accept_begin(l);
        if (i == 3) run_for(10 * MS);
    }
    if (on_io_uring()) assert_true(counter_value("posix_accept_backlog_limit") > 0);
    assert_ok(dmtr_close(l));
}

static void connections_never_accepted_are_closed_with_their_listener(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    int l = listener(&addr), fds[5];
    char c;
    dmtr_qtoken_t qt = accept_begin(l);
    assert_int_equal(dmtr_poll(&(dmtr_qresult_t){0}, qt), EAGAIN);
    assert_ok(dmtr_drop(qt));
    for (int i = 0; i < 5; i++)
        fds[i] = raw_connect(&addr);
    run_for(10 * MS);
    assert_ok(dmtr_close(l));
    for (int i = 0; i < 5; i++) {
        assert_true(recv(fds[i], &c, 1, 0) <= 0);
        close(fds[i]);
    }
}

static void a_lack_of_descriptors_is_reported_and_the_listener_survives(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    struct rlimit limit, low;
    int l = listener(&addr), fd = raw_connect(&addr);
    int lowest = dup(0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    close(lowest);
    low.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    dmtr_qtoken_t qt = accept_begin(l);
    int qd, r = dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0);
    dmtr_qresult_t qr;
    int accepted = dmtr_wait_timed(&qr, qt, HANG);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(r, EMFILE);
    assert_int_equal(accepted, EMFILE);
    assert_true(counter_value("posix_accept_errors") > 0);
    qd = accept_wait(l);
    raw_send(fd, "after all", 9);
    expect_stream(qd, "after all");
    close(fd);
    assert_ok(dmtr_close(qd));
    assert_ok(dmtr_close(l));
}

/* Lets the process open only `more` further descriptors. Returns the previous limit. */
static struct rlimit forbid_descriptors(int more) {
    struct rlimit limit, low;
    int lowest = dup(0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    close(lowest);
    low.rlim_cur = (rlim_t)lowest + (rlim_t)more;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    return limit;
}

/* Keeps two accepts outstanding while the kernel refuses `times` of them. */
static void accept_refused(int listening, dmtr_qtoken_t qts[2], int times) {
    for (; times; times--) {
        expect_wait_error(qts[0], EMFILE);
        qts[0] = qts[1];
        qts[1] = accept_begin(listening);
    }
}

/* Compares wake-ups with the number of necessary ones, without any time limit. */
static void a_listener_without_descriptors_sleeps_between_retries(void **state) {
    (void)state;
    skip_without_engine();
    enum { TIMES = 5, WAKES_EACH = 6 };
    restart_engine_with("wait.policy=block");
    struct sockaddr_in addr;
    dmtr_qresult_t qr;
    int l = listener(&addr), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint64_t sleeps = counter_value("wait_sleeps"), polls = counter_value("polls");
    struct rlimit limit = forbid_descriptors(1);
    dmtr_qtoken_t qts[2] = {accept_begin(l), accept_begin(l)};
    run_for(MS); /* the engine watches for connections, and io_uring has noticed the limit */
    int last = dup(0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    accept_refused(l, qts, TIMES);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(counter_value("wait_sleeps") - sleeps <= TIMES * WAKES_EACH);
    assert_true(counter_value("polls") - polls <= TIMES * WAKES_EACH);
    wait_ok(qts[0], &qr);
    close(last);
    close(fd);
    assert_ok(dmtr_close(qr.qr_value.ares.qd));
    assert_ok(dmtr_close(l));
}

/* The timer ends long before the listener would retry on its own. */
static void a_closed_descriptor_wakes_the_listener_that_waits_for_one(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    dmtr_qresult_t qr;
    int l = listener(&addr), fd = raw_connect(&addr), other, offset;
    dmtr_qtoken_t timer, qts[2];
    struct rlimit limit = forbid_descriptors(1);
    assert_ok(dmtr_socket(&other, AF_INET, SOCK_STREAM, 0));
    qts[0] = accept_begin(l);
    qts[1] = accept_begin(l);
    accept_refused(l, qts, 6);
    assert_ok(dmtr_timer(&timer, 200 * MS));
    assert_ok(dmtr_close(other));
    int r = dmtr_wait_any_timed(&qr, &offset, (dmtr_qtoken_t[]){qts[0], timer}, 2, HANG);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_ok(r);
    assert_int_equal(offset, 0);
    close(fd);
    assert_ok(dmtr_drop(timer));
    assert_ok(dmtr_close(qr.qr_value.ares.qd));
    assert_ok(dmtr_close(l));
}

static void a_lack_of_descriptors_is_logged_once(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("log.sink=stderr");
    struct sockaddr_in addr;
    char text[4096] = "";
    int l = listener(&addr), fd = raw_connect(&addr), qd, saved = dup(STDERR_FILENO), log = memfd_create("log", 0);
    assert_true(dup2(log, STDERR_FILENO) >= 0);
    struct rlimit limit = forbid_descriptors(0);
    dmtr_qtoken_t qts[2] = {accept_begin(l), accept_begin(l)};
    accept_refused(l, qts, 2);
    int r = dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0);
    int restored = setrlimit(RLIMIT_NOFILE, &limit);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    assert_int_equal(restored, 0);
    assert_int_equal(r, EMFILE);
    assert_true(pread(log, text, sizeof text - 1, 0) > 0);
    const char *line = strstr(text, "ulimit -n");
    assert_non_null(line);
    assert_null(strstr(line + 1, "ulimit -n"));
    dmtr_qresult_t qr;
    wait_ok(qts[0], &qr);
    close(log);
    close(saved);
    close(fd);
    assert_ok(dmtr_close(qr.qr_value.ares.qd));
    assert_ok(dmtr_close(l));
}

static void clients_that_vanish_do_not_affect_others(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    struct ends e = connected();
    socklen_t len = sizeof addr;
    assert_ok(dmtr_getsockname(e.listener, (struct sockaddr *)&addr, &len));
    for (int i = 0; i < 50; i++) {
        int fd = raw_connect(&addr);
        raw_send(fd, "x", 1);
        if (i % 2) raw_reset(fd); /* some of them before they are accepted */
        int qd = accept_wait(e.listener);
        dmtr_qtoken_t qt = pop_begin(qd);
        if (i % 2 == 0) raw_reset(fd);
        dmtr_qresult_t qr;
        int r = dmtr_wait_timed(&qr, qt, HANG);
        assert_true(r == 0 || r == ECONNRESET);
        if (r == 0) assert_ok(dmtr_sgafree(&qr.qr_value.sga));
        assert_ok(dmtr_close(qd));
        push_wait(e.client, "still here");
        expect_stream(e.server, "still here");
    }
    close_ends(&e);
}

static void an_unavailable_engine_is_an_error_only_if_requested(void **state) {
    (void)state;
    int qd;
    struct rlimit limit, none;
    assert_ok(dmtr_fini());
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    char *argv[] = {"test", "--dmtr-set", "posix.engine=bogus", "--dmtr-set", "log.sink=none"};
    assert_int_equal(dmtr_init(5, argv), EINVAL);
    argv[2] = "posix.engine=io_uring";
    assert_ok(dmtr_init(5, argv));
    int lowest = dup(0);
    close(lowest);
    none = limit;
    none.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int r = dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(r != 0);
    assert_ok(dmtr_fini());
    assert_ok(dmtr_init(0, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        both_engines(an_unpopped_queue_holds_a_bounded_amount),
        both_engines(a_limit_of_zero_holds_no_data_ahead),
        both_engines(few_small_receive_buffers_serve_many_connections),
        both_engines(a_peer_that_never_reads_costs_no_more_than_the_push_limit),
        both_engines(connections_accepted_ahead_are_bounded_and_none_is_lost),
        both_engines(connections_never_accepted_are_closed_with_their_listener),
        both_engines(a_lack_of_descriptors_is_reported_and_the_listener_survives),
        both_engines(a_listener_without_descriptors_sleeps_between_retries),
        both_engines(a_closed_descriptor_wakes_the_listener_that_waits_for_one),
        both_engines(a_lack_of_descriptors_is_logged_once),
        both_engines(clients_that_vanish_do_not_affect_others),
        cmocka_unit_test_setup_teardown(an_unavailable_engine_is_an_error_only_if_requested, setup_epoll,
                                        test_teardown),
    };
    return cmocka_run_group_tests_name("posix bounds", tests, NULL, NULL);
}
