/* SPDX-License-Identifier: MIT */
/* Adds up 64-bit words with end-around carry; with AVX2, 32 bytes at a time. */
#include "base/csum.h"

#include <string.h>

static inline uint64_t load64(const unsigned char *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* Loads the last 0 ... 7 bytes, padded with zeros. */
static inline uint64_t load_tail(const unsigned char *p, size_t bytes) {
    uint64_t x = 0;
    if (bytes & 4) memcpy(&x, p, 4);
    if (bytes & 2) {
        uint16_t half;
        memcpy(&half, p + (bytes & 4), 2);
        x = csum_join(x, half);
    }
    if (bytes & 1) {
        uint16_t half = 0;
        memcpy(&half, p + (bytes & 6), 1); /* the first byte in memory of a word whose second byte is zero */
        x = csum_join(x, half);
    }
    return x;
}

static inline uint64_t add_words(uint64_t sum, const unsigned char *p, size_t bytes) {
    for (; bytes >= 32; bytes -= 32, p += 32) {
        sum = csum_join(csum_join(sum, load64(p)), load64(p + 8));
        sum = csum_join(csum_join(sum, load64(p + 16)), load64(p + 24));
    }
    for (; bytes >= 8; bytes -= 8, p += 8)
        sum = csum_join(sum, load64(p));
    return csum_join(sum, load_tail(p, bytes));
}

#if defined(__x86_64__)
#include <immintrin.h>

#define VECTOR_MIN_BYTES 128 /* below this, setting up and summing the vectors costs more than they save */

__attribute__((target("avx2"))) static uint64_t add_avx2(uint64_t sum, const unsigned char *p, size_t bytes) {
    const __m256i low = _mm256_set1_epi64x(0xffffffff);
    __m256i even = _mm256_setzero_si256(), odd = even, even2 = even, odd2 = even; /* 64-bit lanes lose no carry */
    uint64_t lanes[4];
    for (; bytes >= 64; bytes -= 64, p += 64) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
        even = _mm256_add_epi64(even, _mm256_and_si256(a, low));
        odd = _mm256_add_epi64(odd, _mm256_srli_epi64(a, 32));
        even2 = _mm256_add_epi64(even2, _mm256_and_si256(b, low));
        odd2 = _mm256_add_epi64(odd2, _mm256_srli_epi64(b, 32));
    }
    even = _mm256_add_epi64(_mm256_add_epi64(even, odd), _mm256_add_epi64(even2, odd2));
    _mm256_storeu_si256((__m256i *)(void *)lanes, even);
    sum = csum_join(csum_join(csum_join(csum_join(sum, lanes[0]), lanes[1]), lanes[2]), lanes[3]);
    return add_words(sum, p, bytes);
}

uint64_t csum_add(uint64_t sum, const void *p, size_t bytes) {
    if (bytes >= VECTOR_MIN_BYTES && __builtin_cpu_supports("avx2")) return add_avx2(sum, p, bytes);
    return add_words(sum, p, bytes);
}
#else
uint64_t csum_add(uint64_t sum, const void *p, size_t bytes) {
    return add_words(sum, p, bytes);
}
#endif
