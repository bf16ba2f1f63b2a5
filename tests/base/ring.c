/* SPDX-License-Identifier: MIT */
/* base/ring.h */
#include "base/ring.h"
#include "base/fault.h"

#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#define MESSAGES  200000
#define PRODUCERS 3

static void *value_of(uintptr_t n) {
    return (void *)(n + 1);
}

static void push_to_a_full_ring_and_pop_from_an_empty_ring_fail(void **state) {
    (void)state;
    struct spsc s;
    struct mpsc m;
    void *in[5] = {value_of(0), value_of(1), value_of(2), value_of(3), value_of(4)}, *out[5];
    assert_int_equal(spsc_init(&s, 4), 0);
    assert_int_equal(mpsc_init(&m, 4), 0);
    for (int round = 0; round < 10; round++) {
        assert_int_equal(spsc_pop(&s, out, 5), 0);
        assert_int_equal(spsc_push(&s, in, 5), 4);
        assert_int_equal(spsc_push(&s, in, 1), 0);
        assert_int_equal(spsc_pop(&s, out, 3), 3);
        assert_int_equal(spsc_push(&s, in + 4, 1), 1);
        assert_int_equal(spsc_pop(&s, out + 3, 5), 2);
        assert_memory_equal(out, in, sizeof in);
        assert_false(mpsc_pop(&m, out));
        for (int i = 0; i < 4; i++)
            assert_true(mpsc_push(&m, in[i]));
        assert_false(mpsc_push(&m, in[4]));
        for (int i = 0; i < 4; i++) {
            assert_true(mpsc_pop(&m, out));
            assert_ptr_equal(out[0], in[i]);
        }
    }
    spsc_fini(&s);
    mpsc_fini(&m);
}

static void capacity_must_be_a_power_of_two(void **state) {
    (void)state;
    struct spsc s;
    struct mpsc m;
    static const uint32_t bad[] = {0, 3, 6, UINT32_MAX};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(spsc_init(&s, bad[i]), -EINVAL);
        assert_int_equal(mpsc_init(&m, bad[i]), -EINVAL);
    }
}

#ifdef DMTR_FAULT
static void failed_allocation_is_reported(void **state) {
    (void)state;
    struct spsc s;
    struct mpsc m;
    fault_arm(1, "calloc", ENOMEM);
    assert_int_equal(spsc_init(&s, 4), -ENOMEM);
    fault_arm(1, "calloc", ENOMEM);
    assert_int_equal(mpsc_init(&m, 4), -ENOMEM);
    fault_arm(0, NULL, 0);
}
#endif

static void *produce_batches(void *arg) {
    struct spsc *s = arg;
    struct rng r;
    rng_init(&r, 1);
    for (uintptr_t sent = 0; sent < MESSAGES;) {
        void *batch[32];
        uint32_t n = 1 + (uint32_t)rng_below(&r, 32);
        if (n > MESSAGES - sent) n = (uint32_t)(MESSAGES - sent);
        for (uint32_t i = 0; i < n; i++)
            batch[i] = value_of(sent + i);
        uint32_t pushed = spsc_push(s, batch, n);
        if (pushed == 0) sched_yield();
        sent += pushed;
    }
    return NULL;
}

static void batches_arrive_once_and_in_order(void **state) {
    (void)state;
    struct spsc s;
    pthread_t producer;
    assert_int_equal(spsc_init(&s, 64), 0);
    assert_int_equal(pthread_create(&producer, NULL, produce_batches, &s), 0);
    for (uintptr_t got = 0; got < MESSAGES;) {
        void *batch[20];
        uint32_t n = spsc_pop(&s, batch, 20);
        if (n == 0) sched_yield();
        for (uint32_t i = 0; i < n; i++)
            assert_ptr_equal(batch[i], value_of(got++));
    }
    pthread_join(producer, NULL);
    spsc_fini(&s);
}

struct producer {
    struct mpsc *ring;
    uintptr_t id;
    pthread_t thread;
};

static void *produce(void *arg) {
    struct producer *p = arg;
    for (uintptr_t i = 0; i < MESSAGES; i++)
        while (!mpsc_push(p->ring, value_of(p->id << 32 | i)))
            sched_yield();
    return NULL;
}

static void messages_of_every_producer_arrive_once_and_in_order(void **state) {
    (void)state;
    struct mpsc m;
    struct producer producers[PRODUCERS];
    uintptr_t next[PRODUCERS] = {0};
    assert_int_equal(mpsc_init(&m, 64), 0);
    for (uintptr_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.ring = &m, .id = i};
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    for (int got = 0; got < PRODUCERS * MESSAGES;) {
        void *value;
        if (!mpsc_pop(&m, &value)) {
            sched_yield();
            continue;
        }
        uintptr_t n = (uintptr_t)value - 1;
        assert_true(n >> 32 < PRODUCERS);
        assert_int_equal(n & UINT32_MAX, next[n >> 32]++);
        got++;
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i].thread, NULL);
    mpsc_fini(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_to_a_full_ring_and_pop_from_an_empty_ring_fail),
        cmocka_unit_test(capacity_must_be_a_power_of_two),
#ifdef DMTR_FAULT
        cmocka_unit_test(failed_allocation_is_reported),
#endif
        cmocka_unit_test(batches_arrive_once_and_in_order),
        cmocka_unit_test(messages_of_every_producer_arrive_once_and_in_order),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
