/* SPDX-License-Identifier: MIT */
/* Transfers of connections between the runtimes of one device, step by step. */
#include "group_test.h"

/* In each case another member polls first and receives the segment from the wire. */
static void segments_reach_a_connection_during_its_transfer(void **state) {
    (void)state;
    for (uint32_t home = 0; home < MEMBERS; home++)
        for (uint32_t first = 0; first < MEMBERS; first++) {
            uint32_t iss;
            setup(MEMBERS);
            uint16_t port = port_with_home(home, PORT, 0);
            int qd = connect_and_accept(0, listen_on_member(0, PORT, 5), port, &iss), handover = open_handover(1);
            /* This segment is in the mailbox of the old owner before the transfer, which processes it afterwards. */
            send_segment(port, PORT, TCP_ACK | TCP_PSH, 101, iss + 1, "before");
            poll_member(2);
            assert_ok(transfer_to_member(0, qd, 1));
            send_segment(port, PORT, TCP_ACK | TCP_PSH, 107, iss + 1, "after");
            poll_member(first);
            poll_all_members();
            receive_segments();
            for (uint32_t i = 0; i < segment_count; i++)
                assert_false(last_segment.flags & TCP_RST);
            qd = wait_accepted(1, begin_accept(1, handover));
            expect_text_on_member(1, qd, "beforeafter");
            assert_int_equal(flow_count(steering()->flows), home != 1);
            /* Transfer the connection back. */
            int back = open_handover(0);
            assert_ok(transfer_to_member(1, qd, 0));
            send_segment(port, PORT, TCP_ACK | TCP_PSH | TCP_FIN, 112, iss + 1, "end");
            poll_member(first);
            poll_all_members();
            qd = wait_accepted(0, begin_accept(0, back));
            expect_text_on_member(0, qd, "end");
            reset_and_close(0, qd);
            teardown();
        }
}

static void an_armed_timer_moves_with_the_connection(void **state) {
    (void)state;
    uint32_t iss;
    setup(MEMBERS);
    uint16_t port = port_with_home(2, PORT, 0);
    int qd = connect_and_accept(0, listen_on_member(0, PORT, 5), port, &iss), handover = open_handover(1);
    api_runtime = members[0];
    push_wait(qd, "x");
    receive_segments();
    assert_int_equal(payload_bytes, 1);
    assert_ok(transfer_to_member(0, qd, 1));
    uint64_t end = clock_now_ns() + HANG;
    for (segment_count = 0; segment_count == 0 && clock_now_ns() < end; receive_segments())
        poll_all_members();
    assert_int_equal(payload_bytes, 1); /* the new owner retransmits */
    assert_int_equal(payload_first_byte, 'x');
    assert_int_equal(last_segment.seq, iss + 1);
    qd = wait_accepted(1, begin_accept(1, handover));
    reset_and_close(1, qd);
    teardown();
}

static void acknowledgements_of_earlier_pushes_complete_no_later_one(void **state) {
    (void)state;
    dmtr_qresult_t qr;
    dmtr_qtoken_t pushed;
    uint32_t iss;
    int on = 1;
    setup(MEMBERS);
    uint16_t port = port_with_home(2, PORT, 0);
    int qd = connect_and_accept(0, listen_on_member(0, PORT, 5), port, &iss), handover = open_handover(1);
    api_runtime = members[0];
    push_wait(qd, "old");
    assert_ok(transfer_to_member(0, qd, 1));
    poll_all_members();
    qd = wait_accepted(1, begin_accept(1, handover));
    assert_ok(dmtr_setsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_PUSH_ACKED, &on, sizeof on));
    pushed = push_text(qd, "new");
    assert_int_equal(dmtr_poll(&qr, pushed), EAGAIN);
    send_segment(port, PORT, TCP_ACK, 101, iss + 4, "");
    poll_all_members();
    api_runtime = members[1];
    assert_int_equal(dmtr_poll(&qr, pushed), EAGAIN);
    send_segment(port, PORT, TCP_ACK, 101, iss + 7, "");
    poll_all_members();
    api_runtime = members[1];
    expect_wait_error(pushed, 0);
    reset_and_close(1, qd);
    teardown();
}

