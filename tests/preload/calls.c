/* SPDX-License-Identifier: MIT */
/* Every call of libdmtr-malloc.so, which the test is run with (LD_PRELOAD), as POSIX and glibc have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* NOLINTBEGIN(clang-analyzer-*): the analyzer reasons about another malloc */

static size_t (*heap_usable_size)(const void *);
static volatile size_t too_much = SIZE_MAX - 100; /* volatile: the compiler would warn of it */

static int find_heap(void **state) {
    (void)state;
    *(void **)&heap_usable_size = dlsym(RTLD_DEFAULT, "dmtr_usable_size");
    return heap_usable_size ? 0 : -1;
}

static void memory_is_the_heaps(void **state) {
    (void)state;
    void *p = malloc(100), *q = strdup("made inside the C library");
    assert_true(heap_usable_size(p) >= 100);
    assert_true(heap_usable_size(q) >= 26);
    assert_int_equal(malloc_usable_size(p), heap_usable_size(p));
    assert_int_equal(malloc_usable_size(NULL), 0);
    free(p);
    free(q);
    free(NULL);
}

static void size_zero_gives_a_pointer_of_its_own(void **state) {
    (void)state;
    void *p = malloc(0), *q = malloc(0), *r = calloc(0, 5);
    assert_true(p && q && r && p != q && q != r);
    free(p);
    free(q);
    free(r);
}

static void too_much_is_enomem(void **state) {
    (void)state;
    void *p = malloc(10);
    errno = 0;
    assert_null(malloc(too_much));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(calloc(too_much, 2));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(realloc(p, too_much));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(reallocarray(NULL, too_much, 16));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(pvalloc(too_much + 100));
    assert_int_equal(errno, ENOMEM);
    free(p);
}

static void calloc_gives_zeros(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++) {
        char *p = calloc(1000, 7);
        for (int i = 0; i < 7000; i++)
            assert_int_equal(p[i], 0);
        memset(p, 1, 7000);
        free(p);
    }
}

static void realloc_keeps_what_fits(void **state) {
    (void)state;
    char *p = realloc(NULL, 10);
    memcpy(p, "contents", 9);
    for (size_t size = 10; size < 100u << 20; size = size * 3 + 1) {
        p = realloc(p, size);
        assert_non_null(p);
        assert_true(malloc_usable_size(p) >= size);
        p[size - 1] = 1;
        assert_string_equal(p, "contents");
    }
    p = reallocarray(p, 9, 1);
    assert_string_equal(p, "contents");
    assert_null(realloc(p, 0)); /* frees, as glibc does */
}

static void aligned_memory_is_aligned(void **state) {
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    volatile size_t not_a_power = 48;
    for (size_t alignment = sizeof(void *); alignment <= 8u << 20; alignment *= 2) {
        void *p = NULL, *q = aligned_alloc(alignment, 3 * alignment), *r = memalign(alignment, 5);
        assert_int_equal(posix_memalign(&p, alignment, 10), 0);
        assert_int_equal((uintptr_t)p % alignment, 0);
        assert_int_equal((uintptr_t)q % alignment, 0);
        assert_int_equal((uintptr_t)r % alignment, 0);
        free(p);
        free(q);
        free(r);
    }
    void *v = valloc(10), *pv = pvalloc(page + 1), *odd = memalign(not_a_power, 10);
    assert_int_equal((uintptr_t)v % page, 0);
    assert_int_equal((uintptr_t)pv % page, 0);
    assert_true(malloc_usable_size(pv) >= 2 * page);
    assert_int_equal((uintptr_t)odd % 64, 0);
    free(v);
    free(pv);
    free(odd);
}

static void senseless_alignment_is_einval(void **state) {
    (void)state;
    void *p = &p;
    volatile size_t odd = 24, small = 2;
    errno = 0;
    assert_int_equal(posix_memalign(&p, odd, 10), EINVAL);
    assert_int_equal(posix_memalign(&p, small, 10), EINVAL);
    assert_int_equal(posix_memalign(&p, 0, 10), EINVAL);
    assert_int_equal(posix_memalign(&p, 16, too_much), ENOMEM);
    assert_ptr_equal(p, &p);
    assert_int_equal(errno, 0);
    assert_null(aligned_alloc(odd, 10));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(memalign(too_much, 10));
    assert_int_equal(errno, EINVAL);
}

static void free_keeps_errno(void **state) {
    (void)state;
    void *small = malloc(10), *large = malloc(50u << 20);
    errno = 77;
    free(small);
    free(large);
    assert_int_equal(errno, 77);
}

static pthread_key_t key;
static void free_and_allocate_again(void *p) {
    free(p);
    free(malloc(1000));
}

static void *work(void *arg) {
    pthread_setspecific(key, malloc(100));
    for (int i = 0; i < 10000; i++)
        free(malloc((size_t)i));
    return arg;
}

/* Destructors of a thread's own data run before and after the heap's. */
static void exiting_threads_may_still_allocate(void **state) {
    (void)state;
    assert_int_equal(pthread_key_create(&key, free_and_allocate_again), 0);
    for (int round = 0; round < 20; round++) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    }
}

static void child_after_fork_allocates_and_frees(void **state) {
    (void)state;
    char *p = malloc(1000);
    int status;
    pid_t child = fork();
    if (child == 0) {
        free(p);
        p = malloc(100000);
        _exit(p ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_the_heaps),
        cmocka_unit_test(size_zero_gives_a_pointer_of_its_own),
        cmocka_unit_test(too_much_is_enomem),
        cmocka_unit_test(calloc_gives_zeros),
        cmocka_unit_test(realloc_keeps_what_fits),
        cmocka_unit_test(aligned_memory_is_aligned),
        cmocka_unit_test(senseless_alignment_is_einval),
        cmocka_unit_test(free_keeps_errno),
        cmocka_unit_test(exiting_threads_may_still_allocate),
        cmocka_unit_test(child_after_fork_allocates_and_frees),
    };
    return cmocka_run_group_tests_name("preload", tests, find_heap, NULL);
}

/* NOLINTEND(clang-analyzer-*) */
