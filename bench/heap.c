/* SPDX-License-Identifier: MIT */
/* heap-bench: malloc and free in three patterns; LD_PRELOAD selects the allocator. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIVE 4096

static uint64_t count = 1000000;
static const char *pattern = "pair";

static const struct option_spec specs[] = {
    {"count", OPTION_UINT, &count, "N", "allocations", 1, 1ull << 40},
    {"pattern", OPTION_STRING, &pattern, "NAME",
     "pair (64 bytes, freed at once), mixed (16 bytes to 4 KiB, 4,096 live, freed at random), large (64 KiB, 64 live)",
     0, 0},
    {0}};

static uint64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void run_pair(void) {
    for (uint64_t i = 0; i < count; i++) {
        char *p = malloc(64);
        if (p) *(volatile char *)p = 1;
        free(p);
    }
}

static void *blocks[LIVE];

/* Replaces a random block of `live` blocks in each iteration. */
static void replace(unsigned live, size_t smallest, unsigned doublings) {
    uint64_t random = 88172645463325252u;
    for (uint64_t i = 0; i < count; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17; /* xorshift64 */
        uint64_t at = random % live;
        size_t size = smallest << (random >> 32) % (doublings + 1);
        free(blocks[at]);
        char *block = malloc(size + (doublings ? (random >> 40) % size : 0));
        if (block) *block = 1;
        blocks[at] = block;
    }
    for (unsigned i = 0; i < live; i++)
        free(blocks[i]);
}

int main(int argc, char *argv[]) {
    enum options_result o = options_parse(argc, argv, "Allocations in a loop.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    uint64_t begin = now_ns();
    if (strcmp(pattern, "pair") == 0)
        run_pair();
    else if (strcmp(pattern, "mixed") == 0)
        replace(LIVE, 16, 7);
    else if (strcmp(pattern, "large") == 0)
        replace(64, 65536, 0);
    else
        return EXIT_USAGE;
    printf("{\"program\":\"heap-bench\",\"pattern\":\"%s\",\"ns\":%.3f}\n", pattern,
           (double)(now_ns() - begin) / (double)count);
    return 0;
}
