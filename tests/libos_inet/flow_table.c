/* SPDX-License-Identifier: MIT */
/* The table of flows that the runtimes of a device share (libos/inet/flow_table.h). */
#include "libos/inet/flow_table.h"
#include "base/fault.h"

#include "../base/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define LARGE   100000u /* default limit of the tables in these tests */
#define FLOWS   20000u
#define STABLE  500u
#define READERS 2u
#define WRITERS 2u
#define CHANGES 20000u
#define MOVES   20000u

static const uint64_t secret[FLOW_KEY_WORDS] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb,
                                                0xd6e8feb86659fd93, 0xa0761d6478bd642f};

static struct flow_key key_of(uint32_t n) {
    return (struct flow_key){0x0100000a, n, 80, (uint16_t)(n >> 3), 6};
}

static struct flow_table *table_new(uint32_t limit) {
    struct flow_table *t;
    assert_int_equal(flow_table_new(&t, limit, secret), 0);
    return t;
}

static void flow_has_the_owner_that_was_inserted(void **state) {
    (void)state;
    struct flow_table *t = table_new(LARGE);
    struct flow_key k = key_of(1), other = k;
    assert_int_equal(flow_find(t, &k), FLOW_NOBODY);
    assert_false(flow_move(t, &k, 0, 1));
    assert_false(flow_remove(t, &k, 0));
    assert_int_equal(flow_insert(t, &k, 63), 0);
    assert_int_equal(flow_find(t, &k), 63);
    assert_int_equal(flow_insert(t, &k, 5), -EEXIST);
    assert_int_equal(flow_find(t, &k), 63);
    assert_false(flow_move(t, &k, 5, 6));
    assert_true(flow_move(t, &k, 63, 0));
    assert_int_equal(flow_find(t, &k), 0);
    assert_false(flow_remove(t, &k, 63));
    assert_int_equal(flow_count(t), 1);
    other.protocol = 17;
    assert_int_equal(flow_find(t, &other), FLOW_NOBODY);
    other = k;
    other.local++;
    assert_int_equal(flow_find(t, &other), FLOW_NOBODY);
    other = k;
    other.local_port++;
    assert_int_equal(flow_find(t, &other), FLOW_NOBODY);
    other = k;
    other.remote_port++;
    assert_int_equal(flow_find(t, &other), FLOW_NOBODY);
    assert_true(flow_remove(t, &k, 0));
    assert_int_equal(flow_find(t, &k), FLOW_NOBODY);
    assert_int_equal(flow_count(t), 0);
    flow_table_free(t);
}

static void table_grows_and_removals_keep_the_other_flows(void **state) {
    (void)state;
    struct flow_table *t = table_new(LARGE);
    for (uint32_t i = 0; i < FLOWS; i++) {
        struct flow_key k = key_of(i);
        assert_int_equal(flow_insert(t, &k, i % FLOW_OWNERS_MAX), 0);
    }
    assert_int_equal(flow_count(t), FLOWS);
    for (uint32_t i = 0; i < FLOWS; i += 2) {
        struct flow_key k = key_of(i);
        assert_true(flow_remove(t, &k, i % FLOW_OWNERS_MAX));
    }
    for (uint32_t i = 0; i < FLOWS; i++) {
        struct flow_key k = key_of(i);
        assert_int_equal(flow_find(t, &k), i % 2 ? i % FLOW_OWNERS_MAX : FLOW_NOBODY);
    }
    for (uint32_t i = 0; i < FLOWS; i += 2) {
        struct flow_key k = key_of(i);
        assert_int_equal(flow_insert(t, &k, 7), 0);
    }
    for (uint32_t i = 0; i < FLOWS; i++) {
        struct flow_key k = key_of(i);
        assert_true(flow_remove(t, &k, i % 2 ? i % FLOW_OWNERS_MAX : 7));
    }
    assert_int_equal(flow_count(t), 0);
    flow_table_free(t);
}

