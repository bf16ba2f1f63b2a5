/* SPDX-License-Identifier: MIT */
/* Seeds the generator. */
#include "base/rng.h"

#include "base/sys.h"

#include <sys/random.h>

void rng_init(struct rng *r, uint64_t seed) {
    /* splitmix64, as the generator's authors recommend: the four outputs for one seed are never all zero. */
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        r->s[i] = z ^ z >> 31;
    }
}

int rng_init_random(struct rng *r) {
    uint64_t seed = 0;
    ssize_t n = SYS(getrandom, &seed, sizeof seed, 0);
    if (n < 0) return (int)n;
    if (n != sizeof seed) return -EIO;
    rng_init(r, seed);
    return 0;
}
