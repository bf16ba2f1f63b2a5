/* SPDX-License-Identifier: MIT */
/*
 * Named latency histograms: log-linear, two significant digits from 1 ns to 1 hour. One histogram is
 * used by one thread at a time; different ones are independent. No dmtr_init needed.
 */
#ifndef DMTR_LATENCY_H
#define DMTR_LATENCY_H

#include <dmtr/types.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dmtr_latency dmtr_latency_t;

/* Makes an empty histogram; name (copied, at most 63 bytes kept) heads its report. EINVAL: NULL. */
DMTR_EXPORT int dmtr_new_latency(dmtr_latency_t **latency_out, const char *name);

/* Adds one sample of ns nanoseconds; above one hour counts as one hour. */
DMTR_EXPORT int dmtr_record_latency(dmtr_latency_t *latency, uint64_t ns);

/* Writes count, min, mean, p50, p90, p99, p99.9, p99.99 and max to f. EIO: f took not all of it. */
DMTR_EXPORT int dmtr_dump_latency(FILE *f, dmtr_latency_t *latency);

/*
 * Adds all samples of `from` to `into`. The bounds of a sample's value are kept to two significant digits.
 */
DMTR_EXPORT int dmtr_merge_latency(dmtr_latency_t *into, const dmtr_latency_t *from);

/* Value in ns below or at which `percentile` (0 ... 100) of the samples lie; EDOM: out of range. 0 when empty. */
DMTR_EXPORT int dmtr_latency_percentile(uint64_t *ns_out, const dmtr_latency_t *latency, double percentile);

/* Deletes it and stores NULL. */
DMTR_EXPORT int dmtr_delete_latency(dmtr_latency_t **latency);

/* Monotonic time in nanoseconds, from the processor's counter where it is invariant. */
DMTR_EXPORT uint64_t dmtr_now_ns(void);

#ifdef __cplusplus
}
#endif
#endif
