/* SPDX-License-Identifier: MIT */
/*
 * Runtimes on one device, step by step on one thread: the test is the other end of the wire, sends segments one by one,
 * and lets one runtime after the other look at what there is.
 */
#include "libos/inet/device_group.h"
#include "api/api.h"
#include "base/clock.h"
#include "base/csum.h"
#include "base/toeplitz.h"
#include "inet/tcp/tcp.h"
#include "inet/wire/eth.h"
#include "inet/wire/ip4.h"
#include "inet/wire/tcp.h"
#include "libos/inet/net.h"
#include "mem/heap.h"
#include "net_test.h"

#define MEMBERS 3u
#define PORT    80
#define HEADERS (ETH_HEADER_BYTES + IP4_HEADER_BYTES)
#define MAC     "02:00:00:00:00:99"

static const uint8_t our_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 1}, peer_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 0x99};

static struct netdev *wire;
static struct dmtr_runtime *members[MEMBERS];
static uint64_t wire_ns = 1;

/* What was sent last to the test, and how many; while `only_port` is not 0, to that port alone. */
static uint16_t only_port;
static struct tcp_header answer;
static uint32_t answers, answer_bytes;
static uint8_t answer_first; /* byte of the payload */

static struct net *net_of(uint32_t i) {
    return members[i]->libos[0].state;
}

static struct steering *steering(void) {
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (members[i]) return &net_of(i)->group->steering;
    return NULL;
}

static void member_start(uint32_t i) {
    char device[96];
    snprintf(device, sizeof device, "inet.device_options=path=/tmp/dmtr-inet.%d", wire_owner());
    api_runtime = NULL;
    assert_ok(start_with_options((const char *const[]){"libos=inet", "inet.device=shm", "log.sink=none", device,
                                                       "inet.address=" OUR_ADDRESS "/24", "inet.mac=02:00:00:00:00:01",
                                                       "inet.neighbours=" PEER_ADDRESS "=" MAC, "inet.queues=3",
                                                       "core.linger_ms=0", NULL}));
    members[i] = api_runtime;
    assert_int_equal(net_of(i)->member, i);
}

static void member_stop(uint32_t i) {
    api_runtime = members[i];
    assert_ok(dmtr_fini());
    members[i] = NULL;
}

static void look(uint32_t i) {
    runtime_poll(members[i]);
}

static void look_all(void) {
    for (uint32_t n = 0; n < 4 * MEMBERS; n++)
        if (members[n % MEMBERS]) look(n % MEMBERS);
}

static void setup(uint32_t count) {
    char options[64], why[160] = "";
    struct netdev_args args = {.options = options, .why = why, .why_bytes = sizeof why};
    snprintf(options, sizeof options, "path=/tmp/dmtr-inet.%d,listen=yes", wire_owner());
    if (netdev_open("shm", &args, &wire) < 0) fail_msg("%s", why);
    for (uint32_t i = 0; i < count; i++)
        member_start(i);
    for (uint32_t i = 0; i < 1000 && !wire->link_up; i++) {
        netdev_update(wire, wire_ns++);
        look_all();
    }
    assert_true(wire->link_up);
}

/* Takes in what was sent to the test: segments alone. */
static void receive(void) {
    struct netdev_buffer b;
    answers = answer_bytes = 0;
    while (netdev_rx(wire, &b, 1, wire_ns++) == 1) {
        const uint8_t *p = b.data;
        if (b.bytes > HEADERS && wire_get16(p + ETH_HEADER_BYTES - 2) == ETH_TYPE_IP4 && p[HEADERS - 11] == IP_TCP) {
            uint32_t bytes = wire_get16(p + ETH_HEADER_BYTES + 2) - IP4_HEADER_BYTES;
            struct tcp_header h;
            assert_true(tcp_parse(&h, p + HEADERS, bytes));
            if (only_port == 0 || h.to_port == only_port) {
                answer = h;
                answers++;
                answer_bytes = bytes - h.header_bytes;
                if (answer_bytes) answer_first = p[HEADERS + h.header_bytes];
            }
        }
        heap_free(b.data);
    }
}

