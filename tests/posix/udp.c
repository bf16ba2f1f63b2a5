/* SPDX-License-Identifier: MIT */
/* UDP over both engines: complete datagrams with their sender; order; errors. */
#include "posix_test.h"

#define LARGEST 65507

static int datagram_socket(struct sockaddr_in *addr) {
    int qd;
    socklen_t len = sizeof *addr;
    *addr = loopback(0);
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)addr, len));
    assert_ok(dmtr_getsockname(qd, (struct sockaddr *)addr, &len));
    return qd;
}

static dmtr_qtoken_t send_to(int qd, const char *text, const struct sockaddr_in *to) {
    dmtr_sgarray_t sga = message(text);
    dmtr_qtoken_t qt;
    assert_ok(dmtr_pushto(&qt, qd, &sga, (const struct sockaddr *)to, sizeof *to));
    assert_ok(dmtr_sgafree(&sga));
    return qt;
}

static void a_datagram_arrives_with_its_sender_and_can_be_answered(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in a_addr, b_addr;
    int a = datagram_socket(&a_addr), b = datagram_socket(&b_addr);
    dmtr_qresult_t qr;
    for (int i = 0; i < 50; i++) {
        dmtr_qtoken_t qt = pop_begin(b);
        expect_wait_error(send_to(a, "question", &b_addr), 0);
        wait_ok(qt, &qr);
        struct sockaddr_in from = qr.qr_value.sga.sga_addr;
        assert_int_equal(qr.qr_value.sga.sga_addrlen, sizeof from);
        assert_int_equal(from.sin_port, a_addr.sin_port);
        expect_text(&qr, "question");
        expect_wait_error(send_to(b, "answer", &from), 0);
        expect_pop_text(a, "answer");
    }
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_close(b));
}

static void datagrams_go_both_ways_over_ipv6(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof addr;
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int a, b;
    assert_ok(dmtr_socket(&a, AF_INET6, SOCK_DGRAM, IPPROTO_UDP));
    assert_ok(dmtr_socket(&b, AF_INET6, SOCK_DGRAM, 0));
    int r = dmtr_bind(a, (struct sockaddr *)&addr, len);
    if (r == EADDRNOTAVAIL) skip();
    assert_ok(r);
    assert_ok(dmtr_getsockname(a, (struct sockaddr *)&addr, &len));
    dmtr_sgarray_t sga = message("six");
    assert_ok(dmtr_pushto(&qt, b, &sga, (struct sockaddr *)&addr, len));
    assert_ok(dmtr_sgafree(&sga));
    expect_wait_error(qt, 0);
    wait_ok(pop_begin(a), &qr);
    assert_int_equal(qr.qr_value.sga.sga_addr6.sin6_family, AF_INET6);
    assert_int_equal(qr.qr_value.sga.sga_addrlen, sizeof addr);
    expect_text(&qr, "six");
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_close(b));
}

static void connected_sockets_push_without_an_address(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in a_addr, b_addr;
    int a = datagram_socket(&a_addr), b = datagram_socket(&b_addr);
    dmtr_qtoken_t qt;
    dmtr_sgarray_t sga = message("x");
    assert_int_equal(dmtr_push(&qt, a, &sga), EDESTADDRREQ);
    assert_ok(dmtr_connect(&qt, a, (struct sockaddr *)&b_addr, sizeof b_addr));
    expect_wait_error(qt, 0);
    push_wait(a, "straight");
    expect_pop_text(b, "straight");
    struct sockaddr_in none = {.sin_family = AF_UNSPEC};
    assert_ok(dmtr_connect(&qt, a, (struct sockaddr *)&none, sizeof none));
    expect_wait_error(qt, 0);
    assert_int_equal(dmtr_push(&qt, a, &sga), EDESTADDRREQ);
    assert_ok(dmtr_sgafree(&sga));
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_close(b));
}

