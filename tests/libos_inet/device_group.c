/* SPDX-License-Identifier: MIT */
/* Several runtimes on one device: steering of segments and datagrams, and ownership of flows. */
#include "group_test.h"

static void an_unmatched_segment_visits_at_most_two_stacks(void **state) {
    (void)state;
    uint32_t iss;
    setup(MEMBERS);
    uint64_t before = count_frames_in();
    send_segment(2000, PORT, TCP_ACK, 1, 1, "nobody has the port");
    poll_all_members();
    expect_reset();
    assert_int_equal(count_frames_in() - before, 1);
    /* Member 1 has a connection on the port but no listener. Member 2 listens. */
    int listener = listen_on_member(1, PORT, 5), qd = connect_and_accept(1, listener, port_with_home(1, PORT, 0), &iss);
    api_runtime = members[1];
    assert_ok(dmtr_close(listener));
    (void)listen_on_member(2, PORT, 5);
    for (uint32_t i = 0; i < 4; i++) {
        static const uint8_t flags[] = {TCP_ACK, TCP_ACK | TCP_PSH, TCP_RST, TCP_SYN | TCP_ACK};
        uint64_t unmatched = sum_counter(NET_COUNTER_group_unmatched);
        before = count_frames_in();
        send_segment(port_with_home(1, PORT, 1), PORT, flags[i], 1, 1, "");
        poll_all_members();
        receive_segments();
        assert_int_equal(segment_count, flags[i] != TCP_RST);
        bool may_be_cookie = i < 2; /* an ACK may complete a handshake with a SYN cookie */
        assert_int_equal(count_frames_in() - before, may_be_cookie ? 2 : 1);
        assert_int_equal(sum_counter(NET_COUNTER_group_unmatched) - unmatched, may_be_cookie);
    }
    /* A segment of a connection visits one stack. */
    before = count_frames_in();
    send_segment(port_with_home(1, PORT, 0), PORT, TCP_ACK | TCP_PSH, 101, iss + 1, "text");
    poll_all_members();
    assert_int_equal(count_frames_in() - before, 1);
    expect_text_on_member(1, qd, "text");
    reset_and_close(1, qd);
    teardown();
}

static void unmatched_segments_go_to_the_listener_on_another_runtime(void **state) {
    (void)state;
    uint32_t iss;
    setup(MEMBERS);
    int first = listen_on_member(1, PORT, 5), old = connect_and_accept(1, first, port_with_home(1, PORT, 0), &iss);
    api_runtime = members[1];
    assert_ok(dmtr_close(first));
    int second = listen_on_member(2, PORT, 5),
        fresh = connect_and_accept(2, second, port_with_home(1, PORT, 1), &(uint32_t){0});
    assert_int_equal(flow_count(steering()->flows), 1);
    /* A SYN for the old connection causes a challenge ACK and no new connection: RFC 5961 section 4. */
    send_segment(port_with_home(1, PORT, 0), PORT, TCP_SYN, 5000, 0, "");
    poll_all_members();
    receive_segments();
    assert_int_equal(segment_count, 1);
    assert_int_equal(last_segment.flags, TCP_ACK);
    assert_int_equal(last_segment.seq, iss + 1);
    reset_and_close(1, old);
    reset_and_close(2, fresh);
    teardown();
}

static void connect_datagrams(int qd, const struct sockaddr_in *to, int error) {
    dmtr_qtoken_t qt;
    assert_ok(dmtr_connect(&qt, qd, (const struct sockaddr *)to, sizeof *to));
    expect_wait_error(qt, error);
}

static uint32_t member_of_datagram(const struct sockaddr_in *from) {
    struct flow_key k = {inet_addr(OUR_ADDRESS), from->sin_addr.s_addr, PORT, ntohs(from->sin_port), IP_UDP};
    return steering_steer(steering(), MEMBERS - 1, &k).member;
}

static void a_connected_datagram_socket_owns_its_flow(void **state) {
    (void)state;
    struct sockaddr_in one = address_of(PEER_ADDRESS, 1), two = address_of(PEER_ADDRESS, 2), three = one;
    const struct sockaddr_in undo = {.sin_family = AF_UNSPEC};
    three.sin_port = htons(3);
    setup(MEMBERS);
    api_runtime = members[0];
    int first = datagram_socket(OUR_ADDRESS, PORT, 0);
    connect_datagrams(first, &one, 0);
    assert_int_equal(member_of_datagram(&one), 0);
    assert_int_equal(member_of_datagram(&two),
                     MEMBERS - 1); /* no member has the port: the datagram stays on this member */
    api_runtime = members[1];
    int second = datagram_socket("0.0.0.0", PORT, 0);
    assert_int_equal(member_of_datagram(&two), 1);
    connect_datagrams(second, &one, EADDRINUSE);
    assert_int_equal(member_of_datagram(&three), 1); /* the failed connect changes nothing */
    connect_datagrams(second, &two, 0);
    connect_datagrams(second, &two, 0);
    assert_int_equal(flow_count(steering()->flows), 2);
    assert_int_equal(member_of_datagram(&three), MEMBERS - 1);
    connect_datagrams(second, &three, 0);
    assert_int_equal(flow_count(steering()->flows), 2);
    assert_int_equal(member_of_datagram(&two), MEMBERS - 1);
    connect_datagrams(second, &undo, 0);
    assert_int_equal(member_of_datagram(&two), 1);
    assert_int_equal(member_of_datagram(&one), 0);
    assert_ok(dmtr_close(second));
    assert_int_equal(member_of_datagram(&two), MEMBERS - 1);
    api_runtime = members[0];
    assert_ok(dmtr_close(first));
    assert_int_equal(member_of_datagram(&one), MEMBERS - 1);
    teardown();
}

