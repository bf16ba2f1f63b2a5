/* SPDX-License-Identifier: MIT */
/* Devices: each has exactly the mapped memory mapped. */
#include "mem/heap.h"
#include "mem/region.h"

#include "../base/test.h"

#include <errno.h>
#include <string.h>

#define RUNS 1024

/* A device that records the runs it has mapped. */
struct device {
    struct heap_device ops;
    uintptr_t runs[RUNS];
    size_t known;
    size_t refuse_at; /* the call of map to refuse, counted from 1; 0: none */
    size_t maps;
    bool allocates;
    void *kept[30];
};

static int map(void *ctx, void *run, size_t bytes) {
    struct device *d = ctx;
    assert_int_equal(bytes % CHUNK_BYTES, 0);
    assert_int_equal((uintptr_t)run % CHUNK_BYTES, 0);
    if (++d->maps == d->refuse_at) return -ENOMEM;
    size_t call = d->maps; /* further calls come from within heap_alloc */
    if (d->allocates && call < 30) d->kept[call] = heap_alloc(1u << 20);
    for (size_t at = 0; at < bytes; at += CHUNK_BYTES) {
        assert_true(d->known < RUNS);
        d->runs[d->known++] = (uintptr_t)run + at;
    }
    return 0;
}

static void unmap(void *ctx, void *run, size_t bytes) {
    struct device *d = ctx;
    for (size_t at = 0; at < bytes; at += CHUNK_BYTES) {
        size_t i = 0;
        while (i < d->known && d->runs[i] != (uintptr_t)run + at)
            i++;
        assert_true(i < d->known);
        d->runs[i] = d->runs[--d->known];
    }
}

static void device_init(struct device *d) {
    memset(d, 0, sizeof *d);
    d->ops = (struct heap_device){.map = map, .unmap = unmap, .ctx = d};
}

static bool has_mapped(const struct device *d, const void *p) {
    for (size_t i = 0; i < d->known; i++)
        if ((uintptr_t)p - d->runs[i] < CHUNK_BYTES) return true;
    return false;
}

static size_t mapped_chunks(void) {
    struct heap_stats st;
    heap_get_stats(&st);
    return st.mapped_bytes / CHUNK_BYTES;
}

static struct device a, b;

static void device_maps_present_and_future_memory(void **state) {
    (void)state;
    char *before = heap_alloc(100);
    device_init(&a);
    assert_int_equal(heap_device_add(&a.ops), 0);
    assert_true(has_mapped(&a, before));
    char *after = heap_alloc(100u << 20);
    assert_true(has_mapped(&a, after) && has_mapped(&a, after + (100u << 20) - 1));
    assert_int_equal(a.known, mapped_chunks());
    heap_free(after);
    assert_int_equal(a.known, mapped_chunks());
    heap_device_remove(&a.ops);
    assert_int_equal(a.known, 0);
    heap_device_remove(&a.ops); /* it is not registered any more: no effect */
    heap_free(before);
}

static void device_that_refuses_present_memory_is_not_added(void **state) {
    (void)state;
    void *p = heap_alloc(50u << 20);
    device_init(&a);
    a.refuse_at = 7;
    assert_int_equal(heap_device_add(&a.ops), -ENOMEM);
    assert_int_equal(a.known, 0);
    heap_free(p);
    assert_int_equal(a.maps, 7);
}

static void memory_that_a_device_refuses_is_not_allocated(void **state) {
    (void)state;
    device_init(&a);
    device_init(&b);
    assert_int_equal(heap_device_add(&a.ops), 0);
    assert_int_equal(heap_device_add(&b.ops), 0);
    size_t chunks = mapped_chunks();
    b.refuse_at = b.maps + 20;
    assert_null(heap_alloc(100u << 20));
    assert_int_equal(a.known, mapped_chunks());
    assert_int_equal(b.known, mapped_chunks());
    assert_true(mapped_chunks() <= chunks + 16);
    void *p = heap_alloc(100u << 20);
    assert_non_null(p);
    assert_true(has_mapped(&a, p) && has_mapped(&b, p));
    heap_free(p);
    heap_device_remove(&a.ops);
    assert_int_equal(b.known, mapped_chunks());
    heap_device_remove(&b.ops);
}

static void map_may_allocate(void **state) {
    (void)state;
    void *before = heap_alloc(300000);
    device_init(&a);
    a.allocates = true;
    assert_int_equal(heap_device_add(&a.ops), 0);
    assert_true(has_mapped(&a, before));
    void *p = heap_alloc(64u << 20);
    assert_non_null(p);
    assert_true(has_mapped(&a, p));
    assert_int_equal(a.known, mapped_chunks());
    heap_free(before);
    heap_free(p);
    for (size_t i = 0; i < 30; i++)
        heap_free(a.kept[i]);
    heap_device_remove(&a.ops);
    assert_int_equal(a.known, 0);
}

static void too_many_devices_are_refused(void **state) {
    (void)state;
    static struct device many[17];
    int added = 0;
    for (int i = 0; i < 17; i++) {
        device_init(&many[i]);
        int r = heap_device_add(&many[i].ops);
        assert_int_equal(r, i < 16 ? 0 : -ENOSPC);
        added += r == 0;
    }
    while (added-- > 0)
        heap_device_remove(&many[added].ops);
}

static void pinned_range_stays_mapped_until_the_last_unpin(void **state) {
    (void)state;
    size_t bytes = (40u << 20) + 1, more = 60u << 20, before;
    char *base, *again, *large;
    device_init(&a);
    assert_int_equal(heap_device_add(&a.ops), 0);
    before = mapped_chunks();
    assert_int_equal(heap_pin(&bytes, (void **)&base), 0);
    assert_int_equal(bytes, 40u << 20);
    assert_int_equal(heap_pin(&more, (void **)&again), 0);
    assert_ptr_equal(base, again);
    large = heap_alloc(50u << 20);
    assert_true(large >= base && large < base + more); /* the lowest addresses are allocated first */
    assert_int_equal(heap_free(large), 0);
    heap_unpin();
    for (size_t at = 0; at < more; at += CHUNK_BYTES)
        assert_true(has_mapped(&a, base + at));
    heap_unpin();
    assert_true(mapped_chunks() <= before + 16);
    assert_int_equal(a.known, mapped_chunks());
    heap_device_remove(&a.ops);
}

static void range_that_cannot_be_mapped_is_not_pinned(void **state) {
    (void)state;
    size_t bytes = 200u << 20;
    void *base;
    device_init(&a);
    assert_int_equal(heap_device_add(&a.ops), 0);
    a.refuse_at = a.maps + 20;
    assert_int_equal(heap_pin(&bytes, &base), -ENOMEM);
    assert_int_equal(a.known, mapped_chunks());
    heap_device_remove(&a.ops);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_maps_present_and_future_memory),
        cmocka_unit_test(device_that_refuses_present_memory_is_not_added),
        cmocka_unit_test(memory_that_a_device_refuses_is_not_allocated),
        cmocka_unit_test(map_may_allocate),
        cmocka_unit_test(too_many_devices_are_refused),
        cmocka_unit_test(pinned_range_stays_mapped_until_the_last_unpin),
        cmocka_unit_test(range_that_cannot_be_mapped_is_not_pinned),
    };
    return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
