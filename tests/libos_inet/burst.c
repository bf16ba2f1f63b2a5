/* SPDX-License-Identifier: MIT */
/* When pushed data leaves: together at the end of a turn, or at once (dmtr_push(3)). Argument: the wait policy. */
#include "burst_peer.h"

#include "core/turn.h"

#include <poll.h>

#define MSS 1448u /* of a segment with timestamps */

static int qds[PEER_CONNS];
static dmtr_qtoken_t pops[PEER_CONNS];

static char policy[32]; /* the option */

/* *state: a further option, or NULL. */
static int setup(void **state) {
    start_ours(policy, (const char *)*state);
    start_peer();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    int r = dmtr_fini();
    peer_fini();
    return r;
}

/* Connections with a pop each. */
static void connections(uint32_t n) {
    peer_connect(qds, n);
    for (uint32_t i = 0; i < n; i++)
        pops[i] = pop_begin(qds[i]);
}

static dmtr_qtoken_t push_bytes(int qd, uint32_t bytes) {
    dmtr_sgarray_t sga = dmtr_sgaalloc(bytes);
    dmtr_qtoken_t qt = 0;
    assert_int_equal(sga.sga_numsegs, 1);
    memset(sga.sga_segs[0].sgaseg_buf, 'a', bytes);
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_ok(dmtr_sgafree(&sga));
    return qt;
}

/* The peer asks on the first n connections; waits return all questions. */
static void ask(uint32_t n) {
    dmtr_qresult_t qrs[PEER_CONNS];
    int got, all = 0;
    for (uint32_t i = 0; i < n; i++)
        peer_push(i, 10);
    for (; all < (int)n; all += got)
        assert_ok(dmtr_wait_next_n(&qrs[all], PEER_CONNS - all, &got, 0));
    for (uint32_t i = 0; i < n; i++)
        assert_ok(dmtr_sgafree(&qrs[i].qr_value.sga));
    peer_look(); /* ACKs */
}

static void nothing_is_returned(dmtr_qtoken_t qt) {
    dmtr_qresult_t qr;
    assert_int_equal(dmtr_wait_timed(&qr, qt, 0), ETIMEDOUT);
}

static void a_lone_answer_leaves_at_once(void **state) {
    (void)state;
    connections(2);
    ask(1);
    dmtr_qtoken_t qt = push_bytes(qds[0], 100);
    assert_int_equal(peer_look(), 1);
    assert_int_equal(peer_read(0), 100);
    expect_wait_error(qt, 0);
}

static void answers_of_a_turn_leave_together(void **state) {
    (void)state;
    enum { N = 8 };
    dmtr_qtoken_t qts[N];
    connections(N + 1);
    ask(N);
    for (uint32_t i = 0; i < N; i++)
        qts[i] = push_bytes(qds[i], 100);
    assert_int_equal(peer_look(), 0);
    nothing_is_returned(pops[N]);
    assert_int_equal(peer_look(), N);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(peer_read(i), 100);
        expect_wait_error(qts[i], 0);
    }
}

/* A server that takes one result per wait, and lists its pushes with its pops. */
static void one_result_per_wait_makes_a_burst_too(void **state) {
    (void)state;
    enum { N = 8 };
    dmtr_qtoken_t qts[2 * N];
    int served = 0, pushed = 0, left = N, at;
    connections(N);
    for (uint32_t i = 0; i < N; i++)
        peer_push(i, 10);
    memcpy(qts, pops, N * sizeof *qts);
    while (left > 0) {
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_any_timed(&qr, &at, qts, left, HANG));
        qts[at] = qts[--left];
        if (qr.qr_opcode == DMTR_OPC_PUSH) {
            pushed++;
            continue;
        }
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
        if (served == 0) peer_look(); /* ACKs */
        qts[left++] = push_bytes(qr.qr_qd, 100);
        assert_int_equal(peer_look(), ++served < N ? 0 : N);
    }
    assert_int_equal(pushed, N);
}

