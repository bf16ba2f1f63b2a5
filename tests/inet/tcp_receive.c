/* SPDX-License-Identifier: MIT */
/* The receive side without a connection: window, trimming, reassembly, acknowledgements, and buffer tuning. */
#include "inet/tcp/receive.h"

#include "part.h"

#define IRS 0xfffffff0u /* sequence numbers wrap soon */
#define AT  (IRS + 1)   /* of the first byte */
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

/* Makes a packet in a block of `block` bytes. `seq` is relative to the first byte of the stream. */
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

/* Trims and receives a segment. Returns true if it delivers data or the FIN in order. */
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

/* Pops all data, which must begin at `seq`. Returns the number of bytes. */
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

static void window_in_a_syn_is_not_scaled(void **state) {
    struct fixture *f = *state;
    assert_int_equal(receive_advertised(&f->r), 10000);
    f->r.limit = 1 << 20;
    receive_start(&f->r, IRS);
    assert_int_equal(receive_advertised(&f->r), 65535);
}

static void window_scale_is_the_smallest_that_covers_the_buffer(void **state) {
    (void)state;
    assert_int_equal(receive_shift_for(1), 0);
    assert_int_equal(receive_shift_for(65535), 0);
    assert_int_equal(receive_shift_for(65536), 1);
    assert_int_equal(receive_shift_for(TCP_WINDOW_MAX), TCP_WINDOW_SHIFT_MAX);
}

static void window_never_shrinks_and_opens_by_whole_segments(void **state) {
    struct fixture *f = *state;
    assert_true(in(f, 0, 4000));
    assert_int_equal(receive_window(&f->r, MSS), 6000);
    f->r.limit = 5000; /* the application reduces the limit */
    assert_int_equal(receive_window(&f->r, MSS), 6000);
    f->r.limit = 10999;
    assert_int_equal(receive_window(&f->r, MSS), 6000); /* the window would open by less than a segment */
    f->r.limit = 11000;
    assert_int_equal(receive_window(&f->r, MSS), 7000);
    receive_acknowledged(&f->r, 7000);
    assert_int_equal(f->r.last_ack, AT + 4000);
    assert_int_equal(receive_advertised(&f->r), 7000);
    assert_false(in(f, 5000, 1000)); /* out-of-order data also reduces the window */
    f->r.limit = 13000;
    assert_int_equal(receive_window(&f->r, MSS), 8000);
}

