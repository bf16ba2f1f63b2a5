/* SPDX-License-Identifier: MIT */
/* Reading the counters of a runtime from its shared page. */
#ifndef TESTS_COUNTER_TEST_H
#define TESTS_COUNTER_TEST_H

#include "api_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns a counter of this thread's runtime, read from the shared page as another process would. */
static inline uint64_t counter_value(const char *name) {
    struct page {
        uint64_t magic;
        uint32_t pid, runtime;
        uint64_t start_unix_ns;
        char comm[16];
        uint32_t count, name_len, text_len, names_offset, texts_offset, values_offset;
    };
    char path[64];
    struct stat st;
    uint64_t value = UINT64_MAX;
    dmtr_runtime_t id;
    assert_ok(dmtr_runtime_current(&id));
    snprintf(path, sizeof path, "/dev/shm/dmtr.%d.%u", (int)getpid(), id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    const char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(p != MAP_FAILED);
    const struct page *page = (const void *)p;
    for (uint32_t i = 0; i < page->count; i++)
        if (strcmp(p + page->names_offset + i * page->name_len, name) == 0)
            memcpy(&value, p + page->values_offset + i * sizeof value, sizeof value);
    munmap((void *)p, (size_t)st.st_size);
    close(fd);
    assert_true(value != UINT64_MAX);
    return value;
}

#endif