static void a_full_table_refuses_flows_until_one_is_removed(void **state) {
    (void)state;
    const uint32_t limit = 4 * FLOW_SHARDS;
    struct flow_table *t = table_new(limit);
    uint32_t refused = 0, last = 0;
    for (uint32_t i = 0; i < 100 * limit; i++) { /* enough to fill every shard */
        struct flow_key k = key_of(i);
        int r = flow_insert(t, &k, 1);
        assert_true(r == 0 || r == -ENOBUFS);
        assert_int_equal(flow_find(t, &k), r ? FLOW_NOBODY : 1);
        if (r) last = i;
        refused += r != 0;
    }
    assert_int_equal(refused, 99 * limit);
    assert_int_equal(flow_count(t), limit);
    for (uint32_t i = 0; i < 100 * limit; i++) {
        struct flow_key k = key_of(i);
        flow_remove(t, &k, 1);
    }
    struct flow_key k = key_of(last);
    assert_int_equal(flow_insert(t, &k, 1), 0);
    flow_table_free(t);
    t = table_new(0);
    assert_int_equal(flow_insert(t, &k, 1), -ENOBUFS);
    flow_table_free(t);
}

#ifdef DMTR_FAULT
static void failing_allocation_is_reported(void **state) {
    (void)state;
    struct flow_table *t;
    struct flow_key k = key_of(1);
    fault_arm(1, "calloc", ENOMEM);
    assert_int_equal(flow_table_new(&t, LARGE, secret), -ENOMEM);
    fault_arm(0, NULL, 0);
    t = table_new(LARGE);
    fault_arm(1, "calloc", ENOMEM);
    assert_int_equal(flow_insert(t, &k, 1), -ENOMEM);
    fault_arm(0, NULL, 0);
    assert_int_equal(flow_find(t, &k), FLOW_NOBODY);
    assert_int_equal(flow_insert(t, &k, 1), 0);
    flow_table_free(t);
}
#endif

/* Flows below STABLE do not change. Flow STABLE moves between owners 1 and 2. Each writer uses its own range above. */
struct job {
    struct flow_table *table;
    pthread_t thread;
    uint32_t number;
    const char *failed;
};

static atomic_bool stop;

static void *read_all(void *arg) {
    struct job *j = arg;
    while (!stop && !j->failed) {
        for (uint32_t i = 0; i <= STABLE; i++) {
            struct flow_key k = key_of(i);
            uint32_t owner = flow_find(j->table, &k);
            if (i < STABLE && owner != i % FLOW_OWNERS_MAX) j->failed = "a stable flow is not found";
            if (i == STABLE && owner != 1 && owner != 2) j->failed = "a moving flow is not found";
        }
    }
    return NULL;
}

static void *write_all(void *arg) {
    struct job *j = arg;
    for (uint32_t i = 0; i < CHANGES; i++) {
        struct flow_key k = key_of(STABLE + 1 + j->number * CHANGES + i);
        if (flow_insert(j->table, &k, j->number) || flow_find(j->table, &k) != j->number) j->failed = "not inserted";
        if (i < 100) continue;
        k = key_of(STABLE + 1 + j->number * CHANGES + i - 100);
        if (i % 4 && !flow_remove(j->table, &k, j->number)) j->failed = "not removed";
    }
    return NULL;
}

static void readers_find_stable_flows_while_others_write(void **state) {
    (void)state;
    struct flow_table *t = table_new(LARGE);
    struct job readers[READERS], writers[WRITERS];
    struct flow_key moving = key_of(STABLE);
    stop = false;
    for (uint32_t i = 0; i < STABLE; i++) {
        struct flow_key k = key_of(i);
        assert_int_equal(flow_insert(t, &k, i % FLOW_OWNERS_MAX), 0);
    }
    assert_int_equal(flow_insert(t, &moving, 1), 0);
    for (uint32_t i = 0; i < READERS; i++) {
        readers[i] = (struct job){.table = t, .number = i};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_all, &readers[i]), 0);
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct job){.table = t, .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_all, &writers[i]), 0);
    }
    for (uint32_t i = 0; i < MOVES; i++)
        assert_true(flow_move(t, &moving, 1 + i % 2, 2 - i % 2));
    for (uint32_t i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_null(writers[i].failed);
    }
    stop = true;
    for (uint32_t i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_null(readers[i].failed);
    }
    flow_table_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flow_has_the_owner_that_was_inserted),
        cmocka_unit_test(table_grows_and_removals_keep_the_other_flows),
        cmocka_unit_test(a_full_table_refuses_flows_until_one_is_removed),
#ifdef DMTR_FAULT
        cmocka_unit_test(failing_allocation_is_reported),
#endif
        cmocka_unit_test(readers_find_stable_flows_while_others_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
