/* SPDX-License-Identifier: MIT */
/* Parsing of TCP options: an option is read completely or not at all. */
#include "../base/test.h"
#include "inet/wire/tcp.h"

#define STEP 4u

/* Parses a header with these options, padded with NOPs in front. Foreign bytes follow the header. */
static struct tcp_options parse(const void *options, uint32_t len) {
    struct tcp_header h;
    uint8_t segment[TCP_HEADER_BYTES + TCP_OPTIONS_MAX + 16];
    uint32_t padded = (len + STEP - 1) / STEP * STEP, bytes = TCP_HEADER_BYTES + padded;
    memset(segment, 0, TCP_HEADER_BYTES);
    memset(segment + TCP_HEADER_BYTES, 1, padded);
    memcpy(segment + bytes - len, options, len);
    memset(segment + bytes, 8, sizeof segment - bytes);
    segment[12] = (uint8_t)(bytes / 4 << 4);
    assert_true(tcp_parse(&h, segment, sizeof segment));
    assert_int_equal(h.header_bytes, bytes);
    return h.options;
}
#define PARSE(...) parse((const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__})

static void option_beyond_the_header_is_not_read(void **state) {
    (void)state;
    assert_int_equal(PARSE(2, 4, 5, 180).mss, 1460);
    assert_int_equal(PARSE(2, 4, 5).mss, 0);
    assert_int_equal(PARSE(2, 4).mss, 0);
    assert_int_equal(PARSE(2).mss, 0);
    assert_false(PARSE(4).sack_permitted);
    assert_false(PARSE(3, 3).has_window_shift);
    assert_false(PARSE(8, 10, 1, 2, 3, 4, 5, 6, 7).has_timestamp);
}

static void option_without_a_length_ends_the_parsing(void **state) {
    (void)state;
    assert_int_equal(PARSE(99, 2, 2, 4, 5, 180).mss, 1460);
    assert_int_equal(PARSE(99, 1, 2, 4, 5, 180).mss, 0);
    assert_int_equal(PARSE(99, 0, 2, 4, 5, 180).mss, 0);
    assert_int_equal(PARSE(0, 2, 4, 5, 180).mss, 0);
}

static void window_shift_above_14_is_read_as_14(void **state) {
    (void)state;
    assert_int_equal(PARSE(3, 3, 14).window_shift, 14);
    assert_int_equal(PARSE(3, 3, 15).window_shift, 14);
    assert_int_equal(PARSE(3, 3, 255).window_shift, 14);
}

static void only_complete_sack_blocks_are_read(void **state) {
    (void)state;
    struct tcp_options two = PARSE(5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4);
    assert_int_equal(two.sack_count, 2);
    assert_int_equal(two.sack[1].start, 3);
    assert_int_equal(two.sack[1].end, 4);
    assert_int_equal(PARSE(5, 17, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0).sack_count, 1);
    assert_int_equal(PARSE(5, 9, 0, 0, 0, 1, 0, 0, 0).sack_count, 0);
    assert_int_equal(PARSE(5, 2).sack_count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(option_beyond_the_header_is_not_read),
        cmocka_unit_test(option_without_a_length_ends_the_parsing),
        cmocka_unit_test(window_shift_above_14_is_read_as_14),
        cmocka_unit_test(only_complete_sack_blocks_are_read),
    };
    return cmocka_run_group_tests_name("tcp_options", tests, NULL, NULL);
}