static void teardown(void) {
    if (steering()) assert_int_equal(flow_count(steering()->flows), 0);
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (members[i]) member_stop(i);
    receive();
    netdev_close(wire);
}

/* Sends a segment with this payload. */
static void segment(uint16_t from_port, uint16_t to_port, uint8_t flags, uint32_t seq, uint32_t ack, const char *text) {
    uint32_t payload = (uint32_t)strlen(text), bytes = HEADERS + TCP_HEADER_BYTES + payload;
    uint8_t *p = heap_alloc(bytes), *t = p + HEADERS;
    struct ip4_header ip = {.from = inet_addr(PEER_ADDRESS),
                            .to = inet_addr(OUR_ADDRESS),
                            .ttl = 64,
                            .protocol = IP_TCP,
                            .total_bytes = (uint16_t)(bytes - ETH_HEADER_BYTES)};
    eth_emit(p, our_mac, peer_mac, ETH_TYPE_IP4);
    ip4_emit(p + ETH_HEADER_BYTES, &ip);
    tcp_emit_fixed(t, from_port, to_port, seq, ack, TCP_HEADER_BYTES, flags, 65535);
    memcpy(t + TCP_HEADER_BYTES, text, payload);
    uint64_t sum = ip4_pseudo_sum(ip.from, ip.to, IP_TCP, TCP_HEADER_BYTES + payload);
    wire_store16(t + TCP_CHECKSUM_OFFSET, csum_finish(csum_add(sum, t, TCP_HEADER_BYTES + payload)));
    struct netdev_seg seg = {p, bytes};
    struct netdev_frame frame = {.segs = &seg, .bytes = bytes, .segs_count = 1};
    assert_int_equal(netdev_tx(wire, &frame, 1, wire_ns++), 1);
    heap_free(p);
}

/* The nth port from which a flow to that port has this home. */
static uint16_t port_at(uint32_t home, uint16_t to_port, uint32_t n) {
    struct flow_key k = {inet_addr(OUR_ADDRESS), inet_addr(PEER_ADDRESS), to_port, 2000, IP_TCP};
    for (;; k.remote_port++)
        if (toeplitz_queue(toeplitz_ip4(k.local, k.remote, k.local_port, k.remote_port), MEMBERS) == home && n-- == 0)
            return k.remote_port;
}

static int listen_at(uint32_t i, uint16_t port, int backlog) {
    struct sockaddr_in a = address_of(OUR_ADDRESS, port);
    int qd;
    api_runtime = members[i];
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)&a, sizeof a));
    assert_ok(dmtr_listen(qd, backlog));
    return qd;
}

static dmtr_qtoken_t accept_begin(uint32_t i, int qd) {
    dmtr_qtoken_t qt;
    api_runtime = members[i];
    assert_ok(dmtr_accept(&qt, qd));
    return qt;
}

static int accepted(uint32_t i, dmtr_qtoken_t qt) {
    dmtr_qresult_t qr;
    api_runtime = members[i];
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    assert_int_equal(qr.qr_error, 0);
    return qr.qr_value.ares.qd;
}

/* Connects from that port; the initial number of the answer. */
static uint32_t shake_hands(uint16_t from_port, uint16_t to_port) {
    segment(from_port, to_port, TCP_SYN, 100, 0, "");
    look_all();
    only_port = from_port;
    receive();
    assert_int_equal(answers, 1);
    assert_int_equal(answer.flags, TCP_SYN | TCP_ACK);
    segment(from_port, to_port, TCP_ACK, 101, answer.seq + 1, "");
    look_all();
    receive();
    assert_int_equal(answers, 0);
    only_port = 0;
    return answer.seq;
}

