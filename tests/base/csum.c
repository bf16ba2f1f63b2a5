/* SPDX-License-Identifier: MIT */
/* base/csum.h, compared with a sum of 16 bits at a time. */
#include "base/csum.h"

#include "test.h"

#include <arpa/inet.h>
#include <string.h>

#define BYTES 2048
static unsigned char data[BYTES + 64];

/* RFC 1071 literally: big-endian words, carries folded at the end. Returns the result in memory order. */
static uint16_t plain(const unsigned char *p, size_t bytes) {
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += (uint64_t)p[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)sum);
}

/* 0 and 0xffff are the same number in this arithmetic; the sum of bytes that are not all zero is never 0. */
static void every_length_and_alignment_agrees_with_the_plain_sum(void **state) {
    (void)state;
    for (size_t offset = 0; offset < 34; offset++)
        for (size_t bytes = 0; bytes <= 600; bytes++)
            assert_int_equal(csum_fold(csum_add(0, data + offset, bytes)), plain(data + offset, bytes));
    for (size_t bytes = 600; bytes <= BYTES; bytes += 7)
        assert_int_equal(csum_fold(csum_add(0, data + 3, bytes)), plain(data + 3, bytes));
}

static void sums_of_all_ones_lose_no_carry(void **state) {
    (void)state;
    static unsigned char ones[65536];
    memset(ones, 0xff, sizeof ones);
    for (size_t bytes = 0; bytes <= sizeof ones; bytes = bytes * 2 + 1)
        assert_int_equal(csum_fold(csum_add(0, ones, bytes)), plain(ones, bytes));
    assert_int_equal(csum_fold(csum_add(UINT64_MAX, ones, sizeof ones)), 0xffff);
}

static void sums_of_parts_of_any_length_append(void **state) {
    (void)state;
    struct rng r = test_rng();
    for (int i = 0; i < 2000; i++) {
        size_t total = rng_below(&r, 900), at = 0;
        uint64_t sum = 0;
        while (at < total) {
            size_t part = 1 + rng_below(&r, total - at);
            sum = csum_append(sum, at, csum_add(0, data + at, part));
            at += part;
        }
        assert_int_equal(csum_fold(sum), plain(data, total));
    }
}

static void header_with_its_checksum_sums_to_ffff(void **state) {
    (void)state;
    /* an IPv4 header whose checksum is b861 */
    unsigned char header[20] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                                0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
    uint16_t check = csum_finish(csum_add(0, header, sizeof header));
    memcpy(header + 10, &check, sizeof check);
    assert_int_equal(header[10], 0xb8);
    assert_int_equal(header[11], 0x61);
    assert_int_equal(csum_fold(csum_add(0, header, sizeof header)), 0xffff);
}

static void updates_agree_with_a_new_sum(void **state) {
    (void)state;
    struct rng r = test_rng();
    unsigned char copy[64];
    for (int i = 0; i < 100000; i++) {
        uint16_t check, new16 = (uint16_t)rng_next(&r), old16;
        uint32_t new32 = (uint32_t)rng_next(&r), old32;
        size_t at = rng_below(&r, 15) * 4;
        memcpy(copy, data + rng_below(&r, 1000), sizeof copy);
        check = csum_finish(csum_add(0, copy, sizeof copy));
        memcpy(&old16, copy + at, sizeof old16);
        memcpy(copy + at, &new16, sizeof new16);
        check = csum_update16(check, old16, new16);
        memcpy(&old32, copy + at, sizeof old32);
        memcpy(copy + at, &new32, sizeof new32);
        check = csum_update32(check, old32, new32);
        assert_int_equal(check, csum_finish(csum_add(0, copy, sizeof copy)));
    }
}

/* The case in which the equation of RFC 1141 is wrong (RFC 1624 section 4). */
static void update_does_not_turn_zero_into_minus_zero(void **state) {
    (void)state;
    assert_int_equal(csum_update16(htons(0xdd2f), htons(0x5555), htons(0x3285)), 0);
}

static int fill(void **state) {
    (void)state;
    struct rng r = test_rng();
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(rng_next(&r) | 1);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_and_alignment_agrees_with_the_plain_sum),
        cmocka_unit_test(sums_of_all_ones_lose_no_carry),
        cmocka_unit_test(sums_of_parts_of_any_length_append),
        cmocka_unit_test(header_with_its_checksum_sums_to_ffff),
        cmocka_unit_test(updates_agree_with_a_new_sum),
        cmocka_unit_test(update_does_not_turn_zero_into_minus_zero),
    };
    return cmocka_run_group_tests_name("csum", tests, fill, NULL);
}
