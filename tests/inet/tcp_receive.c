/* SPDX-License-Identifier: MIT */
/* The receive side, without a connection: window, reassembly in order, acknowledgements, and the buffer's tuning. */
#include "inet/tcp/receive.h"

#include "part.h"

#define IRS 0xfffffff0u /* sequence numbers wrap soon */
#define AT  (IRS + 1)   /* the first byte's */
#define MSS 1000u

struct fixture {
    struct tcp_receive r;
    struct tcp_memory memory;
    struct rng rng;
    uint64_t counters[INET_COUNTER_COUNT];
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    rng_init(&f->rng, 1);
    memory_init(&f->memory, 1 << 24, f->counters, &f->rng);
    f->r = (struct tcp_receive){.limit = 10000, .max = 1 << 20, .sack = true, .mss = MSS, .delayed_ack_ms = 40};
    receive_start(&f->r, IRS);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    struct heap_stats stats;
    receive_clear(&f->r, &f->memory);
    assert_false(receive_holds_data(&f->r));
    assert_int_equal(f->memory.charged, 0);
    heap_get_stats(&stats);
    assert_int_equal(stats.used_bytes, 0);
    free(f);
    return 0;
}

/* A packet with the segment of len bytes at `seq`, relative to the first byte, in a block of `block` bytes. */
static struct rx_packet packet(struct tcp_segment *g, uint32_t seq, uint32_t len, bool fin, uint32_t block) {
    struct rx_packet p = {.len = TCP_HEADER_BYTES + len};
    uint8_t *base = heap_alloc(block);
    assert_non_null(base);
    p.data = base + 32;
    for (uint32_t i = 0; i < len; i++)
        p.data[TCP_HEADER_BYTES + i] = (uint8_t)(seq + i);
    *g = (struct tcp_segment){.h.header_bytes = TCP_HEADER_BYTES, .seq = AT + seq, .len = len, .fin = fin};
    g->end = g->seq + len + fin;
    return p;
}

/* Trims the segment and takes it in; whether anything has come into order. */
static bool in_block(struct fixture *f, uint32_t seq, uint32_t len, bool fin, uint32_t block) {
    struct tcp_segment g;
    struct rx_packet p = packet(&g, seq, len, fin, block);
    receive_trim(&f->r, &p, &g);
    bool moved = (g.len > 0 || g.fin) && receive_add(&f->r, &f->memory, &p, &g);
    if (!p.taken) heap_free(p.data);
    return moved;
}

static bool in(struct fixture *f, uint32_t seq, uint32_t len) {
    return in_block(f, seq, len, false, len + 64);
}

/* Pops all there is, which must begin at `seq`; how many bytes. */
static uint32_t pop(struct fixture *f, uint32_t seq) {
    uint32_t bytes = 0;
    while (f->r.slices.count > 0) {
        struct inet_slice slice;
        assert_int_equal(receive_pop(&f->r, &f->memory, &slice, UINT32_MAX), 0);
        for (uint32_t i = 0; i < slice.len; i++)
            assert_int_equal(((uint8_t *)slice.base)[i], (uint8_t)(seq + bytes + i));
        bytes += slice.len;
        heap_free(slice.base);
    }
    return bytes;
}

static void window_of_a_syn_is_not_scaled(void **state) {
    struct fixture *f = *state;
    assert_int_equal(receive_advertised(&f->r), 10000);
    f->r.limit = 1 << 20;
    receive_start(&f->r, IRS);
    assert_int_equal(receive_advertised(&f->r), 65535);
}

static void scale_is_the_least_that_advertises_the_buffer(void **state) {
    (void)state;
    assert_int_equal(receive_shift_for(1), 0);
    assert_int_equal(receive_shift_for(65535), 0);
    assert_int_equal(receive_shift_for(65536), 1);
    assert_int_equal(receive_shift_for(TCP_WINDOW_MAX), TCP_WINDOW_SHIFT_MAX);
}

