/* SPDX-License-Identifier: MIT */
/* base/hist.h */
#include "base/hist.h"

#include "test.h"

static struct hist h, other;

static void empty_histogram_has_no_percentile(void **state) {
    (void)state;
    hist_init(&h);
    assert_int_equal(hist_percentile(&h, 50), 0);
    assert_int_equal(h.count, 0);
    assert_int_equal(h.max, 0);
}

static void buckets_cover_the_range_without_gap_or_overlap(void **state) {
    (void)state;
    uint64_t expected = 0, low, high;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        hist_bucket_bounds(i, &low, &high);
        assert_int_equal(low, expected);
        assert_true(high >= low);
        assert_int_equal(hist_bucket(low), i);
        assert_int_equal(hist_bucket(high), i);
        assert_true((double)(high - low) <= 0.01 * (double)low);
        expected = high + 1;
    }
    assert_true(expected > HIST_MAX_NS);
}

static void percentiles_are_within_one_percent(void **state) {
    (void)state;
    static const double percentiles[] = {0, 1, 25, 50, 90, 99, 99.9, 99.99, 100};
    hist_init(&h);
    for (uint64_t v = 1; v <= 1000000; v++)
        hist_record(&h, v);
    assert_int_equal(h.count, 1000000);
    assert_int_equal(h.min, 1);
    assert_int_equal(h.max, 1000000);
    assert_int_equal(h.sum, 500000500000);
    for (unsigned i = 0; i < sizeof percentiles / sizeof *percentiles; i++) {
        double exact = percentiles[i] * 10000, got = (double)hist_percentile(&h, percentiles[i]);
        assert_true(got + 1 >= exact && got <= exact * 1.01 + 1);
    }
}

static void single_sample_is_every_percentile(void **state) {
    (void)state;
    hist_init(&h);
    hist_record(&h, 1234567);
    assert_int_equal(hist_percentile(&h, 0), 1234567);
    assert_int_equal(hist_percentile(&h, 50), 1234567);
    assert_int_equal(hist_percentile(&h, 100), 1234567);
}

static void samples_above_an_hour_count_as_an_hour(void **state) {
    (void)state;
    hist_init(&h);
    hist_record(&h, UINT64_MAX);
    hist_record(&h, HIST_MAX_NS + 1);
    hist_record(&h, HIST_MAX_NS);
    hist_record(&h, 0);
    assert_int_equal(h.count, 4);
    assert_int_equal(h.max, HIST_MAX_NS);
    assert_int_equal(h.min, 0);
    assert_int_equal(h.sum, 3 * HIST_MAX_NS);
    assert_int_equal(hist_percentile(&h, 100), HIST_MAX_NS);
}

static void merged_histogram_equals_a_histogram_of_all_samples(void **state) {
    (void)state;
    static struct hist all;
    struct rng r = test_rng();
    hist_init(&h);
    hist_init(&other);
    hist_init(&all);
    for (int i = 0; i < 100000; i++) {
        uint64_t v = rng_next(&r) >> (22 + rng_below(&r, 40));
        hist_record(i % 3 ? &h : &other, v);
        hist_record(&all, v);
    }
    hist_merge(&h, &other);
    assert_memory_equal(&h, &all, sizeof all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_histogram_has_no_percentile),
        cmocka_unit_test(buckets_cover_the_range_without_gap_or_overlap),
        cmocka_unit_test(percentiles_are_within_one_percent),
        cmocka_unit_test(single_sample_is_every_percentile),
        cmocka_unit_test(samples_above_an_hour_count_as_an_hour),
        cmocka_unit_test(merged_histogram_equals_a_histogram_of_all_samples),
    };
    return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
