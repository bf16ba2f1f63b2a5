/* SPDX-License-Identifier: MIT */
/* Runtimes on one device: where segments go, and who has a flow. */
#include "group_test.h"

static void an_unmatched_segment_visits_at_most_two_stacks(void **state) {
    (void)state;
    uint32_t iss;
    setup(MEMBERS);
    uint64_t before = inputs();
    segment(2000, PORT, TCP_ACK, 1, 1, "nobody has the port");
    look_all();
    expect_reset();
    assert_int_equal(inputs() - before, 1);
    /* Member 1 has the port, but no listener any more; member 2 listens. */
    int listener = listen_at(1, PORT, 5), qd = connected(1, listener, port_at(1, PORT, 0), &iss);
    api_runtime = members[1];
    assert_ok(dmtr_close(listener));
    (void)listen_at(2, PORT, 5);
    for (uint32_t i = 0; i < 4; i++) {
        static const uint8_t flags[] = {TCP_ACK, TCP_ACK | TCP_PSH, TCP_RST, TCP_SYN | TCP_ACK};
        uint64_t unmatched = counter(NET_COUNTER_group_unmatched);
        before = inputs();
        segment(port_at(1, PORT, 1), PORT, flags[i], 1, 1, "");
        look_all();
        receive();
        assert_int_equal(answers, flags[i] != TCP_RST);
        bool asks = i < 2; /* a listener may want it */
        assert_int_equal(inputs() - before, asks ? 2 : 1);
        assert_int_equal(counter(NET_COUNTER_group_unmatched) - unmatched, asks);
    }
    /* Segments of a connection visit one. */
    before = inputs();
    segment(port_at(1, PORT, 0), PORT, TCP_ACK | TCP_PSH, 101, iss + 1, "text");
    look_all();
    assert_int_equal(inputs() - before, 1);
    expect_text_at(1, qd, "text");
    close_at(1, qd);
    teardown();
}

static void a_listener_elsewhere_gets_what_the_home_has_no_use_for(void **state) {
    (void)state;
    uint32_t iss;
    setup(MEMBERS);
    int first = listen_at(1, PORT, 5), old = connected(1, first, port_at(1, PORT, 0), &iss);
    api_runtime = members[1];
    assert_ok(dmtr_close(first));
    int second = listen_at(2, PORT, 5), fresh = connected(2, second, port_at(1, PORT, 1), &(uint32_t){0});
    assert_int_equal(flow_count(steering()->flows), 1);
    /* The old connection's SYN does not make another one at the listener: RFC 5961 section 4. */
    segment(port_at(1, PORT, 0), PORT, TCP_SYN, 5000, 0, "");
    look_all();
    receive();
    assert_int_equal(answers, 1);
    assert_int_equal(answer.flags, TCP_ACK);
    assert_int_equal(answer.seq, iss + 1);
    close_at(1, old);
    close_at(2, fresh);
    teardown();
}

static void connect_datagrams(int qd, const struct sockaddr_in *to, int error) {
    dmtr_qtoken_t qt;
    assert_ok(dmtr_connect(&qt, qd, (const struct sockaddr *)to, sizeof *to));
    expect_wait_error(qt, error);
}

static uint32_t datagram_goes_to(const struct sockaddr_in *from) {
    struct flow_key k = {inet_addr(OUR_ADDRESS), from->sin_addr.s_addr, PORT, ntohs(from->sin_port), IP_UDP};
    return steering_steer(steering(), MEMBERS - 1, &k).member;
}

static void a_connected_datagram_socket_has_its_flow_alone(void **state) {
    (void)state;
    struct sockaddr_in one = address_of(PEER_ADDRESS, 1), two = address_of(PEER_ADDRESS, 2), three = one;
    const struct sockaddr_in undo = {.sin_family = AF_UNSPEC};
    three.sin_port = htons(3);
    setup(MEMBERS);
    api_runtime = members[0];
    int first = datagram_socket(OUR_ADDRESS, PORT, 0);
    connect_datagrams(first, &one, 0);
    assert_int_equal(datagram_goes_to(&one), 0);
    assert_int_equal(datagram_goes_to(&two), MEMBERS - 1); /* nobody has it: it stays where it is */
    api_runtime = members[1];
    int second = datagram_socket("0.0.0.0", PORT, 0);
    assert_int_equal(datagram_goes_to(&two), 1);
    connect_datagrams(second, &one, EADDRINUSE);
    assert_int_equal(datagram_goes_to(&three), 1); /* as before */
    connect_datagrams(second, &two, 0);
    connect_datagrams(second, &two, 0);
    assert_int_equal(flow_count(steering()->flows), 2);
    assert_int_equal(datagram_goes_to(&three), MEMBERS - 1);
    connect_datagrams(second, &three, 0);
    assert_int_equal(flow_count(steering()->flows), 2);
    assert_int_equal(datagram_goes_to(&two), MEMBERS - 1);
    connect_datagrams(second, &undo, 0);
    assert_int_equal(datagram_goes_to(&two), 1);
    assert_int_equal(datagram_goes_to(&one), 0);
    assert_ok(dmtr_close(second));
    assert_int_equal(datagram_goes_to(&two), MEMBERS - 1);
    api_runtime = members[0];
    assert_ok(dmtr_close(first));
    assert_int_equal(datagram_goes_to(&one), MEMBERS - 1);
    teardown();
}

