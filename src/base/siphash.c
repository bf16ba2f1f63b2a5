/* SPDX-License-Identifier: MIT */
/* SipHash with any number of rounds. */
#include "base/siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t x, unsigned n) {
    return x << n | x >> (64 - n);
}

static inline uint64_t load_le64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return le64toh(x);
}

static inline void sip_rounds(struct sip *s, int rounds) {
    while (rounds-- > 0) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate_left(s->v1, 13) ^ s->v0;
        s->v3 = rotate_left(s->v3, 16) ^ s->v2;
        s->v0 = rotate_left(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate_left(s->v1, 17) ^ s->v2;
        s->v3 = rotate_left(s->v3, 21) ^ s->v0;
        s->v2 = rotate_left(s->v2, 32);
    }
}

static inline void sip_word(struct sip *s, uint64_t word, int rounds) {
    s->v3 ^= word;
    sip_rounds(s, rounds);
    s->v0 ^= word;
}

static inline uint64_t siphash(const uint8_t *key, const void *data, size_t bytes, int word_rounds, int last_rounds) {
    const uint8_t *p = data;
    uint64_t k0 = load_le64(key), k1 = load_le64(key + 8), last = (uint64_t)bytes << 56;
    struct sip s = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
    for (; bytes >= 8; bytes -= 8, p += 8)
        sip_word(&s, load_le64(p), word_rounds);
    for (size_t i = 0; i < bytes; i++)
        last |= (uint64_t)p[i] << (8 * i);
    sip_word(&s, last, word_rounds);
    s.v2 ^= 0xff;
    sip_rounds(&s, last_rounds);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t siphash24(const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t bytes) {
    return siphash(key, data, bytes, 2, 4);
}

uint64_t siphash13(const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t bytes) {
    return siphash(key, data, bytes, 1, 3);
}
