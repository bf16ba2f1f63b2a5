/* SPDX-License-Identifier: MIT */
/* How often a timer with a period has expired by a given time, and when it expires next. */
#include "core/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define LATEST (UINT64_MAX - 1) /* later than any clock */

static const struct {
    const char *what;
    uint64_t due, period, now;
    uint64_t expiries, next;
} rows[] = {
    {"in time", 1000, 100, 1000, 1, 1100},
    {"a little late", 1000, 100, 1099, 1, 1100},
    {"late by just one period", 1000, 100, 1100, 2, 1200},
    {"late by many periods", 1000, 100, 1950, 10, 2000},
    {"a clock that is behind", 1000, 100, 999, 1, 1100},
    {"the shortest period", 1000, 1, 1000000, 999001, 1000001},
    {"a period without end", 1000, UINT64_MAX, 1000, 1, LATEST},
    {"the last period that ends", 1000, LATEST - 1001, 1000, 1, LATEST - 1},
    {"late and without end", 1000, UINT64_MAX / 2, UINT64_MAX / 2 + 1000, 2, LATEST},
};

static void expiries_are_counted_from_the_time_they_were_due(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t due = rows[i].due, n = timer_expiries(&due, rows[i].period, rows[i].now);
        if (n != rows[i].expiries || due != rows[i].next)
            fail_msg("%s: %llu, then %llu", rows[i].what, (unsigned long long)n, (unsigned long long)due);
    }
}

/* Whatever the delays of the program are. */
static void no_expiry_is_lost_or_counted_twice(void **state) {
    (void)state;
    uint64_t due = 12345, sum = 0, now = due, random = 1;
    for (int i = 0; i < 100000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        if (now < due) now = due; /* it does not expire before */
        now += (random >> 33) % 3000;
        sum += timer_expiries(&due, 1000, now);
        assert_true(due > now && due - now <= 1000);
        assert_int_equal(due, 12345 + sum * 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expiries_are_counted_from_the_time_they_were_due),
        cmocka_unit_test(no_expiry_is_lost_or_counted_twice),
    };
    return cmocka_run_group_tests_name("expiries", tests, NULL, NULL);
}
