/* SPDX-License-Identifier: MIT */
/* Log-linear histogram: two significant digits, 1 ns to 1 h. */
#ifndef BASE_HIST_H
#define BASE_HIST_H

#include <stddef.h>
#include <stdint.h>

#define HIST_SUB_BITS 7 /* 128 sub-buckets per octave: error below 1% */
#define HIST_MAX_NS   3600000000000ull
#define HIST_BUCKETS  ((43 - HIST_SUB_BITS) << HIST_SUB_BITS) /* checked in hist.c against HIST_MAX_NS */

struct hist {
    uint64_t count, sum, min, max;
    uint64_t buckets[HIST_BUCKETS];
};

/* Empties the histogram: count, sum and max are 0, min is UINT64_MAX. */
void hist_init(struct hist *h);

/*
 * The bucket of a value up to HIST_MAX_NS. Values of at most HIST_SUB_BITS + 1 bits have a bucket each; the bucket of a
 * larger value is given by its leading HIST_SUB_BITS + 1 bits.
 */
static inline size_t hist_bucket(uint64_t ns) {
    size_t top_bit = 63u - (size_t)__builtin_clzll(ns | (1u << HIST_SUB_BITS));
    return (top_bit << HIST_SUB_BITS) + (ns >> (top_bit - HIST_SUB_BITS)) - (HIST_SUB_BITS << HIST_SUB_BITS);
}

/* Adds a sample. Samples above HIST_MAX_NS count as HIST_MAX_NS. At most 15 instructions when inlined. */
static inline void hist_record(struct hist *h, uint64_t ns) {
    if (__builtin_expect(ns > h->max, 0)) { /* max is never above HIST_MAX_NS, so this is the only place to check */
        if (ns > HIST_MAX_NS) ns = HIST_MAX_NS;
        h->max = ns;
    }
    if (__builtin_expect(ns < h->min, 0)) h->min = ns;
    h->count++;
    h->sum += ns;
    h->buckets[hist_bucket(ns)]++;
}

/* Adds all samples of `from` to `into`. */
void hist_merge(struct hist *into, const struct hist *from);

/*
 * The value that `percentile` percent (0 ... 100) of the samples do not exceed, rounded up to the end of its bucket but
 * not above the largest sample. 0 if there are no samples.
 */
uint64_t hist_percentile(const struct hist *h, double percentile);

/* The smallest and largest value of bucket i < HIST_BUCKETS, for plots. */
void hist_bucket_bounds(uint32_t i, uint64_t *low, uint64_t *high);

#endif
