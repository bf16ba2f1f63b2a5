/* SPDX-License-Identifier: MIT */
/* Named latency histograms. */
#include "dmtr/latency.h"

#include "base/hist.h"
#include "base/sys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define NAME_BYTES 64

struct dmtr_latency {
    struct hist hist;
    char name[NAME_BYTES];
};

int dmtr_new_latency(dmtr_latency_t **latency_out, const char *name) {
    if (!latency_out || !name) return EINVAL;
    struct dmtr_latency *l = sys_calloc(1, sizeof *l);
    if (!l) return ENOMEM;
    hist_init(&l->hist);
    snprintf(l->name, sizeof l->name, "%s", name);
    *latency_out = l;
    return 0;
}

int dmtr_record_latency(dmtr_latency_t *latency, uint64_t ns) {
    if (!latency) return EINVAL;
    hist_record(&latency->hist, ns);
    return 0;
}

int dmtr_dump_latency(FILE *f, dmtr_latency_t *latency) {
    if (!f || !latency) return EINVAL;
    static const double percentiles[] = {50, 90, 99, 99.9, 99.99};
    const struct hist *h = &latency->hist;
    int r = fprintf(f, "%s: count %" PRIu64 " min %" PRIu64 " mean %" PRIu64, latency->name, h->count,
                    h->count ? h->min : 0, h->count ? h->sum / h->count : 0);
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles && r >= 0; i++)
        r = fprintf(f, " p%g %" PRIu64, percentiles[i], hist_percentile(h, percentiles[i]));
    if (r >= 0) r = fprintf(f, " max %" PRIu64 " ns\n", h->max);
    return r < 0 || fflush(f) ? EIO : 0;
}

int dmtr_merge_latency(dmtr_latency_t *into, const dmtr_latency_t *from) {
    if (!into || !from) return EINVAL;
    hist_merge(&into->hist, &from->hist);
    return 0;
}

int dmtr_latency_percentile(uint64_t *ns_out, const dmtr_latency_t *latency, double percentile) {
    if (!ns_out || !latency) return EINVAL;
    if (!(percentile >= 0 && percentile <= 100)) return EDOM;
    *ns_out = hist_percentile(&latency->hist, percentile);
    return 0;
}

int dmtr_delete_latency(dmtr_latency_t **latency) {
    if (!latency || !*latency) return EINVAL;
    sys_free(*latency);
    *latency = NULL;
    return 0;
}
