/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-random numbers (xoshiro256**, Blackman & Vigna 2018). The same seed gives the same numbers, so that a run can
 * be repeated. Not for secrets: those come from getrandom and siphash24.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/* Every seed is valid, including 0. */
void rng_init(struct rng *r, uint64_t seed);

/* Seeds from the kernel. Returns 0 or a negative errno of getrandom. */
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

/* Returns a uniform number in [0, bound), without bias; bound is at least 1. */
static inline uint64_t rng_below(struct rng *r, uint64_t bound) {
    /*
     * Lemire 2019: the result is the upper half of a product; lower halves below a threshold would bias it and are
     * rejected.
     */
    unsigned __int128 product = (unsigned __int128)rng_next(r) * bound;
    if ((uint64_t)product < bound)
        for (uint64_t threshold = -bound % bound; (uint64_t)product < threshold;)
            product = (unsigned __int128)rng_next(r) * bound;
    return (uint64_t)(product >> 64);
}

#endif
