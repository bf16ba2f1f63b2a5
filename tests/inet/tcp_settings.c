/* SPDX-License-Identifier: MIT */
/* Options of connections and their effect on the wire. */
#include "inet/udp/udp.h"
#include "tcp_script.h"

static void set_option(struct script *s, enum tcp_option option, uint32_t value) {
    uint32_t got;
    assert_int_equal(tcp_set_option(s->conn, option, value, s->w->now), 0);
    assert_int_equal(tcp_get_option(s->conn, option, &got), 0);
    assert_int_equal(got, value);
}

static struct ip4_header sent_header(struct script *s) {
    const struct wire_frame *f = host_sent(s->h);
    struct ip4_header h = {0};
    assert_non_null(f);
    assert_true(ip4_parse(&h, f->bytes + ETH_HEADER_BYTES, f->len - ETH_HEADER_BYTES));
    return h;
}

static struct script *new_connection(void) {
    struct script *s = script_new();
    script_connect(s, (struct tcp_options){.mss = 1000});
    return s;
}

static void values_out_of_range_are_refused(void **state) {
    (void)state;
    struct script *s = new_connection();
    static const struct {
        enum tcp_option option;
        uint32_t value;
    } bad[] = {
        {TCP_OPTION_NODELAY, 2},
        {TCP_OPTION_KEEP_IDLE_S, 0},
        {TCP_OPTION_KEEP_COUNT, 128},
        {TCP_OPTION_TTL, 0},
        {TCP_OPTION_TTL, 256},
        {TCP_OPTION_MAXSEG, 87},
        {TCP_OPTION_MAXSEG, 9177},
        {TCP_OPTION_DELAYED_ACK_MS, 501},
        {TCP_OPTION_CONGESTION, 2},
        {TCP_OPTION_SEND_LIMIT, 0},
        {TCP_OPTION_RECEIVE_LIMIT, 1u << 30},
        {TCP_OPTION_COUNT, 0},
    };
    uint32_t value;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tcp_set_option(s->conn, bad[i].option, bad[i].value, s->w->now), -EINVAL);
    assert_int_equal(tcp_get_option(s->conn, TCP_OPTION_COUNT, &value), -EINVAL);
    for (uint32_t i = 0; i < TCP_OPTION_COUNT; i++)
        assert_int_equal(tcp_option_check(i, tcp_settings_default.values[i]), 0);
    script_delete(s);
}

static void settings_apply_from_the_syn(void **state) {
    (void)state;
    struct script *s = script_new();
    struct tcp_settings settings = tcp_settings_default;
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), PEER_PORT};
    settings.values[TCP_OPTION_TOS] = 0x10;
    settings.values[TCP_OPTION_TTL] = 3;
    settings.values[TCP_OPTION_SYN_COUNT] = 1;
    assert_int_equal(tcp_connect(s->h->stack, &s->conn, &to, NULL, &settings, NULL, s->w->now), 0);
    struct ip4_header h = sent_header(s);
    assert_int_equal(h.tos, 0x10);
    assert_int_equal(h.ttl, 3);
    assert_int_equal(h.fragment_flags, IP4_DF);
    pass(s, 10 * SEC);
    assert_int_equal(tcp_error(s->conn), -ETIMEDOUT);
    assert_int_equal(drain(s), 1);
    script_delete(s);
}

static void connections_inherit_the_settings_of_the_listener(void **state) {
    (void)state;
    struct script *s = script_new();
    struct tcp_settings settings = tcp_settings_default;
    struct inet_endpoint any = {.port = STACK_PORT};
    uint32_t value;
    assert_int_equal(tcp_listen(s->h->stack, &s->listener, &any, 4, NULL, NULL), 0);
    settings.values[TCP_OPTION_MAXSEG] = 700;
    settings.values[TCP_OPTION_KEEP_COUNT] = 3;
    tcp_listener_configure(s->listener, &settings);
    in(s, (struct seg){.flags = TCP_SYN, .window = 65535, .options = {.mss = 1460}});
    assert_int_equal(expect(s, TCP_SYN | TCP_ACK, 0, 0, 1).options.mss, 700);
    in_ack(s, 1);
    assert_int_equal(tcp_accept(s->listener, &s->conn, NULL), 0);
    assert_int_equal(tcp_get_option(s->conn, TCP_OPTION_KEEP_COUNT, &value), 0);
    assert_int_equal(value, 3);
    assert_int_equal(push(s, 1000), 0);
    expect(s, TCP_ACK, 1, 700, 1);
    script_delete(s);
}

static void maxseg_limits_later_segments(void **state) {
    (void)state;
    struct script *s = new_connection();
    set_option(s, TCP_OPTION_MAXSEG, 500);
    assert_int_equal(push(s, 1000), 0);
    expect(s, TCP_ACK, 1, 500, 1);
    expect(s, TCP_ACK, 501, 500, 1);
    script_delete(s);
}

static void corked_connection_sends_only_full_segments_before_its_timeout(void **state) {
    (void)state;
    struct script *s = new_connection();
    set_option(s, TCP_OPTION_CORK, 1);
    assert_int_equal(push(s, 300), 0);
    assert_int_equal(push(s, 300), 0);
    expect_nothing(s);
    assert_int_equal(push(s, 600), 0);
    expect(s, TCP_ACK, 1, 1000, 1);
    in_ack(s, 1001);
    expect_nothing(s);
    set_option(s, TCP_OPTION_CORK, 0);
    expect(s, TCP_ACK, 1001, 200, 1);
    in_ack(s, 1201);
    set_option(s, TCP_OPTION_CORK, 1);
    assert_int_equal(push(s, 100), 0);
    expect_nothing(s);
    pass(s, 300 * MS); /* CORK delays data by at most 200 ms */
    expect(s, TCP_ACK, 1201, 100, 1);
    script_delete(s);
}

