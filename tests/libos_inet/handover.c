/* SPDX-License-Identifier: MIT */
/* Connections that one runtime of a device hands over to another, step by step. */
#include "group_test.h"

/* Each member in turn is the first to look, which then finds the segment on the wire. */
static void segments_find_a_connection_on_its_way(void **state) {
    (void)state;
    for (uint32_t home = 0; home < MEMBERS; home++)
        for (uint32_t first = 0; first < MEMBERS; first++) {
            uint32_t iss;
            setup(MEMBERS);
            uint16_t port = port_at(home, PORT, 0);
            int qd = connected(0, listen_at(0, PORT, 5), port, &iss), handover = handover_at(1);
            /* In the mailbox of its old owner before the transfer; seen after it. */
            segment(port, PORT, TCP_ACK | TCP_PSH, 101, iss + 1, "before");
            look(2);
            assert_ok(transfer(0, qd, 1));
            segment(port, PORT, TCP_ACK | TCP_PSH, 107, iss + 1, "after");
            look(first);
            look_all();
            receive();
            for (uint32_t i = 0; i < answers; i++)
                assert_false(answer.flags & TCP_RST);
            qd = accepted(1, accept_begin(1, handover));
            expect_text_at(1, qd, "beforeafter");
            assert_int_equal(flow_count(steering()->flows), home != 1);
            /* And back. */
            int back = handover_at(0);
            assert_ok(transfer(1, qd, 0));
            segment(port, PORT, TCP_ACK | TCP_PSH | TCP_FIN, 112, iss + 1, "end");
            look(first);
            look_all();
            qd = accepted(0, accept_begin(0, back));
            expect_text_at(0, qd, "end");
            close_at(0, qd);
            teardown();
        }
}

static void a_timer_that_runs_goes_with_the_connection(void **state) {
    (void)state;
    uint32_t iss;
    setup(MEMBERS);
    uint16_t port = port_at(2, PORT, 0);
    int qd = connected(0, listen_at(0, PORT, 5), port, &iss), handover = handover_at(1);
    api_runtime = members[0];
    push_wait(qd, "x");
    receive();
    assert_int_equal(answer_bytes, 1);
    assert_ok(transfer(0, qd, 1));
    uint64_t end = clock_now_ns() + HANG;
    for (answers = 0; answers == 0 && clock_now_ns() < end; receive())
        look_all();
    assert_int_equal(answer_bytes, 1); /* sent again, by the new owner */
    assert_int_equal(answer_first, 'x');
    assert_int_equal(answer.seq, iss + 1);
    qd = accepted(1, accept_begin(1, handover));
    close_at(1, qd);
    teardown();
}

static void acknowledgements_of_earlier_pushes_complete_no_later_one(void **state) {
    (void)state;
    dmtr_qresult_t qr;
    dmtr_qtoken_t pushed;
    uint32_t iss;
    int on = 1;
    setup(MEMBERS);
    uint16_t port = port_at(2, PORT, 0);
    int qd = connected(0, listen_at(0, PORT, 5), port, &iss), handover = handover_at(1);
    api_runtime = members[0];
    push_wait(qd, "old");
    assert_ok(transfer(0, qd, 1));
    look_all();
    qd = accepted(1, accept_begin(1, handover));
    assert_ok(dmtr_setsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_PUSH_ACKED, &on, sizeof on));
    pushed = push_text(qd, "new");
    assert_int_equal(dmtr_poll(&qr, pushed), EAGAIN);
    segment(port, PORT, TCP_ACK, 101, iss + 4, "");
    look_all();
    api_runtime = members[1];
    assert_int_equal(dmtr_poll(&qr, pushed), EAGAIN);
    segment(port, PORT, TCP_ACK, 101, iss + 7, "");
    look_all();
    api_runtime = members[1];
    expect_wait_error(pushed, 0);
    close_at(1, qd);
    teardown();
}

