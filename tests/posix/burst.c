/* SPDX-License-Identifier: MIT */
/* Pushes of one turn on kernel sockets leave together (dmtr_push(3)). */
#include "posix_test.h"

#define SOCKETS 3
#define TOTAL   400000u

/* Two results from one wait: a push that follows is not alone in its turn. */
static void begin_turn(void) {
    dmtr_qtoken_t qts[2];
    dmtr_qresult_t qrs[2];
    int qd = new_queue();
    for (int i = 0; i < 2; i++)
        qts[i] = push_text(qd, "m");
    assert_ok(dmtr_wait_all(qrs, qts, 2));
    assert_ok(dmtr_close(qd));
}

static uint64_t syscalls_of(int qd) {
    struct dmtr_queue_info info;
    socklen_t len = sizeof info;
    assert_ok(dmtr_getsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_INFO, &info, &len));
    return info.syscalls;
}

static bool has_data(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* No push leaves because the turn has lasted long. */
static struct raw_ends long_turns(void) {
    restart_engine_with("wait.turn_us=1000000");
    return raw_connected();
}

static void pushes_on_one_stream_leave_in_one_call(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = long_turns();
    dmtr_qtoken_t qts[SOCKETS];
    begin_turn();
    uint64_t before = syscalls_of(e.server);
    for (int i = 0; i < SOCKETS; i++)
        qts[i] = push_text(e.server, "part");
    assert_false(has_data(e.fd));
    expect_wait_error(qts[SOCKETS - 1], 0);
    assert_int_equal(syscalls_of(e.server) - before, 1);
    raw_expect(e.fd, "partpartpart");
    for (int i = 0; i < SOCKETS - 1; i++)
        expect_wait_error(qts[i], 0);
    raw_close(&e);
}

static void a_lone_push_leaves_at_once(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = long_turns();
    run_for(MS);
    dmtr_qtoken_t qt = push_text(e.server, "alone");
    raw_expect(e.fd, "alone");
    expect_wait_error(qt, 0);
    raw_close(&e);
}

static void flush_and_close_send(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = long_turns();
    begin_turn();
    assert_ok(dmtr_drop(push_text(e.server, "first")));
    assert_false(has_data(e.fd));
    assert_ok(dmtr_flush());
    raw_expect(e.fd, "first");
    begin_turn();
    assert_ok(dmtr_drop(push_text(e.server, "last")));
    assert_ok(dmtr_shutdown(e.server, SHUT_WR));
    raw_expect(e.fd, "last");
    raw_expect_end(e.fd);
    raw_close(&e);
}

static void the_event_descriptor_is_readable_while_pushes_are_unsent(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = long_turns();
    struct pollfd p = {.events = POLLIN};
    dmtr_qresult_t qr;
    int got;
    assert_ok(dmtr_event_fd(&p.fd));
    begin_turn();
    while (poll(&p, 1, 0) == 1) /* the pollers have settled */
        assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, 0), ETIMEDOUT);
    begin_turn();
    assert_ok(dmtr_drop(push_text(e.server, "event")));
    assert_false(has_data(e.fd));
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, 0), ETIMEDOUT);
    raw_expect(e.fd, "event");
    raw_close(&e);
}

/* Pushes of all sizes in turns of all lengths, into a send buffer that is always full. */
static void short_sends_lose_nothing(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = long_turns();
    int small = 4096;
    uint64_t pushed = 0, received = 0, seed = 1;
    static uint8_t buf[65536];
    dmtr_qtoken_t qt = 0;
    assert_ok(dmtr_setsockopt(e.server, SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    while (pushed < TOTAL) {
        begin_turn();
        for (uint64_t n = seed % 40; n-- > 0 && pushed < TOTAL;) {
            seed = seed * 6364136223846793005u + 1;
            uint32_t len = 1 + (uint32_t)(seed >> 40) % (seed % 5 == 0 ? 9000 : 100);
            dmtr_sgarray_t sga = dmtr_sgaalloc(len);
            assert_int_equal(sga.sga_numsegs, 1);
            fill_pattern(sga.sga_segs[0].sgaseg_buf, len, pushed);
            if (qt) assert_ok(dmtr_drop(qt));
            assert_ok(dmtr_push(&qt, e.server, &sga));
            assert_ok(dmtr_sgafree(&sga));
            pushed += len;
        }
        seed++;
        run_for(0);
        for (ssize_t n; (n = recv(e.fd, buf, sizeof buf, MSG_DONTWAIT)) > 0; received += (uint64_t)n)
            assert_true(has_pattern(buf, (size_t)n, received));
    }
    assert_ok(dmtr_shutdown(e.server, SHUT_WR));
    for (ssize_t n; (n = recv(e.fd, buf, sizeof buf, MSG_DONTWAIT)) != 0; run_for(0)) {
        if (n < 0) continue;
        assert_true(has_pattern(buf, (size_t)n, received));
        received += (uint64_t)n;
    }
    assert_int_equal(received, pushed);
    assert_ok(dmtr_drop(qt));
    raw_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        both_engines(pushes_on_one_stream_leave_in_one_call),
        both_engines(a_lone_push_leaves_at_once),
        both_engines(flush_and_close_send),
        both_engines(the_event_descriptor_is_readable_while_pushes_are_unsent),
        both_engines(short_sends_lose_nothing),
    };
    return cmocka_run_group_tests_name("posix burst", tests, NULL, NULL);
}
