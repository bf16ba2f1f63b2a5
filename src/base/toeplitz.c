/* SPDX-License-Identifier: MIT */
/* The symmetric Toeplitz hash. */
#include "base/toeplitz.h"

#define KEY_WORD 0x6d5au

const uint8_t toeplitz_key[TOEPLITZ_KEY_BYTES] = {
    0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
    0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
    0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
};

#define WINDOW            (KEY_WORD << 16 | KEY_WORD)
#define ROTATE_LEFT(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define BIT(n, b, at)     ((n) & (b) ? ROTATE_LEFT(WINDOW, at) : 0u)
#define NIBBLE(n)         (((n) & 8 ? WINDOW : 0u) ^ BIT(n, 4, 1) ^ BIT(n, 2, 2) ^ BIT(n, 1, 3))

/*
 * The contribution of the first nibble of the data, by value. For each later nibble it is rotated by four bits, because
 * the key repeats.
 */
static const uint32_t nibbles[16] = {
    NIBBLE(0), NIBBLE(1), NIBBLE(2),  NIBBLE(3),  NIBBLE(4),  NIBBLE(5),  NIBBLE(6),  NIBBLE(7),
    NIBBLE(8), NIBBLE(9), NIBBLE(10), NIBBLE(11), NIBBLE(12), NIBBLE(13), NIBBLE(14), NIBBLE(15),
};

uint32_t toeplitz_words(uint16_t words) {
    uint32_t second = nibbles[words >> 8 & 15], third = nibbles[words >> 4 & 15], fourth = nibbles[words & 15];
    return nibbles[words >> 12] ^ ROTATE_LEFT(second, 4) ^ ROTATE_LEFT(third, 8) ^ ROTATE_LEFT(fourth, 12);
}