static void a_transfer_that_fails_leaves_the_connection(void **state) {
    (void)state;
    static const uint64_t secret[FLOW_KEY_WORDS] = {1, 2, 3, 4, 5};
    uint32_t iss;
    struct flow_table *none;
    setup(MEMBERS);
    uint16_t port = port_at(0, PORT, 0);
    int listener = listen_at(0, PORT, 5), qd = connected(0, listener, port, &iss);
    handover_at(1);
    struct mailbox *box = net_of(1)->mailbox;
    box->migration_count = MAILBOX_MIGRATIONS_MAX;
    assert_int_equal(transfer(0, qd, 1), EAGAIN);
    box->migration_count = 0;
    /* The table is full. */
    assert_int_equal(flow_table_new(&none, 0, secret), 0);
    struct flow_table *all = steering()->flows;
    steering()->flows = none;
    assert_int_equal(transfer(0, qd, 1), ENOBUFS);
    int other = connected(0, listener, port_at(0, PORT, 1), &(uint32_t){0});
    steering()->flows = all;
    flow_table_free(none);
    segment(port, PORT, TCP_ACK | TCP_PSH, 101, iss + 1, "works");
    look_all();
    expect_text_at(0, qd, "works");
    close_at(0, qd);
    close_at(0, other);
    teardown();
}

static void a_runtime_without_a_handover_queue_resets_what_comes(void **state) {
    (void)state;
    uint32_t iss;
    setup(MEMBERS);
    int qd = connected(0, listen_at(0, PORT, 5), port_at(2, PORT, 0), &iss);
    assert_ok(transfer(0, qd, 1));
    look(1);
    expect_reset();
    assert_int_equal(counter(NET_COUNTER_transfers_lost), 1);
    teardown();
}

static void a_runtime_that_ends_resets_what_is_on_its_way(void **state) {
    (void)state;
    uint32_t iss;
    for (uint32_t home = 0; home < MEMBERS; home++) {
        setup(MEMBERS);
        uint16_t port = port_at(home, PORT, 0);
        int listener = listen_at(0, PORT, 5), qd = connected(0, listener, port, &iss);
        uint32_t gone = members[1]->id;
        handover_at(1);
        assert_ok(transfer(0, qd, 1));
        member_stop(1);
        expect_reset();
        assert_int_equal(answer.seq, iss + 1);
        assert_int_equal(flow_count(steering()->flows), 0);
        qd = connected(0, listener, port_at(home, PORT, 1), &iss);
        api_runtime = members[0];
        assert_int_equal(dmtr_transfer(qd, gone), EXDEV);
        close_at(0, qd);
        teardown();
    }
}

static void connections_within_the_process_are_handed_over(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(OUR_ADDRESS, PORT);
    dmtr_qtoken_t qt, accept;
    int client;
    setup(MEMBERS);
    accept = accept_begin(1, listen_at(1, PORT, 5));
    listen_at(0, PORT + 1, 5);
    api_runtime = members[0];
    assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_connect(&qt, client, (struct sockaddr *)&to, sizeof to));
    for (uint32_t i = 0; i < 3; i++)
        look_all();
    api_runtime = members[0];
    expect_wait_error(qt, 0);
    int server = accepted(1, accept), handover = handover_at(2);
    api_runtime = members[0];
    push_wait(client, "one");
    assert_ok(transfer(1, server, 2));
    api_runtime = members[0];
    push_wait(client, "two");
    look_all();
    server = accepted(2, accept_begin(2, handover));
    expect_text_at(2, server, "onetwo");
    handover = handover_at(1);
    assert_ok(transfer(0, client, 1));
    api_runtime = members[2];
    push_wait(server, "back");
    look_all();
    client = accepted(1, accept_begin(1, handover));
    expect_text_at(1, client, "back");
    close_at(1, client);
    look_all();
    close_at(2, server);
    teardown();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_find_a_connection_on_its_way),
        cmocka_unit_test(a_timer_that_runs_goes_with_the_connection),
        cmocka_unit_test(acknowledgements_of_earlier_pushes_complete_no_later_one),
        cmocka_unit_test(a_transfer_that_fails_leaves_the_connection),
        cmocka_unit_test(a_runtime_without_a_handover_queue_resets_what_comes),
        cmocka_unit_test(a_runtime_that_ends_resets_what_is_on_its_way),
        cmocka_unit_test(connections_within_the_process_are_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
