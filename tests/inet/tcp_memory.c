/* SPDX-License-Identifier: MIT */
/* Memory that peers make a connection and the stack hold: bounded, whatever they send and whoever does not read. */
#include "tcp_script.h"

#include "inet/tcp/check.h"

static const struct tcp_options scaled = {.has_window_shift = true, .window_shift = 2, .sack_permitted = true};

static void set(struct script *s, enum tcp_option option, uint32_t value) {
    assert_int_equal(tcp_set_option(s->conn, option, value, s->w->now), 0);
}

/* The peer obeys the window that it was told last, sends segments of `len` bytes, and nobody reads. Bytes accepted. */
static uint32_t fill(struct script *s, uint32_t len, uint8_t shift) {
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

static void window_closes_when_nobody_reads_however_small_the_segments(void **state) {
    (void)state;
    static const uint32_t lengths[] = {1, 7, 100, 1000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct script *s = script_new();
        script_accept(s, scaled);
        uint8_t shift = s->conn->receive.shift;
        assert_true(shift > 0);
        uint32_t got = fill(s, lengths[i], shift);
        assert_true(got <= TCP_RECEIVE_FIRST + (1u << shift));
        assert_true(receive_charged(&s->conn->receive) <= 4 * TCP_RECEIVE_FIRST);
        assert_int_equal(pop(s), got);
        assert_int_equal(receive_charged(&s->conn->receive), 0);
        script_delete(s);
    }
}

static void data_beyond_the_promise_is_dropped(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, scaled);
    for (uint32_t i = 0; i < 2000; i++) { /* a peer that does not care */
        in_data(s, 1 + i * 1000, 1000, 1);
        drain(s);
    }
    assert_true(tcp_available(s->conn) <= TCP_RECEIVE_FIRST + (1u << s->conn->receive.shift));
    assert_null(tcp_check(s->conn));
    script_delete(s);
}

/* Whatever part of the buffer is taken away. */
static void window_follows_a_buffer_that_shrinks(void **state) {
    (void)state;
    struct script *s = script_new();
    struct tcp_status status;
    script_accept(s, scaled);
    set(s, TCP_OPTION_RECEIVE_LIMIT, 40000);
    for (uint32_t next = 1; next < 65000; next += 1000) { /* all that was promised before */
        in_data(s, next, 1000, 1);
        drain(s);
    }
    assert_int_equal(pop(s), 65000);
    tcp_get_status(s->conn, &status);
    assert_uint_in_range(status.receive_window, 1, 40000);
    script_delete(s);
}

/* Each comes in a block of 2 KiB. */
static void small_segments_of_a_run_share_a_block(void **state) {
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

/* A unit of 16 KiB, and a buffer of 4 KiB: reader and writer go on, though a window can hardly be told. */
static void buffer_smaller_than_the_windows_unit_does_not_stall(void **state) {
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
    set(s, TCP_OPTION_RECEIVE_LIMIT, 4096);
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
            assert_true(seq_le(next, edge)); /* what was sent was within what was told */
        }
    }
    assert_true(next >= 1000000);
    assert_true(most <= TCP_RECEIVE_FIRST + (1u << 14)); /* the first promise was made before the buffer shrank */
    script_delete(s);
}

static void promise_is_kept_when_the_buffer_shrinks(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, scaled);
    in_data(s, 1, 1000, 1);
    uint32_t edge = 1001 + ((uint32_t)expect(s, TCP_ACK, 1, 0, 1001).window << s->conn->receive.shift);
    set(s, TCP_OPTION_RECEIVE_LIMIT, 4096);
    for (uint32_t next = 1001; next + 1000 < 60000; next += 1000) {
        in_data(s, next, 1000, 1);
        pass(s, 50 * MS);
        while (s->h->frame_count > 0) {
            struct seg g = out(s);
            uint32_t told = g.ack + ((uint32_t)g.window << s->conn->receive.shift);
            assert_true(told + (1u << s->conn->receive.shift) > edge); /* but for the rounding */
        }
    }
    assert_int_equal(counted(s->h, tcp_beyond_window), 0);
    assert_int_equal(pop(s), 59000);
    script_delete(s);
}

