/* SPDX-License-Identifier: MIT */
/* Scatter-gather arrays: bounds, release, and results that the other interface made of several segments. */
#include "demi_test.h"

#include <dmtr/sga.h>

static void allocates_one_segment_of_the_size(void **state) {
    (void)state;
    const size_t sizes[] = {1, 64, 4096, DEMI_SGASEG_MAXLEN};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        demi_sgarray_t sga = filled(sizes[i], 'x');
        assert_non_null(sga.sga_buf);
        assert_int_equal(sga.sga_segs[0].sgaseg_len, sizes[i]);
        assert_ok(demi_sgafree(&sga));
    }
}

static void refuses_sizes_out_of_range(void **state) {
    (void)state;
    const size_t sizes[] = {0, DEMI_SGASEG_MAXLEN + 1, (size_t)1 << 32, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        demi_sgarray_t sga = demi_sgaalloc(sizes[i]);
        assert_null(sga.sga_buf);
        assert_int_equal(sga.sga_numsegs, 0);
        assert_null(sga.sga_segs[0].sgaseg_buf);
        assert_int_equal(sga.sga_segs[0].sgaseg_len, 0);
        assert_ok(demi_sgafree(&sga)); /* nothing to release */
    }
}

static void released_array_is_empty(void **state) {
    (void)state;
    demi_sgarray_t sga = filled(100, 'x');
    assert_ok(demi_sgafree(&sga));
    assert_null(sga.sga_buf);
    assert_int_equal(sga.sga_numsegs, 0);
    assert_ok(demi_sgafree(&sga));
}

static void shortened_array_is_released_whole(void **state) {
    (void)state;
    demi_sgarray_t sga = filled(4096, 'x');
    sga.sga_segs[0].sgaseg_len = 10;
    assert_ok(demi_sgafree(&sga));
}

static void popped_segments_are_joined(void **state) {
    (void)state;
    int qd;
    demi_qtoken_t qt;
    dmtr_sgarray_t sga = {.sga_numsegs = 3};
    char a[] = "one", b[] = "three", c[] = "";
    sga.sga_segs[0] = (dmtr_sgaseg_t){a, 3};
    sga.sga_segs[1] = (dmtr_sgaseg_t){c, 0};
    sga.sga_segs[2] = (dmtr_sgaseg_t){b, 5};
    assert_ok(dmtr_queue(&qd));
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_int_equal(wait_for(qt).qr_opcode, DEMI_OPC_PUSH);
    demi_qresult_t qr = wait_for(pop_begin(qd));
    assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
    assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
    assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 8);
    assert_memory_equal(qr.qr_value.sga.sga_segs[0].sgaseg_buf, "onethree", 8);
    assert_ok(demi_sgafree(&qr.qr_value.sga));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocates_one_segment_of_the_size), /* without demi_init */
        cmocka_unit_test(refuses_sizes_out_of_range),        cmocka_unit_test(released_array_is_empty),
        cmocka_unit_test(shortened_array_is_released_whole), demi_test(popped_segments_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
