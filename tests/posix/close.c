/* SPDX-License-Identifier: MIT */
/* Closing over both engines: pushed data arrives; lingering, resets, acknowledgements. */
#include "posix_test.h"

#include <pthread.h>

#define MUCH (24u << 20)

/* A peer that reads slowly, in its own thread. Counts the bytes until the end and checks them. */
struct reader {
    pthread_t thread;
    int fd;
    uint64_t got;
    bool right;
    int error; /* the error that ended it; 0: end of stream */
};

static void *read_slowly(void *arg) {
    struct reader *r = arg;
    static __thread uint8_t buf[65536];
    r->right = true;
    poll(NULL, 0, 30);
    for (;;) {
        ssize_t n = recv(r->fd, buf, sizeof buf, 0);
        if (n <= 0) {
            r->error = n < 0 ? errno : 0;
            break;
        }
        r->right = r->right && has_pattern(buf, (size_t)n, r->got);
        r->got += (uint64_t)n;
    }
    return NULL;
}

static void reader_start(struct reader *r, int fd) {
    *r = (struct reader){.fd = fd};
    assert_int_equal(pthread_create(&r->thread, NULL, read_slowly, r), 0);
}

static void reader_expect(struct reader *r, uint64_t bytes) {
    pthread_join(r->thread, NULL);
    assert_true(r->right);
    assert_true(r->got == bytes);
    close(r->fd);
}

static dmtr_qtoken_t push_pattern(int qd, uint64_t at, uint32_t len) {
    dmtr_qtoken_t qt;
    dmtr_sgarray_t sga = dmtr_sgaalloc(len);
    fill_pattern(sga.sga_segs[0].sgaseg_buf, len, at);
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_ok(dmtr_sgafree(&sga));
    return qt;
}

static void push_much(int qd) {
    for (uint64_t at = 0; at < MUCH; at += 1 << 20)
        assert_ok(dmtr_drop(push_pattern(qd, at, 1 << 20)));
}

static void closing_delivers_pushed_data(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    struct reader r;
    dmtr_qtoken_t closed;
    raw_send(e.fd, "never popped", 12);
    push_much(e.server);
    reader_start(&r, e.fd);
    assert_ok(dmtr_async_close(&closed, e.server));
    expect_wait_error(closed, 0);
    reader_expect(&r, MUCH);
    assert_ok(dmtr_close(e.listener));
}

/* Reads until the end of the stream. Returns how the stream ended. */
static int raw_read_all(int fd, uint64_t bytes) {
    static uint8_t buf[65536];
    uint64_t got = 0;
    ssize_t n;
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) {
        assert_true(has_pattern(buf, (size_t)n, got));
        got += (uint64_t)n;
    }
    assert_int_equal(got, bytes);
    return n < 0 ? errno : 0;
}

#define SOME (32u << 10) /* fits into the kernel's buffers */

/* Three places of unread data: the kernel's buffer, data read ahead, and an incomplete message. */
static void unread_data_causes_a_reset_after_the_pushed_data(void **state) {
    (void)state;
    skip_without_engine();
    for (int place = 0; place < 3; place++) {
        struct raw_ends e = raw_connected();
        const uint32_t part[] = {htonl(DMTR_HEADER_MAGIC), htonl(104), htonl(1), htonl(100)};
        int on = 1;
        dmtr_qtoken_t closed, popped = 0;
        if (place == 2) assert_ok(dmtr_setsockopt(e.server, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &on, sizeof on));
        if (place > 0) popped = pop_begin(e.server);
        if (place == 1) { /* a served pop, so that the engine keeps receiving */
            raw_send(e.fd, "popped", 6);
            expect_wait_text(popped, "popped");
            popped = pop_begin(e.server);
            run_for(MS);
            assert_ok(dmtr_drop(popped));
        }
        raw_send(e.fd, part, sizeof part);
        run_for(5 * MS);
        dmtr_qtoken_t pushed = place == 2 ? 0 : push_pattern(e.server, 0, SOME);
        assert_ok(dmtr_async_close(&closed, e.server));
        if (place == 2) expect_wait_error(popped, ECANCELED);
        if (pushed) expect_wait_error(pushed, 0);
        expect_wait_error(closed, 0);
        assert_int_equal(raw_read_all(e.fd, pushed ? SOME : 0), ECONNRESET);
        close(e.fd);
        assert_ok(dmtr_close(e.listener));
    }
}

/* Meanwhile the peer's window is closed. */
static void data_after_the_close_causes_a_reset_after_the_pushed_data(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    dmtr_qtoken_t closed;
    push_much(e.server);
    run_for(5 * MS);
    assert_ok(dmtr_async_close(&closed, e.server));
    run_for(5 * MS);
    raw_send(e.fd, "too late", 8);
    struct reader r;
    reader_start(&r, e.fd);
    expect_wait_error(closed, 0);
    pthread_join(r.thread, NULL);
    assert_true(r.right && r.got == MUCH && r.error == ECONNRESET);
    close(e.fd);
    assert_ok(dmtr_close(e.listener));
}