/* Connects to a listener of member i, and accepts there. */
static int connected(uint32_t i, int listener, uint16_t from_port, uint32_t *iss) {
    dmtr_qtoken_t qt = accept_begin(i, listener);
    *iss = shake_hands(from_port, PORT);
    return accepted(i, qt);
}

/* In as many pieces as it came. */
static void expect_text_at(uint32_t i, int qd, const char *text) {
    api_runtime = members[i];
    for (size_t at = 0, len = strlen(text); at < len;) {
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
        assert_int_equal(qr.qr_error, 0);
        const dmtr_sgaseg_t *seg = &qr.qr_value.sga.sga_segs[0];
        assert_uint_in_range(seg->sgaseg_len, 1, len - at);
        assert_memory_equal(seg->sgaseg_buf, text + at, seg->sgaseg_len);
        at += seg->sgaseg_len;
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
}

static void expect_reset(void) {
    receive();
    assert_int_equal(answers, 1);
    assert_true(answer.flags & TCP_RST);
}

static void close_at(uint32_t i, int qd) {
    const struct linger none = {.l_onoff = 1};
    api_runtime = members[i];
    assert_ok(dmtr_setsockopt(qd, SOL_SOCKET, SO_LINGER, &none, sizeof none));
    assert_ok(dmtr_close(qd));
    receive();
}

static uint64_t inputs(void) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (members[i]) all += inet_counters(net_of(i)->stack)[INET_COUNTER_frames_in];
    return all;
}

static uint64_t counter(enum counter c) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (members[i]) all += members[i]->counters.values[c];
    return all;
}

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
    listener = listen_at(2, PORT, 5);
    for (uint32_t i = 0; i < 4; i++) {
        static const uint8_t flags[] = {TCP_ACK, TCP_ACK | TCP_PSH, TCP_RST, TCP_SYN | TCP_ACK};
        uint64_t unmatched = counter(COUNTER_inet_group_unmatched);
        before = inputs();
        segment(port_at(1, PORT, 1), PORT, flags[i], 1, 1, "");
        look_all();
        receive();
        assert_int_equal(answers, flags[i] != TCP_RST);
        bool asks = i < 2; /* a listener may want it */
        assert_int_equal(inputs() - before, asks ? 2 : 1);
        assert_int_equal(counter(COUNTER_inet_group_unmatched) - unmatched, asks);
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
    assert_int_equal(counter(COUNTER_inet_group_drops), 1);
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

static int handover_at(uint32_t i) {
    int qd;
    api_runtime = members[i];
    assert_ok(dmtr_handover(&qd));
    return qd;
}

static int transfer(uint32_t from, int qd, uint32_t to) {
    api_runtime = members[from];
    return dmtr_transfer(qd, members[to]->id);
}

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
    assert_int_equal(counter(COUNTER_inet_group_flow_limit), 1);
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
    assert_int_equal(counter(COUNTER_inet_group_flow_limit), 3);
    steering()->flows = all;
    flow_table_free(none);
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
    assert_int_equal(counter(COUNTER_inet_transfers_lost), 1);
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
        cmocka_unit_test(an_unmatched_segment_visits_at_most_two_stacks),
        cmocka_unit_test(a_listener_elsewhere_gets_what_the_home_has_no_use_for),
        cmocka_unit_test(a_segment_whose_listener_has_closed_may_be_sent_again),
        cmocka_unit_test(a_cookie_is_good_for_another_listener),
        cmocka_unit_test(segments_find_a_connection_on_its_way),
        cmocka_unit_test(a_timer_that_runs_goes_with_the_connection),
        cmocka_unit_test(a_transfer_that_fails_leaves_the_connection),
        cmocka_unit_test(a_full_table_refuses_who_connects),
        cmocka_unit_test(a_runtime_without_a_handover_queue_resets_what_comes),
        cmocka_unit_test(a_runtime_that_ends_resets_what_is_on_its_way),
        cmocka_unit_test(a_runtime_that_joins_late_gets_no_connection_of_others),
        cmocka_unit_test(connections_within_the_process_are_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