static void the_largest_datagram_arrives_and_a_larger_one_is_refused(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in a_addr, b_addr;
    int a = datagram_socket(&a_addr), b = datagram_socket(&b_addr), room = 1 << 20;
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    assert_ok(dmtr_setsockopt(b, SOL_SOCKET, SO_RCVBUF, &room, sizeof room));
    assert_ok(dmtr_connect(&qt, a, (struct sockaddr *)&b_addr, sizeof b_addr));
    expect_wait_error(qt, 0);
    static char data[LARGEST + 1];
    fill_pattern(data, sizeof data, 0);
    for (int i = 0; i < 20; i++) {
        expect_wait_error(push_bytes(a, data, LARGEST), 0);
        wait_ok(pop_begin(b), &qr);
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, LARGEST);
        assert_true(has_pattern(qr.qr_value.sga.sga_segs[0].sgaseg_buf, LARGEST, 0));
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    dmtr_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{.sgaseg_buf = data, .sgaseg_len = LARGEST + 1}}};
    assert_int_equal(dmtr_push(&qt, a, &sga), EMSGSIZE);
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_close(b));
}

static void segments_are_gathered_and_empty_datagrams_arrive(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in a_addr, b_addr;
    int a = datagram_socket(&a_addr), b = datagram_socket(&b_addr);
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    dmtr_sgarray_t sga = {.sga_numsegs = 3,
                          .sga_segs = {{.sgaseg_buf = "one ", .sgaseg_len = 4},
                                       {.sgaseg_buf = NULL, .sgaseg_len = 0},
                                       {.sgaseg_buf = "two", .sgaseg_len = 3}}};
    assert_ok(dmtr_pushto(&qt, a, &sga, (struct sockaddr *)&b_addr, sizeof b_addr));
    expect_wait_error(qt, 0);
    expect_pop_text(b, "one two");
    sga = (dmtr_sgarray_t){.sga_numsegs = 1};
    assert_ok(dmtr_pushto(&qt, a, &sga, (struct sockaddr *)&b_addr, sizeof b_addr));
    expect_wait_error(qt, 0);
    wait_ok(pop_begin(b), &qr);
    assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
    assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 0);
    assert_int_equal(qr.qr_value.sga.sga_addr.sin_port, a_addr.sin_port);
    assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_close(b));
}

static void a_limited_pop_truncates_a_datagram_and_counts_it(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in a_addr, b_addr;
    int a = datagram_socket(&a_addr), b = datagram_socket(&b_addr);
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    expect_wait_error(send_to(a, "too long", &b_addr), 0);
    expect_wait_error(send_to(a, "fits", &b_addr), 0);
    assert_ok(dmtr_pop2(&qt, b, 4));
    wait_ok(qt, &qr);
    expect_text(&qr, "too ");
    assert_int_equal(counter_value("posix_datagrams_truncated"), 1);
    assert_ok(dmtr_pop2(&qt, b, 4));
    wait_ok(qt, &qr);
    expect_text(&qr, "fits");
    assert_int_equal(counter_value("posix_datagrams_truncated"), 1);
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_close(b));
}

static void outstanding_pops_are_served_in_order_and_may_be_dropped(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in a_addr, b_addr;
    int a = datagram_socket(&a_addr), b = datagram_socket(&b_addr);
    dmtr_qtoken_t qts[4];
    for (int i = 0; i < 4; i++)
        qts[i] = pop_begin(b);
    assert_int_equal(dmtr_poll(&(dmtr_qresult_t){0}, qts[0]), EAGAIN);
    assert_ok(dmtr_drop(qts[0]));
    expect_wait_error(send_to(a, "1", &b_addr), 0);
    expect_wait_error(send_to(a, "2", &b_addr), 0);
    expect_wait_error(send_to(a, "3", &b_addr), 0);
    expect_wait_error(send_to(a, "4", &b_addr), 0);
    expect_wait_text(qts[1], "1");
    expect_wait_text(qts[2], "2");
    expect_wait_text(qts[3], "3");
    expect_pop_text(b, "4");
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_close(b));
}