static void an_unread_end_of_stream_and_shutdown_cause_no_reset(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    dmtr_qtoken_t closed;
    assert_int_equal(shutdown(e.fd, SHUT_WR), 0);
    run_for(5 * MS);
    assert_ok(dmtr_drop(push_pattern(e.server, 0, SOME)));
    assert_ok(dmtr_async_close(&closed, e.server));
    expect_wait_error(closed, 0);
    assert_int_equal(raw_read_all(e.fd, SOME), 0);
    close(e.fd);
    assert_ok(dmtr_close(e.listener));

    e = raw_connected();
    raw_send(e.fd, "never popped", 12);
    run_for(5 * MS);
    assert_ok(dmtr_drop(push_pattern(e.server, 0, SOME)));
    assert_ok(dmtr_shutdown(e.server, SHUT_RDWR));
    run_for(5 * MS);
    assert_int_equal(raw_read_all(e.fd, SOME), 0);
    raw_close(&e);
}

static void async_close_succeeds_if_a_reset_follows_the_last_acknowledgement(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    dmtr_qtoken_t closed;
    push_wait(e.server, "all");
    raw_expect(e.fd, "all");
    raw_reset(e.fd);
    run_for(5 * MS);
    assert_ok(dmtr_async_close(&closed, e.server));
    expect_wait_error(closed, 0);
    assert_ok(dmtr_close(e.listener));
}

static void fini_right_after_close_delivers_pushed_data(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("core.linger_ms=20000");
    struct raw_ends e = raw_connected();
    struct reader r;
    push_much(e.server);
    reader_start(&r, e.fd);
    assert_ok(dmtr_close(e.server));
    assert_ok(dmtr_fini());
    reader_expect(&r, MUCH);
    assert_ok(start_with(NULL));
}

static void fini_drops_a_peer_that_reads_nothing(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("core.linger_ms=50");
    struct raw_ends e = raw_connected();
    push_much(e.server);
    run_for(5 * MS);
    assert_ok(dmtr_close(e.server));
    assert_ok(dmtr_fini());
    close(e.fd);
    assert_ok(start_with(NULL));
}

/* A full accept queue leaves further connects pending. */
static int full_listener(struct sockaddr_in *addr, int fillers[4]) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t len = sizeof *addr;
    *addr = loopback(0);
    assert_int_equal(bind(fd, (struct sockaddr *)addr, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)addr, &len), 0);
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fillers[i], (struct sockaddr *)addr, len);
    }
    return fd;
}

static void closing_cancels_waiting_operations(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = connected();
    struct sockaddr_in addr;
    int fillers[4], qd, full = full_listener(&addr, fillers);
    dmtr_qtoken_t pop = pop_begin(e.server), accept = accept_begin(e.listener), connect = connect_begin(&qd, &addr);
    dmtr_qtoken_t again;
    assert_int_equal(dmtr_wait_timed(&(dmtr_qresult_t){0}, connect, 20 * MS), ETIMEDOUT);
    assert_int_equal(dmtr_connect(&again, qd, (struct sockaddr *)&addr, sizeof addr), EALREADY);
    close_ends(&e);
    assert_ok(dmtr_close(qd));
    expect_wait_error(pop, ECANCELED);
    expect_wait_error(accept, ECANCELED);
    expect_wait_error(connect, ECANCELED);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(full);
}

static void async_close_completes_when_the_peer_has_everything(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    push_wait(e.server, "all");
    assert_ok(dmtr_async_close(&qt, e.server));
    wait_ok(qt, &qr);
    assert_int_equal(qr.qr_opcode, DMTR_OPC_CLOSE);
    raw_expect(e.fd, "all");
    raw_expect_end(e.fd);
    close(e.fd);
    assert_ok(dmtr_async_close(&qt, e.listener));
    expect_wait_error(qt, 0);
}

static void async_close_reports_a_reset_by_the_peer(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    dmtr_qtoken_t qt;
    push_much(e.server);
    run_for(5 * MS);
    assert_ok(dmtr_async_close(&qt, e.server));
    assert_int_equal(dmtr_poll(&(dmtr_qresult_t){0}, qt), EAGAIN);
    raw_reset(e.fd);
    expect_wait_error(qt, ECONNRESET);
    assert_ok(dmtr_close(e.listener));
}