/*
 * Member 1 passes a SYN to the listener of member 2, which closes before it polls. Member 0 listens by then. The stack
 * drops the SYN and sends no reset, so that the retransmitted SYN reaches the new listener.
 */
static void a_syn_to_a_listener_that_has_closed_is_dropped_and_not_reset(void **state) {
    (void)state;
    uint32_t iss;
    setup(MEMBERS);
    uint16_t port = port_with_home(1, PORT, 1);
    int first = listen_on_member(1, PORT, 5), old = connect_and_accept(1, first, port_with_home(1, PORT, 0), &iss);
    api_runtime = members[1];
    assert_ok(dmtr_close(first));
    first = listen_on_member(2, PORT, 5);
    uint64_t before = count_frames_in();
    send_segment(port, PORT, TCP_SYN, 100, 0, "");
    poll_member(1);
    api_runtime = members[2];
    assert_ok(dmtr_close(first));
    int second = listen_on_member(0, PORT, 5);
    poll_all_members();
    receive_segments();
    assert_int_equal(segment_count, 0);
    assert_int_equal(count_frames_in() - before, 2);
    assert_int_equal(sum_counter(NET_COUNTER_group_drops), 1);
    int fresh = connect_and_accept(0, second, port, &iss);
    reset_and_close(0, fresh);
    reset_and_close(1, old);
    teardown();
}

static void a_syn_cookie_is_accepted_by_another_listener(void **state) {
    (void)state;
    setup(MEMBERS);
    uint16_t kept = port_with_home(1, PORT, 0), later = port_with_home(1, PORT, 1);
    int first = listen_on_member(0, PORT, 1);
    send_segment(kept, PORT, TCP_SYN, 100, 0, ""); /* a half-open connection fills the backlog */
    send_segment(later, PORT, TCP_SYN, 100, 0, "");
    poll_all_members();
    receive_segments();
    assert_int_equal(segment_count, 2);
    assert_int_equal(inet_counters(net_of(0)->stack)[INET_COUNTER_tcp_cookies_out], 1);
    assert_int_equal(flow_count(steering()->flows), 1); /* a SYN cookie needs no flow entry */
    int second = listen_on_member(1, PORT, 1);
    dmtr_qtoken_t qt = begin_accept(1, second);
    send_segment(later, PORT, TCP_ACK | TCP_PSH, 101, last_segment.seq + 1, "text");
    poll_all_members();
    int qd = wait_accepted(1, qt);
    expect_text_on_member(1, qd, "text");
    reset_and_close(1, qd);
    api_runtime = members[0];
    assert_ok(dmtr_close(first));
    teardown();
}

static void a_full_flow_table_refuses_connections(void **state) {
    (void)state;
    static const uint64_t secret[FLOW_KEY_WORDS] = {1, 2, 3, 4, 5};
    struct flow_table *none;
    setup(MEMBERS);
    assert_int_equal(flow_table_new(&none, 0, secret), 0);
    struct flow_table *all = steering()->flows;
    steering()->flows = none;
    listen_on_member(0, PORT, 5);
    send_segment(port_with_home(1, PORT, 0), PORT, TCP_SYN, 100, 0, "");
    poll_all_members();
    expect_reset();
    assert_int_equal(sum_counter(NET_COUNTER_group_flow_limit), 1);
    /* A connect from a bound port fails, too. */
    struct sockaddr_in own = address_of(OUR_ADDRESS, 999), to = address_of(PEER_ADDRESS, port_with_home(1, 999, 0));
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
    assert_int_equal(sum_counter(NET_COUNTER_group_flow_limit), 3);
    steering()->flows = all;
    flow_table_free(none);
    teardown();
}

/* The RSS home of some existing connections is the queue of the runtime that joins. */
static void a_runtime_that_joins_late_takes_no_existing_connection(void **state) {
    (void)state;
    uint32_t iss, iss_moved;
    setup(MEMBERS - 1);
    uint16_t port = port_with_home(2, PORT, 0), moved_port = port_with_home(2, PORT, 1);
    int listener = listen_on_member(0, PORT, 5), qd = connect_and_accept(0, listener, port, &iss);
    int moved = connect_and_accept(0, listener, moved_port, &iss_moved), handover = open_handover(1);
    assert_ok(transfer_to_member(0, moved, 1));
    send_segment(moved_port, PORT, TCP_ACK | TCP_PSH, 101, iss_moved + 1, "moved");
    start_member(2);
    int late = listen_on_member(2, PORT, 5);
    poll_member(2);
    send_segment(port, PORT, TCP_ACK | TCP_PSH, 101, iss + 1, "stays");
    poll_member(2);
    poll_all_members();
    expect_text_on_member(0, qd, "stays");
    moved = wait_accepted(1, begin_accept(1, handover));
    expect_text_on_member(1, moved, "moved");
    /* A new connection with that home goes to the new runtime. */
    int fresh = connect_and_accept(2, late, port_with_home(2, PORT, 2), &iss);
    reset_and_close(0, qd);
    reset_and_close(1, moved);
    reset_and_close(2, fresh);
    teardown();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unmatched_segment_visits_at_most_two_stacks),
        cmocka_unit_test(unmatched_segments_go_to_the_listener_on_another_runtime),
        cmocka_unit_test(a_connected_datagram_socket_owns_its_flow),
        cmocka_unit_test(a_syn_to_a_listener_that_has_closed_is_dropped_and_not_reset),
        cmocka_unit_test(a_syn_cookie_is_accepted_by_another_listener),
        cmocka_unit_test(a_full_flow_table_refuses_connections),
        cmocka_unit_test(a_runtime_that_joins_late_takes_no_existing_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
