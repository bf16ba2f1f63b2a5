/* SPDX-License-Identifier: MIT */
/* base/hash.h, compared with an array as the model. */
#include "base/hash.h"
#include "base/fault.h"

#include "test.h"

#include <errno.h>
#include <string.h>

static const uint8_t seed[SIPHASH_KEY_BYTES] = {1, 2, 3};

/* A structure with its key behind something else, as in the library. */
struct item {
    uint8_t other;
    char key[4];
};

static int items_init(struct hash *h, uint32_t max) {
    return hash_init(h, sizeof((struct item *)0)->key, offsetof(struct item, key), max, seed);
}

static void inserted_key_is_found_until_it_is_removed(void **state) {
    (void)state;
    struct hash h;
    struct item a = {0, "keyA"}, b = {0, "keyB"}, again = {0, "keyA"};
    assert_int_equal(items_init(&h, 10), 0);
    assert_null(hash_find(&h, "keyA"));
    assert_null(hash_remove(&h, "keyA"));
    assert_int_equal(hash_insert(&h, &a), 0);
    assert_int_equal(hash_insert(&h, &b), 0);
    assert_int_equal(hash_insert(&h, &again), -EEXIST);
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
    assert_int_equal(hash_init(&h, 0, 0, 10, seed), -EINVAL);
    assert_int_equal(hash_init(&h, 65, 0, 10, seed), -EINVAL);
    assert_int_equal(hash_init(&h, 4, 0, 0, seed), -EINVAL);
    assert_int_equal(hash_init(&h, 4, 0, UINT32_MAX, seed), -EINVAL);
}

static void inserting_beyond_max_is_refused(void **state) {
    (void)state;
    struct hash h;
    int numbers[101];
    assert_int_equal(hash_init(&h, sizeof(int), 0, 100, seed), 0);
    for (int i = 0; i <= 100; i++)
        numbers[i] = i;
    for (int i = 0; i < 100; i++)
        assert_int_equal(hash_insert(&h, &numbers[i]), 0);
    assert_int_equal(hash_insert(&h, &numbers[100]), -ENOBUFS);
    assert_ptr_equal(hash_remove(&h, &numbers[0]), &numbers[0]);
    assert_int_equal(hash_insert(&h, &numbers[100]), 0);
    hash_fini(&h);
}

/* The inline lookup finds what hash_find finds, also while the table grows. */
static void the_inline_lookup_finds_the_same(void **state) {
    (void)state;
    static uint32_t keys[3000][3];
    struct hash h;
    uint32_t growing = 0;
    assert_int_equal(hash_init(&h, sizeof keys[0], 0, 3000, seed), 0);
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t earlier = i / 2, absent[3] = {earlier, earlier, 1};
        keys[i][0] = keys[i][1] = i;
        assert_int_equal(hash_insert(&h, keys[i]), 0);
        growing += h.old.count > 0;
        assert_ptr_equal(hash_find_n(&h, keys[earlier], sizeof keys[0]), keys[earlier]);
        assert_ptr_equal(hash_find(&h, keys[earlier]), keys[earlier]);
        assert_null(hash_find_n(&h, absent, sizeof absent));
    }
    assert_true(growing > 100);
    hash_fini(&h);
}

/* Keys of every length, which differ in one byte: all bytes count. */
static void every_byte_of_a_key_counts(void **state) {
    (void)state;
    static uint8_t keys[65][64];
    for (uint32_t bytes = 1; bytes <= 64; bytes++) {
        struct hash h;
        assert_int_equal(hash_init(&h, bytes, 0, 65, seed), 0);
        for (uint32_t i = 0; i <= bytes; i++) {
            memset(keys[i], 0, sizeof keys[i]);
            if (i > 0) keys[i][i - 1] = 1;
            assert_int_equal(hash_insert(&h, keys[i]), 0);
        }
        for (uint32_t i = 0; i <= bytes; i++)
            assert_ptr_equal(hash_find(&h, keys[i]), keys[i]);
        hash_fini(&h);
    }
}

