/* SPDX-License-Identifier: MIT */
/*
 * A bounded array in reserved address space. It grows by committing pages in place, in steps that double up to a limit.
 */
#include "base/array.h"

#include "base/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARRAY_STEP_MIN_BYTES ((size_t)64 << 10)
#define ARRAY_STEP_MAX_BYTES ((size_t)2 << 20)

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

int array_init(struct array *a, size_t elem_size, uint32_t max) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;
    int error;
    memset(a, 0, sizeof *a);
    if (elem_size == 0 || max == 0) return -EINVAL;
    if (__builtin_mul_overflow(elem_size, max, &bytes) || bytes > SIZE_MAX / 2) return -EINVAL;
    bytes = round_up(bytes, page);
    a->base = sys_map(bytes, PROT_NONE, MAP_NORESERVE, &error);
    if (!a->base) return -ENOMEM;
    a->elem_size = elem_size;
    a->reserved_bytes = bytes;
    a->max = max;
    return 0;
}

void array_fini(struct array *a) {
    if (a->base) munmap(a->base, a->reserved_bytes);
    memset(a, 0, sizeof *a);
}

/* Makes the first `need` elements accessible, and some more, so that few growths need a system call. */
static int array_commit(struct array *a, uint32_t need) {
    size_t have = round_up((size_t)a->committed * a->elem_size, (size_t)sysconf(_SC_PAGESIZE));
    size_t step = have < ARRAY_STEP_MIN_BYTES ? ARRAY_STEP_MIN_BYTES : have;
    size_t want = (size_t)need * a->elem_size;
    int r;
    if (step > ARRAY_STEP_MAX_BYTES) step = ARRAY_STEP_MAX_BYTES;
    if (want < have + step) want = have + step;
    want = round_up(want, (size_t)sysconf(_SC_PAGESIZE));
    if (want > a->reserved_bytes) want = a->reserved_bytes;
    r = SYS(mprotect, a->base, want, PROT_READ | PROT_WRITE);
    if (r < 0) return -ENOMEM;
    a->committed = want / a->elem_size < a->max ? (uint32_t)(want / a->elem_size) : a->max;
    return 0;
}

int64_t array_grow(struct array *a, uint32_t count) {
    uint32_t first = a->len;
    if (count > a->max - a->len) return -ENOBUFS;
    if (a->len + count > a->committed) {
        int r = array_commit(a, a->len + count);
        if (r < 0) return r;
    }
    a->len += count; /* fresh anonymous pages are zero, and an array never shrinks */
    return first;
}
