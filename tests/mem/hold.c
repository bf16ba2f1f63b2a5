/* SPDX-License-Identifier: MIT */
/* Holds and owners: a block lives until the last of them is gone, in any order. */
#include "mem/heap.h"

#include "../base/test.h"

#include <errno.h>
#include <string.h>

/* A class with few blocks per slab, one with many, and a block with its own units. */
static const size_t sizes[] = {64, 4096, 1u << 20};
#define SIZES (sizeof sizes / sizeof *sizes)

/* Whether the block is free: a free small block is the next one to be allocated. */
static bool is_free(void *p, size_t size) {
    if (size > 4096) return !heap_owns(p);
    void *next = heap_alloc(size);
    bool same = next == p;
    heap_free(next);
    return same;
}

static void held_block_outlives_its_owner(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        char *p = heap_alloc(sizes[i]);
        heap_hold(p);
        heap_hold(p + sizes[i] / 2);
        assert_int_equal(heap_free(p), 0);
        assert_false(is_free(p, sizes[i]));
        p[0] = p[sizes[i] - 1] = 1;
        heap_release(p);
        assert_false(is_free(p, sizes[i]));
        heap_release(p + sizes[i] - 1);
        assert_true(is_free(p, sizes[i]));
    }
}

static void release_keeps_the_owners_block(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        char *p = heap_alloc(sizes[i]);
        heap_hold(p);
        heap_release(p);
        assert_false(is_free(p, sizes[i]));
        assert_int_equal(heap_free(p), 0);
        assert_true(is_free(p, sizes[i]));
    }
}

static void freeing_a_block_without_owner_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        char *p = heap_alloc(sizes[i]);
        heap_hold(p);
        assert_int_equal(heap_free(p), 0);
        assert_int_equal(heap_free(p), -EINVAL);
        heap_hold(p); /* a holder may take another hold */
        heap_release(p);
        assert_false(is_free(p, sizes[i]));
        heap_release(p);
        assert_true(is_free(p, sizes[i]));
    }
}

static void shared_block_needs_as_many_frees(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        char *p = heap_alloc(sizes[i]);
        heap_share(p);
        heap_share(p + 1);
        assert_int_equal(heap_free(p + 2), 0);
        assert_int_equal(heap_free(p), 0);
        assert_false(is_free(p, sizes[i]));
        assert_int_equal(heap_free(p + 1), 0);
        assert_true(is_free(p, sizes[i]));
    }
}

static void lent_block_is_reclaimed_once_its_owner_has_freed_it(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        char *p = heap_alloc(sizes[i]);
        heap_hold(p);
        assert_false(heap_reclaim(p)); /* it has an owner */
        heap_share(p);
        heap_hold(p);
        assert_int_equal(heap_free(p), 0);
        assert_false(heap_reclaim(p));
        assert_int_equal(heap_free(p), 0);
        assert_false(heap_reclaim(p)); /* it has another hold */
        heap_release(p);
        assert_true(heap_reclaim(p));
        assert_false(heap_reclaim(p));
        assert_int_equal(heap_free(p), 0);
        assert_true(heap_reclaim(p));
        assert_int_equal(heap_free(p), 0);
        heap_release(p);
        assert_true(is_free(p, sizes[i]));
    }
}

static void neighbours_of_held_blocks_are_freed_normally(void **state) {
    (void)state;
    char *held = heap_alloc(64), *other = heap_alloc(64), *unit;
    heap_hold(held);
    assert_int_equal(heap_free(other), 0);
    assert_true(is_free(other, 64));
    heap_release(held);
    assert_int_equal(heap_free(held), 0);
    /* bytes after the last block are still not a block */
    unit = (char *)((uintptr_t)(held = heap_alloc(48)) & ~(uintptr_t)(HEAP_UNIT_BYTES - 1));
    heap_hold(held);
    assert_int_equal(heap_free(unit + HEAP_UNIT_BYTES - 1), -EINVAL);
    heap_release(held);
    heap_free(held);
}

static void only_the_heaps_blocks_can_be_held(void **state) {
    (void)state;
    int local;
    char *p = heap_alloc(48), *unit = (char *)((uintptr_t)p & ~(uintptr_t)(HEAP_UNIT_BYTES - 1));
    char *outside[] = {NULL, (char *)&local, unit + HEAP_UNIT_BYTES - 1 /* after the last block */};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        assert_false(heap_hold(outside[i]));
        assert_false(heap_share(outside[i]));
    }
    assert_true(heap_hold(p));
    heap_release(p);
    assert_true(heap_share(p));
    assert_int_equal(heap_free(p), 0);
    assert_int_equal(heap_free(p), 0);
}

/* Random references to random blocks, compared with counts of our own. */
static void random_references_match_the_model(void **state) {
    (void)state;
    enum { BLOCKS = 200, STEPS = 400000 };
    static struct {
        char *p;
        size_t size;
        int owners, holds;
    } b[BLOCKS];
    struct rng r = test_rng();
    struct heap_stats before, after;
    heap_get_stats(&before);
    for (int step = 0; step < STEPS; step++) {
        size_t i = rng_below(&r, BLOCKS);
        if (b[i].owners + b[i].holds == 0) {
            b[i].size = 1 + (rng_next(&r) >> (46 + rng_below(&r, 17)));
            b[i].p = heap_alloc(b[i].size);
            assert_non_null(b[i].p);
            memset(b[i].p, (int)i, b[i].size < 32 ? b[i].size : 32);
            b[i].owners = 1;
            continue;
        }
        char *p = b[i].p + rng_below(&r, b[i].size);
        assert_int_equal(b[i].p[0], (char)i);
        switch (rng_below(&r, 8)) {
        case 0:
        case 1:
            heap_hold(p), b[i].holds++;
            break;
        case 2:
            heap_share(p), b[i].owners++;
            break;
        case 3:
        case 4:
        case 5:
            if (b[i].holds) heap_release(p), b[i].holds--;
            break;
        default:
            assert_int_equal(heap_free(p), b[i].owners ? 0 : -EINVAL);
            b[i].owners -= b[i].owners > 0;
        }
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        for (; b[i].holds; b[i].holds--)
            heap_release(b[i].p);
        for (; b[i].owners; b[i].owners--)
            assert_int_equal(heap_free(b[i].p), 0);
    }
    heap_get_stats(&after);
    assert_int_equal(after.used_bytes, before.used_bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_block_outlives_its_owner),
        cmocka_unit_test(release_keeps_the_owners_block),
        cmocka_unit_test(freeing_a_block_without_owner_is_refused),
        cmocka_unit_test(shared_block_needs_as_many_frees),
        cmocka_unit_test(lent_block_is_reclaimed_once_its_owner_has_freed_it),
        cmocka_unit_test(neighbours_of_held_blocks_are_freed_normally),
        cmocka_unit_test(only_the_heaps_blocks_can_be_held),
        cmocka_unit_test(random_references_match_the_model),
    };
    return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
