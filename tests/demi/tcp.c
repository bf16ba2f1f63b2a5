/* SPDX-License-Identifier: MIT */
/* Streams: connecting, exchanging, ending, failing. */
#include "demi_test.h"

#include <netinet/tcp.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 64

static void exchange(int qd, int mine, int theirs, bool first) {
    for (int round = 0; round < ROUNDS; round++) {
        size_t len = (size_t)round * 131 % 4096 + 1;
        if (first) push_wait(qd, len, mine);
        pop_exactly(qd, len, theirs);
        if (!first) push_wait(qd, len, mine);
    }
}

static void client_process(const struct sockaddr_in *addr) {
    demi_qtoken_t qt;
    int qd;
    assert_ok(demi_init(NULL));
    assert_ok(demi_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(demi_connect(&qt, qd, (const struct sockaddr *)addr, sizeof *addr));
    assert_int_equal(wait_for(qt).qr_opcode, DEMI_OPC_CONNECT);
    exchange(qd, 'c', 's', true);
    assert_ok(demi_close(qd));
    assert_ok(dmtr_fini());
    _exit(0); /* a failed assertion exits otherwise */
}

/* The client learns the address over a pipe, so that it starts without a runtime of its parent's. */
static void processes_play_ping_pong(void **state) {
    (void)state;
    int fds[2], status;
    struct sockaddr_in addr;
    demi_qtoken_t qt;
    assert_ok(pipe(fds));
    pid_t client = fork();
    assert_true(client >= 0);
    if (client == 0) {
        if (read(fds[0], &addr, sizeof addr) == sizeof addr) client_process(&addr);
        _exit(1);
    }
    assert_ok(demi_init(NULL));
    int listener = listening(&addr);
    assert_ok(demi_accept(&qt, listener));
    assert_int_equal(write(fds[1], &addr, sizeof addr), sizeof addr);
    demi_qresult_t qr = wait_for(qt);
    assert_int_equal(qr.qr_opcode, DEMI_OPC_ACCEPT);
    int qd = qr.qr_value.ares.qd;
    exchange(qd, 's', 'c', false);
    qr = wait_for(pop_begin(qd));
    assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
    assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 0);
    assert_int_equal(waitpid(client, &status, 0), client);
    assert_int_equal(status, 0);
    close(fds[0]);
    close(fds[1]);
    assert_ok(dmtr_fini());
}