/* Tiny segments with holes between, each in a block of 64 KiB as a device with receive offload has them. */
static void tiny_segments_out_of_order_do_not_pin_their_blocks(void **state) {
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

static void large_blocks_in_order_are_copied_together_once_many_wait(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, scaled);
    s->h->block_bytes = 65536;
    for (uint32_t i = 0; i < 600; i++) {
        in_data(s, 1 + i * 100, 100, 1);
        drain(s);
    }
    assert_int_equal(tcp_available(s->conn), 60000); /* nothing is dropped for what it pins */
    assert_true(receive_charged(&s->conn->receive) <= 4 * TCP_RECEIVE_FIRST);
    assert_null(tcp_check(s->conn));
    assert_int_equal(pop(s), 60000);
    script_delete(s);
}

/* Segments in all orders, with overlaps, against the stream. */
static void any_order_gives_the_stream(void **state) {
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

static void early_fin_ends_the_stream_where_it_says(void **state) {
    (void)state;
    struct script *s = script_new();
    script_accept(s, scaled);
    in(s, (struct seg){.flags = TCP_ACK | TCP_FIN, .seq = 1001, .len = 500, .ack = 1, .window = s->window});
    in_data(s, 1, 3000, 1); /* goes on behind the FIN */
    in_data(s, 2001, 1000, 1);
    drain(s);
    assert_int_equal(s->conn->receive.nxt - PEER_ISN, 1502);
    assert_int_equal(pop(s), 1500);
    assert_int_equal(pop(s), -1);
    assert_null(tcp_check(s->conn));
    script_delete(s);
}

static void full_stack_gives_up_what_is_out_of_order_first(void **state) {
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
    in_data(s, 1, 1000, 1);                              /* in order, and nothing waits to be read: accepted */
    drain(s);
    assert_int_equal(counted(s->h, tcp_out_of_order_pruned), 1);
    assert_null(s->conn->receive.reassembly.ooo);
    assert_int_equal(tcp_available(s->conn), 1000);
    stack->tcp_memory.limit = 1;
    in_data(s, 1001, 1000, 1); /* in order, but something waits */
    drain(s);
    assert_int_equal(tcp_available(s->conn), 1000);
    assert_int_equal(counted(s->h, tcp_memory_limit), 1);
    assert_int_equal(pop(s), 1000);
    in_data(s, 1001, 1000, 1); /* the queue is empty: the connection goes on */
    drain(s);
    assert_int_equal(pop(s), 1000);
    in_data(s, 9001, 1000, 1); /* nothing is kept out of order when memory is short */
    drain(s);
    assert_null(s->conn->receive.reassembly.ooo);
    assert_int_equal(stack->tcp_memory.charged, 0);
    script_delete(s);
}

static void charge_moves_with_the_connection(void **state) {
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
        cmocka_unit_test(window_closes_when_nobody_reads_however_small_the_segments),
        cmocka_unit_test(data_beyond_the_promise_is_dropped),
        cmocka_unit_test(buffer_smaller_than_the_windows_unit_does_not_stall),
        cmocka_unit_test(promise_is_kept_when_the_buffer_shrinks),
        cmocka_unit_test(window_follows_a_buffer_that_shrinks),
        cmocka_unit_test(small_segments_of_a_run_share_a_block),
        cmocka_unit_test(tiny_segments_out_of_order_do_not_pin_their_blocks),
        cmocka_unit_test(large_blocks_in_order_are_copied_together_once_many_wait),
        cmocka_unit_test(any_order_gives_the_stream),
        cmocka_unit_test(early_fin_ends_the_stream_where_it_says),
        cmocka_unit_test(full_stack_gives_up_what_is_out_of_order_first),
        cmocka_unit_test(charge_moves_with_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
