/* SPDX-License-Identifier: MIT */
/* Rate limits. */
#include "inet/rate.h"

#define SLICES     16u /* intervals in a second, on average */
#define NS_PER_SEC 1000000000ull

static void begin(struct rate *r, uint32_t per_second, struct rng *rng, uint64_t now_ns) {
    /* Low rates have longer intervals, with four answers on average. */
    uint32_t slices = per_second / 4 < SLICES ? (per_second / 4 ? per_second / 4 : 1) : SLICES;
    uint64_t mean_ns = NS_PER_SEC / slices;
    uint32_t mean = per_second / slices;
    r->until_ns = now_ns + mean_ns / 2 + rng_below(rng, mean_ns);
    r->left = mean - mean / 2 + (uint32_t)rng_below(rng, mean / 2 * 2 + 1);
}

bool rate_take(struct rate *r, uint32_t per_second, struct rng *rng, uint64_t now_ns) {
    if (now_ns >= r->until_ns) begin(r, per_second, rng, now_ns);
    if (r->left == 0) return false;
    r->left--;
    return true;
}
