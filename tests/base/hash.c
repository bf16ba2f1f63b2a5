/* SPDX-License-Identifier: MIT */
/* base/hash.h, compared with an array as the model. */
#include "base/hash.h"
#include "base/fault.h"

#include "test.h"

#include <errno.h>
#include <string.h>

static const uint8_t seed[SIPHASH_KEY_BYTES] = {1, 2, 3};

static void inserted_key_is_found_until_it_is_removed(void **state) {
    (void)state;
    struct hash h;
    int a, b;
    assert_int_equal(hash_init(&h, 4, 10, seed), 0);
    assert_null(hash_find(&h, "keyA"));
    assert_null(hash_remove(&h, "keyA"));
    assert_int_equal(hash_insert(&h, "keyA", &a), 0);
    assert_int_equal(hash_insert(&h, "keyB", &b), 0);
    assert_int_equal(hash_insert(&h, "keyA", &b), -EEXIST);
    assert_ptr_equal(hash_find(&h, "keyA"), &a);
    assert_ptr_equal(hash_remove(&h, "keyA"), &a);
    assert_null(hash_find(&h, "keyA"));
    assert_ptr_equal(hash_find(&h, "keyB"), &b);
    assert_int_equal(hash_count(&h), 1);
    hash_fini(&h);
}

static void bad_arguments_are_refused(void **state) {
    (void)state;
    struct hash h;
    assert_int_equal(hash_init(&h, 0, 10, seed), -EINVAL);
    assert_int_equal(hash_init(&h, 65, 10, seed), -EINVAL);
    assert_int_equal(hash_init(&h, 4, 0, seed), -EINVAL);
    assert_int_equal(hash_init(&h, 4, UINT32_MAX, seed), -EINVAL);
}

static void inserting_beyond_max_is_refused(void **state) {
    (void)state;
    struct hash h;
    assert_int_equal(hash_init(&h, sizeof(int), 100, seed), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(hash_insert(&h, &i, &h), 0);
    int more = 100, first = 0;
    assert_int_equal(hash_insert(&h, &more, &h), -ENOBUFS);
    assert_ptr_equal(hash_remove(&h, &first), &h);
    assert_int_equal(hash_insert(&h, &more, &h), 0);
    hash_fini(&h);
}

#define KEYS 20000
struct model_key {
    uint64_t number;
    uint32_t rest[7]; /* as long as two IPv6 addresses and ports */
};

static void check_iteration(const struct hash *h, const uint32_t *values) {
    static bool met[KEYS];
    uint64_t at = 0;
    uint32_t n = 0;
    const void *key;
    memset(met, 0, sizeof met);
    for (uint32_t *value; (value = hash_next(h, &at, &key)); n++) {
        uint64_t i = (uint64_t)(value - values);
        struct model_key k;
        memcpy(&k, key, sizeof k);
        assert_int_equal(k.number, i);
        assert_false(met[i]);
        met[i] = true;
    }
    assert_int_equal(n, hash_count(h));
    at = 0;
    assert_true(n == 0 || hash_next(h, &at, NULL) != NULL);
}

/* Alternates phases that mostly insert and mostly remove, so that the table passes every state of growing. */
static void random_changes_match_the_model(void **state) {
    (void)state;
    struct rng r = test_rng();
    static uint32_t values[KEYS];
    static bool present[KEYS];
    struct hash h;
    struct model_key k = {0};
    uint32_t count = 0;
    memset(present, 0, sizeof present);
    assert_int_equal(hash_init(&h, sizeof k, KEYS, seed), 0);
    for (int step = 0; step < 400000; step++) {
        uint64_t i = rng_below(&r, KEYS);
        bool add = rng_below(&r, 100) < (step / 50000 % 2 ? 20u : 80u);
        k.number = i;
        assert_ptr_equal(hash_find(&h, &k), present[i] ? &values[i] : NULL);
        if (add) {
            assert_int_equal(hash_insert(&h, &k, &values[i]), present[i] ? -EEXIST : 0);
            count += !present[i];
        } else {
            assert_ptr_equal(hash_remove(&h, &k), present[i] ? &values[i] : NULL);
            count -= present[i];
        }
        present[i] = add;
        assert_int_equal(hash_count(&h), count);
        if (step % 20000 == 0) check_iteration(&h, values);
    }
    for (k.number = 0; k.number < KEYS; k.number++)
        assert_ptr_equal(hash_find(&h, &k), present[k.number] ? &values[k.number] : NULL);
    hash_fini(&h);
}

/* The smallest table is filled to its limit, so that probing wraps and removals shift entries. */
static void full_small_table_keeps_every_key(void **state) {
    (void)state;
    struct rng r = test_rng();
    uint8_t key, present[16] = {0};
    struct hash h;
    assert_int_equal(hash_init(&h, 1, 12, seed), 0);
    for (int step = 0; step < 100000; step++) {
        key = (uint8_t)rng_below(&r, 16);
        if (present[key]) {
            assert_ptr_equal(hash_remove(&h, &key), &present[key]);
            present[key] = 0;
        } else if (hash_insert(&h, &key, &present[key]) == 0) {
            present[key] = 1;
        } else {
            assert_int_equal(hash_count(&h), 12);
        }
        for (key = 0; key < 16; key++)
            assert_ptr_equal(hash_find(&h, &key), present[key] ? &present[key] : NULL);
    }
    hash_fini(&h);
}

#ifdef DMTR_FAULT
static void failed_allocations_leave_the_table_intact(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct hash h;
        int done = 0;
        fault_arm(n, NULL, ENOMEM);
        int r = hash_init(&h, sizeof done, 1000, seed);
        while (r == 0 && done < 1000 && (r = hash_insert(&h, &done, &h)) == 0)
            done++;
        uint64_t passed = fault_count();
        fault_arm(0, NULL, 0);
        assert_int_equal(r, passed < n ? 0 : -ENOMEM);
        for (int i = 0; i < done; i++)
            assert_ptr_equal(hash_find(&h, &i), &h);
        hash_fini(&h);
        if (passed < n) break;
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inserted_key_is_found_until_it_is_removed), cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(inserting_beyond_max_is_refused),           cmocka_unit_test(random_changes_match_the_model),
        cmocka_unit_test(full_small_table_keeps_every_key),
#ifdef DMTR_FAULT
        cmocka_unit_test(failed_allocations_leave_the_table_intact),
#endif
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
