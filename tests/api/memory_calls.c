/* SPDX-License-Identifier: MIT */
/* The allocation calls, scatter-gather arrays, and latency histograms. */
#include "api_test.h"

static void sizes_from_one_byte_to_64_mib_are_usable(void **state) {
    (void)state;
    for (size_t size = 1; size <= 64u << 20; size = size * 3 / 2 + 1) {
        void *p = NULL;
        assert_ok(dmtr_malloc(&p, size));
        assert_true((uintptr_t)p % 16 == 0 && dmtr_usable_size(p) >= size);
        memset(p, 0xa5, size);
        assert_ok(dmtr_free(p));
        dmtr_sgarray_t sga = dmtr_sgaalloc(size);
        assert_int_equal(sga.sga_segs[0].sgaseg_len, size);
        assert_ok(dmtr_sgafree(&sga));
        assert_int_equal(sga.sga_numsegs, 0);
        assert_ok(dmtr_sgafree(&sga));
    }
}

static void calloc_zeroes_reused_memory(void **state) {
    (void)state;
    for (int round = 0; round < 50; round++) {
        unsigned char *p = NULL;
        assert_ok(dmtr_calloc((void **)&p, 37, 11));
        for (int i = 0; i < 37 * 11; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, 37 * 11);
        assert_ok(dmtr_free(p));
    }
}

static void memalign_returns_aligned_memory(void **state) {
    (void)state;
    for (size_t alignment = 1; alignment <= 2u << 20; alignment *= 2) {
        void *p = NULL;
        assert_ok(dmtr_memalign(&p, alignment, 100));
        assert_true((uintptr_t)p % alignment == 0);
        memset(p, 1, 100);
        assert_ok(dmtr_free(p));
    }
}

static void realloc_keeps_the_contents(void **state) {
    (void)state;
    unsigned char *p = NULL;
    size_t have = 0;
    static const size_t sizes[] = {10, 100, 5000, 4000, 70000, 3000000, 300000, 17, 0, 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_ok(dmtr_realloc((void **)&p, sizes[i]));
        size_t kept = have < sizes[i] ? have : sizes[i];
        for (size_t k = 0; k < kept; k++)
            assert_int_equal(p[k], k % 251);
        for (size_t k = 0; k < sizes[i]; k++)
            p[k] = (unsigned char)(k % 251);
        have = sizes[i];
    }
    assert_ok(dmtr_free(p));
}

static void latency_reports_percentiles_and_merges(void **state) {
    (void)state;
    dmtr_latency_t *a = NULL, *b = NULL;
    uint64_t ns = 7;
    assert_ok(dmtr_new_latency(&a, "requests"));
    assert_ok(dmtr_new_latency(&b, "more"));
    assert_ok(dmtr_latency_percentile(&ns, a, 50));
    assert_int_equal(ns, 0);
    for (uint64_t i = 1; i <= 1000; i++)
        assert_ok(dmtr_record_latency(i % 2 ? a : b, i * 1000));
    assert_ok(dmtr_merge_latency(a, b));
    assert_ok(dmtr_latency_percentile(&ns, a, 50));
    assert_uint_in_range(ns, 495000, 510000);
    assert_ok(dmtr_latency_percentile(&ns, a, 99));
    assert_uint_in_range(ns, 980000, 1000000);
    char text[512] = "";
    FILE *f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    assert_ok(dmtr_dump_latency(f, a));
    fclose(f);
    assert_non_null(strstr(text, "requests: count 1000 min 1000 "));
    assert_non_null(strstr(text, "p99.99 "));
    f = fopen("/dev/full", "w");
    assert_non_null(f);
    assert_int_equal(dmtr_dump_latency(f, a), EIO);
    fclose(f);
    assert_ok(dmtr_delete_latency(&a));
    assert_null(a);
    assert_ok(dmtr_delete_latency(&b));
}

static void pushed_memory_can_be_freed_immediately(void **state) {
    (void)state;
    int qd = new_queue();
    dmtr_qtoken_t qts[100];
    for (int i = 0; i < 100; i++) {
        char *p = NULL;
        assert_ok(dmtr_malloc((void **)&p, 64));
        memset(p, i, 64);
        dmtr_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{.sgaseg_buf = p + 8, .sgaseg_len = 32}}};
        assert_ok(dmtr_push(&qts[i], qd, &sga));
        assert_ok(dmtr_free(p));
    }
    for (int i = 0; i < 100; i++) {
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
        const char *p = qr.qr_value.sga.sga_segs[0].sgaseg_buf;
        for (int k = 0; k < 32; k++)
            assert_int_equal(p[k], i);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
}

static void memory_calls_need_no_runtime(void **state) {
    (void)state;
    void *p = NULL;
    assert_ok(dmtr_malloc(&p, 100));
    assert_ok(dmtr_free(p));
    assert_true(dmtr_now_ns() > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_calls_need_no_runtime),   cmocka_unit_test(sizes_from_one_byte_to_64_mib_are_usable),
        cmocka_unit_test(calloc_zeroes_reused_memory),    cmocka_unit_test(memalign_returns_aligned_memory),
        cmocka_unit_test(realloc_keeps_the_contents),     cmocka_unit_test(latency_reports_percentiles_and_merges),
        api_test(pushed_memory_can_be_freed_immediately),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