/* It has closed before it looks: the sender is not refused, because another one listens by then. */
static void a_segment_whose_listener_has_closed_may_be_sent_again(void **state) {
    (void)state;
    uint32_t iss;
    setup(MEMBERS);
    uint16_t port = port_at(1, PORT, 1);
    int first = listen_at(1, PORT, 5), old = connected(1, first, port_at(1, PORT, 0), &iss);
    api_runtime = members[1];
    assert_ok(dmtr_close(first));
    first = listen_at(2, PORT, 5);
    uint64_t before = inputs();
    segment(port, PORT, TCP_SYN, 100, 0, "");
    look(1);
    api_runtime = members[2];
    assert_ok(dmtr_close(first));
    int second = listen_at(0, PORT, 5);
    look_all();
    receive();
    assert_int_equal(answers, 0);
    assert_int_equal(inputs() - before, 2);
    assert_int_equal(counter(NET_COUNTER_group_drops), 1);
    int fresh = connected(0, second, port, &iss);
    close_at(0, fresh);
    close_at(1, old);
    teardown();
}

static void a_cookie_is_good_for_another_listener(void **state) {
    (void)state;
    setup(MEMBERS);
    uint16_t kept = port_at(1, PORT, 0), later = port_at(1, PORT, 1);
    int first = listen_at(0, PORT, 1);
    segment(kept, PORT, TCP_SYN, 100, 0, ""); /* half open: the backlog is full */
    segment(later, PORT, TCP_SYN, 100, 0, "");
    look_all();
    receive();
    assert_int_equal(answers, 2);
    assert_int_equal(inet_counters(net_of(0)->stack)[INET_COUNTER_tcp_cookies_out], 1);
    assert_int_equal(flow_count(steering()->flows), 1); /* a cookie needs no entry */
    int second = listen_at(1, PORT, 1);
    dmtr_qtoken_t qt = accept_begin(1, second);
    segment(later, PORT, TCP_ACK | TCP_PSH, 101, answer.seq + 1, "text");
    look_all();
    int qd = accepted(1, qt);
    expect_text_at(1, qd, "text");
    close_at(1, qd);
    api_runtime = members[0];
    assert_ok(dmtr_close(first));
    teardown();
}

static void a_full_table_refuses_who_connects(void **state) {
    (void)state;
    static const uint64_t secret[FLOW_KEY_WORDS] = {1, 2, 3, 4, 5};
    struct flow_table *none;
    setup(MEMBERS);
    assert_int_equal(flow_table_new(&none, 0, secret), 0);
    struct flow_table *all = steering()->flows;
    steering()->flows = none;
    listen_at(0, PORT, 5);
    segment(port_at(1, PORT, 0), PORT, TCP_SYN, 100, 0, "");
    look_all();
    expect_reset();
    assert_int_equal(counter(NET_COUNTER_group_flow_limit), 1);
    /* And a socket that has bound its port. */
    struct sockaddr_in own = address_of(OUR_ADDRESS, 999), to = address_of(PEER_ADDRESS, port_at(1, 999, 0));
    dmtr_qtoken_t qt;
    int qd;
    api_runtime = members[0];
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)&own, sizeof own));
    assert_ok(dmtr_connect(&qt, qd, (struct sockaddr *)&to, sizeof to));
    expect_wait_error(qt, ENOBUFS);
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0));
    assert_ok(dmtr_connect(&qt, qd, (struct sockaddr *)&to, sizeof to));
    expect_wait_error(qt, ENOBUFS);
    assert_int_equal(counter(NET_COUNTER_group_flow_limit), 3);
    steering()->flows = all;
    flow_table_free(none);
    teardown();
}

/* Its place is the home of connections that others have. */
static void a_runtime_that_joins_late_gets_no_connection_of_others(void **state) {
    (void)state;
    uint32_t iss, iss_moved;
    setup(MEMBERS - 1);
    uint16_t port = port_at(2, PORT, 0), moved_port = port_at(2, PORT, 1);
    int listener = listen_at(0, PORT, 5), qd = connected(0, listener, port, &iss);
    int moved = connected(0, listener, moved_port, &iss_moved), handover = handover_at(1);
    assert_ok(transfer(0, moved, 1));
    segment(moved_port, PORT, TCP_ACK | TCP_PSH, 101, iss_moved + 1, "moved");
    member_start(2);
    int late = listen_at(2, PORT, 5);
    look(2);
    segment(port, PORT, TCP_ACK | TCP_PSH, 101, iss + 1, "stays");
    look(2);
    look_all();
    expect_text_at(0, qd, "stays");
    moved = accepted(1, accept_begin(1, handover));
    expect_text_at(1, moved, "moved");
    /* New ones are at home there. */
    int fresh = connected(2, late, port_at(2, PORT, 2), &iss);
    close_at(0, qd);
    close_at(1, moved);
    close_at(2, fresh);
    teardown();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unmatched_segment_visits_at_most_two_stacks),
        cmocka_unit_test(a_listener_elsewhere_gets_what_the_home_has_no_use_for),
        cmocka_unit_test(a_connected_datagram_socket_has_its_flow_alone),
        cmocka_unit_test(a_segment_whose_listener_has_closed_may_be_sent_again),
        cmocka_unit_test(a_cookie_is_good_for_another_listener),
        cmocka_unit_test(a_full_table_refuses_who_connects),
        cmocka_unit_test(a_runtime_that_joins_late_gets_no_connection_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
