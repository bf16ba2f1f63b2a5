/* SPDX-License-Identifier: MIT */
/*
 * The C library's allocation functions over the library's heap, for programs that cannot be changed
 * (LD_PRELOAD=.../dmtr/libdmtr-malloc.so): devices can access all their memory. The heap needs no initialisation, and
 * while it starts it calls nothing that allocates, so these functions work from the first instruction of a process.
 */
#include <dmtr/mem.h>

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* NOLINTBEGIN(readability-*-declaration*): the C library declares these functions with reserved parameter names, and
 * may declare pvalloc */

/* Returns as POSIX requires: the pointer, or NULL with errno set. */
static inline void *result(int error, void *p) {
    if (!error) return p;
    errno = error;
    return NULL;
}

static int is_power_of_two(size_t n) {
    return n != 0 && (n & (n - 1)) == 0;
}

DMTR_EXPORT void *malloc(size_t size) {
    void *p = NULL;
    int error = dmtr_malloc(&p, size);
    return result(error, p);
}

DMTR_EXPORT void *calloc(size_t count, size_t size) {
    void *p = NULL;
    int error = dmtr_calloc(&p, count, size);
    return result(error, p);
}

/*
 * Does not change errno, as the heap does not. Ignores memory that is not the heap's: it came from the dynamic linker's
 * own allocator, which never frees.
 */
DMTR_EXPORT void free(void *p) {
    (void)dmtr_free(p);
}

/* Size 0 frees, as in glibc. */
DMTR_EXPORT void *realloc(void *p, size_t size) {
    if (p && size == 0) {
        free(p);
        return NULL;
    }
    int error = dmtr_realloc(&p, size);
    return result(error, p);
}

DMTR_EXPORT void *reallocarray(void *p, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return result(ENOMEM, NULL);
    return realloc(p, bytes);
}

DMTR_EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    void *p = NULL;
    int error = dmtr_memalign(&p, alignment, size);
    return result(error, p);
}

/* Accepts any alignment and rounds it up to a power of two. */
DMTR_EXPORT void *memalign(size_t alignment, size_t size) {
    if (alignment > SIZE_MAX / 2 + 1) return result(EINVAL, NULL);
    size_t power = sizeof(void *);
    while (power < alignment)
        power *= 2;
    return aligned_alloc(power, size);
}

DMTR_EXPORT int posix_memalign(void **p, size_t alignment, size_t size) {
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0) return EINVAL;
    return dmtr_memalign(p, alignment, size);
}

DMTR_EXPORT void *valloc(size_t size) {
    return aligned_alloc((size_t)sysconf(_SC_PAGESIZE), size);
}

void *pvalloc(size_t size); /* not every C library declares it */

DMTR_EXPORT void *pvalloc(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (size > SIZE_MAX - page) return result(ENOMEM, NULL);
    return aligned_alloc(page, (size + page - 1) / page * page);
}

DMTR_EXPORT size_t malloc_usable_size(void *p) {
    return dmtr_usable_size(p);
}

/* NOLINTEND(readability-*-declaration*) */
