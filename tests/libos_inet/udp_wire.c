/* SPDX-License-Identifier: MIT */
/* UDP sockets of libos inet between two stacks on two threads, over a shared-memory wire. */
#include "net_test.h"

#define LARGEST 65507

static int setup(void **state) {
    (void)state;
    return start_end(true, OUR_ADDRESS, ",slots=16", "adaptive");
}

static int setup_spin(void **state) {
    (void)state;
    return start_end(true, OUR_ADDRESS, "", "spin");
}

static int setup_block(void **state) {
    (void)state;
    return start_end(true, OUR_ADDRESS, "", "block");
}

static int open_socket(void) {
    int qd = datagram_socket(OUR_ADDRESS, 0, ROOM);
    assert_true(qd >= 0);
    return qd;
}

static void expect_echo(int qd, const struct sockaddr_in *to, const char *text) {
    dmtr_qtoken_t qt = pop_begin(qd);
    push_text_to(qd, text, to);
    expect_wait_text(qt, text);
}

static void stop_peer(struct peer *p, int qd, const struct sockaddr_in *to) {
    push_text_to(qd, "quit", to);
    peer_join(p);
}

static void echo_many(const char *policy) {
    struct sockaddr_in to = address_of(PEER_ADDRESS, PEER_PORT);
    struct peer p;
    peer_start(&p, policy, NO_PAUSE);
    int qd = open_socket();
    for (int i = 0; i < 200; i++)
        expect_echo(qd, &to, "there and back");
    stop_peer(&p, qd, &to);
    assert_int_equal(p.received, 200);
}

static void datagrams_are_echoed_while_both_ends_spin(void **state) {
    (void)state;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) skip();
    echo_many("spin");
}

static void datagrams_are_echoed_while_both_ends_block(void **state) {
    (void)state;
    echo_many("block");
}

static void datagrams_of_all_sizes_are_echoed_unchanged(void **state) {
    (void)state;
    static unsigned char data[LARGEST];
    static const uint32_t sizes[] = {1, 2, 63, 64, 1471, 1472, 1473, 2952, 2953, 9000, 40000, LARGEST};
    struct sockaddr_in to = address_of(PEER_ADDRESS, PEER_PORT);
    struct peer p;
    peer_start(&p, "adaptive", NO_PAUSE);
    int qd = open_socket();
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        dmtr_qresult_t qr;
        dmtr_qtoken_t qt = pop_begin(qd);
        expect_wait_error(push_to(qd, data, sizes[i], &to), 0);
        assert_ok(dmtr_wait_timed(&qr, qt, HANG));
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, sizes[i]);
        assert_memory_equal(qr.qr_value.sga.sga_segs[0].sgaseg_buf, data, sizes[i]);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    stop_peer(&p, qd, &to);
}

/* The wire holds 16 frames, the transmit queue 256. The peer does not poll. */
static void pushes_wait_for_a_slow_peer_and_no_datagram_is_lost(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    static dmtr_qtoken_t qts[COUNT];
    struct sockaddr_in to = address_of(PEER_ADDRESS, PEER_PORT);
    struct peer p;
    dmtr_qresult_t qr;
    peer_start(&p, "adaptive", 1);
    int qd = open_socket();
    expect_echo(qd, &to, "neighbours know each other");
    for (uint32_t i = 0; i < COUNT; i++)
        qts[i] = push_to(qd, &i, sizeof i, &to);
    assert_int_equal(dmtr_poll(&qr, qts[COUNT - 1]), EAGAIN);
    sem_post(&p.go);
    for (uint32_t i = 0; i < COUNT; i++)
        expect_wait_error(qts[i], 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, sizeof i);
        assert_memory_equal(qr.qr_value.sga.sga_segs[0].sgaseg_buf, &i, sizeof i);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    stop_peer(&p, qd, &to);
    assert_int_equal(p.received, COUNT + 1);
}