static void accept_tells_the_peers_address(void **state) {
    (void)state;
    struct sockaddr_in addr, peer;
    socklen_t len = sizeof peer;
    demi_qtoken_t connect, accept;
    int client, listener = listening(&addr);
    assert_ok(demi_accept(&accept, listener));
    assert_ok(demi_socket(&client, AF_INET, SOCK_STREAM, 0));
    assert_ok(demi_connect(&connect, client, (struct sockaddr *)&addr, sizeof addr));
    wait_for(connect);
    demi_qresult_t qr = wait_for(accept);
    struct sockaddr_in told = qr.qr_value.ares.addr;
    assert_ok(demi_getpeername(qr.qr_value.ares.qd, (struct sockaddr *)&peer, &len));
    assert_int_equal(told.sin_family, AF_INET);
    assert_int_equal(told.sin_port, peer.sin_port);
    assert_int_equal(told.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

static void accept_tells_the_port_of_an_ipv6_peer(void **state) {
    (void)state;
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, peer;
    socklen_t len = sizeof addr;
    demi_qtoken_t connect, accept;
    int client, listener;
    assert_ok(demi_socket(&listener, AF_INET6, SOCK_STREAM, 0));
    if (demi_bind(listener, (struct sockaddr *)&addr, sizeof addr) == EADDRNOTAVAIL) skip(); /* no IPv6 here */
    assert_ok(demi_listen(listener, 1));
    assert_ok(demi_getsockname(listener, (struct sockaddr *)&addr, &len));
    assert_ok(demi_accept(&accept, listener));
    assert_ok(demi_socket(&client, AF_INET6, SOCK_STREAM, 0));
    assert_ok(demi_connect(&connect, client, (struct sockaddr *)&addr, sizeof addr));
    wait_for(connect);
    demi_qresult_t qr = wait_for(accept);
    struct sockaddr_in told = qr.qr_value.ares.addr;
    len = sizeof peer;
    assert_ok(demi_getsockname(client, (struct sockaddr *)&peer, &len));
    assert_int_equal(told.sin_family, AF_INET6);
    assert_int_equal(told.sin_port, peer.sin6_port);
    assert_int_equal(told.sin_addr.s_addr, 0);
}

static void largest_segment_arrives(void **state) {
    (void)state;
    int client, server;
    connected(&client, &server);
    demi_qtoken_t qt = push_begin(client, DEMI_SGASEG_MAXLEN, 'x');
    pop_exactly(server, DEMI_SGASEG_MAXLEN, 'x');
    assert_int_equal(wait_for(qt).qr_opcode, DEMI_OPC_PUSH);
}

static void end_of_stream_is_a_pop_of_length_zero(void **state) {
    (void)state;
    int client, server;
    connected(&client, &server);
    push_wait(client, 10, 'x');
    assert_ok(demi_close(client));
    pop_exactly(server, 10, 'x');
    for (int again = 0; again < 2; again++) {
        demi_qresult_t qr = wait_for(pop_begin(server));
        assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
        assert_int_equal(qr.qr_ret, 0);
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 0);
        assert_ok(demi_sgafree(&qr.qr_value.sga));
    }
}

static void reset_fails_the_pop(void **state) {
    (void)state;
    int client, server;
    const struct linger at_once = {.l_onoff = 1};
    connected(&client, &server);
    demi_qtoken_t qt = pop_begin(server);
    assert_ok(demi_setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    assert_ok(demi_close(client));
    expect_failed(qt, ECONNRESET);
}

static void refused_connect_fails(void **state) {
    (void)state;
    struct sockaddr_in addr;
    demi_qtoken_t qt;
    int qd, unused = bound(SOCK_STREAM, &addr); /* bound, but nobody listens */
    assert_ok(demi_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(demi_connect(&qt, qd, (struct sockaddr *)&addr, sizeof addr));
    expect_failed(qt, ECONNREFUSED);
    assert_ok(demi_close(unused));
}

static void close_cancels_what_is_outstanding(void **state) {
    (void)state;
    int client, server;
    struct sockaddr_in addr;
    demi_qtoken_t accept;
    connected(&client, &server);
    demi_qtoken_t pop = pop_begin(server);
    int listener = listening(&addr);
    assert_ok(demi_accept(&accept, listener));
    assert_ok(demi_close(server));
    assert_ok(demi_close(listener));
    expect_failed(pop, ECANCELED);
    expect_failed(accept, ECANCELED);
    assert_int_equal(demi_close(server), EBADF);
}

static void options_are_the_platforms(void **state) {
    (void)state;
    int qd, on = 1, value = 0;
    socklen_t len = sizeof value;
    struct linger set = {.l_onoff = 1, .l_linger = 7}, got = {0};
    assert_ok(demi_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(demi_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    assert_ok(demi_getsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &value, &len));
    assert_true(value);
    assert_ok(demi_setsockopt(qd, SOL_SOCKET, SO_LINGER, &set, sizeof set));
    len = sizeof got;
    assert_ok(demi_getsockopt(qd, SOL_SOCKET, SO_LINGER, &got, &len));
    assert_true(got.l_onoff);
    assert_int_equal(got.l_linger, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_play_ping_pong),
        demi_test(accept_tells_the_peers_address),
        demi_test(accept_tells_the_port_of_an_ipv6_peer),
        demi_test(largest_segment_arrives),
        demi_test(end_of_stream_is_a_pop_of_length_zero),
        demi_test(reset_fails_the_pop),
        demi_test(refused_connect_fails),
        demi_test(close_cancels_what_is_outstanding),
        demi_test(options_are_the_platforms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
