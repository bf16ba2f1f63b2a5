/* SPDX-License-Identifier: MIT */
/* mem/heap.h on one thread. */
#include "mem/heap.h"
#include "mem/poison.h"
#include "mem/size_class.h"

#include "../base/test.h"

#include <errno.h>
#include <string.h>

#define LARGE ((size_t)5 << 20)

static const size_t sizes[] = {
    0,    1,    15,    16,    17,    100,    1000,      1024,          1025,           4096,
    5000, 9000, 32768, 65536, 70000, 200000, SMALL_MAX, SMALL_MAX + 1, (2u << 20) - 1, LARGE};
#define SIZES (sizeof sizes / sizeof *sizes)

static size_t used_bytes(void) {
    struct heap_stats st;
    heap_get_stats(&st);
    return st.used_bytes;
}

static void blocks_are_aligned_and_hold_the_requested_size(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        unsigned char *p = heap_alloc(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % HEAP_MIN_ALIGN, 0);
        size_t usable = heap_usable_size(p);
        assert_true(usable >= sizes[i] && usable >= 1);
        assert_true(usable <= 16 || usable - sizes[i] <= usable / 5 + 16 || sizes[i] > SMALL_MAX);
        memset(p, 0x5a, usable);
        assert_int_equal(heap_free(p), 0);
    }
}

static void any_pointer_into_a_block_identifies_it(void **state) {
    (void)state;
    for (size_t i = 1; i < SIZES; i++) {
        char *p = heap_alloc(sizes[i]);
        size_t usable = heap_usable_size(p), offset = sizes[i] - 1;
        assert_true(heap_owns(p + offset));
        assert_ptr_equal(heap_block(p + offset), p);
        assert_int_equal(heap_usable_size(p + offset), usable - offset);
        assert_int_equal(heap_free(p + offset), 0);
    }
}

static void foreign_pointers_are_refused(void **state) {
    (void)state;
    int local;
    char *p = heap_alloc(100);
    void *foreign[] = {NULL, &local, (void *)(uintptr_t)foreign_pointers_are_refused, (void *)UINTPTR_MAX,
                       p + (1ull << 33)};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        assert_false(heap_owns(foreign[i]));
        assert_null(heap_block(foreign[i]));
        assert_int_equal(heap_usable_size(foreign[i]), 0);
        assert_int_equal(heap_free(foreign[i]), -EINVAL);
    }
    assert_int_equal(heap_free(p), 0);
}

/* Blocks of 48 bytes leave 16 bytes at the end of a unit of 64 KiB. */
static void bytes_after_the_last_block_are_not_a_block(void **state) {
    (void)state;
    char *p = heap_alloc(48), *unit = (char *)((uintptr_t)p & ~(uintptr_t)(HEAP_UNIT_BYTES - 1));
    assert_null(heap_block(unit + HEAP_UNIT_BYTES - 1));
    assert_int_equal(heap_usable_size(unit + HEAP_UNIT_BYTES - 1), 0);
    assert_int_equal(heap_free(unit + HEAP_UNIT_BYTES - 1), -EINVAL);
    assert_int_equal(heap_free(p), 0);
}

static void freed_block_is_reused_first(void **state) {
    (void)state;
    void *a = heap_alloc(200), *b = heap_alloc(200);
    heap_free(a);
    assert_ptr_equal(heap_alloc(200), a);
    heap_free(b);
    assert_ptr_equal(heap_alloc(200), b);
    heap_free(a);
    heap_free(b);
}

static void reused_memory_is_zeroed_on_request(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        for (int round = 0; round < 2; round++) {
            unsigned char *p = heap_alloc_zeroed(sizes[i]);
            assert_non_null(p);
            for (size_t at = 0; at < sizes[i]; at++)
                if (p[at]) fail_msg("byte %zu of %zu", at, sizes[i]);
            memset(p, 0xff, sizes[i]);
            heap_free(p);
        }
    }
}

static void alignment_is_kept_for_every_size(void **state) {
    (void)state;
    for (size_t alignment = 1; alignment <= 4u << 20; alignment *= 2) {
        for (size_t i = 0; i < SIZES; i++) {
            char *p = heap_alloc_aligned(alignment, sizes[i]), *q = heap_alloc_aligned(alignment, sizes[i]);
            assert_non_null(p);
            assert_non_null(q);
            assert_int_equal((uintptr_t)p % alignment, 0);
            assert_int_equal((uintptr_t)q % alignment, 0);
            assert_true(heap_usable_size(p) >= sizes[i]);
            if (sizes[i]) p[0] = p[sizes[i] - 1] = 1;
            assert_int_equal(heap_free(q), 0);
            assert_int_equal(heap_free(p), 0);
        }
    }
}

static void impossible_sizes_return_null(void **state) {
    (void)state;
    assert_null(heap_alloc(SIZE_MAX));
    assert_null(heap_alloc(SIZE_MAX / 2));
    assert_null(heap_alloc(1ull << 46));
    assert_null(heap_alloc_zeroed(SIZE_MAX));
    assert_null(heap_alloc_aligned((size_t)1 << 63, 1));
    assert_null(heap_alloc_aligned(4096, SIZE_MAX));
}

