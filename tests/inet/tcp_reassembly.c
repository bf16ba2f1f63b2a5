/* SPDX-License-Identifier: MIT */
/* Out-of-order segments and SACK blocks without a connection. */
#include "inet/tcp/reassembly.h"

#include "base/sys.h"
#include "part.h"

#define BASE 0xffffff00u /* sequence numbers wrap soon */

struct fixture {
    struct tcp_reassembly r;
    struct tcp_memory memory;
    struct rng rng;
    uint64_t counters[INET_COUNTER_COUNT];
    uint64_t allowance;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    rng_init(&f->rng, 1);
    memory_init(&f->memory, 1 << 20, f->counters, &f->rng);
    f->allowance = 1 << 20;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    struct heap_stats stats;
    reassembly_clear(&f->r, &f->memory);
    assert_true(reassembly_is_empty(&f->r));
    assert_int_equal(f->memory.charged, 0);
    assert_true(list_empty(&f->memory.out_of_order));
    heap_get_stats(&stats);
    assert_int_equal(stats.used_bytes, 0);
    free(f);
    return 0;
}

/* Adds a segment of `len` bytes that lies in the middle of a block of `block` bytes. */
static void add_in_block(struct fixture *f, struct tcp_reassembly *r, uint32_t seq, uint32_t len, bool fin,
                         uint32_t block) {
    uint8_t *base = heap_alloc(block);
    struct rx_packet p = {.data = base + 64, .len = len};
    assert_non_null(base);
    for (uint32_t i = 0; i < len; i++)
        p.data[i] = (uint8_t)(seq + i);
    reassembly_add(r, &f->memory, f->allowance, &p, p.data, BASE + seq, len, fin);
    if (!p.taken) heap_free(base);
}

static void add(struct fixture *f, uint32_t seq, uint32_t len) {
    add_in_block(f, &f->r, seq, len, false, len + 64);
}

static void add_fin(struct fixture *f, uint32_t seq, uint32_t len) {
    add_in_block(f, &f->r, seq, len, true, len + 64);
}

/* Checks the runs and their bytes. */
static void assert_runs(const struct fixture *f, const struct tcp_range *runs, uint32_t count) {
    struct tcp_ooo_run *run = reassembly_first(&f->r);
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < count; i++, run = reassembly_run(tree_after(f->r.ooo->runs, run->node.key))) {
        uint32_t seq = runs[i].start;
        assert_non_null(run);
        assert_int_equal(run->node.key - BASE, runs[i].start);
        assert_int_equal(run->end - BASE, runs[i].end);
        for (const struct tcp_ooo_slice *slice = run->first; slice; slice = slice->next)
            for (uint32_t at = 0; at < slice->len; at++)
                assert_int_equal(slice->base[at], (uint8_t)seq++);
        assert_int_equal(seq, runs[i].end);
        bytes += runs[i].end - runs[i].start;
    }
    assert_null(run);
    assert_int_equal(reassembly_bytes(&f->r), bytes);
    assert_int_equal(reassembly_charged(&f->r), f->memory.charged);
    if (count > 0) assert_int_equal(f->r.ooo->run_count, count);
}

#define RUNS(f, ...)                                                                                                   \
    assert_runs(f, (const struct tcp_range[]){__VA_ARGS__},                                                            \
                sizeof((const struct tcp_range[]){__VA_ARGS__}) / sizeof(struct tcp_range))

static void adjacent_segments_join_into_runs(void **state) {
    struct fixture *f = *state;
    add(f, 100, 100);
    add(f, 300, 100);
    RUNS(f, {100, 200}, {300, 400});
    add(f, 200, 50);
    RUNS(f, {100, 250}, {300, 400});
    add(f, 250, 50); /* fills the hole; the sequence numbers wrap */
    RUNS(f, {100, 400});
    add(f, 50, 50); /* directly before the run: joined with it */
    RUNS(f, {50, 400});
}

static void duplicate_bytes_are_kept_once(void **state) {
    struct fixture *f = *state;
    add(f, 100, 100);
    add(f, 150, 100);
    RUNS(f, {100, 250});
    add(f, 120, 80); /* all bytes are duplicates */
    RUNS(f, {100, 250});
    add(f, 300, 50);
    add(f, 400, 50);
    add(f, 50, 500); /* overlaps all runs */
    RUNS(f, {50, 550});
}