static void window_never_shrinks_and_opens_by_segments(void **state) {
    struct fixture *f = *state;
    assert_true(in(f, 0, 4000));
    assert_int_equal(receive_window(&f->r, MSS), 6000);
    f->r.limit = 5000; /* made smaller by the application */
    assert_int_equal(receive_window(&f->r, MSS), 6000);
    f->r.limit = 10999;
    assert_int_equal(receive_window(&f->r, MSS), 6000); /* less than a segment more */
    f->r.limit = 11000;
    assert_int_equal(receive_window(&f->r, MSS), 7000);
    receive_acknowledged(&f->r, 7000);
    assert_int_equal(f->r.last_ack, AT + 4000);
    assert_int_equal(receive_advertised(&f->r), 7000);
    assert_false(in(f, 5000, 1000)); /* out of order: takes room, too */
    f->r.limit = 13000;
    assert_int_equal(receive_window(&f->r, MSS), 8000);
}

static void small_buffer_opens_by_half(void **state) {
    struct fixture *f = *state;
    f->r.limit = 1000;
    receive_start(&f->r, IRS);
    assert_true(in(f, 0, 1000));
    assert_int_equal(receive_window(&f->r, MSS), 0);
    f->r.bytes = 501;
    assert_int_equal(receive_window(&f->r, MSS), 0);
    f->r.bytes = 500;
    assert_int_equal(receive_window(&f->r, MSS), 500);
    f->r.bytes = 1000;
}

static void field_is_rounded_up_and_the_edge_follows(void **state) {
    struct fixture *f = *state;
    f->r.shift = 4;
    assert_int_equal(receive_window_field(&f->r, 0), 0);
    assert_int_equal(receive_window_field(&f->r, 1), 1);
    assert_int_equal(receive_window_field(&f->r, 16), 1);
    assert_int_equal(receive_window_field(&f->r, 17), 2);
    assert_int_equal(receive_window_field(&f->r, UINT32_MAX / 2), 65535);
    assert_int_equal(receive_edge(&f->r) - AT, 10015);
    f->r.nxt = AT + 10020;
    assert_int_equal(receive_edge(&f->r) - AT, 10020);
}

static void acceptable_segments_touch_the_window(void **state) {
    struct fixture *f = *state;
    assert_true(receive_acceptable(&f->r, AT, AT));
    assert_true(receive_acceptable(&f->r, AT - 10, AT));
    assert_false(receive_acceptable(&f->r, AT - 10, AT - 1));
    assert_true(receive_acceptable(&f->r, AT + 10000, AT + 10000));
    assert_false(receive_acceptable(&f->r, AT + 10001, AT + 10001));
    assert_true(receive_reset_acceptable(&f->r, AT, MSS));
    assert_false(receive_reset_acceptable(&f->r, AT - 1, MSS));
    assert_true(receive_reset_acceptable(&f->r, AT + 9999, MSS));
    assert_false(receive_reset_acceptable(&f->r, AT + 10000, MSS));
}

static void segments_are_trimmed_to_what_is_new_and_in_the_window(void **state) {
    struct fixture *f = *state;
    struct tcp_segment g;
    assert_true(in(f, 0, 1000));
    struct rx_packet p = packet(&g, 400, 1000, true, 2048);
    const uint8_t *payload = p.data + TCP_HEADER_BYTES;
    assert_true(receive_trim(&f->r, &p, &g));
    assert_int_equal(g.seq, AT + 1000);
    assert_int_equal(g.len, 400);
    assert_ptr_equal(p.data, payload + 600);
    assert_true(g.fin);
    assert_true(f->r.ack_now);
    assert_int_equal(f->r.reassembly.duplicate.start - AT, 400);
    assert_int_equal(f->r.reassembly.duplicate.end - AT, 1000);
    heap_free(p.data);
    p = packet(&g, 9000, 2000, true, 4096);
    assert_false(receive_trim(&f->r, &p, &g)); /* 1,000 bytes and the FIN lie beyond the window */
    assert_int_equal(g.len, 1000);
    assert_false(g.fin);
    assert_false(reassembly_has_duplicate(&f->r.reassembly));
    heap_free(p.data);
    p = packet(&g, 100, 500, true, 2048); /* all known, and so is its FIN's place */
    assert_true(receive_trim(&f->r, &p, &g));
    assert_int_equal(g.len, 0);
    assert_false(g.fin);
    assert_int_equal(f->r.reassembly.duplicate.end - AT, 600);
    heap_free(p.data);
    p = packet(&g, 10001, 10, false, 2048);
    assert_false(receive_trim(&f->r, &p, &g));
    assert_int_equal(g.len, 0);
    heap_free(p.data);
}

