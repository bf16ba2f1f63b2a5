/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-random numbers (xoshiro256**, Blackman & Vigna 2018): fast, and the same for the same seed, so that a run
 * can be repeated. Not for secrets: those come from getrandom through siphash24.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/* Any seed will do, 0 too. */
void rng_init(struct rng *r, uint64_t seed);

/* Seeds from the kernel. 0 or a negative errno of getrandom. */
int rng_init_random(struct rng *r);

static inline uint64_t rng_next(struct rng *r) {
    uint64_t *s = r->s, x = s[1] * 5, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return (x << 7 | x >> 57) * 9;
}

/* Uniform in [0, bound), without bias; bound is at least 1. */
static inline uint64_t rng_below(struct rng *r, uint64_t bound) {
    /* Lemire 2019: the upper half of a product; the few lower halves that would favour some results are refused. */
    unsigned __int128 product = (unsigned __int128)rng_next(r) * bound;
    if ((uint64_t)product < bound)
        for (uint64_t refused = -bound % bound; (uint64_t)product < refused;)
            product = (unsigned __int128)rng_next(r) * bound;
    return (uint64_t)(product >> 64);
}

#endif