static void window_of_a_small_buffer_opens_by_half_of_it(void **state) {
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

static void window_field_is_rounded_up_and_the_right_edge_follows(void **state) {
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

static void segments_that_touch_the_window_are_acceptable(void **state) {
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

static void segments_are_trimmed_to_new_data_in_the_window(void **state) {
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
    assert_false(receive_trim(&f->r, &p, &g)); /* 1,000 bytes and the FIN are beyond the window */
    assert_int_equal(g.len, 1000);
    assert_false(g.fin);
    assert_false(reassembly_has_duplicate(&f->r.reassembly));
    heap_free(p.data);
    p = packet(&g, 100, 500, true, 2048); /* all bytes are duplicates, and the FIN lies within received data */
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

static void old_segments_are_reported_as_duplicates_with_sack(void **state) {
    struct fixture *f = *state;
    struct tcp_segment old = {.seq = AT, .len = 100, .end = AT + 100};
    receive_note_old(&f->r, &old); /* the segment is new: not a duplicate */
    assert_false(reassembly_has_duplicate(&f->r.reassembly));
    assert_true(in(f, 0, 100));
    receive_note_old(&f->r, &old);
    assert_true(reassembly_has_duplicate(&f->r.reassembly));
    reassembly_set_duplicate(&f->r.reassembly, 0, 0);
    f->r.sack = false;
    receive_note_old(&f->r, &old);
    assert_false(reassembly_has_duplicate(&f->r.reassembly));
}

static void out_of_order_data_is_delivered_when_the_holes_are_filled(void **state) {
    struct fixture *f = *state;
    assert_true(in(f, 0, 500));
    assert_false(in(f, 1000, 500));
    assert_false(in(f, 2000, 500));
    assert_int_equal(receive_available(&f->r), 500);
    assert_true(receive_holds_data(&f->r));
    assert_int_equal(receive_charged(&f->r), f->memory.charged);
    assert_true(in(f, 400, 1700)); /* fills both holes */
    assert_true(reassembly_is_empty(&f->r.reassembly));
    assert_int_equal(f->r.nxt, AT + 2500);
    assert_int_equal(receive_available(&f->r), 2500);
    assert_int_equal(receive_charged(&f->r), f->memory.charged);
    assert_int_equal(pop(f, 0), 2500);
    assert_int_equal(receive_charged(&f->r), 0);
}

static void fin_ends_the_stream(void **state) {
    struct fixture *f = *state;
    assert_false(in_block(f, 100, 100, true, 200));
    assert_false(in(f, 150, 100)); /* extends beyond the FIN */
    assert_false(in(f, 500, 100)); /* starts beyond the FIN */
    assert_int_equal(reassembly_bytes(&f->r.reassembly), 100);
    assert_true(in(f, 0, 100));
    assert_true(f->r.fin_received);
    assert_int_equal(f->r.nxt, AT + 201);
    assert_true(reassembly_is_empty(&f->r.reassembly));
    assert_int_equal(pop(f, 0), 200);
}

static void in_order_fin_without_data_drops_data_beyond_it(void **state) {
    struct fixture *f = *state;
    assert_false(in(f, 100, 100));
    assert_false(in_block(f, 50, 0, true, 100)); /* an out-of-order FIN without data is not kept */
    assert_false(f->r.fin_received);
    assert_true(in_block(f, 0, 0, true, 100));
    assert_true(f->r.fin_received);
    assert_int_equal(f->r.nxt, AT + 1);
    assert_false(receive_holds_data(&f->r));
}

static void duplicates_are_recorded_with_sack(void **state) {
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

static void ack_is_due_after_two_full_segments(void **state) {
    struct fixture *f = *state;
    f->r.nxt += MSS;
    assert_true(receive_ack_schedule(&f->r)); /* the caller must arm the timer */
    assert_true(f->r.ack_later);
    assert_false(f->r.ack_now);
    assert_false(receive_ack_schedule(&f->r)); /* the timer is armed already */
    f->r.nxt += 1;
    assert_false(receive_ack_schedule(&f->r));
    assert_true(f->r.ack_now);
}

static void ack_is_immediate_at_the_start_and_for_out_of_order_data(void **state) {
    struct fixture *f = *state;
    f->r.quick = 2;
    assert_false(receive_ack_schedule(&f->r));
    assert_true(f->r.ack_now);
    assert_int_equal(f->r.quick, 1);
    f->r.ack_now = false;
    f->r.interactive = true; /* the ACK can travel with the application's answer */
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
    assert_false(receive_update_due(&f->r, MSS)); /* the application has popped nothing */
    f->r.bytes = 4001;
    assert_false(receive_update_due(&f->r, MSS));
    f->r.bytes = 4000; /* the window would be twice as large */
    assert_true(receive_update_due(&f->r, MSS));
    f->r.bytes = 7000;
}

static void slices_can_be_popped_in_part_and_peeked(void **state) {
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

static void small_payloads_are_copied_when_too_much_memory_is_pinned(void **state) {
    struct fixture *f = *state;
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < 500; i++, bytes += 10)
        assert_true(in_block(f, bytes, 10, false, 4096));
    assert_true(receive_charged(&f->r) < 3 * f->r.limit);
    assert_int_equal(pop(f, 0), bytes);
}

static void full_memory_accepts_only_in_order_data_into_an_empty_queue(void **state) {
    struct fixture *f = *state;
    f->memory.limit = 1;
    assert_true(in(f, 0, 100)); /* in order and the receive queue is empty: accepted */
    assert_false(in(f, 100, 100));
    assert_int_equal(f->counters[INET_COUNTER_tcp_memory_limit], 1);
    assert_false(in(f, 300, 100)); /* out of order */
    assert_int_equal(f->counters[INET_COUNTER_tcp_memory_limit], 2);
    assert_int_equal(f->r.nxt, AT + 100);
    f->memory.limit = 1 << 20;
    assert_false(in(f, 300, 100));
    f->memory.limit = f->memory.charged;
    assert_true(in(f, 100, 100)); /* freeing out-of-order data makes room */
    assert_true(reassembly_is_empty(&f->r.reassembly));
    assert_int_equal(f->counters[INET_COUNTER_tcp_out_of_order_pruned], 1);
}

static void memory_allowance_follows_the_window(void **state) {
    struct fixture *f = *state;
    assert_int_equal(receive_allowance(&f->r), 4 * 10000 + 65536);
    f->r.charged = 10000;
    assert_int_equal(receive_allowance(&f->r), 3 * 10000 + 65536);
    f->r.charged = UINT32_MAX;
    assert_int_equal(receive_allowance(&f->r), 0);
    f->r.charged = 0;
}

static void buffer_grows_to_four_times_the_bytes_popped_in_a_round_trip(void **state) {
    struct fixture *f = *state;
    uint64_t now = 1000 * MS;
    receive_tune_start(&f->r, now);
    receive_tune(&f->r, &f->memory, 9000, now + MS, 10000);
    assert_int_equal(f->r.limit, 10000); /* before the end of the round trip */
    receive_tune(&f->r, &f->memory, 1000, now += 11 * MS, 10000);
    assert_int_equal(f->r.limit, 40000);
    receive_tune(&f->r, &f->memory, 10000, now += 11 * MS, 10000); /* a quarter of the limit: no change */
    assert_int_equal(f->r.limit, 40000);
    receive_tune(&f->r, &f->memory, 20000, now += 11 * MS, 10000);
    assert_int_equal(f->r.limit, 65535); /* the largest window without scaling */
    f->r.shift = 14;
    f->memory.charged = f->memory.limit;
    receive_tune(&f->r, &f->memory, 500000, now += 11 * MS, 10000);
    assert_int_equal(f->r.limit, 65535); /* the stack has reached its memory limit */
    f->memory.charged = 0;
    receive_tune(&f->r, &f->memory, 500000, now += 11 * MS, 10000);
    assert_int_equal(f->r.limit, 1 << 20); /* the maximum */
    receive_tune(&f->r, &f->memory, UINT32_MAX / 2, now + 99 * MS,
                 0); /* without an RTT estimate the interval is 102 ms */
    assert_int_equal(f->r.tuned_bytes, UINT32_MAX / 2);
}

static void setting_the_maximum_reduces_the_buffer(void **state) {
    struct fixture *f = *state;
    receive_set_max(&f->r, 20000);
    assert_int_equal(f->r.limit, 10000);
    receive_set_max(&f->r, 9999);
    assert_int_equal(f->r.limit, 9999);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(window_in_a_syn_is_not_scaled),
        TEST(window_scale_is_the_smallest_that_covers_the_buffer),
        TEST(window_never_shrinks_and_opens_by_whole_segments),
        TEST(window_of_a_small_buffer_opens_by_half_of_it),
        TEST(window_field_is_rounded_up_and_the_right_edge_follows),
        TEST(segments_that_touch_the_window_are_acceptable),
        TEST(segments_are_trimmed_to_new_data_in_the_window),
        TEST(old_segments_are_reported_as_duplicates_with_sack),
        TEST(out_of_order_data_is_delivered_when_the_holes_are_filled),
        TEST(fin_ends_the_stream),
        TEST(in_order_fin_without_data_drops_data_beyond_it),
        TEST(duplicates_are_recorded_with_sack),
        TEST(ack_is_due_after_two_full_segments),
        TEST(ack_is_immediate_at_the_start_and_for_out_of_order_data),
        TEST(window_update_is_due_when_the_window_doubles),
        TEST(slices_can_be_popped_in_part_and_peeked),
        TEST(small_payloads_are_copied_when_too_much_memory_is_pinned),
        TEST(full_memory_accepts_only_in_order_data_into_an_empty_queue),
        TEST(memory_allowance_follows_the_window),
        TEST(buffer_grows_to_four_times_the_bytes_popped_in_a_round_trip),
        TEST(setting_the_maximum_reduces_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