static void old_segments_are_reported_where_sack_is(void **state) {
    struct fixture *f = *state;
    struct tcp_segment old = {.seq = AT, .len = 100, .end = AT + 100};
    receive_note_old(&f->r, &old); /* it is new */
    assert_false(reassembly_has_duplicate(&f->r.reassembly));
    assert_true(in(f, 0, 100));
    receive_note_old(&f->r, &old);
    assert_true(reassembly_has_duplicate(&f->r.reassembly));
    reassembly_set_duplicate(&f->r.reassembly, 0, 0);
    f->r.sack = false;
    receive_note_old(&f->r, &old);
    assert_false(reassembly_has_duplicate(&f->r.reassembly));
}

static void data_comes_into_order(void **state) {
    struct fixture *f = *state;
    assert_true(in(f, 0, 500));
    assert_false(in(f, 1000, 500));
    assert_false(in(f, 2000, 500));
    assert_int_equal(receive_available(&f->r), 500);
    assert_true(receive_holds_data(&f->r));
    assert_int_equal(receive_charged(&f->r), f->memory.charged);
    assert_true(in(f, 400, 1700)); /* over both runs' beginnings */
    assert_true(reassembly_is_empty(&f->r.reassembly));
    assert_int_equal(f->r.nxt, AT + 2500);
    assert_int_equal(receive_available(&f->r), 2500);
    assert_int_equal(receive_charged(&f->r), f->memory.charged);
    assert_int_equal(pop(f, 0), 2500);
    assert_int_equal(receive_charged(&f->r), 0);
}

static void fin_ends_the_data(void **state) {
    struct fixture *f = *state;
    assert_false(in_block(f, 100, 100, true, 200));
    assert_false(in(f, 150, 100)); /* goes on behind the FIN */
    assert_false(in(f, 500, 100)); /* lies behind it */
    assert_int_equal(reassembly_bytes(&f->r.reassembly), 100);
    assert_true(in(f, 0, 100));
    assert_true(f->r.fin_received);
    assert_int_equal(f->r.nxt, AT + 201);
    assert_true(reassembly_is_empty(&f->r.reassembly));
    assert_int_equal(pop(f, 0), 200);
}

static void fin_without_data_in_order_drops_what_lies_behind(void **state) {
    struct fixture *f = *state;
    assert_false(in(f, 100, 100));
    assert_false(in_block(f, 50, 0, true, 100)); /* out of order and without data: not kept */
    assert_false(f->r.fin_received);
    assert_true(in_block(f, 0, 0, true, 100));
    assert_true(f->r.fin_received);
    assert_int_equal(f->r.nxt, AT + 1);
    assert_false(receive_holds_data(&f->r));
}

static void duplicates_are_noted_where_sack_is(void **state) {
    struct fixture *f = *state;
    assert_false(in(f, 1000, 500));
    assert_false(in(f, 1200, 500));
    assert_int_equal(f->r.reassembly.duplicate.start - AT, 1200);
    assert_int_equal(f->r.reassembly.duplicate.end - AT, 1500);
    reassembly_set_duplicate(&f->r.reassembly, 0, 0);
    f->r.sack = false;
    assert_false(in(f, 1200, 500));
    assert_false(reassembly_has_duplicate(&f->r.reassembly));
}