static void large_blocks_are_counted_separately(void **state) {
    (void)state;
    struct heap_stats before, with, after;
    heap_get_stats(&before);
    void *p = heap_alloc(LARGE);
    heap_get_stats(&with);
    heap_free(p);
    heap_get_stats(&after);
    assert_int_equal(with.large_bytes - before.large_bytes, LARGE);
    assert_int_equal(with.used_bytes, before.used_bytes);
    assert_int_equal(after.large_bytes, before.large_bytes);
}

static void used_bytes_return_to_their_initial_value(void **state) {
    (void)state;
    static void *p[3000];
    size_t before = used_bytes();
    for (size_t i = 0; i < 3000; i++)
        p[i] = heap_alloc(i * 7);
    assert_true(used_bytes() - before >= (size_t)3000 * 2999 / 2 * 7);
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal(heap_free(p[i]), 0);
    assert_int_equal(used_bytes(), before);
}

static void memory_returns_to_the_kernel(void **state) {
    (void)state;
    struct heap_stats before, full, after;
    heap_get_stats(&before);
    char *p = heap_alloc_zeroed(200u << 20);
    assert_non_null(p);
    p[0] = p[(200u << 20) - 1] = 1;
    heap_get_stats(&full);
    assert_true(full.mapped_bytes >= before.mapped_bytes + (180u << 20));
    assert_true(full.mapped_bytes <= full.reserved_bytes);
    heap_free(p);
    heap_get_stats(&after);
    assert_true(after.mapped_bytes <= before.mapped_bytes + (32u << 20));
}

/* Blocks with distinct patterns, allocated and freed at random, must not overwrite each other. */
static void random_blocks_do_not_overlap(void **state) {
    (void)state;
    enum { BLOCKS = 2000, STEPS = 300000 };
    static struct {
        unsigned char *p;
        size_t size;
    } blocks[BLOCKS];
    struct rng r = test_rng();
    size_t before = used_bytes();
    for (int step = 0; step < STEPS + BLOCKS; step++) {
        size_t i = step < STEPS ? rng_below(&r, BLOCKS) : (size_t)(step - STEPS);
        unsigned char mark = (unsigned char)i;
        if (blocks[i].p) {
            unsigned char *p = blocks[i].p;
            size_t last = blocks[i].size - 1;
            assert_true(p[0] == mark && p[last / 2] == mark && p[last] == mark);
            assert_int_equal(heap_free(p + rng_below(&r, last + 1)), 0);
            blocks[i].p = NULL;
        } else if (step < STEPS) {
            size_t size = 1 + (rng_next(&r) >> (44 + rng_below(&r, 19)));
            unsigned char *p =
                rng_below(&r, 2) ? heap_alloc(size) : heap_alloc_aligned(1ull << rng_below(&r, 13), size);
            assert_non_null(p);
            p[0] = p[(size - 1) / 2] = p[size - 1] = mark;
            blocks[i].p = p;
            blocks[i].size = size;
        }
    }
    assert_int_equal(used_bytes(), before);
}

static void free_keeps_errno(void **state) {
    (void)state;
    void *p = heap_alloc(20u << 20), *q = heap_alloc(10);
    errno = 77;
    heap_free(p);
    heap_free(q);
    assert_int_equal(errno, 77);
}

#ifdef DMTR_DEBUG
static void double_free_is_reported_in_debug_builds(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        void *p = heap_alloc(sizes[i]), *other = heap_alloc(sizes[i]);
        assert_int_equal(heap_free(p), 0);
        assert_int_equal(heap_free(p), -EINVAL);
        assert_int_equal(heap_free(other), 0);
    }
}
#endif

#ifdef MEM_POISON
static void freed_memory_is_poisoned_under_asan(void **state) {
    (void)state;
    for (size_t i = 1; i < SIZES; i++) {
        char *p = heap_alloc(sizes[i]);
        assert_false(__asan_address_is_poisoned(p));
        assert_false(__asan_address_is_poisoned(p + sizes[i] - 1));
        heap_free(p);
        assert_true(sizes[i] > SMALL_MAX || __asan_address_is_poisoned(p));
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_hold_the_requested_size),
        cmocka_unit_test(any_pointer_into_a_block_identifies_it),
        cmocka_unit_test(foreign_pointers_are_refused),
        cmocka_unit_test(bytes_after_the_last_block_are_not_a_block),
        cmocka_unit_test(freed_block_is_reused_first),
        cmocka_unit_test(reused_memory_is_zeroed_on_request),
        cmocka_unit_test(alignment_is_kept_for_every_size),
        cmocka_unit_test(impossible_sizes_return_null),
        cmocka_unit_test(large_blocks_are_counted_separately),
        cmocka_unit_test(used_bytes_return_to_their_initial_value),
        cmocka_unit_test(memory_returns_to_the_kernel),
        cmocka_unit_test(random_blocks_do_not_overlap),
        cmocka_unit_test(free_keeps_errno),
#ifdef DMTR_DEBUG
        cmocka_unit_test(double_free_is_reported_in_debug_builds),
#endif
#ifdef MEM_POISON
        cmocka_unit_test(freed_memory_is_poisoned_under_asan),
#endif
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
