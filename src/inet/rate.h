/* SPDX-License-Identifier: MIT */
/*
 * Rate limits for answers to strangers. How many answers there are in a while is random, and the while too, so that
 * nobody learns from his own share of a common limit what others have used of it (CVE-2016-5696, CVE-2020-25705).
 */
#ifndef INET_RATE_H
#define INET_RATE_H

#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

struct rate {
    uint64_t until_ns; /* the present while ends */
    uint32_t left;     /* answers in it */
};

/* Takes one of about per_second in a second; false: there is none left for now. All zero is a rate not used yet. */
bool rate_take(struct rate *r, uint32_t per_second, struct rng *rng, uint64_t now_ns);

#endif
