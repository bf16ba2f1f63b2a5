/* SPDX-License-Identifier: MIT */
/* Scatter-gather arrays from the application: check, hold while outstanding, release. */
#ifndef CORE_SGA_H
#define CORE_SGA_H

#include "dmtr/types.h"

#include <stdbool.h>
#include <string.h>

/* The general cases of the inline functions below, which handle one segment. */
bool sga_valid_many(const dmtr_sgarray_t *sga);
void sga_copy_further(dmtr_sgarray_t *to, const dmtr_sgarray_t *from);
uint64_t sga_bytes_many(const dmtr_sgarray_t *sga);

/* Whether sga may be pushed: 1 ... DMTR_SGARRAY_MAXSIZE segments; each that is not empty has a buffer. */
static inline bool sga_valid(const dmtr_sgarray_t *sga) {
    if (__builtin_expect(sga->sga_numsegs != 1, 0)) return sga_valid_many(sga);
    return sga->sga_segs[0].sgaseg_buf || !sga->sga_segs[0].sgaseg_len;
}

/* Copies the used segments of `from`, but not the address. */
static inline void sga_copy_segments(dmtr_sgarray_t *to, const dmtr_sgarray_t *from) {
    memcpy(to, from, offsetof(dmtr_sgarray_t, sga_segs) + sizeof to->sga_segs[0]);
    if (__builtin_expect(from->sga_numsegs > 1, 0)) sga_copy_further(to, from);
}

/* Copies the used segments and the address of `from`. */
static inline void sga_copy(dmtr_sgarray_t *to, const dmtr_sgarray_t *from) {
    sga_copy_segments(to, from);
    if (__builtin_expect(from->sga_addrlen != 0, 0)) to->sga_addr6 = from->sga_addr6;
}

static inline uint64_t sga_bytes(const dmtr_sgarray_t *sga) {
    if (__builtin_expect(sga->sga_numsegs != 1, 0)) return sga_bytes_many(sga);
    return sga->sga_segs[0].sgaseg_len;
}

/*
 * Takes a hold on each segment in the heap; false if there was none. Skips empty segments, which may point past the end
 * of their block.
 */
bool sga_hold(const dmtr_sgarray_t *sga);
/* Releases these holds. */
void sga_release_held(const dmtr_sgarray_t *sga);

/* Frees the array's memory and empties it. -EINVAL, with nothing freed, if it is malformed or not in the heap. */
int sga_release(dmtr_sgarray_t *sga);

/* Makes the array empty: no segments, no address. */
static inline void sga_clear(dmtr_sgarray_t *sga) {
    memset(sga, 0, offsetof(dmtr_sgarray_t, sga_segs));
}

#endif
