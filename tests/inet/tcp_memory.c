/* SPDX-License-Identifier: MIT */
/* Receive memory of a connection and of the stack: bounded for any segments, even if the application never reads. */
#include "tcp_script.h"

#include "inet/tcp/check.h"

static const struct tcp_options scaled = {.has_window_shift = true, .window_shift = 2, .sack_permitted = true};

static void set_option(struct script *s, enum tcp_option option, uint32_t value) {
    assert_int_equal(tcp_set_option(s->conn, option, value, s->w->now), 0);
}

/*
 * The peer fills the advertised window with segments of `len` bytes, and the application does not read. Returns the
 * number of bytes sent.
 */
static uint32_t fill_window(struct script *s, uint32_t len, uint8_t shift) {
    uint32_t next = 1, edge = 65536;
    for (uint32_t i = 0; i < 200000; i++) {
        uint32_t n = edge - next < len ? edge - next : len;
        if (n == 0) break;
        in_data(s, next, n, 1);
        next += n;
        pass(s, 50 * MS);
        while (s->h->frame_count > 0) {
            struct seg g = out(s);
            edge = g.ack + ((uint32_t)g.window << shift);
        }
    }
    assert_null(tcp_check(s->conn));
    return next - 1;
}

static void window_closes_for_segments_of_any_size_when_nobody_reads(void **state) {
    (void)state;
    static const uint32_t lengths[] = {1, 7, 100, 1000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct script *s = script_new();
        script_accept(s, scaled);
        uint8_t shift = s->conn->receive.shift;
        assert_true(shift > 0);
        uint32_t got = fill_window(s, lengths[i], shift);
        assert_true(got <= TCP_RECEIVE_FIRST + (1u << shift));
        assert_true(receive_charged(&s->conn->receive) <= 4 * TCP_RECEIVE_FIRST);
        assert_int_equal(pop(s), got);
        assert_int_equal(receive_charged(&s->conn->receive), 0);
        script_delete(s);
    }
}

static void data_beyond_the_advertised_window_is_dropped(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, scaled);
    for (uint32_t i = 0; i < 2000; i++) { /* the peer ignores the window */
        in_data(s, 1 + i * 1000, 1000, 1);
        drain(s);
    }
    assert_true(tcp_available(s->conn) <= TCP_RECEIVE_FIRST + (1u << s->conn->receive.shift));
    assert_null(tcp_check(s->conn));
    script_delete(s);
}

/* The application reduces the receive limit to any value. */
static void window_follows_a_reduced_receive_limit(void **state) {
    (void)state;
    struct script *s = script_new();
    struct tcp_status status;
    script_accept(s, scaled);
    set_option(s, TCP_OPTION_RECEIVE_LIMIT, 40000);
    for (uint32_t next = 1; next < 65000; next += 1000) { /* fills the window that was advertised before the change */
        in_data(s, next, 1000, 1);
        drain(s);
    }
    assert_int_equal(pop(s), 65000);
    tcp_get_status(s->conn, &status);
    assert_uint_in_range(status.receive_window, 1, 40000);
    script_delete(s);
}

/* The device receives each segment in a block of 2 KiB. */
static void small_contiguous_out_of_order_segments_share_a_block(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, scaled);
    s->h->block_bytes = 2048;
    for (uint32_t i = 0; i < 1000; i++) {
        in_data(s, 1001 + i, 1, 1);
        drain(s);
    }
    assert_int_equal(s->conn->receive.reassembly.ooo->bytes, 1000);
    assert_true(s->conn->receive.reassembly.ooo->charged <= 4096);
    script_delete(s);
}

