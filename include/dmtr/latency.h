/* SPDX-License-Identifier: MIT */
/*
 * Named latency histograms: log-linear, two significant digits from 1 ns to 1 hour. Only one thread at a time may use a
 * histogram; different histograms are independent. dmtr_init is not needed.
 */
#ifndef DMTR_LATENCY_H
#define DMTR_LATENCY_H

#include <dmtr/types.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dmtr_latency dmtr_latency_t;

/* Creates an empty histogram. Its report starts with name, which is copied (at most 63 bytes). EINVAL: NULL. */
DMTR_EXPORT int dmtr_new_latency(dmtr_latency_t **latency_out, const char *name);

/* Adds one sample of ns nanoseconds. A sample above one hour counts as one hour. */
DMTR_EXPORT int dmtr_record_latency(dmtr_latency_t *latency, uint64_t ns);

/* Writes count, min, mean, p50, p90, p99, p99.9, p99.99 and max to f. EIO: not everything could be written. */
DMTR_EXPORT int dmtr_dump_latency(FILE *f, dmtr_latency_t *latency);

/* Adds all samples of `from` to `into`, with the same precision of two significant digits. */
DMTR_EXPORT int dmtr_merge_latency(dmtr_latency_t *into, const dmtr_latency_t *from);

/*
 * Stores the value in ns that `percentile` percent (0 ... 100) of the samples do not exceed; 0 if there are no samples.
 * EDOM: percentile is out of range.
 */
DMTR_EXPORT int dmtr_latency_percentile(uint64_t *ns_out, const dmtr_latency_t *latency, double percentile);

/* Deletes the histogram and stores NULL in *latency. */
DMTR_EXPORT int dmtr_delete_latency(dmtr_latency_t **latency);

/* Returns monotonic time in nanoseconds, from the processor's counter if it is invariant. */
DMTR_EXPORT uint64_t dmtr_now_ns(void);

#ifdef __cplusplus
}
#endif
#endif