static void close_delivers_pushed_data(void **state) {
    (void)state;
    enum { COUNT = 600 };
    struct sockaddr_in to = address_of(PEER_ADDRESS, PEER_PORT);
    struct peer p;
    dmtr_qtoken_t closed;
    dmtr_qresult_t qr;
    peer_start(&p, "adaptive", 1);
    int first = open_socket(), second = open_socket();
    expect_echo(first, &to, "neighbours know each other");
    for (uint32_t i = 0; i < COUNT; i++)
        assert_ok(dmtr_drop(push_to(first, &i, sizeof i, &to)));
    assert_ok(dmtr_async_close(&closed, first));
    assert_int_equal(dmtr_poll(&qr, closed), EAGAIN);
    sem_post(&p.go);
    assert_ok(dmtr_wait_timed(&qr, closed, HANG));
    stop_peer(&p, second, &to);
    assert_int_equal(p.received, COUNT + 1);
}

static void fini_delivers_datagrams_queued_for_a_neighbour(void **state) {
    struct sockaddr_in known = address_of(PEER_ADDRESS, PEER_PORT), asked_for = address_of(PEER_SECOND, PEER_PORT);
    struct peer p;
    peer_start(&p, "adaptive", NO_PAUSE);
    int qd = open_socket();
    expect_echo(qd, &known, "the link is up");
    assert_ok(dmtr_drop(push_to(qd, "last words", 10, &asked_for)));
    assert_ok(dmtr_drop(push_to(qd, "quit", 4, &asked_for)));
    assert_ok(dmtr_close(qd));
    assert_ok(dmtr_fini());
    assert_int_equal(setup(state), 0);
    peer_join(&p);
    assert_int_equal(p.received, 2);
}

static void a_closed_port_is_reported_by_the_peer(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(PEER_ADDRESS, PEER_PORT), nobody = address_of(PEER_ADDRESS, 4000);
    struct peer p;
    peer_start(&p, "adaptive", NO_PAUSE);
    int qd = open_socket(), other = open_socket();
    connect_wait(qd, &nobody);
    push_wait(qd, "anyone?");
    expect_wait_error(pop_begin(qd), ECONNREFUSED);
    stop_peer(&p, other, &to);
}

static void an_unreachable_host_is_reported(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(PEER_ADDRESS, PEER_PORT), nobody = address_of("10.77.0.9", 9);
    struct peer p;
    peer_start(&p, "adaptive", NO_PAUSE);
    int qd = open_socket(), other = open_socket();
    connect_wait(qd, &nobody);
    push_wait(qd, "anyone?");
    expect_wait_error(pop_begin(qd), EHOSTUNREACH);
    stop_peer(&p, other, &to);
}

/* While the link is down, the stack queues a few hundred datagrams and drops the others. Every push completes. */
static void pushes_to_an_absent_peer_complete_and_the_peer_is_found_when_it_starts(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(PEER_ADDRESS, PEER_PORT);
    struct peer p;
    int qd = open_socket();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2000; i++)
            push_text_to(qd, "away", &to);
        peer_start(&p, "adaptive", NO_PAUSE);
        dmtr_qresult_t qr;
        dmtr_qtoken_t qt = pop_begin(qd);
        for (int i = 0; i < 100; i++) {
            push_text_to(qd, "there?", &to);
            if (dmtr_wait_timed(&qr, qt, 100 * MS) == 0) break;
        }
        assert_int_equal(qr.qr_opcode, DMTR_OPC_POP);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
        stop_peer(&p, qd, &to);
        while (dmtr_pop(&qt, qd) == 0 && dmtr_wait_timed(&qr, qt, 50 * MS) == 0)
            assert_ok(dmtr_sgafree(&qr.qr_value.sga));
        assert_ok(dmtr_drop(qt));
    }
}

static const struct CMUnitTest tests[] = {
#define on_wire(fn, setup) cmocka_unit_test_setup_teardown(fn, setup, test_teardown)
    on_wire(datagrams_are_echoed_while_both_ends_spin, setup_spin),
    on_wire(datagrams_are_echoed_while_both_ends_block, setup_block),
    on_wire(datagrams_of_all_sizes_are_echoed_unchanged, setup),
    on_wire(pushes_wait_for_a_slow_peer_and_no_datagram_is_lost, setup),
    on_wire(close_delivers_pushed_data, setup),
    on_wire(fini_delivers_datagrams_queued_for_a_neighbour, setup),
    on_wire(a_closed_port_is_reported_by_the_peer, setup),
    on_wire(an_unreachable_host_is_reported, setup),
    on_wire(pushes_to_an_absent_peer_complete_and_the_peer_is_found_when_it_starts, setup),
};

int main(void) {
    return cmocka_run_group_tests(tests, NULL, NULL);
}