static void a_connected_socket_reports_a_closed_peer_port(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in a_addr, b_addr;
    int a = datagram_socket(&a_addr), b = datagram_socket(&b_addr);
    dmtr_qtoken_t qt;
    assert_ok(dmtr_close(b));
    assert_ok(dmtr_connect(&qt, a, (struct sockaddr *)&b_addr, sizeof b_addr));
    expect_wait_error(qt, 0);
    dmtr_qtoken_t pop = pop_begin(a);
    push_wait(a, "anybody?");
    expect_wait_error(pop, ECONNREFUSED);
    b = datagram_socket(&b_addr); /* the socket keeps working */
    expect_wait_error(send_to(b, "somebody", &a_addr), 0);
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_close(b));
}

static void shutdown_ends_pops_and_pushes(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in a_addr, b_addr;
    int a = datagram_socket(&a_addr), b = datagram_socket(&b_addr);
    dmtr_qtoken_t qt;
    dmtr_sgarray_t sga = message("x");
    assert_int_equal(dmtr_shutdown(a, SHUT_RDWR), ENOTCONN);
    assert_ok(dmtr_connect(&qt, a, (struct sockaddr *)&b_addr, sizeof b_addr));
    expect_wait_error(qt, 0);
    dmtr_qtoken_t pop = pop_begin(a);
    assert_ok(dmtr_shutdown(a, SHUT_RDWR));
    dmtr_qresult_t qr;
    wait_ok(pop, &qr);
    assert_int_equal(qr.qr_value.sga.sga_numsegs, 0);
    assert_int_equal(dmtr_push(&qt, a, &sga), EPIPE);
    assert_ok(dmtr_sgafree(&sga));
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_close(b));
}

static void a_burst_with_a_small_send_buffer_is_sent_completely(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in a_addr, b_addr;
    int a = datagram_socket(&a_addr), b = datagram_socket(&b_addr), small = 4096, room = 8 << 20;
    static char data[8000];
    dmtr_qtoken_t qts[64];
    dmtr_qresult_t qr;
    assert_ok(dmtr_setsockopt(a, SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    assert_ok(dmtr_setsockopt(b, SOL_SOCKET, SO_RCVBUF, &room, sizeof room));
    assert_ok(dmtr_connect(&qts[0], a, (struct sockaddr *)&b_addr, sizeof b_addr));
    expect_wait_error(qts[0], 0);
    for (int i = 0; i < 16; i++)
        qts[i] = push_bytes(a, data, sizeof data);
    for (int i = 0; i < 16; i++) {
        wait_ok(pop_begin(b), &qr);
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, sizeof data);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    for (int i = 0; i < 16; i++)
        expect_wait_error(qts[i], 0);
    assert_ok(dmtr_close(a));
    assert_ok(dmtr_close(b));
}

static void closing_ends_pops_and_datagrams_flow_under_the_spin_policy(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("wait.policy=spin");
    struct sockaddr_in addr[6];
    dmtr_qtoken_t pops[6];
    int qds[6];
    for (int i = 0; i < 6; i++)
        qds[i] = datagram_socket(&addr[i]);
    for (int i = 0; i < 6; i++)
        pops[i] = pop_begin(qds[i]);
    for (int i = 0; i < 5; i++)
        expect_wait_error(send_to(qds[5], "hello", &addr[i]), 0);
    for (int i = 0; i < 5; i++)
        expect_wait_text(pops[i], "hello");
    for (int i = 0; i < 6; i++)
        assert_ok(dmtr_close(qds[i]));
    expect_wait_error(pops[5], ECANCELED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        both_engines(a_datagram_arrives_with_its_sender_and_can_be_answered),
        both_engines(datagrams_go_both_ways_over_ipv6),
        both_engines(connected_sockets_push_without_an_address),
        both_engines(the_largest_datagram_arrives_and_a_larger_one_is_refused),
        both_engines(segments_are_gathered_and_empty_datagrams_arrive),
        both_engines(a_limited_pop_truncates_a_datagram_and_counts_it),
        both_engines(outstanding_pops_are_served_in_order_and_may_be_dropped),
        both_engines(a_connected_socket_reports_a_closed_peer_port),
        both_engines(shutdown_ends_pops_and_pushes),
        both_engines(a_burst_with_a_small_send_buffer_is_sent_completely),
        both_engines(closing_ends_pops_and_datagrams_flow_under_the_spin_policy),
    };
    return cmocka_run_group_tests_name("posix udp", tests, NULL, NULL);
}
