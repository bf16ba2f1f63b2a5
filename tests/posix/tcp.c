/* SPDX-License-Identifier: MIT */
/* TCP over both engines: data, order, ends, states, options. */
#include "posix_test.h"

static void echo(const struct ends *e) {
    expect_wait_error(push_text(e->client, "ping"), 0);
    expect_stream(e->server, "ping");
    expect_wait_error(push_text(e->server, "pong"), 0);
    expect_stream(e->client, "pong");
}

static void data_goes_both_ways(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = connected();
    for (int i = 0; i < 100; i++)
        echo(&e);
    close_ends(&e);
}

static void data_goes_both_ways_under_each_wait_policy(void **state) {
    static const char *const policies[] = {"wait.policy=spin", "wait.policy=block", "wait.policy=adaptive"};
    (void)state;
    skip_without_engine();
    for (size_t i = 0; i < 3; i++) {
        struct ends e[6]; /* more than are received from directly */
        restart_engine_with(policies[i]);
        for (int k = 0; k < 6; k++)
            e[k] = connected();
        dmtr_qtoken_t qts[6];
        dmtr_qresult_t qrs[6];
        for (int k = 0; k < 6; k++)
            qts[k] = pop_begin(e[k].server);
        for (int k = 0; k < 6; k++)
            push_wait(e[k].client, "all at once");
        assert_ok(dmtr_wait_all_timed(qrs, qts, 6, HANG));
        for (int k = 0; k < 6; k++)
            assert_ok(dmtr_sgafree(&qrs[k].qr_value.sga));
        for (int k = 0; k < 6; k++)
            echo(&e[k]);
        for (int k = 0; k < 6; k++)
            close_ends(&e[k]);
    }
}

static void data_goes_both_ways_over_ipv6(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof addr;
    struct ends e;
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    assert_ok(dmtr_socket(&e.listener, AF_INET6, SOCK_STREAM, IPPROTO_TCP));
    int r = dmtr_bind(e.listener, (struct sockaddr *)&addr, len);
    if (r == EADDRNOTAVAIL) skip();
    assert_ok(r);
    assert_ok(dmtr_listen(e.listener, 1));
    assert_ok(dmtr_getsockname(e.listener, (struct sockaddr *)&addr, &len));
    assert_ok(dmtr_socket(&e.client, AF_INET6, SOCK_STREAM, 0));
    assert_ok(dmtr_connect(&qt, e.client, (struct sockaddr *)&addr, len));
    wait_ok(qt, &qr);
    wait_ok(accept_begin(e.listener), &qr);
    e.server = qr.qr_value.ares.qd;
    assert_int_equal(qr.qr_value.ares.addr6.sin6_family, AF_INET6);
    assert_int_equal(qr.qr_value.ares.len, sizeof addr);
    echo(&e);
    close_ends(&e);
}

#define MANY 100

static void many_accepts_and_connects_are_outstanding_at_once(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    dmtr_qtoken_t accepts[MANY], connects[MANY];
    dmtr_qresult_t qrs[MANY];
    int clients[MANY];
    int l = listener(&addr);
    for (int i = 0; i < MANY; i++)
        accepts[i] = accept_begin(l);
    for (int i = 0; i < MANY; i++)
        connects[i] = connect_begin(&clients[i], &addr);
    assert_ok(dmtr_wait_all_timed(qrs, connects, MANY, HANG));
    assert_ok(dmtr_wait_all_timed(qrs, accepts, MANY, HANG));
    for (int i = 0; i < MANY; i++) {
        struct sockaddr_in own, peer;
        socklen_t len = sizeof own, peer_len = sizeof peer;
        assert_ok(dmtr_getsockname(clients[i], (struct sockaddr *)&own, &len));
        assert_ok(dmtr_getpeername(qrs[i].qr_value.ares.qd, (struct sockaddr *)&peer, &peer_len));
        assert_int_equal(own.sin_port, qrs[i].qr_value.ares.addr.sin_port);
        assert_int_equal(own.sin_port, peer.sin_port);
        assert_ok(dmtr_close(clients[i]));
        assert_ok(dmtr_close(qrs[i].qr_value.ares.qd));
    }
    assert_ok(dmtr_close(l));
}

