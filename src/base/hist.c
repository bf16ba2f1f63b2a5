/* SPDX-License-Identifier: MIT */
/* Histogram functions that are not on the datapath. */
#include "base/hist.h"

#include <assert.h>
#include <string.h>

_Static_assert(HIST_MAX_NS >> (HIST_BUCKETS >> HIST_SUB_BITS) >> (HIST_SUB_BITS - 1) == 0,
               "the largest value has a bucket");

void hist_init(struct hist *h) {
    memset(h, 0, sizeof *h);
    h->min = UINT64_MAX;
}

void hist_merge(struct hist *into, const struct hist *from) {
    into->count += from->count;
    into->sum += from->sum;
    if (from->min < into->min) into->min = from->min;
    if (from->max > into->max) into->max = from->max;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

void hist_bucket_bounds(uint32_t i, uint64_t *low, uint64_t *high) {
    assert(i < HIST_BUCKETS);
    uint32_t octave = i >> HIST_SUB_BITS, shift = octave ? octave - 1 : 0;
    *low = (uint64_t)(i - (shift << HIST_SUB_BITS)) << shift;
    *high = *low + (1ull << shift) - 1;
}

uint64_t hist_percentile(const struct hist *h, double percentile) {
    if (h->count == 0) return 0;
    double rank = percentile / 100.0 * (double)h->count;
    uint64_t seen = 0, low, high = 0;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        if (!h->buckets[i]) continue;
        seen += h->buckets[i];
        hist_bucket_bounds(i, &low, &high);
        if ((double)seen >= rank) break;
    }
    return high < h->max ? high : h->max;
}