static void zero_linger_resets_and_drops_queued_data(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    char c;
    assert_ok(dmtr_setsockopt(e.server, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    dmtr_qtoken_t last = push_pattern(e.server, 0, MUCH), qt;
    assert_ok(dmtr_async_close(&qt, e.server));
    expect_wait_error(qt, ECONNRESET);
    expect_wait_error(last, ECONNRESET);
    while (recv(e.fd, &c, 1, 0) == 1)
        continue;
    assert_int_equal(errno, ECONNRESET);
    close(e.fd);
    assert_ok(dmtr_close(e.listener));
}

static void zero_linger_is_inherited_from_the_listener(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    int l = listener(&addr);
    char c;
    assert_ok(dmtr_setsockopt(l, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    int fd = raw_connect(&addr), qd = accept_wait(l);
    dmtr_qtoken_t pop = pop_begin(qd);
    assert_ok(dmtr_close(qd));
    expect_wait_error(pop, ECANCELED);
    assert_int_equal(recv(fd, &c, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fd);
    assert_ok(dmtr_close(l));
}

static void lingering_ends_after_its_time(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    struct linger brief = {.l_onoff = 1, .l_linger = 1};
    dmtr_qtoken_t qt;
    assert_ok(dmtr_setsockopt(e.server, SOL_SOCKET, SO_LINGER, &brief, sizeof brief));
    dmtr_qtoken_t last = push_pattern(e.server, 0, MUCH);
    assert_ok(dmtr_async_close(&qt, e.server));
    expect_wait_error(qt, ETIMEDOUT);
    expect_wait_error(last, ETIMEDOUT);
    close(e.fd);
    /* If all data is delivered in time, it is an ordinary close. */
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    assert_ok(dmtr_getsockname(e.listener, (struct sockaddr *)&addr, &len));
    e.fd = raw_connect(&addr);
    e.server = accept_wait(e.listener);
    assert_ok(dmtr_setsockopt(e.server, SOL_SOCKET, SO_LINGER, &brief, sizeof brief));
    push_wait(e.server, "in time");
    assert_ok(dmtr_close(e.server));
    raw_expect(e.fd, "in time");
    close(e.fd);
    assert_ok(dmtr_close(e.listener));
}

static void acknowledged_pushes_complete_when_the_peer_has_received_them(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    int on = 1;
    dmtr_qresult_t qr;
    assert_ok(dmtr_setsockopt(e.server, DMTR_SOL_QUEUE, DMTR_SO_PUSH_ACKED, &on, sizeof on));
    dmtr_qtoken_t first = push_text(e.server, "acked"), second = push_text(e.server, "too");
    expect_wait_error(first, 0);
    expect_wait_error(second, 0);
    raw_expect(e.fd, "ackedtoo");
    /* A closed window leaves the push outstanding; opening it completes the push. */
    dmtr_qtoken_t large = push_pattern(e.server, 0, MUCH);
    assert_int_equal(dmtr_wait_timed(&qr, large, 50 * MS), ETIMEDOUT);
    struct reader r;
    reader_start(&r, e.fd);
    expect_wait_error(large, 0);
    assert_ok(dmtr_close(e.server));
    assert_ok(dmtr_close(e.listener));
    run_for(50 * MS);
    reader_expect(&r, MUCH);
}

static void unacknowledged_pushes_fail_with_the_connection(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    int on = 1, small = 4096;
    assert_ok(dmtr_setsockopt(e.server, DMTR_SOL_QUEUE, DMTR_SO_PUSH_ACKED, &on, sizeof on));
    assert_int_equal(setsockopt(e.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    dmtr_qtoken_t qt = push_pattern(e.server, 0, 1 << 20);
    run_for(30 * MS);
    raw_reset(e.fd);
    expect_wait_error(qt, ECONNRESET);
    assert_ok(dmtr_close(e.server));
    assert_ok(dmtr_close(e.listener));
}

static void shutdown_with_unsent_data_sends_it_before_the_end(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    struct reader r;
    push_much(e.server);
    assert_ok(dmtr_shutdown(e.server, SHUT_WR));
    reader_start(&r, e.fd);
    dmtr_qtoken_t closed;
    assert_ok(dmtr_async_close(&closed, e.server));
    expect_wait_error(closed, 0);
    reader_expect(&r, MUCH);
    assert_ok(dmtr_close(e.listener));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        both_engines(closing_delivers_pushed_data),
        both_engines(unread_data_causes_a_reset_after_the_pushed_data),
        both_engines(data_after_the_close_causes_a_reset_after_the_pushed_data),
        both_engines(an_unread_end_of_stream_and_shutdown_cause_no_reset),
        both_engines(async_close_succeeds_if_a_reset_follows_the_last_acknowledgement),
        both_engines(fini_right_after_close_delivers_pushed_data),
        both_engines(fini_drops_a_peer_that_reads_nothing),
        both_engines(closing_cancels_waiting_operations),
        both_engines(async_close_completes_when_the_peer_has_everything),
        both_engines(async_close_reports_a_reset_by_the_peer),
        both_engines(zero_linger_resets_and_drops_queued_data),
        both_engines(zero_linger_is_inherited_from_the_listener),
        both_engines(lingering_ends_after_its_time),
        both_engines(acknowledged_pushes_complete_when_the_peer_has_received_them),
        both_engines(unacknowledged_pushes_fail_with_the_connection),
        both_engines(shutdown_with_unsent_data_sends_it_before_the_end),
    };
    return cmocka_run_group_tests_name("posix close", tests, NULL, NULL);
}
