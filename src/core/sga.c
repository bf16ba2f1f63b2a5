/* SPDX-License-Identifier: MIT */
/* Scatter-gather arrays from the application: check, hold while outstanding, release. */
#include "core/sga.h"

#include "mem/heap.h"

#include <errno.h>

__attribute__((noinline)) bool sga_valid_many(const dmtr_sgarray_t *sga) {
    uint32_t n = sga->sga_numsegs;
    if (n - 1 >= DMTR_SGARRAY_MAXSIZE) return false;
    for (uint32_t i = 0; i < n; i++)
        if (sga->sga_segs[i].sgaseg_len && !sga->sga_segs[i].sgaseg_buf) return false;
    return true;
}

__attribute__((noinline)) void sga_copy_further(dmtr_sgarray_t *to, const dmtr_sgarray_t *from) {
    for (uint32_t i = 1; i < from->sga_numsegs; i++)
        to->sga_segs[i] = from->sga_segs[i];
}

__attribute__((noinline)) uint64_t sga_bytes_many(const dmtr_sgarray_t *sga) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < sga->sga_numsegs; i++)
        sum += sga->sga_segs[i].sgaseg_len;
    return sum;
}

bool sga_hold(const dmtr_sgarray_t *sga) {
    bool any = false;
    for (uint32_t i = 0; i < sga->sga_numsegs; i++)
        if (sga->sga_segs[i].sgaseg_len) any |= heap_hold(sga->sga_segs[i].sgaseg_buf);
    return any;
}

void sga_release_held(const dmtr_sgarray_t *sga) {
    if (sga->sga_numsegs == 1) { /* the one that is held */
        heap_release(sga->sga_segs[0].sgaseg_buf);
        return;
    }
    for (uint32_t i = 0; i < sga->sga_numsegs; i++)
        if (sga->sga_segs[i].sgaseg_len && heap_owns(sga->sga_segs[i].sgaseg_buf))
            heap_release(sga->sga_segs[i].sgaseg_buf);
}

/* Frees either all segments or none. */
static int release_segments(dmtr_sgarray_t *sga) {
    int r = 0;
    for (uint32_t i = 0; i < sga->sga_numsegs; i++)
        if (sga->sga_segs[i].sgaseg_buf && !heap_owns(sga->sga_segs[i].sgaseg_buf)) return -EINVAL;
    for (uint32_t i = 0; i < sga->sga_numsegs && !r; i++)
        if (sga->sga_segs[i].sgaseg_buf) r = heap_free(sga->sga_segs[i].sgaseg_buf);
    return r;
}

int sga_release(dmtr_sgarray_t *sga) {
    if (sga->sga_numsegs > DMTR_SGARRAY_MAXSIZE) return -EINVAL;
    void *whole = sga->sga_buf;
    if (!whole && sga->sga_numsegs == 1) whole = sga->sga_segs[0].sgaseg_buf;
    int r = whole ? heap_free(whole) : release_segments(sga);
    if (r) return r;
    sga->sga_buf = NULL;
    sga->sga_numsegs = 0;
    return 0;
}