static void pops_of_a_queue_are_served_in_order(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    dmtr_qtoken_t qts[8];
    dmtr_qresult_t qr;
    for (int i = 0; i < 8; i++)
        assert_ok(dmtr_pop2(&qts[i], e.server, 1));
    raw_send(e.fd, "abcdefgh", 8);
    for (int i = 0; i < 8; i++) {
        wait_ok(qts[i], &qr);
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 1);
        assert_int_equal(*(char *)qr.qr_value.sga.sga_segs[0].sgaseg_buf, 'a' + i);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    raw_close(&e);
}

#define BULK_BYTES    (48u << 20)
#define BULK_MOST     (1u << 20)
#define BULK_INFLIGHT 4

/* Segments of odd sizes, alternately in the library's memory and in foreign memory. */
static dmtr_qtoken_t push_bulk(int qd, uint64_t at, uint32_t len, uint8_t *foreign) {
    dmtr_sgarray_t sga = {0};
    dmtr_qtoken_t qt;
    void *own;
    uint32_t half = len / 3;
    assert_ok(dmtr_malloc(&own, len - half + 1));
    fill_pattern(foreign, half, at);
    fill_pattern(own, len - half, at + half);
    sga.sga_segs[sga.sga_numsegs++] = (dmtr_sgaseg_t){.sgaseg_buf = foreign, .sgaseg_len = half};
    sga.sga_segs[sga.sga_numsegs++] = (dmtr_sgaseg_t){0};
    sga.sga_segs[sga.sga_numsegs++] = (dmtr_sgaseg_t){.sgaseg_buf = own, .sgaseg_len = len - half};
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_ok(dmtr_free(own)); /* kept until it is sent */
    return qt;
}

static void bulk_data_arrives_completely_and_in_order(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = connected();
    uint8_t *foreign[BULK_INFLIGHT];
    dmtr_qtoken_t qts[BULK_INFLIGHT + 1] = {0};
    uint64_t sent = 0, got = 0;
    uint32_t len = 1;
    for (int i = 0; i < BULK_INFLIGHT; i++)
        assert_non_null(foreign[i] = malloc(BULK_MOST));
    qts[BULK_INFLIGHT] = pop_begin(e.server);
    while (got < BULK_BYTES) {
        dmtr_qresult_t qr;
        int which;
        for (int i = 0; i < BULK_INFLIGHT && sent < BULK_BYTES; i++) {
            if (qts[i]) continue;
            len = (len * 7 + 13) % BULK_MOST;
            if (len > BULK_BYTES - sent) len = (uint32_t)(BULK_BYTES - sent);
            qts[i] = push_bulk(e.client, sent, len, foreign[i]);
            sent += len;
        }
        assert_ok(dmtr_wait_any_timed(&qr, &which, qts, BULK_INFLIGHT + 1, HANG));
        qts[which] = 0;
        if (which < BULK_INFLIGHT) continue;
        dmtr_sgaseg_t *seg = &qr.qr_value.sga.sga_segs[0];
        assert_true(has_pattern(seg->sgaseg_buf, seg->sgaseg_len, got));
        got += seg->sgaseg_len;
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
        qts[which] = pop_begin(e.server);
    }
    close_ends(&e);
    for (int i = 0; i < BULK_INFLIGHT; i++)
        free(foreign[i]);
}

static void a_push_without_bytes_completes_and_sends_nothing(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    expect_wait_error(push_bytes(e.server, "", 0), 0);
    push_wait(e.server, "x");
    raw_expect(e.fd, "x");
    raw_close(&e);
}

static void the_end_of_a_stream_is_reported_repeatedly(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    raw_send(e.fd, "last", 4);
    shutdown(e.fd, SHUT_WR);
    expect_stream(e.server, "last");
    for (int i = 0; i < 3; i++)
        expect_end(e.server);
    push_wait(e.server, "still open this way");
    raw_expect(e.fd, "still open this way");
    raw_close(&e);
}

static void shutdown_for_writing_delivers_pushed_data_and_refuses_more(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    dmtr_sgarray_t sga = message("no");
    dmtr_qtoken_t qt = push_text(e.server, "yes");
    assert_ok(dmtr_shutdown(e.server, SHUT_WR));
    assert_ok(dmtr_shutdown(e.server, SHUT_WR));
    assert_int_equal(dmtr_push(&(dmtr_qtoken_t){0}, e.server, &sga), EPIPE);
    assert_ok(dmtr_sgafree(&sga));
    expect_wait_error(qt, 0);
    raw_expect(e.fd, "yes");
    raw_expect_end(e.fd);
    raw_send(e.fd, "reply", 5);
    expect_stream(e.server, "reply");
    raw_close(&e);
}

