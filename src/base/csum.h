/* SPDX-License-Identifier: MIT */
/*
 * The Internet checksum (RFC 1071, RFC 1624). A partial sum is 64 bits wide and valid only for further addition and
 * folding. Sums are in memory order, so a folded sum is stored into a header unchanged.
 */
#ifndef BASE_CSUM_H
#define BASE_CSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds `bytes` bytes at p, of any alignment, to a partial sum (initially 0). p is at the start of a 16-bit word. */
uint64_t csum_add(uint64_t sum, const void *p, size_t bytes);

/* Adds two partial sums with end-around carry (RFC 1071 section 2). */
static inline uint64_t csum_join(uint64_t a, uint64_t b) {
    uint64_t sum = a + b;
    return sum + (sum < b);
}

/* Returns the 16-bit sum, not complemented. Over a range that contains a correct checksum it is 0xffff. */
static inline uint16_t csum_fold(uint64_t sum) {
    sum += sum >> 32 | sum << 32; /* the carry of the low half is added to the high half */
    uint32_t half = (uint32_t)(sum >> 32);
    half += half >> 16 | half << 16;
    return (uint16_t)(half >> 16);
}

/* The checksum to store. */
static inline uint16_t csum_finish(uint64_t sum) {
    return (uint16_t)~csum_fold(sum);
}

/* Appends `following` to `sum`, which covers `bytes` bytes. If `bytes` is odd, the following data starts mid-word. */
static inline uint64_t csum_append(uint64_t sum, size_t bytes, uint64_t following) {
    if (bytes & 1) following = __builtin_bswap16(csum_fold(following)); /* byte order independence: section 2 (B) */
    return csum_join(sum, following);
}

/*
 * Returns the stored checksum after one 16-bit word (in memory order) of the data has changed (RFC 1624, equation 3).
 */
static inline uint16_t csum_update16(uint16_t check, uint16_t old_word, uint16_t new_word) {
    return csum_finish((uint64_t)(uint16_t)~check + (uint16_t)~old_word + new_word);
}

/* As csum_update16, for a 32-bit word that starts at a 16-bit word. */
static inline uint16_t csum_update32(uint16_t check, uint32_t old_word, uint32_t new_word) {
    return csum_finish((uint64_t)(uint16_t)~check + (uint32_t)~old_word + new_word);
}

#endif
