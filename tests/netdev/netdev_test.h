/* SPDX-License-Identifier: MIT */
/* Shared by the tests of netdev/: makes frames, and checks received ones. */
#ifndef TESTS_NETDEV_NETDEV_TEST_H
#define TESTS_NETDEV_NETDEV_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "mem/heap.h"
#include "netdev/netdev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};
static const uint8_t mac_all[6] = {255, 255, 255, 255, 255, 255};

/* An experimental EtherType (RFC 5342), which no other sender uses. */
#define TEST_ETHERTYPE_0 0x88
#define TEST_ETHERTYPE_1 0xb5

/* Makes a frame of `bytes` bytes, in heap memory; the payload starts with `number` and is derived from it. */
static inline uint8_t *test_frame(const uint8_t to[6], const uint8_t from[6], uint32_t number, uint32_t bytes) {
    uint8_t *p = heap_alloc(bytes);
    assert_non_null(p);
    assert_true(bytes >= 18);
    memcpy(p, to, 6);
    memcpy(p + 6, from, 6);
    p[12] = TEST_ETHERTYPE_0;
    p[13] = TEST_ETHERTYPE_1;
    memcpy(p + 14, &number, 4);
    for (uint32_t i = 18; i < bytes; i++)
        p[i] = (uint8_t)(number * 31 + i);
    return p;
}

/* Returns the number in a frame; checks that the bytes after it are as test_frame made them. */
static inline uint32_t test_number(const void *data, uint32_t bytes) {
    const uint8_t *p = data;
    uint32_t number;
    assert_true(bytes >= 18);
    memcpy(&number, p + 14, 4);
    for (uint32_t i = 18; i < bytes; i++)
        if (p[i] != (uint8_t)(number * 31 + i)) fail_msg("byte %u of frame %u is wrong", i, number);
    return number;
}

/* Sends frame `number` in three segments. Returns the result of tx. */
static inline int test_send(struct netdev *dev, const uint8_t to[6], uint32_t number, uint32_t bytes, uint64_t now_ns) {
    uint8_t *p = test_frame(to, dev->mac, number, bytes);
    struct netdev_seg segs[3] = {{p, 14}, {p + 14, 1}, {p + 15, bytes - 15}};
    struct netdev_frame frame = {.segs = segs, .segs_count = 3, .bytes = bytes};
    int r = netdev_tx(dev, &frame, 1, now_ns);
    heap_free(p);
    return r;
}

#define TEST_BURST 32u

static inline void test_put_all(struct netdev *dev, const struct netdev_frame frames[TEST_BURST]) {
    uint64_t kicks = dev->stats.tx_kicks;
    for (uint32_t i = 0; i < TEST_BURST; i++)
        assert_int_equal(dev->ops->put(dev, &frames[i]), 1);
    assert_int_equal(dev->stats.tx_kicks, kicks);
}

/*
 * Sends frames `number` to `number` + TEST_BURST - 1, of sizes from `bytes` up, in one burst. The device has room.
 * puts: puts them into the device, and the caller must kick it.
 */
static inline void test_burst(struct netdev *dev, const uint8_t to[6], uint32_t number, uint32_t bytes, bool puts) {
    struct netdev_frame frames[TEST_BURST];
    struct netdev_seg segs[TEST_BURST][2];
    for (uint32_t i = 0; i < TEST_BURST; i++) {
        uint8_t *p = test_frame(to, dev->mac, number + i, bytes + i);
        segs[i][0] = (struct netdev_seg){p, 14};
        segs[i][1] = (struct netdev_seg){p + 14, bytes + i - 14};
        frames[i] = (struct netdev_frame){.segs = segs[i], .segs_count = 2, .bytes = bytes + i};
    }
    if (puts)
        test_put_all(dev, frames);
    else
        assert_int_equal(netdev_tx(dev, frames, TEST_BURST, 0), TEST_BURST);
    for (uint32_t i = 0; i < TEST_BURST; i++)
        heap_free((void *)(uintptr_t)segs[i][0].data);
}

static inline void test_send_burst(struct netdev *dev, const uint8_t to[6], uint32_t number, uint32_t bytes) {
    test_burst(dev, to, number, bytes, false);
}

/* The same by put and kick. */
static inline void test_put_burst(struct netdev *dev, const uint8_t to[6], uint32_t number, uint32_t bytes) {
    test_burst(dev, to, number, bytes, true);
    assert_int_equal(dev->ops->kick(dev, 0), 0);
}

/* Receives one frame and frees it. Returns its number, or -1 if there is none. */
static inline int64_t test_receive(struct netdev *dev, uint64_t now_ns) {
    struct netdev_buffer b;
    int64_t number;
    int r = netdev_rx(dev, &b, 1, now_ns);
    assert_true(r == 0 || r == 1);
    if (r == 0) return -1;
    number = test_number(b.data, b.bytes);
    assert_int_equal(heap_free(b.data), 0);
    return number;
}

#endif
