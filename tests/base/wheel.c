/* SPDX-License-Identifier: MIT */
/* base/wheel.h, compared with a plain array of deadlines as the model. */
#include "base/wheel.h"

#include "test.h"

#define TICK (1ull << WHEEL_TICK_SHIFT)

static void timer_fires_once_and_not_early(void **state) {
    (void)state;
    struct wheel w;
    struct timer t;
    wheel_init(&w, 5000);
    timer_init(&t);
    assert_int_equal(wheel_next_ns(&w), UINT64_MAX);
    wheel_arm(&w, &t, 1000000);
    assert_int_equal(w.count, 1);
    assert_null(wheel_expire(&w, 999999));
    assert_ptr_equal(wheel_expire(&w, 1000000 + TICK), &t);
    assert_false(t.armed);
    assert_null(wheel_expire(&w, 1000000 + TICK));
    assert_int_equal(w.count, 0);
    assert_int_equal(wheel_next_ns(&w), UINT64_MAX);
}

static void deadline_in_the_past_fires_at_the_next_expire(void **state) {
    (void)state;
    struct wheel w;
    struct timer a, b;
    wheel_init(&w, 1000 * TICK);
    timer_init(&a);
    timer_init(&b);
    wheel_arm(&w, &a, 0);
    wheel_arm(&w, &b, 1000 * TICK);
    assert_true(wheel_next_ns(&w) <= 1000 * TICK);
    assert_ptr_equal(wheel_expire(&w, 0), &a);
    assert_ptr_equal(wheel_expire(&w, 0), &b);
    assert_null(wheel_expire(&w, 0));
}

static void cancelled_timer_does_not_fire(void **state) {
    (void)state;
    struct wheel w;
    struct timer a, b, late;
    wheel_init(&w, 0);
    timer_init(&a);
    timer_init(&b);
    timer_init(&late);
    wheel_cancel(&w, &a);
    wheel_arm(&w, &a, 100 * TICK);
    wheel_cancel(&w, &a);
    wheel_cancel(&w, &a);
    assert_int_equal(wheel_next_ns(&w), UINT64_MAX);
    assert_int_equal(w.count, 0);
    /* also when it is due already but not yet returned */
    wheel_arm(&w, &a, 100 * TICK);
    wheel_arm(&w, &b, 100 * TICK);
    assert_ptr_equal(wheel_expire(&w, 200 * TICK), &a);
    wheel_arm(&w, &late, (100 + 64) * TICK);
    wheel_cancel(&w, &b);
    assert_ptr_equal(wheel_expire(&w, 200 * TICK), &late);
    assert_null(wheel_expire(&w, 200 * TICK));
}

static void armed_timer_moves_when_armed_again(void **state) {
    (void)state;
    struct wheel w;
    struct timer t;
    wheel_init(&w, 0);
    timer_init(&t);
    wheel_arm(&w, &t, 10 * TICK);
    wheel_arm(&w, &t, 5000 * TICK);
    assert_int_equal(w.count, 1);
    assert_null(wheel_expire(&w, 4999 * TICK));
    assert_ptr_equal(wheel_expire(&w, 5000 * TICK), &t);
}

static void largest_deadlines_can_be_armed(void **state) {
    (void)state;
    struct wheel w;
    struct timer never, year;
    wheel_init(&w, 123456789);
    timer_init(&never);
    timer_init(&year);
    wheel_arm(&w, &never, UINT64_MAX);
    wheel_arm(&w, &year, 31536000000000000ull);
    assert_ptr_equal(wheel_expire(&w, 31536000000000000ull + TICK), &year);
    assert_null(wheel_expire(&w, UINT64_MAX / 2));
    assert_ptr_equal(wheel_expire(&w, UINT64_MAX), &never);
}

static void time_may_repeat_or_go_back(void **state) {
    (void)state;
    struct wheel w;
    struct timer t;
    wheel_init(&w, 1000 * TICK);
    timer_init(&t);
    wheel_arm(&w, &t, 1001 * TICK);
    assert_null(wheel_expire(&w, 10 * TICK));
    assert_ptr_equal(wheel_expire(&w, 1001 * TICK), &t);
}

