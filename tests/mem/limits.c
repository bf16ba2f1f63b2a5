/* SPDX-License-Identifier: MIT */
/*
 * The heap's limits, and failing system calls. Each case runs in its own process, because the heap is set up once per
 * process.
 */
#include "base/fault.h"
#include "mem/heap.h"

#include "../base/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* Runs the case in a child that has not used the heap. The child exits with 0 on success. */
static void in_child(int (*test)(void)) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) _exit(test());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);                                                   \
            fflush(stdout);                                                                                            \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

/* Fills the heap with blocks of one size, then frees them. Returns their number. */
static size_t fill(size_t size) {
    void **last = NULL, **p;
    size_t n = 0;
    for (; (p = heap_alloc(size)); last = p, n++)
        *p = last;
    while (last) {
        p = *last;
        if (heap_free(last) != 0) abort();
        last = p;
    }
    return n;
}

static int limit_child(void) {
    struct heap_stats st;
    setenv("DMTR_HEAP_MAX_BYTES", "33554432", 1);
    for (int round = 0; round < 3; round++) {
        size_t n = fill(1000);
        CHECK(n > 32 * MIB / 1100 && n <= 32 * MIB / 1000);
        n = fill(3 * MIB);
        CHECK(n >= 6 && n <= 8); /* two chunks of sixteen each; slabs of other sizes use some of the room */
        n = fill(100000);
        CHECK(n > 200);
        CHECK(!heap_alloc(40 * MIB));
    }
    heap_get_stats(&st);
    CHECK(st.reserved_bytes == 32 * MIB);
    CHECK(st.used_bytes == 0);
    return 0;
}

static void full_heap_returns_null_and_recovers(void **state) {
    (void)state;
    in_child(limit_child);
}

static size_t mapped_bytes(void) {
    struct heap_stats st;
    heap_get_stats(&st);
    return st.mapped_bytes;
}

#define KEPT 8u /* free runs that stay mapped */

/* Allocates this many runs and frees them. */
static void cycle(uint32_t count) {
    void *blocks[32];
    for (uint32_t i = 0; i < count; i++)
        blocks[i] = heap_alloc(HEAP_RUN_BYTES);
    for (uint32_t i = 0; i < count; i++)
        heap_free(blocks[i]);
}

static int kept_runs_child(void) {
    void *blocks[KEPT + 1];
    cycle(32);
    size_t rest = mapped_bytes();
    CHECK(rest <= (KEPT + 1) * HEAP_RUN_BYTES);
    for (uint32_t i = 0; i < KEPT + 1; i++)
        CHECK((blocks[i] = heap_alloc(HEAP_RUN_BYTES)));
    CHECK(mapped_bytes() == rest + HEAP_RUN_BYTES); /* all that are kept, and one more */
    for (uint32_t i = 0; i < KEPT + 1; i++)
        CHECK(heap_free(blocks[i]) == 0);
    CHECK(mapped_bytes() == rest);
    return 0;
}

static void free_runs_are_kept_up_to_a_limit_and_reused(void **state) {
    (void)state;
    in_child(kept_runs_child);
}

static int kept_slabs_child(void) {
    setenv("DMTR_HEAP_MAX_BYTES", "134217728", 1);
    CHECK(fill(4096) > 64 * MIB / 4096);
    CHECK(mapped_bytes() <= (KEPT + 2) * HEAP_RUN_BYTES);
    return 0;
}

static void empty_slabs_kept_by_a_thread_are_bounded(void **state) {
    (void)state;
    in_child(kept_slabs_child);
}

/* At most a sixteenth of a slab is unused after its last block. */
static int tail_child(void) {
    static void *blocks[1000];
    const size_t size = 40960, count = sizeof blocks / sizeof *blocks;
    for (size_t i = 0; i < count; i++)
        CHECK((blocks[i] = heap_alloc(size)));
    CHECK(mapped_bytes() <= size * count / 15 * 16 + 2 * HEAP_RUN_BYTES);
    return 0;
}

static void large_blocks_of_a_slab_waste_little(void **state) {
    (void)state;
    in_child(tail_child);
}

static int invalid_limit_child(void) {
    struct heap_stats st;
    setenv("DMTR_HEAP_MAX_BYTES", "12 elephants", 1);
    CHECK(heap_alloc(1));
    heap_get_stats(&st);
    CHECK(st.reserved_bytes >= 64 * MIB);
    return 0;
}

static void invalid_limit_is_ignored(void **state) {
    (void)state;
    in_child(invalid_limit_child);
}