static void shutdown_for_reading_ends_the_pops(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    dmtr_qtoken_t qt = pop_begin(e.server);
    dmtr_qresult_t qr;
    assert_int_equal(dmtr_poll(&qr, qt), EAGAIN);
    assert_int_equal(dmtr_shutdown(e.server, 99), EINVAL);
    assert_ok(dmtr_shutdown(e.server, SHUT_RD));
    wait_ok(qt, &qr);
    assert_int_equal(qr.qr_value.sga.sga_numsegs, 0);
    push_wait(e.server, "out");
    raw_expect(e.fd, "out");
    raw_close(&e);
}

static void a_reset_ends_outstanding_pops_and_pushes(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    static char block[1 << 20];
    dmtr_qtoken_t pops[2], pushes[32];
    for (int i = 0; i < 2; i++)
        pops[i] = pop_begin(e.server);
    for (int i = 0; i < 32; i++)
        pushes[i] = push_bytes(e.server, block, sizeof block);
    run_for(20 * MS);
    raw_reset(e.fd);
    for (int i = 0; i < 2; i++)
        expect_wait_error(pops[i], ECONNRESET);
    expect_wait_error(pushes[31], ECONNRESET);
    for (int i = 0; i < 31; i++) {
        dmtr_qresult_t qr;
        int r = dmtr_wait_timed(&qr, pushes[i], HANG);
        assert_true(r == 0 || r == ECONNRESET);
    }
    expect_wait_error(pop_begin(e.server), ECONNRESET);
    expect_wait_error(push_bytes(e.server, block, 1), ECONNRESET);
    assert_ok(dmtr_close(e.server));
    assert_ok(dmtr_close(e.listener));
}

static void connections_reset_before_they_are_accepted_are_accepted(void **state) {
    (void)state;
    skip_without_engine();
    enum { N = 3 };
    struct sockaddr_in addr;
    int qd = listener(&addr);
    for (int i = 0; i < N; i++)
        raw_reset(raw_connect(&addr));
    for (int i = 0; i < N; i++) {
        int server = accept_wait(qd);
        expect_wait_error(pop_begin(server), ECONNRESET);
        assert_ok(dmtr_close(server));
    }
    assert_ok(dmtr_close(qd));
}

static void data_before_a_reset_can_still_be_popped_or_is_reported_lost(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    raw_send(e.fd, "x", 1);
    expect_stream(e.server, "x");
    raw_reset(e.fd);
    expect_wait_error(pop_begin(e.server), ECONNRESET);
    assert_ok(dmtr_close(e.server));
    assert_ok(dmtr_close(e.listener));
}

static void a_refused_connect_is_reported_and_may_be_retried(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr, closed_addr;
    int l = listener(&addr), closed = listener(&closed_addr), qd;
    assert_ok(dmtr_close(closed));
    expect_wait_error(connect_begin(&qd, &closed_addr), ECONNREFUSED);
    dmtr_qtoken_t qt;
    assert_int_equal(dmtr_pop(&qt, qd), ENOTCONN);
    assert_ok(dmtr_connect(&qt, qd, (struct sockaddr *)&addr, sizeof addr));
    expect_wait_error(qt, 0);
    assert_int_equal(dmtr_connect(&qt, qd, (struct sockaddr *)&addr, sizeof addr), EISCONN);
    assert_ok(dmtr_close(qd));
    assert_ok(dmtr_close(l));
}

static void a_dropped_pop_loses_no_data(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    dmtr_qresult_t qr;
    dmtr_qtoken_t first = pop_begin(e.server), second = pop_begin(e.server);
    assert_int_equal(dmtr_poll(&qr, first), EAGAIN);
    assert_ok(dmtr_drop(first));
    raw_send(e.fd, "kept", 4);
    wait_ok(second, &qr);
    assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 4);
    assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    first = pop_begin(e.server);
    assert_int_equal(dmtr_poll(&qr, first), EAGAIN);
    assert_ok(dmtr_drop(first));
    raw_send(e.fd, "too", 3);
    run_for(10 * MS);
    expect_stream(e.server, "too");
    raw_close(&e);
}

