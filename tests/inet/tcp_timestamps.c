/* SPDX-License-Identifier: MIT */
/* Timestamps without a connection: which value is echoed, and which is old. */
#include "inet/tcp/timestamps.h"

#include "part.h"

#define DAY (86400 * SEC)

static void older_values_are_refused_for_24_days(void **state) {
    (void)state;
    struct tcp_timestamps t = {.offset = 0};
    timestamps_take(&t, 5, SEC);
    assert_false(timestamps_old(&t, 5, SEC));
    assert_true(timestamps_old(&t, 4, SEC));
    assert_true(timestamps_old(&t, UINT32_MAX, SEC)); /* before the clock wrapped */
    assert_false(timestamps_old(&t, 6, SEC));
    assert_true(timestamps_old(&t, 4, SEC + 24 * DAY - 1));
    assert_false(timestamps_old(&t, 4, SEC + 24 * DAY));
}

static void timestamp_of_the_segment_at_the_last_ack_is_echoed(void **state) {
    (void)state;
    struct tcp_timestamps t = {.offset = 0};
    timestamps_take(&t, 100, SEC);
    timestamps_note(&t, 110, 5001, 5000, 2 * SEC); /* after a hole in the sequence space */
    assert_int_equal(t.recent, 100);
    timestamps_note(&t, 110, 5000, 5000, 2 * SEC);
    assert_int_equal(t.recent, 110);
    assert_int_equal(t.recent_ns, 2 * SEC);
    timestamps_note(&t, 109, 4000, 5000, 3 * SEC); /* an older value is ignored */
    assert_int_equal(t.recent, 110);
    timestamps_note(&t, 110, 4000, 5000, 3 * SEC); /* the same value becomes valid for longer */
    assert_int_equal(t.recent_ns, 3 * SEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_values_are_refused_for_24_days),
        cmocka_unit_test(timestamp_of_the_segment_at_the_last_ack_is_echoed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
