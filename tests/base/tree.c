/* SPDX-License-Identifier: MIT */
/*
 * base/tree.h: random insertions and removals, compared with a sorted array, also with keys that wrap; and its depth.
 */
#include "base/tree.h"

#include "base/rng.h"
#include "test.h"

#include <stdbool.h>
#include <stdint.h>

#define SPAN 400u

static struct tree_node nodes[SPAN];
static bool present[SPAN];

static void assert_found(const struct tree_node *found, int32_t expected) {
    if (expected < 0)
        assert_null(found);
    else
        assert_ptr_equal(found, &nodes[expected]);
}

static int32_t nearest(int32_t from, int32_t step) {
    while (from >= 0 && from < (int32_t)SPAN && !present[from])
        from += step;
    return from < (int32_t)SPAN ? from : -1;
}

static void searches_match_a_sorted_array(void **state) {
    struct rng r = test_rng();
    struct tree_node *root = NULL;
    const uint32_t base = UINT32_MAX - SPAN / 2;
    (void)state;
    for (uint32_t round = 0; round < 20000; round++) {
        int32_t i = (int32_t)rng_below(&r, SPAN);
        if (present[i])
            tree_remove(&root, &nodes[i]);
        else
            tree_insert(&root, &nodes[i], base + (uint32_t)i, (uint32_t)rng_next(&r));
        present[i] = !present[i];
        int32_t at = (int32_t)rng_below(&r, SPAN);
        assert_found(tree_at_or_before(root, base + (uint32_t)at), nearest(at, -1));
        assert_found(tree_before(root, base + (uint32_t)at), nearest(at - 1, -1));
        assert_found(tree_after(root, base + (uint32_t)at), nearest(at + 1, 1));
        assert_found(tree_first(root), nearest(0, 1));
        assert_found(tree_last(root), nearest(SPAN - 1, -1));
    }
}

static uint32_t depth(const struct tree_node *n) {
    if (!n) return 0;
    uint32_t left = depth(n->left), right = depth(n->right);
    return 1 + (left > right ? left : right);
}

static void sequential_keys_keep_the_depth_logarithmic(void **state) {
    static struct tree_node many[65536];
    struct rng r = test_rng();
    struct tree_node *root = NULL;
    (void)state;
    for (uint32_t i = 0; i < 65536; i++)
        tree_insert(&root, &many[i], i, (uint32_t)rng_next(&r));
    assert_true(depth(root) < 64); /* 16 at best; about 40 expected */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_match_a_sorted_array),
        cmocka_unit_test(sequential_keys_keep_the_depth_logarithmic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