static void a_dropped_accept_loses_no_connection(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    dmtr_qresult_t qr;
    int l = listener(&addr);
    dmtr_qtoken_t qt = accept_begin(l);
    assert_int_equal(dmtr_poll(&qr, qt), EAGAIN);
    assert_ok(dmtr_drop(qt));
    int fd = raw_connect(&addr);
    run_for(10 * MS);
    int qd = accept_wait(l);
    raw_send(fd, "here", 4);
    expect_stream(qd, "here");
    close(fd);
    assert_ok(dmtr_close(qd));
    assert_ok(dmtr_close(l));
}

static void a_dropped_push_is_still_delivered(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_connected();
    dmtr_qtoken_t qt = push_text(e.server, "anyway");
    assert_ok(dmtr_drop(qt));
    raw_expect(e.fd, "anyway");
    raw_close(&e);
}

static void a_dropped_connect_continues(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    int l = listener(&addr), qd;
    assert_ok(dmtr_drop(connect_begin(&qd, &addr)));
    int server = accept_wait(l);
    assert_ok(dmtr_close(qd));
    expect_end(server);
    assert_ok(dmtr_close(server));
    assert_ok(dmtr_close(l));
}

static void calls_in_the_wrong_state_are_refused(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = connected();
    struct sockaddr_in addr = loopback(1);
    socklen_t len = sizeof addr;
    dmtr_qtoken_t qt;
    dmtr_sgarray_t sga = message("x");
    int qd;
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_int_equal(dmtr_push(&qt, qd, &sga), ENOTCONN);
    assert_int_equal(dmtr_pop(&qt, qd), ENOTCONN);
    assert_int_equal(dmtr_accept(&qt, qd), EINVAL);
    assert_int_equal(dmtr_shutdown(qd, SHUT_WR), ENOTCONN);
    assert_int_equal(dmtr_getpeername(qd, (struct sockaddr *)&addr, &len), ENOTCONN);
    assert_int_equal(dmtr_listen(e.client, 1), EISCONN);
    assert_int_equal(dmtr_connect(&qt, e.listener, (struct sockaddr *)&addr, sizeof addr), EOPNOTSUPP);
    assert_int_equal(dmtr_pop(&qt, e.listener), ENOTCONN);
    len = sizeof addr;
    assert_ok(dmtr_getsockname(e.listener, (struct sockaddr *)&addr, &len));
    assert_int_equal(dmtr_bind(qd, (struct sockaddr *)&addr, len), EADDRINUSE);
    assert_int_equal(dmtr_lseek(qd, 0, SEEK_SET, &(off_t){0}), ESPIPE);
    assert_ok(dmtr_sgafree(&sga));
    assert_ok(dmtr_close(qd));
    close_ends(&e);
}