static void acks_are_due_with_every_second_full_segment(void **state) {
    struct fixture *f = *state;
    f->r.nxt += MSS;
    assert_true(receive_ack_schedule(&f->r)); /* the timer is to be armed */
    assert_true(f->r.ack_later);
    assert_false(f->r.ack_now);
    assert_false(receive_ack_schedule(&f->r)); /* it is armed */
    f->r.nxt += 1;
    assert_false(receive_ack_schedule(&f->r));
    assert_true(f->r.ack_now);
}

static void acks_are_due_at_once_at_the_start_and_out_of_order(void **state) {
    struct fixture *f = *state;
    f->r.quick = 2;
    assert_false(receive_ack_schedule(&f->r));
    assert_true(f->r.ack_now);
    assert_int_equal(f->r.quick, 1);
    f->r.ack_now = false;
    f->r.interactive = true; /* an answer is likely to follow */
    assert_true(receive_ack_schedule(&f->r));
    assert_int_equal(f->r.quick, 0);
    f->r.ack_later = false;
    assert_false(in(f, 1000, 10));
    assert_false(receive_ack_schedule(&f->r));
    assert_true(f->r.ack_now);
    receive_clear(&f->r, &f->memory);
    f->r.ack_now = false;
    f->r.delayed_ack_ms = 0;
    assert_false(receive_ack_schedule(&f->r));
    assert_true(f->r.ack_now);
}

static void window_update_is_due_when_the_window_doubles(void **state) {
    struct fixture *f = *state;
    assert_true(in(f, 0, 4999));
    assert_false(receive_is_low(&f->r));
    assert_true(in(f, 4999, 1));
    assert_true(receive_is_low(&f->r)); /* half of the buffer is advertised */
    assert_true(in(f, 5000, 2000));
    receive_acknowledged(&f->r, 3000);
    assert_false(receive_update_due(&f->r, MSS)); /* nothing was popped */
    f->r.bytes = 4001;
    assert_false(receive_update_due(&f->r, MSS));
    f->r.bytes = 4000; /* the window would be twice as large */
    assert_true(receive_update_due(&f->r, MSS));
    f->r.bytes = 7000;
}

static void slices_are_popped_in_part_and_peeked(void **state) {
    struct fixture *f = *state;
    struct inet_slice slice;
    struct inet_segment peeked;
    assert_true(in(f, 0, 100));
    assert_true(in(f, 100, 50));
    assert_int_equal(receive_peek(&f->r, 99, &peeked), 0);
    assert_int_equal(peeked.len, 1);
    assert_int_equal(receive_peek(&f->r, 100, &peeked), 0);
    assert_int_equal(peeked.len, 50);
    assert_int_equal(receive_peek(&f->r, 150, &peeked), -EAGAIN);
    assert_int_equal(receive_pop(&f->r, &f->memory, &slice, 30), 0);
    assert_int_equal(slice.len, 30);
    heap_free(slice.base);
    assert_int_equal(receive_available(&f->r), 120);
    assert_int_equal(pop(f, 30), 120);
}

static void small_payloads_are_copied_once_too_much_is_pinned(void **state) {
    struct fixture *f = *state;
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < 500; i++, bytes += 10)
        assert_true(in_block(f, bytes, 10, false, 4096));
    assert_true(receive_charged(&f->r) < 3 * f->r.limit);
    assert_int_equal(pop(f, 0), bytes);
}

static void full_memory_refuses_all_but_the_next_bytes(void **state) {
    struct fixture *f = *state;
    f->memory.limit = 1;
    assert_true(in(f, 0, 100)); /* there is nothing to read */
    assert_false(in(f, 100, 100));
    assert_int_equal(f->counters[INET_COUNTER_tcp_memory_limit], 1);
    assert_false(in(f, 300, 100)); /* out of order */
    assert_int_equal(f->counters[INET_COUNTER_tcp_memory_limit], 2);
    assert_int_equal(f->r.nxt, AT + 100);
    f->memory.limit = 1 << 20;
    assert_false(in(f, 300, 100));
    f->memory.limit = f->memory.charged;
    assert_true(in(f, 100, 100)); /* what is out of order makes room */
    assert_true(reassembly_is_empty(&f->r.reassembly));
    assert_int_equal(f->counters[INET_COUNTER_tcp_out_of_order_pruned], 1);
}

