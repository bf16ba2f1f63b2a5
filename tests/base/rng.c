/* SPDX-License-Identifier: MIT */
/* base/rng.h */
#include "base/rng.h"

#include "test.h"

static void same_seed_gives_the_same_numbers(void **state) {
    (void)state;
    struct rng a, b, c;
    rng_init(&a, 7);
    rng_init(&b, 7);
    rng_init(&c, 8);
    int differ = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rng_next(&a);
        assert_int_equal(x, rng_next(&b));
        differ += x != rng_next(&c);
    }
    assert_true(differ > 990);
}

static void numbers_below_a_bound_are_uniform(void **state) {
    (void)state;
    struct rng r;
    unsigned seen[7] = {0};
    rng_init(&r, 1);
    for (int i = 0; i < 70000; i++)
        seen[rng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_uint_in_range(seen[i], 9500, 10500);
    assert_int_equal(rng_below(&r, 1), 0);
}

/* With a bound of 3/4 of the range, a quarter of the numbers must be rejected, or multiples of 3 are too likely. */
static void large_bounds_have_no_bias(void **state) {
    (void)state;
    struct rng r;
    const uint64_t bound = 3ull << 62;
    unsigned low = 0, multiples = 0;
    rng_init(&r, 2);
    for (int i = 0; i < 30000; i++) {
        uint64_t x = rng_below(&r, bound);
        assert_true(x < bound);
        low += x < bound / 3;
        multiples += x % 3 == 0;
    }
    assert_uint_in_range(low, 9500, 10500);
    assert_uint_in_range(multiples, 9500, 10500);
}

static void seeds_from_the_kernel_differ(void **state) {
    (void)state;
    struct rng a, b;
    assert_int_equal(rng_init_random(&a), 0);
    assert_int_equal(rng_init_random(&b), 0);
    assert_true(rng_next(&a) != rng_next(&b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_gives_the_same_numbers),
        cmocka_unit_test(numbers_below_a_bound_are_uniform),
        cmocka_unit_test(large_bounds_have_no_bias),
        cmocka_unit_test(seeds_from_the_kernel_differ),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