static void acks_are_delayed_as_configured(void **state) {
    (void)state;
    struct script *s = new_connection();
    set_option(s, TCP_OPTION_QUICKACK, 0);
    in_data(s, 1, 100, 1);
    expect_nothing(s);
    set_option(s, TCP_OPTION_QUICKACK, 1); /* sends the delayed ACK */
    expect(s, TCP_ACK, 1, 0, 101);
    in_data(s, 101, 100, 1);
    expect(s, TCP_ACK, 1, 0, 201);
    set_option(s, TCP_OPTION_QUICKACK, 0);
    set_option(s, TCP_OPTION_DELAYED_ACK_MS, 100);
    in_data(s, 201, 100, 1);
    pass(s, 95 * MS);
    expect_nothing(s);
    pass(s, 10 * MS);
    expect(s, TCP_ACK, 1, 0, 301);
    set_option(s, TCP_OPTION_DELAYED_ACK_MS, 0);
    in_data(s, 301, 100, 1);
    expect(s, TCP_ACK, 1, 0, 401);
    script_delete(s);
}

static void received_bytes_can_be_peeked(void **state) {
    (void)state;
    struct script *s = new_connection();
    struct inet_segment seen;
    in_data(s, 1, 100, 1);
    in_data(s, 101, 50, 1);
    in_data(s, 201, 50, 1); /* out of order */
    drain(s);
    assert_int_equal(tcp_available(s->conn), 150);
    assert_int_equal(tcp_peek(s->conn, 0, &seen), 0);
    assert_int_equal(seen.len, 100);
    assert_int_equal(tcp_peek(s->conn, 120, &seen), 0);
    assert_int_equal(seen.len, 30);
    assert_int_equal(*(const uint8_t *)seen.base, 120);
    assert_int_equal(tcp_peek(s->conn, 150, &seen), -EAGAIN);
    assert_int_equal(pop(s), 150);
    assert_int_equal(tcp_available(s->conn), 0);
    script_delete(s);
}

static void status_counts_bytes_and_segments(void **state) {
    (void)state;
    struct script *s = new_connection();
    struct tcp_status status;
    assert_int_equal(push(s, 1500), 0);
    drain(s);
    in_ack(s, 1001);
    drain(s);
    in_data(s, 1, 100, 1001);
    drain(s);
    tcp_get_status(s->conn, &status);
    assert_int_equal(status.state, TCP_STATE_ESTABLISHED);
    assert_int_equal(status.bytes_acked, 1000);
    assert_int_equal(status.bytes_received, 100);
    assert_int_equal(status.unacked_segments, 1);
    assert_int_equal(status.not_sent, 0);
    assert_int_equal(status.segments_in, 3); /* a SYN-ACK and two segments */
    assert_true(status.segments_out >= 3);
    assert_int_equal(status.path_mtu, 1500);
    assert_int_equal(status.advertised_mss, 1460);
    script_delete(s);
}

static void note_port(void *ctx, uint8_t protocol, uint16_t port, bool on) {
    int *uses = ((struct host *)ctx)->port_uses;
    if (protocol == IP_TCP && port == STACK_PORT) uses[0] += on ? 1 : -1;
    if (protocol == IP_TCP && port != STACK_PORT) uses[1] += on ? 1 : -1;
    if (protocol == IP_UDP) uses[2] += on ? 1 : -1;
}

static void ports_in_use_are_reported(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), PEER_PORT};
    struct udp_socket *u;
    struct tcp_conn *c;
    const int *uses = s->h->port_uses;
    host_stop(s->w, 0);
    s->h->config.port_used = note_port;
    host_start(s->w, 0);
    script_accept(s, (struct tcp_options){.mss = 1000});
    assert_int_equal(uses[0], 2); /* listener and connection */
    tcp_listener_close(s->listener, s->w->now);
    s->listener = NULL;
    assert_int_equal(uses[0], 1);
    in(s, (struct seg){.flags = TCP_RST | TCP_ACK, .seq = 1, .ack = 1});
    assert_int_equal(uses[0], 0);
    assert_int_equal(tcp_connect(s->h->stack, &c, &to, NULL, NULL, NULL, s->w->now), 0);
    assert_int_equal(uses[1], 1);
    tcp_abort(c, s->w->now);
    assert_int_equal(uses[1], 0);
    assert_int_equal(udp_open(s->h->stack, &u, NULL), 0);
    assert_int_equal(udp_connect(u, &to), 0);
    assert_int_equal(uses[2], 1);
    udp_close(u);
    assert_int_equal(uses[2], 0);
    script_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(settings_apply_from_the_syn),
        cmocka_unit_test(connections_inherit_the_settings_of_the_listener),
        cmocka_unit_test(maxseg_limits_later_segments),
        cmocka_unit_test(corked_connection_sends_only_full_segments_before_its_timeout),
        cmocka_unit_test(acks_are_delayed_as_configured),
        cmocka_unit_test(received_bytes_can_be_peeked),
        cmocka_unit_test(status_counts_bytes_and_segments),
        cmocka_unit_test(ports_in_use_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