#ifndef TEST_SANITIZED
static int address_space_child(void) {
    struct rlimit limit = {512 * MIB, 512 * MIB};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    CHECK(heap_alloc(10 * MIB));
    CHECK(malloc(100 * MIB));
    return 0;
}

/* Sanitizers need more address space than that. */
static void little_address_space_is_enough(void **state) {
    (void)state;
    in_child(address_space_child);
}
#endif

static int never_huge_child(void) {
    struct heap_stats st;
    setenv("DMTR_HEAP_HUGEPAGES", "never", 1);
    CHECK(heap_alloc(1));
    heap_get_stats(&st);
    CHECK(st.huge_bytes == 0 && st.mapped_bytes > 0);
    return 0;
}

/* Without free pages in the pool this must fail instead of using other pages; otherwise it uses the pool. */
static int always_huge_child(void) {
    struct heap_stats st;
    setenv("DMTR_HEAP_HUGEPAGES", "always", 1);
    char *p = heap_alloc(1);
    if (p) *p = 1;
    heap_get_stats(&st);
    CHECK(st.huge_bytes == st.mapped_bytes);
    CHECK(!p || st.huge_bytes > 0);
    return 0;
}

static void page_policy_is_obeyed(void **state) {
    (void)state;
    in_child(never_huge_child);
    in_child(always_huge_child);
}

#ifdef DMTR_FAULT
static void *thread_allocates(void *arg) {
    (void)arg;
    fault_arm(1, "mmap", ENOMEM);
    void *p = heap_alloc(10), *q = heap_alloc(10);
    fault_arm(0, NULL, 0);
    heap_free(q);
    return p; /* NULL: the first allocation failed, the second succeeded */
}

/* Makes each call on the way to memory fail once. The allocation returns NULL then, and succeeds afterwards. */
static int faults_child(void) {
    for (uint64_t n = 1;; n++) {
        fault_arm(n, NULL, ENOMEM);
        void *small = heap_alloc(100), *large = heap_alloc(5 * MIB), *huge = heap_alloc(70 * MIB);
        uint64_t passed = fault_count();
        fault_arm(0, NULL, 0);
        if (small) memset(small, 1, 100);
        if (large) memset(large, 1, 5 * MIB);
        CHECK((small && large && huge) || passed >= n);
        CHECK(heap_free(small) == (small ? 0 : -EINVAL));
        CHECK(heap_free(large) == (large ? 0 : -EINVAL));
        CHECK(heap_free(huge) == (huge ? 0 : -EINVAL));
        if (passed < n) break;
    }
    pthread_t thread;
    void *result = &thread;
    CHECK(pthread_create(&thread, NULL, thread_allocates, NULL) == 0);
    pthread_join(thread, &result);
    CHECK(result == NULL);
    return 0;
}

/* Memory that could not be unmapped is not treated as fresh zeros later. */
static int unmap_faults_child(void) {
    for (uint64_t n = 1;; n++) {
        char *p = heap_alloc(40 * MIB);
        CHECK(p);
        memset(p, 1, 40 * MIB);
        fault_arm(n, NULL, ENOMEM);
        CHECK(heap_free(p) == 0);
        uint64_t passed = fault_count();
        fault_arm(0, NULL, 0);
        CHECK((p = heap_alloc_zeroed(40 * MIB)));
        for (size_t i = 0; i < 40 * MIB; i += 512)
            CHECK(p[i] == 0);
        CHECK(heap_free(p) == 0);
        if (passed < n) return 0;
    }
}

static void memory_that_cannot_be_unmapped_is_cleared_before_use(void **state) {
    (void)state;
    in_child(unmap_faults_child);
}

static void any_failing_call_only_returns_null(void **state) {
    (void)state;
    in_child(faults_child);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_heap_returns_null_and_recovers),
        cmocka_unit_test(free_runs_are_kept_up_to_a_limit_and_reused),
        cmocka_unit_test(empty_slabs_kept_by_a_thread_are_bounded),
        cmocka_unit_test(large_blocks_of_a_slab_waste_little),
        cmocka_unit_test(invalid_limit_is_ignored),
#ifndef TEST_SANITIZED
        cmocka_unit_test(little_address_space_is_enough),
#endif
        cmocka_unit_test(page_policy_is_obeyed),
#ifdef DMTR_FAULT
        cmocka_unit_test(any_failing_call_only_returns_null),
        cmocka_unit_test(memory_that_cannot_be_unmapped_is_cleared_before_use),
#endif
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