/* The window scale has a unit of 16 KiB, the buffer 4 KiB. The transfer must not stall. */
static void buffer_smaller_than_the_window_scale_unit_does_not_stall_the_transfer(void **state) {
    (void)state;
    struct inet_endpoint any = {.port = STACK_PORT};
    struct tcp_settings settings = tcp_settings_default;
    struct script *s = script_new();
    settings.values[TCP_OPTION_RECEIVE_LIMIT] = TCP_WINDOW_MAX;
    assert_int_equal(tcp_listen(s->h->stack, &s->listener, &any, 4, &settings, NULL), 0);
    in(s, (struct seg){.flags = TCP_SYN, .window = s->window, .options = scaled});
    assert_int_equal(expect(s, TCP_SYN | TCP_ACK, 0, 0, 1).options.window_shift, 14);
    in_ack(s, 1);
    assert_int_equal(tcp_accept(s->listener, &s->conn, NULL), 0);
    set_option(s, TCP_OPTION_RECEIVE_LIMIT, 4096);
    uint32_t next = 1, edge = 65536, most = 0;
    for (uint32_t i = 0; i < 2000 && next < 1000000; i++) {
        uint32_t n = edge - next < 1000 ? edge - next : 1000;
        if (n > 0) in_data(s, next, n, 1);
        next += n;
        pass(s, 50 * MS);
        if (tcp_available(s->conn) > most) most = tcp_available(s->conn);
        if (n == 0) pop(s);
        while (s->h->frame_count > 0) {
            struct seg g = out(s);
            edge = g.ack + ((uint32_t)g.window << 14);
            assert_true(seq_le(next, edge)); /* the window never shrinks */
        }
    }
    assert_true(next >= 1000000);
    assert_true(most <= TCP_RECEIVE_FIRST + (1u << 14)); /* the first window was advertised before the buffer shrank */
    script_delete(s);
}

static void advertised_window_does_not_shrink_with_the_buffer(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, scaled);
    in_data(s, 1, 1000, 1);
    uint32_t edge = 1001 + ((uint32_t)expect(s, TCP_ACK, 1, 0, 1001).window << s->conn->receive.shift);
    set_option(s, TCP_OPTION_RECEIVE_LIMIT, 4096);
    for (uint32_t next = 1001; next + 1000 < 60000; next += 1000) {
        in_data(s, next, 1000, 1);
        pass(s, 50 * MS);
        while (s->h->frame_count > 0) {
            struct seg g = out(s);
            uint32_t right_edge = g.ack + ((uint32_t)g.window << s->conn->receive.shift);
            assert_true(right_edge + (1u << s->conn->receive.shift) >
                        edge); /* apart from rounding to the window scale */
        }
    }
    assert_int_equal(counted(s->h, tcp_beyond_window), 0);
    assert_int_equal(pop(s), 59000);
    script_delete(s);
}

/* One-byte segments with holes between them, each in a block of 64 KiB as a device with receive offload uses. */
static void tiny_out_of_order_segments_do_not_pin_their_blocks(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, scaled);
    s->h->block_bytes = 65536;
    for (uint32_t i = 0; i < 4096; i++) {
        in_data(s, 3 + i * 2, 1, 1);
        drain(s);
    }
    assert_true(s->conn->receive.reassembly.ooo->run_count > 100);
    assert_true(receive_charged(&s->conn->receive) <= 1u << 20);
    assert_null(tcp_check(s->conn));
    for (uint32_t i = 0; i < 4097; i++) { /* every hole is filled */
        in_data(s, 1 + i * 2, 2, 1);
        drain(s);
    }
    assert_int_equal(pop(s), 8194);
    assert_int_equal(receive_charged(&s->conn->receive), 0);
    assert_null(s->conn->receive.reassembly.ooo);
    script_delete(s);
}

static void in_order_segments_are_copied_together_when_they_pin_too_much(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, scaled);
    s->h->block_bytes = 65536;
    for (uint32_t i = 0; i < 600; i++) {
        in_data(s, 1 + i * 100, 100, 1);
        drain(s);
    }
    assert_int_equal(tcp_available(s->conn), 60000); /* no segment is dropped because of the memory it pins */
    assert_true(receive_charged(&s->conn->receive) <= 4 * TCP_RECEIVE_FIRST);
    assert_null(tcp_check(s->conn));
    assert_int_equal(pop(s), 60000);
    script_delete(s);
}

/* Random, overlapping segments must give the byte stream of the peer. */
static void segments_in_any_order_give_the_stream(void **state) {
    (void)state;
    struct rng r = test_rng();
    for (uint32_t round = 0; round < 300; round++) {
        struct script *s = script_new();
        script_accept(s, scaled);
        s->h->block_bytes = round % 3 ? 0 : 65536;
        uint32_t end = 1 + 20000;
        for (uint32_t i = 0; i < 200; i++) {
            uint32_t from = 1 + (uint32_t)rng_below(&r, 20000),
                     len = 1 + (uint32_t)rng_below(&r, round % 2 ? 30 : 1400);
            if (from + len > end) len = end - from;
            in_data(s, from, len, 1);
            drain(s);
            const char *wrong = tcp_check(s->conn);
            if (wrong) fail_msg("%s", wrong);
        }
        for (uint32_t from = 1; from < end; from += 1000)
            in_data(s, from, 1000, 1);
        drain(s);
        assert_int_equal(pop(s), 20000);
        assert_null(s->conn->receive.reassembly.ooo);
        script_delete(s);
    }
}