static void allowance_follows_the_window(void **state) {
    struct fixture *f = *state;
    assert_int_equal(receive_allowance(&f->r), 4 * 10000 + 65536);
    f->r.charged = 10000;
    assert_int_equal(receive_allowance(&f->r), 3 * 10000 + 65536);
    f->r.charged = UINT32_MAX;
    assert_int_equal(receive_allowance(&f->r), 0);
    f->r.charged = 0;
}

static void buffer_grows_to_four_times_what_is_popped_in_a_round_trip(void **state) {
    struct fixture *f = *state;
    uint64_t now = 1000 * MS;
    receive_tune_start(&f->r, now);
    receive_tune(&f->r, &f->memory, 9000, now + MS, 10000);
    assert_int_equal(f->r.limit, 10000); /* the round trip is not over */
    receive_tune(&f->r, &f->memory, 1000, now += 11 * MS, 10000);
    assert_int_equal(f->r.limit, 40000);
    receive_tune(&f->r, &f->memory, 10000, now += 11 * MS, 10000); /* a quarter of it */
    assert_int_equal(f->r.limit, 40000);
    receive_tune(&f->r, &f->memory, 20000, now += 11 * MS, 10000);
    assert_int_equal(f->r.limit, 65535); /* without a window scale no more can be advertised */
    f->r.shift = 14;
    f->memory.charged = f->memory.limit;
    receive_tune(&f->r, &f->memory, 500000, now += 11 * MS, 10000);
    assert_int_equal(f->r.limit, 65535); /* the stack's memory is short */
    f->memory.charged = 0;
    receive_tune(&f->r, &f->memory, 500000, now += 11 * MS, 10000);
    assert_int_equal(f->r.limit, 1 << 20);                             /* the maximum */
    receive_tune(&f->r, &f->memory, UINT32_MAX / 2, now + 99 * MS, 0); /* no round trip is known: 102 ms */
    assert_int_equal(f->r.tuned_bytes, UINT32_MAX / 2);
}

static void maximum_cuts_the_buffer(void **state) {
    struct fixture *f = *state;
    receive_set_max(&f->r, 20000);
    assert_int_equal(f->r.limit, 10000);
    receive_set_max(&f->r, 9999);
    assert_int_equal(f->r.limit, 9999);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(window_of_a_syn_is_not_scaled),
        TEST(scale_is_the_least_that_advertises_the_buffer),
        TEST(window_never_shrinks_and_opens_by_segments),
        TEST(small_buffer_opens_by_half),
        TEST(field_is_rounded_up_and_the_edge_follows),
        TEST(acceptable_segments_touch_the_window),
        TEST(segments_are_trimmed_to_what_is_new_and_in_the_window),
        TEST(old_segments_are_reported_where_sack_is),
        TEST(data_comes_into_order),
        TEST(fin_ends_the_data),
        TEST(fin_without_data_in_order_drops_what_lies_behind),
        TEST(duplicates_are_noted_where_sack_is),
        TEST(acks_are_due_with_every_second_full_segment),
        TEST(acks_are_due_at_once_at_the_start_and_out_of_order),
        TEST(window_update_is_due_when_the_window_doubles),
        TEST(slices_are_popped_in_part_and_peeked),
        TEST(small_payloads_are_copied_once_too_much_is_pinned),
        TEST(full_memory_refuses_all_but_the_next_bytes),
        TEST(allowance_follows_the_window),
        TEST(buffer_grows_to_four_times_what_is_popped_in_a_round_trip),
        TEST(maximum_cuts_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
