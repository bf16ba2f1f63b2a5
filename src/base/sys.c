/* SPDX-License-Identifier: MIT */
/* System calls and internal allocations, in one place so that tests can make them fail. */
#include "base/sys.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *sys_calloc(size_t count, size_t size) {
    return FAULT_POINT("calloc") ? NULL : calloc(count, size);
}

/* aligned_alloc is several times slower than malloc. The address that malloc returned is stored before the line. */
void *sys_calloc_lines(size_t size) {
    char *block = FAULT_POINT("calloc") ? NULL : malloc(size + CACHE_LINE);
    if (!block) return NULL;
    char *line = block + CACHE_LINE - (uintptr_t)block % CACHE_LINE; /* malloc aligns to at least a pointer's size */
    memcpy(line - sizeof block, &block, sizeof block);
    return memset(line, 0, size);
}

void sys_free_lines(void *p) {
    void *block = NULL;
    if (p) memcpy(&block, (char *)p - sizeof block, sizeof block);
    free(block);
}

void sys_free(void *p) {
    free(p);
}

void *sys_map(size_t bytes, int prot, int flags, int *error) {
    return sys_mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, error);
}

static void *map(void *at, size_t bytes, int prot, int flags, int fd, off_t offset, int *error) {
    void *p;
    *error = FAULT_POINT("mmap");
    if (*error) return NULL;
    p = mmap(at, bytes, prot, flags, fd, offset);
    if (p != MAP_FAILED) return p;
    *error = errno;
    return NULL;
}

void *sys_mmap(void *at, size_t bytes, int prot, int flags, int fd, int *error) {
    return map(at, bytes, prot, flags, fd, 0, error);
}

void *sys_map_shared(size_t bytes, int fd, off_t offset, int *error) {
    return map(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset, error);
}