static void out_of_order_fin_ends_the_stream_at_its_sequence_number(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, scaled);
    in(s, (struct seg){.flags = TCP_ACK | TCP_FIN, .seq = 1001, .len = 500, .ack = 1, .window = s->window});
    in_data(s, 1, 3000, 1); /* extends beyond the FIN */
    in_data(s, 2001, 1000, 1);
    drain(s);
    assert_int_equal(s->conn->receive.nxt - PEER_ISN, 1502);
    assert_int_equal(pop(s), 1500);
    assert_int_equal(pop(s), -1);
    assert_null(tcp_check(s->conn));
    script_delete(s);
}

static void memory_limit_drops_out_of_order_segments_first(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet *stack = s->h->stack;
    script_accept(s, scaled);
    stack->tcp_memory.limit = 64 << 10;
    in_data(s, 2001, 1000, 1); /* out of order */
    in_data(s, 5001, 1000, 1);
    drain(s);
    assert_int_equal(s->conn->receive.reassembly.ooo->run_count, 2);
    stack->tcp_memory.limit = stack->tcp_memory.charged; /* full */
    in_data(s, 1, 1000, 1);                              /* in order and the receive queue is empty: accepted */
    drain(s);
    assert_int_equal(counted(s->h, tcp_out_of_order_pruned), 1);
    assert_null(s->conn->receive.reassembly.ooo);
    assert_int_equal(tcp_available(s->conn), 1000);
    stack->tcp_memory.limit = 1;
    in_data(s, 1001, 1000, 1); /* in order, but the receive queue is not empty: dropped */
    drain(s);
    assert_int_equal(tcp_available(s->conn), 1000);
    assert_int_equal(counted(s->h, tcp_memory_limit), 1);
    assert_int_equal(pop(s), 1000);
    in_data(s, 1001, 1000, 1); /* the receive queue is empty again: accepted */
    drain(s);
    assert_int_equal(pop(s), 1000);
    in_data(s, 9001, 1000, 1); /* out-of-order segments are dropped when memory is short */
    drain(s);
    assert_null(s->conn->receive.reassembly.ooo);
    assert_int_equal(stack->tcp_memory.charged, 0);
    script_delete(s);
}

static void memory_charge_follows_the_connection_in_a_migration(void **state) {
    (void)state;
    struct script *s = script_new();
    struct inet *stack = s->h->stack;
    script_accept(s, scaled);
    in_data(s, 1, 1000, 1);
    in_data(s, 3001, 1000, 1);
    drain(s);
    uint64_t charged = stack->tcp_memory.charged;
    assert_true(charged > 0);
    assert_int_equal(tcp_detach(s->conn), 0);
    assert_int_equal(stack->tcp_memory.charged, 0);
    assert_true(list_empty(&stack->tcp_memory.out_of_order));
    assert_int_equal(tcp_attach(stack, s->conn, NULL, s->w->now), 0);
    assert_int_equal(stack->tcp_memory.charged, charged);
    assert_int_equal(tcp_detach(s->conn), 0);
    tcp_discard(s->conn);
    assert_int_equal(stack->tcp_memory.charged, 0);
    s->conn = NULL;
    script_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_closes_for_segments_of_any_size_when_nobody_reads),
        cmocka_unit_test(data_beyond_the_advertised_window_is_dropped),
        cmocka_unit_test(buffer_smaller_than_the_window_scale_unit_does_not_stall_the_transfer),
        cmocka_unit_test(advertised_window_does_not_shrink_with_the_buffer),
        cmocka_unit_test(window_follows_a_reduced_receive_limit),
        cmocka_unit_test(small_contiguous_out_of_order_segments_share_a_block),
        cmocka_unit_test(tiny_out_of_order_segments_do_not_pin_their_blocks),
        cmocka_unit_test(in_order_segments_are_copied_together_when_they_pin_too_much),
        cmocka_unit_test(segments_in_any_order_give_the_stream),
        cmocka_unit_test(out_of_order_fin_ends_the_stream_at_its_sequence_number),
        cmocka_unit_test(memory_limit_drops_out_of_order_segments_first),
        cmocka_unit_test(memory_charge_follows_the_connection_in_a_migration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