static void a_turn_of_32_frames_leaves(void **state) {
    (void)state;
    connections(PEER_CONNS);
    ask(PEER_CONNS);
    for (uint32_t i = 0; i < PEER_CONNS; i++) {
        push_bytes(qds[i], 100);
        assert_int_equal(peer_look(), (i + 1) % TURN_FRAMES == 0 ? TURN_FRAMES : 0);
    }
}

/* A push of several segments counts as so many frames. */
static void frames_of_a_long_push_count(void **state) {
    (void)state;
    connections(4);
    ask(3);
    push_bytes(qds[0], 4 * MSS);
    push_bytes(qds[1], 100);
    assert_int_equal(peer_look(), 0);
    push_bytes(qds[2], TURN_FRAMES * MSS);
    assert_true(peer_look() > 5);
    assert_int_equal(peer_read(0), 4 * MSS);
    assert_int_equal(peer_read(1), 100);
}

static void pushes_on_one_stream_share_a_segment(void **state) {
    (void)state;
    connections(3);
    ask(2);
    for (uint32_t i = 0; i < 10; i++)
        push_bytes(qds[0], 20);
    push_bytes(qds[1], 20);
    assert_ok(dmtr_flush());
    assert_int_equal(peer_look(), 2);
    assert_int_equal(peer_read(0), 200);
}

static void flush_sends(void **state) {
    (void)state;
    connections(2);
    ask(2);
    dmtr_qtoken_t qt = push_bytes(qds[0], 100);
    assert_int_equal(peer_look(), 0);
    assert_ok(dmtr_flush());
    assert_int_equal(peer_look(), 1);
    expect_wait_error(qt, 0);
}

static void a_push_late_in_a_turn_leaves_at_once(void **state) {
    (void)state;
    connections(4);
    ask(3);
    push_bytes(qds[0], 100);
    assert_int_equal(peer_look(), 0);
    test_now_ns += 20000; /* wait.turn_us */
    push_bytes(qds[1], 100);
    assert_int_equal(peer_look(), 2);
    push_bytes(qds[2], 100); /* the flush begins a new interval */
    assert_int_equal(peer_look(), 0);
}

static void no_wait_ends_without_a_result_while_frames_are_unsent(void **state) {
    (void)state;
    dmtr_qresult_t qr, qrs[4];
    dmtr_runtime_t runtime;
    int at, got;
    connections(4);
    assert_ok(dmtr_runtime_current(&runtime));
    for (int kind = 0; kind < 6; kind++) {
        for (uint32_t i = 0; i < 3 && kind > 0; i++)
            pops[i] = pop_begin(qds[i]);
        ask(3);
        assert_ok(dmtr_drop(push_bytes(qds[0], 100)));
        assert_int_equal(peer_look(), 0);
        if (kind == 5) assert_ok(dmtr_wake(runtime));
        int r = kind == 0   ? dmtr_poll(&qr, pops[3])
                : kind == 1 ? dmtr_wait_timed(&qr, pops[3], 0)
                : kind == 2 ? dmtr_wait_any_timed(&qr, &at, &pops[3], 1, 0)
                : kind == 3 ? dmtr_wait_all_timed(&qr, &pops[3], 1, 0)
                : kind == 4 ? dmtr_wait_next_n(qrs, 4, &got, 0)
                            : dmtr_wait(&qr, pops[3]);
        assert_int_equal(r, kind == 0 ? EAGAIN : kind == 5 ? EINTR : ETIMEDOUT);
        assert_int_equal(peer_look(), 1);
        exchange();
    }
}

static void a_wait_for_a_push_sends_it(void **state) {
    (void)state;
    connections(3);
    ask(2);
    dmtr_qtoken_t first = push_bytes(qds[0], 100), second = push_bytes(qds[1], 100);
    dmtr_qresult_t qr;
    assert_int_equal(peer_look(), 0);
    assert_ok(dmtr_wait(&qr, first));
    assert_int_equal(peer_look(), 2);
    assert_ok(dmtr_poll(&qr, second));
}

