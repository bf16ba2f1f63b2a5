/* SPDX-License-Identifier: MIT */
/* TCP sockets of libos inet over loopback: streams, shutdown, resets, refusals, options, framing. */
#include "net_test.h"

#include <netinet/tcp.h>

#define BULK (8u << 20)

static const char *device = "shm";

static int setup(void **state) {
    (void)state;
    return start_alone(device);
}

static int open_listener(uint16_t port, struct sockaddr_in *at) {
    int qd;
    socklen_t len = sizeof *at;
    *at = address_of(OUR_ADDRESS, port);
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)at, len));
    assert_ok(dmtr_listen(qd, 128));
    assert_ok(dmtr_getsockname(qd, (struct sockaddr *)at, &len));
    return qd;
}

struct pair {
    int listener, client, server;
    struct sockaddr_in at;
};

static void connect_pair(struct pair *p, int framed) {
    dmtr_qtoken_t accepted;
    dmtr_qresult_t qr;
    p->listener = open_listener(0, &p->at);
    assert_true(p->at.sin_port != 0);
    assert_ok(dmtr_socket(&p->client, AF_INET, SOCK_STREAM, 0));
    if (framed) {
        assert_ok(dmtr_setsockopt(p->listener, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &framed, sizeof framed));
        assert_ok(dmtr_setsockopt(p->client, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &framed, sizeof framed));
    }
    assert_ok(dmtr_accept(&accepted, p->listener));
    connect_wait(p->client, &p->at);
    assert_ok(dmtr_wait_timed(&qr, accepted, HANG));
    assert_int_equal(qr.qr_value.ares.addr.sin_addr.s_addr, p->at.sin_addr.s_addr);
    p->server = qr.qr_value.ares.qd;
}

static void data_passes_in_both_directions_without_a_copy(void **state) {
    (void)state;
    struct pair p;
    struct dmtr_queue_info info;
    socklen_t len = sizeof info;
    connect_pair(&p, 0);
    for (int i = 0; i < 50; i++) {
        push_wait(p.client, "question");
        expect_pop_text(p.server, "question");
        push_wait(p.server, "answer");
        expect_pop_text(p.client, "answer");
    }
    assert_ok(dmtr_getsockopt(p.client, DMTR_SOL_QUEUE, DMTR_SO_INFO, &info, &len));
    assert_string_equal(info.backend, "inet/tcp");
    assert_int_equal(info.copies, 0);
}

/* Pops until the end of the stream and checks the pattern. Returns the number of bytes. */
static uint64_t pop_all(int qd, const unsigned char *data) {
    uint64_t got = 0;
    for (;;) {
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
        dmtr_sgarray_t *sga = &qr.qr_value.sga;
        if (sga->sga_numsegs == 0) return got;
        assert_true(got + sga->sga_segs[0].sgaseg_len <= BULK);
        assert_memory_equal(sga->sga_segs[0].sgaseg_buf, data + got, sga->sga_segs[0].sgaseg_len);
        got += sga->sga_segs[0].sgaseg_len;
        assert_ok(dmtr_sgafree(sga));
    }
}

