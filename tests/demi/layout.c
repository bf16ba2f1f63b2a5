/* SPDX-License-Identifier: MIT */
/* The binary interface: sizes, offsets and numbers that compiled programs rely on. */
#include "demi_test.h"

#include <stddef.h>

static void structures_are_packed(void **state) {
    (void)state;
    assert_int_equal(sizeof(demi_sgaseg_t), 12);
    assert_int_equal(sizeof(demi_sgarray_t), 40);
    assert_int_equal(sizeof(demi_accept_result_t), 20);
    assert_int_equal(sizeof(demi_qresult_t), 64);
    assert_int_equal(sizeof(struct demi_args), 20);
    assert_int_equal(sizeof(demi_qtoken_t), 8);
}

static void members_stand_where_programs_look(void **state) {
    (void)state;
    const struct {
        size_t actual, expected;
    } offsets[] = {
        {offsetof(demi_sgaseg_t, sgaseg_buf), 0}, {offsetof(demi_sgaseg_t, sgaseg_len), 8},
        {offsetof(demi_sgarray_t, sga_buf), 0},   {offsetof(demi_sgarray_t, sga_numsegs), 8},
        {offsetof(demi_sgarray_t, sga_segs), 12}, {offsetof(demi_sgarray_t, sga_addr), 24},
        {offsetof(demi_accept_result_t, qd), 0},  {offsetof(demi_accept_result_t, addr), 4},
        {offsetof(demi_qresult_t, qr_opcode), 0}, {offsetof(demi_qresult_t, qr_qd), 4},
        {offsetof(demi_qresult_t, qr_qt), 8},     {offsetof(demi_qresult_t, qr_ret), 16},
        {offsetof(demi_qresult_t, qr_value), 24}, {offsetof(struct demi_args, argc), 0},
        {offsetof(struct demi_args, argv), 4},    {offsetof(struct demi_args, callback), 12},
    };
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        assert_int_equal(offsets[i].actual, offsets[i].expected);
}

static void opcodes_have_their_numbers(void **state) {
    (void)state;
    assert_int_equal(DEMI_OPC_INVALID, 0);
    assert_int_equal(DEMI_OPC_PUSH, 1);
    assert_int_equal(DEMI_OPC_POP, 2);
    assert_int_equal(DEMI_OPC_ACCEPT, 3);
    assert_int_equal(DEMI_OPC_CONNECT, 4);
    assert_int_equal(DEMI_OPC_CLOSE, 5);
    assert_int_equal(DEMI_OPC_FAILED, 6);
    assert_int_equal(DEMI_SGARRAY_MAXSIZE, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structures_are_packed),
        cmocka_unit_test(members_stand_where_programs_look),
        cmocka_unit_test(opcodes_have_their_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