static void a_failed_transfer_leaves_the_connection_with_its_owner(void **state) {
    (void)state;
    static const uint64_t secret[FLOW_KEY_WORDS] = {1, 2, 3, 4, 5};
    uint32_t iss;
    struct flow_table *none;
    setup(MEMBERS);
    uint16_t port = port_with_home(0, PORT, 0);
    int listener = listen_on_member(0, PORT, 5), qd = connect_and_accept(0, listener, port, &iss);
    open_handover(1);
    struct mailbox *box = net_of(1)->mailbox;
    box->migration_count = MAILBOX_MIGRATIONS_MAX;
    assert_int_equal(transfer_to_member(0, qd, 1), EAGAIN);
    box->migration_count = 0;
    /* The flow table is full. */
    assert_int_equal(flow_table_new(&none, 0, secret), 0);
    struct flow_table *all = steering()->flows;
    steering()->flows = none;
    assert_int_equal(transfer_to_member(0, qd, 1), ENOBUFS);
    int other = connect_and_accept(0, listener, port_with_home(0, PORT, 1), &(uint32_t){0});
    steering()->flows = all;
    flow_table_free(none);
    send_segment(port, PORT, TCP_ACK | TCP_PSH, 101, iss + 1, "works");
    poll_all_members();
    expect_text_on_member(0, qd, "works");
    reset_and_close(0, qd);
    reset_and_close(0, other);
    teardown();
}

static void a_runtime_without_a_handover_queue_resets_transferred_connections(void **state) {
    (void)state;
    uint32_t iss;
    setup(MEMBERS);
    int qd = connect_and_accept(0, listen_on_member(0, PORT, 5), port_with_home(2, PORT, 0), &iss);
    assert_ok(transfer_to_member(0, qd, 1));
    poll_member(1);
    expect_reset();
    assert_int_equal(sum_counter(NET_COUNTER_transfers_lost), 1);
    teardown();
}

static void a_runtime_that_ends_resets_connections_in_transfer(void **state) {
    (void)state;
    uint32_t iss;
    for (uint32_t home = 0; home < MEMBERS; home++) {
        setup(MEMBERS);
        uint16_t port = port_with_home(home, PORT, 0);
        int listener = listen_on_member(0, PORT, 5), qd = connect_and_accept(0, listener, port, &iss);
        uint32_t gone = members[1]->id;
        open_handover(1);
        assert_ok(transfer_to_member(0, qd, 1));
        stop_member(1);
        expect_reset();
        assert_int_equal(last_segment.seq, iss + 1);
        assert_int_equal(flow_count(steering()->flows), 0);
        qd = connect_and_accept(0, listener, port_with_home(home, PORT, 1), &iss);
        api_runtime = members[0];
        assert_int_equal(dmtr_transfer(qd, gone), EXDEV);
        reset_and_close(0, qd);
        teardown();
    }
}

static void both_ends_of_a_loopback_connection_can_be_transferred(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(OUR_ADDRESS, PORT);
    dmtr_qtoken_t qt, accept;
    int client;
    setup(MEMBERS);
    accept = begin_accept(1, listen_on_member(1, PORT, 5));
    listen_on_member(0, PORT + 1, 5);
    api_runtime = members[0];
    assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_connect(&qt, client, (struct sockaddr *)&to, sizeof to));
    for (uint32_t i = 0; i < 3; i++)
        poll_all_members();
    api_runtime = members[0];
    expect_wait_error(qt, 0);
    int server = wait_accepted(1, accept), handover = open_handover(2);
    api_runtime = members[0];
    push_wait(client, "one");
    assert_ok(transfer_to_member(1, server, 2));
    api_runtime = members[0];
    push_wait(client, "two");
    poll_all_members();
    server = wait_accepted(2, begin_accept(2, handover));
    expect_text_on_member(2, server, "onetwo");
    handover = open_handover(1);
    assert_ok(transfer_to_member(0, client, 1));
    api_runtime = members[2];
    push_wait(server, "back");
    poll_all_members();
    client = wait_accepted(1, begin_accept(1, handover));
    expect_text_on_member(1, client, "back");
    reset_and_close(1, client);
    poll_all_members();
    reset_and_close(2, server);
    teardown();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_reach_a_connection_during_its_transfer),
        cmocka_unit_test(an_armed_timer_moves_with_the_connection),
        cmocka_unit_test(acknowledgements_of_earlier_pushes_complete_no_later_one),
        cmocka_unit_test(a_failed_transfer_leaves_the_connection_with_its_owner),
        cmocka_unit_test(a_runtime_without_a_handover_queue_resets_transferred_connections),
        cmocka_unit_test(a_runtime_that_ends_resets_connections_in_transfer),
        cmocka_unit_test(both_ends_of_a_loopback_connection_can_be_transferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