#define KEYS 20000
struct model_key {
    uint64_t number;
    uint32_t rest[7]; /* as long as two IPv6 addresses and ports */
};

static void check_iteration(const struct hash *h, const struct model_key *values) {
    static bool met[KEYS];
    uint64_t at = 0;
    uint32_t n = 0;
    memset(met, 0, sizeof met);
    for (const struct model_key *value; (value = hash_next(h, &at)); n++) {
        uint64_t i = (uint64_t)(value - values);
        assert_int_equal(value->number, i);
        assert_false(met[i]);
        met[i] = true;
    }
    assert_int_equal(n, hash_count(h));
    at = 0;
    assert_true(n == 0 || hash_next(h, &at) != NULL);
}

/* Alternates phases that mostly insert and mostly remove, so that the table passes every state of growing. */
static void random_changes_match_the_model(void **state) {
    (void)state;
    struct rng r = test_rng();
    static struct model_key values[KEYS];
    static bool present[KEYS];
    struct hash h;
    struct model_key k = {0};
    uint32_t count = 0;
    memset(present, 0, sizeof present);
    for (uint64_t i = 0; i < KEYS; i++)
        values[i].number = i;
    assert_int_equal(hash_init(&h, sizeof k, 0, KEYS, seed), 0);
    for (int step = 0; step < 400000; step++) {
        uint64_t i = rng_below(&r, KEYS);
        bool add = rng_below(&r, 100) < (step / 50000 % 2 ? 20u : 80u);
        k.number = i;
        assert_ptr_equal(hash_find(&h, &k), present[i] ? &values[i] : NULL);
        if (add) {
            assert_int_equal(hash_insert(&h, &values[i]), present[i] ? -EEXIST : 0);
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
    uint8_t key, keys[16];
    bool present[16] = {false};
    struct hash h;
    for (key = 0; key < 16; key++)
        keys[key] = key;
    assert_int_equal(hash_init(&h, 1, 0, 13, seed), 0);
    for (int step = 0; step < 100000; step++) {
        key = (uint8_t)rng_below(&r, 16);
        if (present[key]) {
            assert_ptr_equal(hash_remove(&h, &key), &keys[key]);
            present[key] = false;
        } else if (hash_insert(&h, &keys[key]) == 0) {
            present[key] = true;
        } else {
            assert_int_equal(hash_count(&h), 13);
        }
        for (key = 0; key < 16; key++)
            assert_ptr_equal(hash_find(&h, &key), present[key] ? &keys[key] : NULL);
    }
    hash_fini(&h);
}

#ifdef DMTR_FAULT
static void failed_allocations_leave_the_table_intact(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct hash h;
        static int numbers[1000];
        int done = 0;
        fault_arm(n, NULL, ENOMEM);
        int r = hash_init(&h, sizeof done, 0, 1000, seed);
        for (; r == 0 && done < 1000; done += r == 0) {
            numbers[done] = done;
            r = hash_insert(&h, &numbers[done]);
        }
        uint64_t passed = fault_count();
        fault_arm(0, NULL, 0);
        assert_int_equal(r, passed < n ? 0 : -ENOMEM);
        for (int i = 0; i < done; i++)
            assert_ptr_equal(hash_find(&h, &i), &numbers[i]);
        hash_fini(&h);
        if (passed < n) break;
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inserted_key_is_found_until_it_is_removed), cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(inserting_beyond_max_is_refused),           cmocka_unit_test(random_changes_match_the_model),
        cmocka_unit_test(full_small_table_keeps_every_key),          cmocka_unit_test(every_byte_of_a_key_counts),
        cmocka_unit_test(the_inline_lookup_finds_the_same),
#ifdef DMTR_FAULT
        cmocka_unit_test(failed_allocations_leave_the_table_intact),
#endif
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
