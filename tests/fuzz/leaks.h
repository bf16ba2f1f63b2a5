/* SPDX-License-Identifier: MIT */
/* What a run must leave as it was. */
#ifndef TESTS_FUZZ_LEAKS_H
#define TESTS_FUZZ_LEAKS_H

#include "mem/heap.h"

#include <fcntl.h>

#define FDS_MAX 256 /* descriptors looked at */

static inline uint32_t open_fds(void) {
    uint32_t count = 0;
    for (int fd = 0; fd < FDS_MAX; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Bytes of payload memory in use. */
static inline uint64_t heap_used(void) {
    struct heap_stats stats;
    heap_get_stats(&stats);
    return stats.used_bytes + stats.large_bytes;
}

#endif
