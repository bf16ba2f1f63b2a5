/* SPDX-License-Identifier: MIT */
/* Shared by the unit tests of base/ and mem/: cmocka, and a seed that is printed so that a failure can be repeated. */
#ifndef TESTS_BASE_TEST_H
#define TESTS_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sanitizers need more memory and time. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SANITIZED 1
#endif
#endif

/* A generator seeded from TEST_SEED: a number or `random`. If it is unset the seed is 1, so that runs repeat. */
static inline struct rng test_rng(void) {
    struct rng r;
    const char *text = getenv("TEST_SEED");
    uint64_t seed;
    if (rng_init_random(&r) < 0) abort();
    seed = !text ? 1 : strcmp(text, "random") == 0 ? rng_next(&r) : strtoull(text, NULL, 0);
    printf("# TEST_SEED=0x%llx\n", (unsigned long long)seed);
    rng_init(&r, seed);
    return r;
}

#endif