static unsigned char *pattern(void) {
    unsigned char *data = malloc(BULK);
    assert_non_null(data);
    for (size_t i = 0; i < BULK; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    return data;
}

static void close_delivers_large_pushes_from_heap_and_foreign_memory(void **state) {
    (void)state;
    struct pair p;
    unsigned char *data = pattern();
    dmtr_qtoken_t pushed, closed;
    connect_pair(&p, 0);
    dmtr_sgarray_t ours = dmtr_sgaalloc(BULK / 2);
    assert_int_equal(ours.sga_numsegs, 1);
    memcpy(ours.sga_segs[0].sgaseg_buf, data + BULK / 2, BULK / 2);
    dmtr_sgarray_t sga = {.sga_numsegs = 3,
                          .sga_segs = {{.sgaseg_buf = data, .sgaseg_len = BULK / 2 - 5},
                                       {.sgaseg_buf = data + BULK / 2 - 5, .sgaseg_len = 5},
                                       ours.sga_segs[0]}};
    assert_ok(dmtr_push(&pushed, p.client, &sga));
    assert_ok(dmtr_sgafree(&ours));
    assert_ok(dmtr_async_close(&closed, p.client));
    assert_int_equal(pop_all(p.server, data), BULK);
    expect_wait_error(pushed, 0);
    expect_wait_error(closed, 0);
    assert_int_equal(pop_all(p.server, data), 0); /* a later pop returns the end of the stream again */
    free(data);
}

/* The send buffer may have room for the small push while a large one still waits for room. */
static void a_small_push_waits_behind_large_ones(void **state) {
    (void)state;
    struct pair p;
    const size_t limit = 2 * BULK, sizes[] = {30000, 1};
    unsigned char *data = pattern();
    dmtr_sgarray_t sga = dmtr_sgaalloc(BULK);
    connect_pair(&p, 0);
    assert_ok(dmtr_setsockopt(p.client, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
    memcpy(sga.sga_segs[0].sgaseg_buf, data, BULK);
    for (size_t at = 0, i = 0, len; at < BULK; at += len, i++) {
        dmtr_qtoken_t qt;
        len = sizes[i % 2] < BULK - at ? sizes[i % 2] : BULK - at;
        dmtr_sgarray_t piece = {.sga_numsegs = 1,
                                .sga_segs = {{(char *)sga.sga_segs[0].sgaseg_buf + at, (uint32_t)len}}};
        assert_ok(dmtr_push(&qt, p.client, &piece));
        assert_ok(dmtr_drop(qt));
    }
    assert_ok(dmtr_sgafree(&sga));
    assert_ok(dmtr_close(p.client));
    assert_int_equal(pop_all(p.server, data), BULK);
    free(data);
}

static void a_push_with_push_acked_completes_when_the_peer_acknowledges(void **state) {
    (void)state;
    struct pair p;
    int on = 1;
    connect_pair(&p, 0);
    assert_ok(dmtr_setsockopt(p.client, DMTR_SOL_QUEUE, DMTR_SO_PUSH_ACKED, &on, sizeof on));
    dmtr_qresult_t qr;
    dmtr_qtoken_t qt = push_text(p.client, "there");
    expect_wait_error(qt, 0);
    expect_pop_text(p.server, "there");
    assert_int_equal(dmtr_poll(&qr, qt), EINVAL);
}

static void pushes_complete_in_order_if_only_the_first_waits_for_an_ack(void **state) {
    (void)state;
    struct pair p;
    int on = 1, off = 0, at;
    dmtr_qtoken_t qts[2];
    dmtr_qresult_t qr;
    connect_pair(&p, 0);
    assert_ok(dmtr_setsockopt(p.client, DMTR_SOL_QUEUE, DMTR_SO_PUSH_ACKED, &on, sizeof on));
    qts[0] = push_text(p.client, "first");
    assert_ok(dmtr_setsockopt(p.client, DMTR_SOL_QUEUE, DMTR_SO_PUSH_ACKED, &off, sizeof off));
    qts[1] = push_text(p.client, "second");
    assert_ok(dmtr_wait_any_timed(&qr, &at, qts, 2, HANG));
    assert_int_equal(at, 0);
    expect_wait_error(qts[1], 0);
}

static void shutdown_ends_one_direction(void **state) {
    (void)state;
    struct pair p;
    connect_pair(&p, 0);
    push_wait(p.client, "last words");
    assert_ok(dmtr_shutdown(p.client, SHUT_WR));
    dmtr_sgarray_t sga = message("late");
    dmtr_qtoken_t qt;
    assert_int_equal(dmtr_push(&qt, p.client, &sga), EPIPE);
    assert_ok(dmtr_sgafree(&sga));
    expect_pop_text(p.server, "last words");
    expect_pop_text(p.server, "");
    push_wait(p.server, "still heard");
    expect_pop_text(p.client, "still heard");
    qt = pop_begin(p.client);
    assert_ok(dmtr_shutdown(p.client, SHUT_RD));
    expect_wait_text(qt, "");
}

static void connections_reset_before_accept_are_accepted(void **state) {
    (void)state;
    enum { N = 3 };
    struct sockaddr_in at;
    struct linger now = {.l_onoff = 1};
    int listener = open_listener(0, &at);
    for (int i = 0; i < N; i++) {
        int client;
        assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
        connect_wait(client, &at);
        assert_ok(dmtr_setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now));
        assert_ok(dmtr_close(client));
        dmtr_qtoken_t timer; /* polls until the reset arrives */
        assert_ok(dmtr_timer(&timer, MS));
        expect_wait_error(timer, 0);
    }
    for (int i = 0; i < N; i++) {
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        assert_ok(dmtr_accept(&qt, listener));
        assert_ok(dmtr_wait_timed(&qr, qt, HANG));
        assert_int_equal(qr.qr_value.ares.addr.sin_addr.s_addr, at.sin_addr.s_addr);
        expect_wait_error(pop_begin(qr.qr_value.ares.qd), ECONNRESET);
        assert_ok(dmtr_close(qr.qr_value.ares.qd));
    }
    assert_ok(dmtr_close(listener));
}

static void a_reset_fails_pops_and_pushes(void **state) {
    (void)state;
    struct pair p;
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    connect_pair(&p, 0);
    dmtr_qtoken_t pop = pop_begin(p.server), qt;
    assert_ok(dmtr_setsockopt(p.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    assert_ok(dmtr_close(p.client));
    expect_wait_error(pop, ECONNRESET);
    expect_wait_error(pop_begin(p.server), ECONNRESET);
    dmtr_sgarray_t sga = message("x");
    assert_ok(dmtr_push(&qt, p.server, &sga));
    assert_ok(dmtr_sgafree(&sga));
    expect_wait_error(qt, ECONNRESET);
}

static void a_refused_connect_is_reported_and_can_be_retried(void **state) {
    (void)state;
    struct sockaddr_in at = address_of(OUR_ADDRESS, 1000), away = address_of("192.0.2.1", 9);
    dmtr_qtoken_t qt;
    int qd;
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_connect(&qt, qd, (struct sockaddr *)&at, sizeof at));
    expect_wait_error(qt, ECONNREFUSED);
    assert_ok(dmtr_connect(&qt, qd, (struct sockaddr *)&away, sizeof away));
    expect_wait_error(qt, ENETUNREACH);
    open_listener(1000, &at);
    connect_wait(qd, &at);
    assert_ok(dmtr_close(qd));
}

static void many_connects_and_accepts_can_be_outstanding(void **state) {
    (void)state;
    enum { COUNT = 100 };
    static dmtr_qtoken_t accepts[COUNT], connects[COUNT];
    struct sockaddr_in at;
    int listener = open_listener(0, &at), clients[COUNT];
    dmtr_qresult_t qr;
    for (int i = 0; i < COUNT; i++)
        assert_ok(dmtr_accept(&accepts[i], listener));
    assert_ok(dmtr_drop(accepts[0]));
    for (int i = 0; i < COUNT; i++) {
        assert_ok(dmtr_socket(&clients[i], AF_INET, SOCK_STREAM, 0));
        assert_ok(dmtr_connect(&connects[i], clients[i], (struct sockaddr *)&at, sizeof at));
    }
    for (int i = 1; i < COUNT; i++)
        assert_ok(dmtr_wait_timed(&qr, accepts[i], HANG));
    assert_ok(dmtr_accept(&accepts[0], listener));
    assert_ok(dmtr_wait_timed(&qr, accepts[0], HANG));
    for (int i = 0; i < COUNT; i++)
        expect_wait_error(connects[i], 0);
}

static void calls_in_the_wrong_state_are_refused(void **state) {
    (void)state;
    struct pair p;
    dmtr_qtoken_t qt;
    int fresh;
    connect_pair(&p, 0);
    dmtr_sgarray_t sga = message("x");
    assert_ok(dmtr_socket(&fresh, AF_INET, SOCK_STREAM, 0));
    assert_int_equal(dmtr_push(&qt, fresh, &sga), ENOTCONN);
    assert_int_equal(dmtr_pop(&qt, fresh), ENOTCONN);
    assert_int_equal(dmtr_accept(&qt, fresh), EINVAL);
    assert_int_equal(dmtr_shutdown(fresh, SHUT_WR), ENOTCONN);
    assert_int_equal(dmtr_listen(p.client, 1), EISCONN);
    assert_int_equal(dmtr_connect(&qt, p.client, (struct sockaddr *)&p.at, sizeof p.at), EISCONN);
    assert_int_equal(dmtr_connect(&qt, p.listener, (struct sockaddr *)&p.at, sizeof p.at), EOPNOTSUPP);
    assert_ok(dmtr_sgafree(&sga));
}

static void bind_reserves_a_port_and_close_frees_it(void **state) {
    (void)state;
    struct pair p;
    struct sockaddr_in name, foreign = address_of("10.99.0.1", 80), any = address_of("0.0.0.0", 0);
    socklen_t len = sizeof name;
    int a, b;
    connect_pair(&p, 0);
    assert_ok(dmtr_socket(&a, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_socket(&b, AF_INET, SOCK_STREAM, 0));
    assert_int_equal(dmtr_bind(a, (struct sockaddr *)&p.at, sizeof p.at), EADDRINUSE);
    assert_int_equal(dmtr_bind(a, (struct sockaddr *)&foreign, sizeof foreign), EADDRNOTAVAIL);
    assert_ok(dmtr_bind(a, (struct sockaddr *)&any, sizeof any));
    assert_int_equal(dmtr_bind(a, (struct sockaddr *)&any, sizeof any), EINVAL);
    assert_ok(dmtr_getsockname(a, (struct sockaddr *)&name, &len));
    assert_true(ntohs(name.sin_port) >= 32768);
    assert_int_equal(dmtr_bind(b, (struct sockaddr *)&name, sizeof name), EADDRINUSE);
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_bind(b, (struct sockaddr *)&name, sizeof name));
    assert_ok(dmtr_listen(b, 1));
}

static void a_closed_socket_that_still_delivers_has_no_port(void **state) {
    (void)state;
    struct pair p;
    struct sockaddr_in own = address_of(OUR_ADDRESS, 2000);
    dmtr_sgarray_t sga = dmtr_sgaalloc(BULK);
    dmtr_qresult_t qr;
    dmtr_qtoken_t pushed, closed;
    int a, b;
    connect_pair(&p, 0);
    assert_ok(dmtr_socket(&a, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_socket(&b, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(a, (struct sockaddr *)&own, sizeof own));
    connect_wait(a, &p.at);
    memset(sga.sga_segs[0].sgaseg_buf, 'x', BULK);
    assert_ok(dmtr_push(&pushed, a, &sga));
    assert_ok(dmtr_sgafree(&sga));
    assert_ok(dmtr_async_close(&closed, a));
    assert_int_equal(dmtr_wait_timed(&qr, closed, 0), ETIMEDOUT);
    assert_ok(dmtr_bind(b, (struct sockaddr *)&own, sizeof own));
}

static void a_wildcard_and_an_address_do_not_share_a_port(void **state) {
    (void)state;
    struct sockaddr_in own = address_of(OUR_ADDRESS, 0), any = address_of("0.0.0.0", 0);
    socklen_t len = sizeof own;
    int a, b;
    assert_ok(dmtr_socket(&a, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_socket(&b, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(a, (struct sockaddr *)&own, sizeof own));
    assert_ok(dmtr_getsockname(a, (struct sockaddr *)&own, &len));
    any.sin_port = own.sin_port;
    assert_int_equal(dmtr_bind(b, (struct sockaddr *)&any, sizeof any), EADDRINUSE);
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_bind(b, (struct sockaddr *)&any, sizeof any));
    assert_ok(dmtr_socket(&a, AF_INET, SOCK_STREAM, 0));
    assert_int_equal(dmtr_bind(a, (struct sockaddr *)&own, sizeof own), EADDRINUSE);
}

static void a_connection_with_an_outstanding_operation_is_not_transferred(void **state) {
    (void)state;
    struct pair p;
    dmtr_runtime_t own;
    connect_pair(&p, 0);
    assert_ok(dmtr_runtime_current(&own));
    dmtr_qtoken_t qt = pop_begin(p.client);
    assert_int_equal(dmtr_transfer(p.client, own + 1), EBUSY);
    assert_ok(dmtr_drop(qt));
    assert_int_equal(dmtr_transfer(p.client, own + 1), EXDEV);
}

static void congestion_control_is_set_by_name_and_tcp_info_is_filled(void **state) {
    (void)state;
    struct pair p;
    char name[16] = "";
    struct tcp_info info = {0};
    socklen_t len = sizeof name, info_len = sizeof info;
    connect_pair(&p, 0);
    assert_int_equal(dmtr_setsockopt(p.client, IPPROTO_TCP, TCP_CONGESTION, "vegas", 5), ENOENT);
    assert_ok(dmtr_setsockopt(p.client, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
    assert_ok(dmtr_getsockopt(p.client, IPPROTO_TCP, TCP_CONGESTION, name, &len));
    assert_string_equal(name, "reno");
    push_wait(p.client, "hello");
    expect_pop_text(p.server, "hello");
    assert_ok(dmtr_getsockopt(p.client, IPPROTO_TCP, TCP_INFO, &info, &info_len));
    assert_int_equal(info_len, sizeof info);
    assert_int_equal(info.tcpi_state, TCP_ESTABLISHED);
    assert_true(info.tcpi_options & TCPI_OPT_SACK);
    assert_true(info.tcpi_snd_mss > 500 && info.tcpi_snd_cwnd >= 10);
    info_len = 1;
    assert_ok(dmtr_getsockopt(p.client, IPPROTO_TCP, TCP_INFO, &info, &info_len));
    assert_int_equal(info_len, 1);
    info_len = sizeof info;
    assert_int_equal(dmtr_getsockopt(p.listener, IPPROTO_TCP, TCP_INFO, &info, &info_len), ENOTCONN);
}

static void options_are_stored_and_limited(void **state) {
    (void)state;
    static const struct {
        int level, name, value, taken;
    } cases[] = {{IPPROTO_TCP, TCP_NODELAY, 5, 1},
                 {SOL_SOCKET, SO_KEEPALIVE, 1, 1},
                 {IPPROTO_TCP, TCP_KEEPIDLE, 30, 30},
                 {IPPROTO_TCP, TCP_KEEPINTVL, 3, 3},
                 {IPPROTO_TCP, TCP_KEEPCNT, 2, 2},
                 {IPPROTO_TCP, TCP_USER_TIMEOUT, 5000, 5000},
                 {SOL_SOCKET, SO_SNDBUF, 1, 131072},
                 {SOL_SOCKET, SO_RCVBUF, 1 << 30, 65535 << 14},
                 {SOL_SOCKET, SO_RCVBUF, 100000, 100000},
                 {IPPROTO_TCP, TCP_CORK, 1, 1},
                 {IPPROTO_TCP, TCP_CORK, 0, 0},
                 {IPPROTO_TCP, TCP_QUICKACK, 0, 0},
                 {IPPROTO_TCP, TCP_SYNCNT, 3, 3},
                 {IPPROTO_IP, IP_TOS, 0x10, 0x10},
                 {IPPROTO_IP, IP_TTL, 9, 9},
                 {SOL_SOCKET, SO_REUSEADDR, 1, 1},
                 {IPPROTO_TCP, TCP_MAXSEG, 500, 488}};
    struct pair p;
    int value, wrong = 0;
    socklen_t len = sizeof value;
    connect_pair(&p, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(dmtr_setsockopt(p.client, cases[i].level, cases[i].name, &cases[i].value, sizeof value));
        assert_ok(dmtr_getsockopt(p.client, cases[i].level, cases[i].name, &value, &len));
        assert_int_equal(value, cases[i].taken);
    }
    assert_int_equal(dmtr_setsockopt(p.client, IPPROTO_TCP, TCP_KEEPCNT, &wrong, sizeof wrong), EINVAL);
    assert_int_equal(dmtr_setsockopt(p.client, IPPROTO_TCP, 12345, &wrong, sizeof wrong), ENOPROTOOPT);
    wrong = -1;
    assert_int_equal(dmtr_setsockopt(p.client, IPPROTO_IP, IP_TOS, &wrong, sizeof wrong), EINVAL);
    assert_int_equal(dmtr_setsockopt(p.client, IPPROTO_IP, IP_TOS, &wrong, 1), EINVAL);
    const struct linger never = {.l_onoff = 1, .l_linger = -1};
    assert_int_equal(dmtr_setsockopt(p.client, SOL_SOCKET, SO_LINGER, &never, sizeof never), EINVAL);
    assert_ok(dmtr_getsockopt(p.client, SOL_SOCKET, SO_ERROR, &value, &len));
    assert_int_equal(value, 0);
    assert_ok(dmtr_getsockopt(p.listener, SOL_SOCKET, SO_ACCEPTCONN, &value, &len));
    assert_int_equal(value, 1);
    push_wait(p.client, "it works");
    expect_pop_text(p.server, "it works");
}

static void messages_are_framed(void **state) {
    (void)state;
    struct pair p;
    connect_pair(&p, 1);
    push_wait(p.client, "one");
    push_wait(p.client, "and another");
    expect_pop_text(p.server, "one");
    expect_pop_text(p.server, "and another");
}

static void close_cancels_outstanding_operations(void **state) {
    (void)state;
    struct pair p;
    dmtr_qtoken_t accept, pop, closed;
    connect_pair(&p, 0);
    assert_ok(dmtr_accept(&accept, p.listener));
    pop = pop_begin(p.client);
    assert_ok(dmtr_close(p.listener));
    assert_ok(dmtr_async_close(&closed, p.client));
    expect_wait_error(accept, ECANCELED);
    expect_wait_error(pop, ECANCELED);
    expect_wait_error(closed, 0);
    expect_pop_text(p.server, "");
}

static const struct CMUnitTest tests[] = {
#define with_runtime(fn) cmocka_unit_test_setup_teardown(fn, setup, test_teardown)
    with_runtime(data_passes_in_both_directions_without_a_copy),
    with_runtime(close_delivers_large_pushes_from_heap_and_foreign_memory),
    with_runtime(a_small_push_waits_behind_large_ones),
    with_runtime(a_push_with_push_acked_completes_when_the_peer_acknowledges),
    with_runtime(pushes_complete_in_order_if_only_the_first_waits_for_an_ack),
    with_runtime(shutdown_ends_one_direction),
    with_runtime(connections_reset_before_accept_are_accepted),
    with_runtime(a_reset_fails_pops_and_pushes),
    with_runtime(a_refused_connect_is_reported_and_can_be_retried),
    with_runtime(many_connects_and_accepts_can_be_outstanding),
    with_runtime(calls_in_the_wrong_state_are_refused),
    with_runtime(options_are_stored_and_limited),
    with_runtime(bind_reserves_a_port_and_close_frees_it),
    with_runtime(a_closed_socket_that_still_delivers_has_no_port),
    with_runtime(a_wildcard_and_an_address_do_not_share_a_port),
    with_runtime(a_connection_with_an_outstanding_operation_is_not_transferred),
    with_runtime(congestion_control_is_set_by_name_and_tcp_info_is_filled),
    with_runtime(messages_are_framed),
    with_runtime(close_cancels_outstanding_operations),
};

int main(int argc, char *argv[]) {
    if (argc > 1) device = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
