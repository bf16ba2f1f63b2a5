/* SPDX-License-Identifier: MIT */
/*
 * base/toeplitz.h, compared with the definition: for each set bit of the data, the 32 bits of the key from that bit on.
 */
#include "base/toeplitz.h"

#include "base/rng.h"
#include "test.h"

#include <string.h>

static uint32_t by_definition(const uint8_t *data, uint32_t bytes) {
    uint32_t hash = 0;
    for (uint32_t bit = 0; bit < bytes * 8; bit++) {
        if (!(data[bit / 8] & 0x80u >> bit % 8)) continue;
        uint32_t window = 0;
        for (uint32_t i = bit; i < bit + 32; i++)
            window = window << 1 | (toeplitz_key[i / 8] >> (7 - i % 8) & 1u);
        hash ^= window;
    }
    return hash;
}

static void flow_hashes_match_the_definition_and_are_symmetric(void **state) {
    (void)state;
    struct rng rng;
    rng_init(&rng, 1);
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t a = (uint32_t)rng_next(&rng), b = (uint32_t)rng_next(&rng);
        uint16_t a_port = (uint16_t)rng_next(&rng), b_port = (uint16_t)rng_next(&rng);
        uint8_t data[12];
        memcpy(data, &a, 4);
        memcpy(data + 4, &b, 4);
        data[8] = (uint8_t)(a_port >> 8), data[9] = (uint8_t)a_port;
        data[10] = (uint8_t)(b_port >> 8), data[11] = (uint8_t)b_port;
        assert_int_equal(toeplitz_ip4(a, b, a_port, b_port), by_definition(data, sizeof data));
        assert_int_equal(toeplitz_ip4(a, b, a_port, b_port), toeplitz_ip4(b, a, b_port, a_port));
    }
}

static void consecutive_ports_spread_evenly(void **state) {
    (void)state;
    uint32_t counts[4] = {0};
    for (uint32_t port = 32768; port < 32768 + 4096; port++)
        counts[toeplitz_queue(toeplitz_ip4(1, 2, (uint16_t)port, 80), 4)]++;
    for (uint32_t i = 0; i < 4; i++)
        assert_uint_in_range(counts[i], 512, 1536);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flow_hashes_match_the_definition_and_are_symmetric),
        cmocka_unit_test(consecutive_ports_spread_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