static void a_wildcard_listener_is_reached_over_loopback(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t len = sizeof any;
    int l;
    assert_ok(dmtr_socket(&l, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(l, (struct sockaddr *)&any, len));
    assert_ok(dmtr_listen(l, 1));
    assert_ok(dmtr_getsockname(l, (struct sockaddr *)&any, &len));
    struct sockaddr_in addr = loopback(ntohs(any.sin_port));
    int fd = raw_connect(&addr), qd = accept_wait(l);
    close(fd);
    assert_ok(dmtr_close(qd));
    assert_ok(dmtr_close(l));
}

static void socket_options_reach_the_kernel(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = connected();
    int value = 1;
    socklen_t len = sizeof value;
    struct timeval brief = {.tv_usec = 1000};
    assert_ok(dmtr_setsockopt(e.client, IPPROTO_TCP, TCP_NODELAY, &value, len));
    value = 0;
    assert_ok(dmtr_getsockopt(e.client, IPPROTO_TCP, TCP_NODELAY, &value, &len));
    assert_int_equal(value, 1);
    assert_ok(dmtr_getsockopt(e.client, SOL_SOCKET, SO_ERROR, &value, &len));
    assert_int_equal(value, 0);
    assert_int_equal(dmtr_setsockopt(e.client, 12345, 1, &value, len), ENOPROTOOPT);
    assert_int_equal(dmtr_getsockopt(e.client, 12345, 1, &value, &len), ENOPROTOOPT);
    assert_int_equal(dmtr_setsockopt(e.client, IPPROTO_TCP, 9999, &value, len), ENOPROTOOPT);
    /* Timeouts for blocking calls have no effect here. */
    assert_ok(dmtr_setsockopt(e.server, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief));
    dmtr_qtoken_t qt = pop_begin(e.server);
    run_for(20 * MS);
    push_wait(e.client, "late");
    dmtr_qresult_t qr;
    wait_ok(qt, &qr);
    assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    close_ends(&e);
}

static void a_queue_reports_its_backend_and_that_nothing_was_copied(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = connected();
    struct dmtr_queue_info info;
    socklen_t len = sizeof info;
    echo(&e);
    assert_ok(dmtr_getsockopt(e.server, DMTR_SOL_QUEUE, DMTR_SO_INFO, &info, &len));
    assert_string_equal(info.backend, on_io_uring() ? "posix/io_uring" : "posix/epoll");
    assert_int_equal(info.pops, 1);
    assert_int_equal(info.pushes, 1);
    assert_int_equal(info.copies, 0);
    assert_true(info.syscalls > 0 && info.syscalls < 10);
    close_ends(&e);
}

static void a_used_address_is_refused_until_it_is_closed(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr = loopback(0);
    socklen_t len = sizeof addr;
    int a, b, r;
    assert_ok(dmtr_socket(&a, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(a, (struct sockaddr *)&addr, len));
    assert_ok(dmtr_getsockname(a, (struct sockaddr *)&addr, &len));
    assert_ok(dmtr_socket(&b, AF_INET, SOCK_STREAM, 0));
    r = dmtr_bind(b, (struct sockaddr *)&addr, len);
    assert_int_equal(r, EADDRINUSE);
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_bind(b, (struct sockaddr *)&addr, len)); /* free at once */
    assert_ok(dmtr_close(b));
}

static void a_closed_listener_frees_its_port_at_once(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    int l = listener(&addr), again;
    dmtr_qtoken_t qt = accept_begin(l);
    dmtr_qresult_t qr;
    assert_int_equal(dmtr_poll(&qr, qt), EAGAIN);
    assert_ok(dmtr_close(l));
    expect_wait_error(qt, ECANCELED);
    assert_ok(dmtr_socket(&again, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(again, (struct sockaddr *)&addr, sizeof addr));
    assert_ok(dmtr_listen(again, 1));
    assert_ok(dmtr_close(again));
}

static void the_libos_has_aliases(void **state) {
    (void)state;
    skip_without_engine();
    static const char *const names[] = {"posix", "catnap", "linux"};
    int qd;
    for (size_t i = 0; i < 3; i++) {
        assert_ok(dmtr_socket_on(&qd, names[i], AF_INET, SOCK_STREAM, 0));
        assert_ok(dmtr_close(qd));
    }
    assert_int_equal(dmtr_socket_on(&qd, "nowhere", AF_INET, SOCK_STREAM, 0), ENODEV);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        both_engines(data_goes_both_ways),
        both_engines(data_goes_both_ways_under_each_wait_policy),
        both_engines(data_goes_both_ways_over_ipv6),
        both_engines(many_accepts_and_connects_are_outstanding_at_once),
        both_engines(pops_of_a_queue_are_served_in_order),
        both_engines(bulk_data_arrives_completely_and_in_order),
        both_engines(a_push_without_bytes_completes_and_sends_nothing),
        both_engines(the_end_of_a_stream_is_reported_repeatedly),
        both_engines(shutdown_for_writing_delivers_pushed_data_and_refuses_more),
        both_engines(shutdown_for_reading_ends_the_pops),
        both_engines(a_reset_ends_outstanding_pops_and_pushes),
        both_engines(connections_reset_before_they_are_accepted_are_accepted),
        both_engines(data_before_a_reset_can_still_be_popped_or_is_reported_lost),
        both_engines(a_refused_connect_is_reported_and_may_be_retried),
        both_engines(a_dropped_pop_loses_no_data),
        both_engines(a_dropped_accept_loses_no_connection),
        both_engines(a_dropped_push_is_still_delivered),
        both_engines(a_dropped_connect_continues),
        both_engines(calls_in_the_wrong_state_are_refused),
        both_engines(a_wildcard_listener_is_reached_over_loopback),
        both_engines(socket_options_reach_the_kernel),
        both_engines(a_queue_reports_its_backend_and_that_nothing_was_copied),
        both_engines(a_used_address_is_refused_until_it_is_closed),
        both_engines(the_libos_has_aliases),
        both_engines(a_closed_listener_frees_its_port_at_once),
    };
    return cmocka_run_group_tests_name("posix tcp", tests, NULL, NULL);
}
