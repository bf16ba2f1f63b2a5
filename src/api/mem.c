/* SPDX-License-Identifier: MIT */
/* Memory and scatter-gather arrays. */
#include "dmtr/mem.h"
#include "core/sga.h"
#include "dmtr/sga.h"
#include "mem/heap.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

int dmtr_malloc(void **ptr_out, size_t size) {
    if (!ptr_out) return EINVAL;
    void *p = heap_alloc(size);
    if (!p) return ENOMEM;
    *ptr_out = p;
    return 0;
}

int dmtr_calloc(void **ptr_out, size_t count, size_t size) {
    if (!ptr_out) return EINVAL;
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return ENOMEM;
    void *p = heap_alloc_zeroed(bytes);
    if (!p) return ENOMEM;
    *ptr_out = p;
    return 0;
}

int dmtr_memalign(void **ptr_out, size_t alignment, size_t size) {
    if (!ptr_out || alignment == 0 || (alignment & (alignment - 1))) return EINVAL;
    void *p = heap_alloc_aligned(alignment, size);
    if (!p) return ENOMEM;
    *ptr_out = p;
    return 0;
}

int dmtr_realloc(void **ptr, size_t size) {
    if (!ptr) return EINVAL;
    if (!*ptr) return dmtr_malloc(ptr, size);
    if (!heap_owns(*ptr)) return EINVAL;
    size_t usable = heap_usable_size(*ptr);
    /* Keep the block if size fits and uses at least half of it. */
    if (size <= usable && size >= usable / 2) return 0;
    void *fresh = heap_alloc(size);
    if (!fresh) return ENOMEM;
    memcpy(fresh, *ptr, size < usable ? size : usable);
    int r = heap_free(*ptr);
    if (r) {
        heap_free(fresh);
        return -r;
    }
    *ptr = fresh;
    return 0;
}

int dmtr_free(void *ptr) {
    return ptr ? -heap_free(ptr) : 0;
}

size_t dmtr_usable_size(const void *ptr) {
    return heap_usable_size(ptr);
}

dmtr_sgarray_t dmtr_sgaalloc(size_t size) {
    dmtr_sgarray_t sga = {0};
    if (size == 0 || size > HEAP_MAX_ALLOC) return sga;
    sga.sga_buf = heap_alloc(size);
    if (!sga.sga_buf) return sga;
    sga.sga_numsegs = 1;
    sga.sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = sga.sga_buf, .sgaseg_len = (uint32_t)size};
    return sga;
}

int dmtr_sgafree(dmtr_sgarray_t *sga) {
    return sga ? -sga_release(sga) : EINVAL;
}

int dmtr_sgalen(size_t *len_out, const dmtr_sgarray_t *sga) {
    if (!len_out || !sga || sga->sga_numsegs > DMTR_SGARRAY_MAXSIZE) return EINVAL;
    *len_out = sga_bytes(sga);
    return 0;
}
