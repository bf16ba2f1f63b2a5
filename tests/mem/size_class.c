/* SPDX-License-Identifier: MIT */
/* mem/size_class.h: every size, and every offset in every slab. */
#include "mem/size_class.h"

#include "../base/test.h"

static void every_size_gets_the_smallest_class_that_holds_it(void **state) {
    (void)state;
    for (size_t size = 1; size <= SMALL_MAX; size++) {
        unsigned cls = class_of(size);
        assert_true(cls < CLASS_COUNT);
        assert_true(class_size(cls) >= size);
        assert_true(cls == 0 || class_size(cls - 1) < size);
    }
    assert_int_equal(class_of(SMALL_MAX), CLASS_COUNT - 1);
    assert_int_equal(class_size(CLASS_COUNT - 1), SMALL_MAX);
}

static void no_class_wastes_more_than_a_fifth(void **state) {
    (void)state;
    for (unsigned cls = 1; cls < CLASS_COUNT; cls++) {
        uint32_t size = class_size(cls), least = class_size(cls - 1) + 1;
        assert_int_equal(size % 16, 0);
        assert_true(size <= 128 || (size - least) * 5 < size);
    }
}

static void reciprocal_divides_exactly(void **state) {
    (void)state;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        uint32_t size = class_size(cls);
        uint64_t r = reciprocal(size);
        for (uint64_t offset = 0; offset < 2u << 20; offset++)
            if (offset * r >> RECIPROCAL_SHIFT != offset / size) fail_msg("%u / %u", (unsigned)offset, size);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_gets_the_smallest_class_that_holds_it),
        cmocka_unit_test(no_class_wastes_more_than_a_fifth),
        cmocka_unit_test(reciprocal_divides_exactly),
    };
    return cmocka_run_group_tests_name("size_class", tests, NULL, NULL);
}
