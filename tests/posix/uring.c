/* SPDX-License-Identifier: MIT */
/* The io_uring engine when the kernel does not end a request. */
#include "posix_test.h"

#include "api/api.h"
#include "libos/posix/uring.h"
#include "mem/heap.h"

#include <sys/mman.h>

static size_t heap_used(void) {
    struct heap_stats stats;
    heap_get_stats(&stats);
    return stats.used_bytes;
}

/* Makes the engine believe in a request that does not exist, so that it waits for its completion in vain. */
static void buffers_that_the_kernel_may_still_write_to_are_leaked_and_counted(void **state) {
    (void)state;
    if (setup_engine("io_uring") || !engine) skip();
    const struct posix *px = api_runtime->libos[0].state;
    const struct uring_buffers *buffers = &px->uring->buffers;
    size_t kept = 0;
    for (uint32_t i = 0; i < buffers->count; i++)
        kept += buffers->block[i] ? buffers->bytes : 0;
    int fd = open(api_runtime->counters.path, O_RDONLY);
    assert_true(fd >= 0);
    void *page = mmap(NULL, api_runtime->counters.page_bytes, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(page != MAP_FAILED);
    const struct counters_page *header = page;
    const uint64_t *values = (const uint64_t *)(const void *)((const char *)page + header->values_offset);
    size_t mapped = api_runtime->counters.page_bytes;
    uint32_t count = buffers->count;
    size_t leaked = (size_t)(px->counters - api_runtime->counters.values) + POSIX_COUNTER_recv_buffers_leaked;
    close(fd);
    px->uring->inflight++;
    assert_ok(dmtr_fini());
    assert_int_equal(values[leaked], count);
    assert_true(heap_used() >= kept);
    munmap(page, mapped);
}

static void buffers_are_freed_when_all_requests_have_ended(void **state) {
    (void)state;
    size_t before = heap_used();
    if (setup_engine("io_uring") || !engine) skip();
    assert_true(heap_used() > before);
    assert_ok(dmtr_fini());
    assert_int_equal(heap_used(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_are_freed_when_all_requests_have_ended),
        cmocka_unit_test(buffers_that_the_kernel_may_still_write_to_are_leaked_and_counted),
    };
    return cmocka_run_group_tests_name("posix uring", tests, NULL, NULL);
}
