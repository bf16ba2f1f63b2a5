/* SPDX-License-Identifier: MIT */
/* The heap on many threads: remote frees, threads that start and exit, fork. */
#include "base/ring.h"
#include "mem/heap.h"

#include "../base/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t mapped_bytes(void) {
    struct heap_stats st;
    heap_get_stats(&st);
    return st.mapped_bytes;
}

#define RING   1024
#define PASSED 200000

static void *allocate_and_pass_on(void *arg) {
    struct spsc *ring = arg;
    struct rng r;
    rng_init(&r, 3);
    for (int i = 0; i < PASSED; i++) {
        size_t size = 8 + rng_below(&r, rng_below(&r, 1000) == 0 ? 300000 : 3000);
        size_t *p = heap_alloc(size);
        if (!p) abort();
        *p = size;
        if (rng_below(&r, 4) == 0) heap_hold(p), heap_release(p);
        void *value = p;
        while (spsc_push(ring, &value, 1) == 0)
            sched_yield();
    }
    return NULL;
}

static void blocks_freed_by_another_thread_are_reused(void **state) {
    (void)state;
    struct spsc ring;
    pthread_t thread;
    assert_int_equal(spsc_init(&ring, RING), 0);
    assert_int_equal(pthread_create(&thread, NULL, allocate_and_pass_on, &ring), 0);
    for (int got = 0; got < PASSED;) {
        void *values[16];
        uint32_t n = spsc_pop(&ring, values, 16);
        if (n == 0) sched_yield();
        for (uint32_t i = 0; i < n; i++, got++) {
            assert_true(*(size_t *)values[i] <= heap_usable_size(values[i]));
            assert_int_equal(heap_free(values[i]), 0);
        }
    }
    pthread_join(thread, NULL);
    spsc_fini(&ring);
    /* only a few MiB were in use at any time, so a heap that loses blocks would exceed this */
    assert_true(mapped_bytes() < 64u << 20);
}

#define LEFT 3000
static void *leave_blocks_behind(void *arg) {
    void **blocks = arg;
    for (int i = 0; i < LEFT; i++) {
        blocks[i] = heap_alloc(2000);
        if (!blocks[i]) abort();
        memset(blocks[i], i, 2000);
    }
    return NULL;
}

static void memory_of_an_exited_thread_is_returned(void **state) {
    (void)state;
    static void *blocks[8][LEFT];
    size_t before = mapped_bytes();
    for (int round = 0; round < 3; round++) {
        pthread_t threads[8];
        for (int i = 0; i < 8; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, leave_blocks_behind, blocks[i]), 0);
        for (int i = 0; i < 8; i++)
            pthread_join(threads[i], NULL);
        assert_true(mapped_bytes() >= 40u << 20);
        for (int i = 0; i < 8; i++)
            for (int k = 0; k < LEFT; k++)
                assert_int_equal(heap_free(blocks[i][k]), 0);
        assert_true(mapped_bytes() <= before + (20u << 20));
    }
}

static void *allocate_little(void *arg) {
    for (int i = 0; i < 10; i++) {
        char *p = heap_alloc(100);
        if (!p) abort();
        *p = 1;
        heap_free(p);
    }
    return arg;
}

static void consecutive_threads_reuse_the_same_memory(void **state) {
    (void)state;
    size_t before = mapped_bytes();
    for (int i = 0; i < 500; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, allocate_little, NULL), 0);
        pthread_join(thread, NULL);
    }
    assert_true(mapped_bytes() <= before + (2u << 20));
}

#define WORKERS 4
#define SLOTS   256
static _Atomic(size_t *) slots[SLOTS];

/* Threads swap blocks through shared slots, so that most blocks are freed by another thread than their own. */
static void *swap_blocks(void *arg) {
    struct rng r;
    rng_init(&r, (uintptr_t)arg);
    for (int i = 0; i < 60000; i++) {
        size_t size = 16 + rng_below(&r, rng_below(&r, 200) == 0 ? 600000 : 600);
        size_t *p = heap_alloc(size), *old;
        if (!p) abort();
        p[0] = size;
        p[1] = ~size;
        old = atomic_exchange(&slots[rng_below(&r, SLOTS)], p);
        if (!old) continue;
        if (old[0] != ~old[1]) abort();
        if (rng_below(&r, 3) == 0) {
            heap_hold(old);
            if (heap_free(old) != 0) abort();
            if (old[0] != ~old[1]) abort();
            heap_release(old);
        } else if (heap_free(old) != 0) {
            abort();
        }
    }
    return NULL;
}

static void threads_swap_blocks_without_losing_any(void **state) {
    (void)state;
    size_t before = mapped_bytes();
    for (uintptr_t round = 0; round < 3; round++) {
        pthread_t threads[WORKERS];
        for (uintptr_t i = 0; i < WORKERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, swap_blocks, (void *)(round * WORKERS + i + 1)), 0);
        for (int i = 0; i < WORKERS; i++)
            pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < SLOTS; i++)
        if (slots[i]) assert_int_equal(heap_free(atomic_exchange(&slots[i], NULL)), 0);
    assert_true(mapped_bytes() <= before + (64u << 20));
}

/* Each block has two references, which two threads give up at the same time; one of the threads frees the block. */
static void *release_all(void *arg) {
    void **blocks = arg;
    for (int i = 0; i < LEFT; i++)
        heap_release(blocks[i]);
    return NULL;
}

static void last_of_two_concurrent_references_frees_the_block(void **state) {
    (void)state;
    static void *blocks[LEFT];
    struct heap_stats before, after;
    heap_get_stats(&before);
    for (int round = 0; round < 20; round++) {
        pthread_t thread;
        for (int i = 0; i < LEFT; i++) {
            blocks[i] = heap_alloc(100);
            assert_non_null(blocks[i]);
            heap_hold(blocks[i]);
        }
        assert_int_equal(pthread_create(&thread, NULL, release_all, blocks), 0);
        for (int i = 0; i < LEFT; i++)
            assert_int_equal(heap_free(blocks[i]), 0);
        pthread_join(thread, NULL);
    }
    heap_get_stats(&after);
    assert_int_equal(after.used_bytes, before.used_bytes);
}

static _Atomic bool stop;
static void *churn(void *arg) {
    while (!atomic_load(&stop)) {
        void *p = heap_alloc(400000), *q = heap_alloc(500);
        heap_free(p);
        heap_free(q);
    }
    return arg;
}

static void forked_child_allocates_while_other_threads_hold_the_lock(void **state) {
    (void)state;
    pthread_t thread;
    char *inherited = heap_alloc(1000);
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, churn, NULL), 0);
    for (int i = 0; i < 30; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            void *p = heap_alloc(300000), *q = heap_alloc(100);
            _exit(p && q && heap_free(inherited) == 0 && heap_free(p) == 0 && heap_free(q) == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(heap_free(inherited), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_freed_by_another_thread_are_reused),
        cmocka_unit_test(memory_of_an_exited_thread_is_returned),
        cmocka_unit_test(consecutive_threads_reuse_the_same_memory),
        cmocka_unit_test(threads_swap_blocks_without_losing_any),
        cmocka_unit_test(last_of_two_concurrent_references_frees_the_block),
        cmocka_unit_test(forked_child_allocates_while_other_threads_hold_the_lock),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