static void fin_joins_the_last_segment(void **state) {
    (void)state;
    struct inet_slice slice;
    connections(4);
    ask(3);
    push_bytes(qds[0], 100);
    assert_ok(dmtr_shutdown(qds[0], SHUT_WR));
    push_bytes(qds[1], 100);
    assert_ok(dmtr_close(qds[1]));
    assert_int_equal(peer_look(), 0);
    assert_ok(dmtr_flush());
    assert_int_equal(peer_look(), 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(peer_read(i), 100);
        assert_int_equal(tcp_pop(peer.conns[i], &slice, 1, test_now_ns), 0);
        assert_int_equal(slice.len, 0);
    }
}

static void a_push_that_the_limit_refuses_sends_first(void **state) {
    (void)state;
    uint64_t limit = 150;
    connections(3);
    ask(2);
    assert_ok(dmtr_setsockopt(qds[0], DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
    push_bytes(qds[0], 100);
    assert_int_equal(peer_look(), 0);
    push_bytes(qds[0], 100);
    assert_int_equal(peer_look(), 1);
}

static void the_end_of_the_runtime_sends(void **state) {
    (void)state;
    connections(3);
    ask(2);
    push_bytes(qds[0], 100);
    assert_int_equal(peer_look(), 0);
    assert_ok(dmtr_fini());
    peer_look();
    assert_int_equal(peer_read(0), 100);
    start_ours(policy, NULL);
}

static void the_event_descriptor_is_readable_while_frames_are_unsent(void **state) {
    (void)state;
    struct pollfd p = {.events = POLLIN};
    dmtr_qresult_t qrs[4];
    int got;
    connections(3);
    assert_ok(dmtr_event_fd(&p.fd));
    ask(2);
    for (int i = 0; i < 10 && poll(&p, 1, 0) == 1; i++)
        dmtr_wait_next_n(qrs, 4, &got, 0);
    assert_int_equal(poll(&p, 1, 0), 0);
    pops[0] = pop_begin(qds[0]);
    pops[1] = pop_begin(qds[1]);
    ask(2);
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_ok(dmtr_drop(push_bytes(qds[0], 100)));
    assert_int_equal(peer_look(), 0);
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_int_equal(dmtr_wait_next_n(qrs, 4, &got, 0), ETIMEDOUT);
    assert_int_equal(peer_look(), 1);
}

static void each_push_leaves_at_once_without_turns(void **state) {
    (void)state;
    connections(4);
    ask(3);
    for (uint32_t i = 0; i < 3; i++) {
        push_bytes(qds[i], 100);
        assert_int_equal(peer_look(), 1);
    }
}

/* ---- datagrams ---- */

static int datagrams(struct sockaddr_in *to) {
    struct inet_endpoint local = {.port = 53};
    int qd = datagram_socket(OUR_ADDRESS, 53, 0);
    assert_int_equal(udp_open(peer.stack, &peer.udp, NULL), 0);
    assert_int_equal(udp_bind(peer.udp, &local), 0);
    *to = address_of(PEER_ADDRESS, 53);
    assert_ok(dmtr_drop(push_to(qd, "x", 1, to))); /* finds the neighbour */
    exchange();
    return qd;
}

static void lone_datagrams_leave_at_once(void **state) {
    (void)state;
    struct sockaddr_in to;
    int qd = datagrams(&to);
    for (int i = 0; i < 5; i++) {
        test_now_ns += 200 * MS;
        assert_ok(dmtr_drop(push_to(qd, "tick", 4, &to)));
        assert_int_equal(peer_look(), 1);
    }
}

static void datagrams_of_a_turn_leave_together_and_in_order(void **state) {
    (void)state;
    struct sockaddr_in to;
    struct udp_datagram d;
    connections(3);
    int qd = datagrams(&to);
    while (udp_receive(peer.udp, &d) == 0)
        heap_free(d.payload.base);
    ask(2);
    dmtr_qtoken_t first = push_to(qd, "1", 1, &to), second = push_to(qd, "2", 1, &to);
    push_bytes(qds[0], 10);
    assert_int_equal(peer_look(), 0);
    nothing_is_returned(pops[2]);
    assert_int_equal(peer_look(), 3);
    for (int c = '1'; c <= '2'; c++) {
        assert_int_equal(udp_receive(peer.udp, &d), 0);
        assert_int_equal(*(char *)d.payload.base, c);
        heap_free(d.payload.base);
    }
    expect_wait_error(first, 0);
    expect_wait_error(second, 0);
}

/* The wire holds 512 frames. */
static void datagrams_stay_pending_while_the_device_is_full(void **state) {
    (void)state;
    enum { WIRE = 512, MORE = 20 };
    struct sockaddr_in to;
    dmtr_qresult_t qr;
    static dmtr_qtoken_t qts[WIRE + MORE];
    int qd = datagrams(&to);
    for (int i = 0; i < WIRE + MORE; i++)
        qts[i] = push_to(qd, "x", 1, &to);
    for (int i = 0; i < WIRE; i++)
        expect_wait_error(qts[i], 0);
    for (int i = WIRE; i < WIRE + MORE; i++)
        assert_int_equal(dmtr_poll(&qr, qts[i]), EAGAIN);
    assert_int_equal(peer_look(), WIRE);
    test_now_ns += MS;
    for (int i = WIRE; i < WIRE + MORE; i++)
        expect_wait_error(qts[i], 0);
    assert_int_equal(peer_look(), MORE);
}

/* ---- what the stack owes ---- */

static void acknowledgements_leave_before_the_wait_returns(void **state) {
    (void)state;
    dmtr_qresult_t qr;
    connections(1);
    peer_push(0, 3 * MSS);
    assert_ok(dmtr_wait_timed(&qr, pops[0], 0));
    assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    assert_int_equal(peer_look(), 1); /* one ACK for the burst */
    assert_int_equal(tcp_unacked(peer.conns[0]), 0);
}

#define burst_test(fn)           cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define burst_test_with(fn, opt) cmocka_unit_test_prestate_setup_teardown(fn, setup, teardown, (void *)(opt))

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        burst_test(a_lone_answer_leaves_at_once),
        burst_test(answers_of_a_turn_leave_together),
        burst_test(one_result_per_wait_makes_a_burst_too),
        burst_test(a_turn_of_32_frames_leaves),
        burst_test(frames_of_a_long_push_count),
        burst_test(pushes_on_one_stream_share_a_segment),
        burst_test(flush_sends),
        burst_test(a_push_late_in_a_turn_leaves_at_once),
        burst_test(no_wait_ends_without_a_result_while_frames_are_unsent),
        burst_test(a_wait_for_a_push_sends_it),
        burst_test(fin_joins_the_last_segment),
        burst_test(a_push_that_the_limit_refuses_sends_first),
        burst_test(the_end_of_the_runtime_sends),
        burst_test(the_event_descriptor_is_readable_while_frames_are_unsent),
        burst_test_with(each_push_leaves_at_once_without_turns, "wait.turn_us=0"),
        burst_test(lone_datagrams_leave_at_once),
        burst_test(datagrams_of_a_turn_leave_together_and_in_order),
        burst_test(datagrams_stay_pending_while_the_device_is_full),
        burst_test(acknowledgements_leave_before_the_wait_returns),
    };
    snprintf(policy, sizeof policy, "wait.policy=%s", argc > 1 ? argv[1] : "adaptive");
    return cmocka_run_group_tests_name("burst", tests, NULL, NULL);
}
