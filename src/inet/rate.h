/* SPDX-License-Identifier: MIT */
/*
 * Rate limits for answers to unverified senders. The number of answers per interval and the length of the interval are
 * random, so that a sender cannot infer from its own answers how many others were sent (CVE-2016-5696, CVE-2020-25705).
 */
#ifndef INET_RATE_H
#define INET_RATE_H

#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

struct rate {
    uint64_t until_ns; /* end of the present interval */
    uint32_t left;     /* answers left in it */
};

/*
 * Takes one answer of about per_second in a second. False: none is left in this interval. An unused rate is all zero.
 */
bool rate_take(struct rate *r, uint32_t per_second, struct rng *rng, uint64_t now_ns);

#endif
