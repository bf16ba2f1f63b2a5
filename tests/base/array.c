/* SPDX-License-Identifier: MIT */
/* base/array.h */
#include "base/array.h"

#include "test.h"

#include <errno.h>
#include <string.h>

static void elements_stay_in_place_while_the_array_grows(void **state) {
    (void)state;
    struct array a;
    assert_int_equal(array_init(&a, 48, 100000), 0);
    assert_int_equal(array_grow(&a, 1), 0);
    uint64_t *first = array_at(&a, 0);
    *first = 42;
    for (uint32_t i = 1; i < 100000; i++) {
        assert_int_equal(array_grow(&a, 1), i);
        uint64_t *p = array_at(&a, i);
        assert_int_equal(*p, 0);
        memset(p, 0xff, 48);
    }
    assert_ptr_equal(first, array_at(&a, 0));
    assert_int_equal(*first, 42);
    array_fini(&a);
}

static void growing_beyond_max_is_refused(void **state) {
    (void)state;
    struct array a;
    assert_int_equal(array_init(&a, 4096, 3), 0);
    assert_int_equal(array_grow(&a, 2), 0);
    assert_int_equal(array_grow(&a, 2), -ENOBUFS);
    assert_int_equal(a.len, 2);
    assert_int_equal(array_grow(&a, 1), 2);
    assert_int_equal(array_grow(&a, 1), -ENOBUFS);
    assert_int_equal(array_grow(&a, UINT32_MAX), -ENOBUFS);
    assert_int_equal(array_grow(&a, 0), 3);
    array_fini(&a);
}

static void elements_larger_than_a_growth_step_fit(void **state) {
    (void)state;
    struct array a;
    assert_int_equal(array_init(&a, 5u << 20, 4), 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(array_grow(&a, 1), i);
        memset(array_at(&a, i), 1, 5u << 20);
    }
    array_fini(&a);
}

static void invalid_sizes_are_refused(void **state) {
    (void)state;
    struct array a;
    assert_int_equal(array_init(&a, 0, 1), -EINVAL);
    assert_int_equal(array_init(&a, 1, 0), -EINVAL);
    assert_int_equal(array_init(&a, SIZE_MAX / 2, 3), -EINVAL);
    assert_int_equal(array_init(&a, SIZE_MAX / 4, 1), -ENOMEM);
    array_fini(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_stay_in_place_while_the_array_grows),
        cmocka_unit_test(growing_beyond_max_is_refused),
        cmocka_unit_test(elements_larger_than_a_growth_step_fit),
        cmocka_unit_test(invalid_sizes_are_refused),
    };
    return cmocka_run_group_tests_name("array", tests, NULL, NULL);
}
