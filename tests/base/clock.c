/* SPDX-License-Identifier: MIT */
/* base/clock.h */
#include "base/clock.h"

#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static uint64_t kernel_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void time_never_goes_backwards_on_a_thread(void **state) {
    (void)state;
    uint64_t last = clock_now_ns();
    for (int i = 0; i < 1000000; i++) {
        uint64_t now = clock_now_ns();
        assert_true(now >= last);
        last = now;
    }
}

/* Bounds the rate's error without any limit on elapsed time: our interval encloses the kernel's. */
static void rate_matches_the_kernels_clock(void **state) {
    (void)state;
    print_message("# the processor's counter is %s\n", clock_uses_tsc() ? "used" : "not used");
    uint64_t ours = clock_now_ns(), kernel_after = kernel_ns();
    while (kernel_ns() - kernel_after < 50000000) {
    }
    uint64_t kernel = kernel_ns() - kernel_after, ours_elapsed = clock_now_ns() - ours;
    /* our interval encloses the kernel's, so it is not shorter by more than the rate's error */
    assert_true(ours_elapsed + kernel / 1000 >= kernel);
}

struct ping {
    _Atomic uint64_t latest;
    _Atomic int backwards;
};

/* Publishes times. A thread that has seen another thread's time must not read an earlier one. */
static void *publish(void *arg) {
    struct ping *p = arg;
    for (int i = 0; i < 200000; i++) {
        uint64_t seen = atomic_load(&p->latest), now = clock_now_ns();
        if (now < seen) atomic_fetch_add(&p->backwards, 1);
        while (seen < now && !atomic_compare_exchange_weak(&p->latest, &seen, now)) {
        }
    }
    return NULL;
}

static void time_never_goes_backwards_between_threads(void **state) {
    (void)state;
    struct ping p = {0};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, publish, &p), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(p.backwards, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_never_goes_backwards_between_threads),
        cmocka_unit_test(time_never_goes_backwards_on_a_thread),
        cmocka_unit_test(rate_matches_the_kernels_clock),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