#define TIMERS 1000
static uint64_t nearest(const struct timer *timers) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < TIMERS; i++)
        if (timers[i].armed && timers[i].deadline_ns < least) least = timers[i].deadline_ns;
    return least;
}

/* Expires all timers due at `now` and checks that none was early, late or out of the order of ticks. */
static uint32_t expire_all(struct wheel *w, struct timer *timers, uint64_t now, uint64_t armed_since) {
    struct timer *t;
    uint64_t last_tick = 0;
    uint32_t fired = 0;
    while ((t = wheel_expire(w, now))) {
        uint64_t tick = t->deadline_ns >> WHEEL_TICK_SHIFT;
        assert_false(t->armed);
        assert_true(t->deadline_ns <= now);
        if (t->deadline_ns > armed_since) {
            assert_true(tick + 1 >= last_tick);
            last_tick = tick;
        }
        fired++;
    }
    assert_true(now < TICK || nearest(timers) > now - TICK);
    return fired;
}

static void random_timers_match_the_model(void **state) {
    (void)state;
    struct rng r = test_rng();
    static struct timer timers[TIMERS];
    struct wheel w;
    uint64_t now = rng_next(&r) >> (4 + rng_below(&r, 50));
    uint32_t armed = 0;
    wheel_init(&w, now);
    for (int i = 0; i < TIMERS; i++)
        timer_init(&timers[i]);
    for (int round = 0; round < 3000; round++) {
        for (int i = 0; i < 20; i++) {
            struct timer *t = &timers[rng_below(&r, TIMERS)];
            armed -= t->armed;
            if (rng_below(&r, 3) == 0) {
                wheel_cancel(&w, t);
                assert_false(t->armed);
            } else {
                wheel_arm(&w, t, now + (rng_next(&r) >> (20 + rng_below(&r, 44))) - rng_below(&r, 2) * (now / 2));
                armed++;
            }
        }
        assert_int_equal(w.count, armed);
        uint64_t next = wheel_next_ns(&w), due = nearest(timers) > now ? nearest(timers) : now;
        assert_true(due > UINT64_MAX - TICK || next <= due + TICK);
        /* advance either exactly to the next event or by a random time */
        uint64_t before = now;
        if (rng_below(&r, 2) && next != UINT64_MAX)
            now = next > now ? next : now;
        else
            now += rng_next(&r) >> (24 + rng_below(&r, 40));
        armed -= expire_all(&w, timers, now, before);
    }
}

static void number_of_events_before_a_timer_is_bounded(void **state) {
    (void)state;
    struct wheel w;
    struct timer t;
    int steps = 0;
    wheel_init(&w, 77);
    timer_init(&t);
    wheel_arm(&w, &t, 987654321987654321ull);
    while (!wheel_expire(&w, wheel_next_ns(&w)))
        steps++;
    assert_true(steps < WHEEL_LEVELS);
}

#define MANY 1000000
static void a_million_timers_fire(void **state) {
    (void)state;
    struct rng r = test_rng();
    struct timer *timers = calloc(MANY, sizeof *timers);
    struct wheel w;
    uint32_t fired = 0;
    assert_non_null(timers);
    wheel_init(&w, 0);
    for (int i = 0; i < MANY; i++) {
        timer_init(&timers[i]);
        wheel_arm(&w, &timers[i], rng_below(&r, 1ull << 36));
    }
    assert_int_equal(w.count, MANY);
    while (w.count > 0) {
        uint64_t next = wheel_next_ns(&w);
        for (struct timer *t; (t = wheel_expire(&w, next)); fired++)
            assert_true(t->deadline_ns <= next || t->deadline_ns < 1024);
    }
    assert_int_equal(fired, MANY);
    free(timers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_fires_once_and_not_early),
        cmocka_unit_test(deadline_in_the_past_fires_at_the_next_expire),
        cmocka_unit_test(cancelled_timer_does_not_fire),
        cmocka_unit_test(armed_timer_moves_when_armed_again),
        cmocka_unit_test(largest_deadlines_can_be_armed),
        cmocka_unit_test(time_may_repeat_or_go_back),
        cmocka_unit_test(random_timers_match_the_model),
        cmocka_unit_test(number_of_events_before_a_timer_is_bounded),
        cmocka_unit_test(a_million_timers_fire),
    };
    return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
