/* SPDX-License-Identifier: MIT */
/*
 * The C library's allocation calls over the library's heap, for programs that are not to be changed
 * (LD_PRELOAD=.../dmtr/libdmtr-malloc.so): all their memory is device-visible. The heap needs no initialisation and
 * calls nothing that allocates before it can serve it, so these work from a process's first instruction.
 */
#include <dmtr/mem.h>

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* NOLINTBEGIN(readability-*-declaration*): the C library has reserved names for them, and may declare pvalloc */

/* Ends a call as POSIX wants it: with the pointer, or with NULL and errno. */
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
 * Leaves errno alone, as the heap does. What is not the heap's came from the dynamic linker's own allocator, which
 * does not free either.
 */
DMTR_EXPORT void free(void *p) {
    (void)dmtr_free(p);
}

/* Size 0 frees, as in the C library that these programs were written against. */
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

/* Any alignment; one that is not a power of two counts as the next one that is. */
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