static void overlap_returns_the_first_part_already_received(void **state) {
    struct fixture *f = *state;
    struct tcp_range none = reassembly_overlap(&f->r, BASE, BASE + 1000);
    assert_int_equal(none.start, none.end);
    add(f, 100, 100);
    add(f, 300, 100);
    struct tcp_range both = reassembly_overlap(&f->r, BASE + 150, BASE + 350);
    assert_int_equal(both.start - BASE, 150);
    assert_int_equal(both.end - BASE, 200);
    struct tcp_range next = reassembly_overlap(&f->r, BASE + 200, BASE + 350); /* starts at the end of a run */
    assert_int_equal(next.start - BASE, 300);
    assert_int_equal(next.end - BASE, 350);
    none = reassembly_overlap(&f->r, BASE + 200, BASE + 300); /* the hole between the runs */
    assert_int_equal(none.start, none.end);
}

static void fin_sets_the_end_of_the_stream(void **state) {
    struct fixture *f = *state;
    uint32_t end;
    assert_false(reassembly_stream_end(&f->r, &end));
    add(f, 100, 100);
    assert_false(reassembly_stream_end(&f->r, &end));
    add_fin(f, 120, 30); /* a FIN within received data is ignored */
    assert_false(reassembly_stream_end(&f->r, &end));
    add(f, 400, 100); /* beyond the FIN that follows */
    add_fin(f, 200, 100);
    RUNS(f, {100, 300});
    assert_true(reassembly_stream_end(&f->r, &end));
    assert_int_equal(end - BASE, 300);
}

static void sack_blocks_report_the_duplicate_then_the_last_changed_run_then_the_highest(void **state) {
    struct fixture *f = *state;
    struct tcp_options o = {.mss = 0};
    for (uint32_t i = 1; i <= 6; i++)
        add(f, i * 100, 50);
    add(f, 250, 10); /* the second run is the last one changed */
    reassembly_sack(&f->r, &o);
    assert_int_equal(o.sack_count, TCP_SACK_BLOCKS_MAX);
    assert_int_equal(o.sack[0].start - BASE, 200);
    assert_int_equal(o.sack[0].end - BASE, 260);
    assert_int_equal(o.sack[1].start - BASE, 600);
    assert_int_equal(o.sack[3].start - BASE, 400);
    assert_false(reassembly_has_duplicate(&f->r));
    reassembly_note_duplicate(&f->r, BASE + 310, BASE + 420);
    reassembly_note_duplicate(&f->r, BASE + 500, BASE + 520); /* only the first duplicate is reported */
    o.sack_count = 0;
    reassembly_sack(&f->r, &o);
    assert_int_equal(o.sack_count, TCP_SACK_BLOCKS_MAX);
    assert_int_equal(o.sack[0].start - BASE, 310);
    assert_int_equal(o.sack[0].end - BASE, 350);
    assert_int_equal(o.sack[1].start - BASE, 300); /* the run that contains the duplicate */
    o.sack_count = 0;
    reassembly_sack(&f->r, &o); /* a duplicate is reported once */
    assert_int_equal(o.sack[0].start - BASE, 300);
}

static void duplicate_is_reported_without_out_of_order_data(void **state) {
    struct fixture *f = *state;
    struct tcp_options o = {.mss = 0};
    assert_false(reassembly_has_blocks(&f->r));
    reassembly_note_duplicate(&f->r, BASE, BASE + 10); /* no out-of-order data overlaps it */
    assert_false(reassembly_has_blocks(&f->r));
    reassembly_set_duplicate(&f->r, BASE, BASE + 10);
    assert_true(reassembly_has_blocks(&f->r));
    reassembly_sack(&f->r, &o);
    assert_int_equal(o.sack_count, 1);
    assert_int_equal(o.sack[0].end - o.sack[0].start, 10);
    assert_false(reassembly_has_blocks(&f->r));
}

static void allowance_and_memory_limit_bound_out_of_order_data(void **state) {
    struct fixture *f = *state;
    f->allowance = 4096;
    for (uint32_t i = 0; i < 20; i++)
        add(f, 1 + i * 1100, 1000);
    assert_true(reassembly_charged(&f->r) <= 4096);
    assert_true(f->r.ooo->run_count >= 2);
    assert_int_equal(f->counters[INET_COUNTER_tcp_out_of_order_limit], 20 - f->r.ooo->run_count);
    f->allowance = 1 << 20;
    f->memory.limit = f->memory.charged + f->memory.charged / 3; /* three quarters of the limit are charged */
    uint32_t before = f->r.ooo->run_count;
    add(f, 100000, 1000);
    assert_int_equal(f->r.ooo->run_count, before);
    assert_int_equal(f->counters[INET_COUNTER_tcp_memory_limit], 1);
}

static void refused_first_segment_leaves_no_state(void **state) {
    struct fixture *f = *state;
    f->allowance = 0;
    add(f, 100, 100);
    assert_true(reassembly_is_empty(&f->r));
    assert_int_equal(f->counters[INET_COUNTER_tcp_out_of_order_limit], 1);
}

static void small_payloads_do_not_pin_their_blocks(void **state) {
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 10; i++)
        add_in_block(f, &f->r, 100 + i * 10, 10, false, 16384);
    RUNS(f, {100, 200});
    assert_true(reassembly_charged(&f->r) < 4096);
}

static void caller_releases_the_charge_of_a_taken_segment(void **state) {
    struct fixture *f = *state;
    add(f, 100, 100);
    add(f, 200, 100);
    struct tcp_ooo_run *run = reassembly_first(&f->r);
    uint64_t all = f->memory.charged;
    reassembly_detach(&f->r, run);
    assert_null(reassembly_first(&f->r));
    assert_int_equal(reassembly_bytes(&f->r), 0);
    struct tcp_ooo_slice *slice = reassembly_take(&f->r, run);
    assert_int_equal(slice->len, 100);
    assert_int_equal(f->memory.charged, all);
    assert_int_equal(reassembly_charged(&f->r), all - slice->charge);
    memory_uncharge(&f->memory, &(uint32_t){slice->charge}, slice->charge);
    heap_free(slice->base);
    sys_free(slice);
    reassembly_free_run(&f->r, &f->memory, run); /* frees the remaining segment, too */
    assert_true(reassembly_is_empty(&f->r));
}

static void pruning_frees_the_oldest_connection_first(void **state) {
    struct fixture *f = *state;
    struct tcp_reassembly other = {.ooo = NULL};
    add(f, 100, 1000);
    add_in_block(f, &other, 100, 1000, false, 1064);
    f->memory.limit = f->memory.charged;
    reassembly_prune(&f->memory, 0); /* the limit is not exceeded: nothing is freed */
    assert_false(reassembly_is_empty(&f->r));
    reassembly_prune(&f->memory, 1);
    assert_true(reassembly_is_empty(&f->r));
    assert_false(reassembly_is_empty(&other));
    assert_int_equal(f->counters[INET_COUNTER_tcp_out_of_order_pruned], 1);
    reassembly_prune(&f->memory, UINT32_MAX); /* frees everything and returns */
    assert_true(reassembly_is_empty(&other));
}

static void leave_and_join_update_the_list_of_the_stack(void **state) {
    struct fixture *f = *state;
    add(f, 100, 100);
    reassembly_leave(&f->r);
    assert_true(list_empty(&f->memory.out_of_order));
    reassembly_join(&f->r, &f->memory);
    assert_ptr_equal(list_first(&f->memory.out_of_order), &f->r.ooo->link);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(adjacent_segments_join_into_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(duplicate_bytes_are_kept_once, setup, teardown),
        cmocka_unit_test_setup_teardown(overlap_returns_the_first_part_already_received, setup, teardown),
        cmocka_unit_test_setup_teardown(fin_sets_the_end_of_the_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(sack_blocks_report_the_duplicate_then_the_last_changed_run_then_the_highest,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(duplicate_is_reported_without_out_of_order_data, setup, teardown),
        cmocka_unit_test_setup_teardown(allowance_and_memory_limit_bound_out_of_order_data, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_first_segment_leaves_no_state, setup, teardown),
        cmocka_unit_test_setup_teardown(small_payloads_do_not_pin_their_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(caller_releases_the_charge_of_a_taken_segment, setup, teardown),
        cmocka_unit_test_setup_teardown(pruning_frees_the_oldest_connection_first, setup, teardown),
        cmocka_unit_test_setup_teardown(leave_and_join_update_the_list_of_the_stack, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
