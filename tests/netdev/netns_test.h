/* SPDX-License-Identifier: MIT */
/* For tests of kernel interfaces: a network namespace of the test's own, and a raw socket as the peer. */
#ifndef TESTS_NETDEV_NETNS_TEST_H
#define TESTS_NETDEV_NETNS_TEST_H

#include "base/clock.h"
#include "netdev_test.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUARD_MS 20000

/* Returns false, and prints the reason, if this machine does not allow it. The namespace ends with the process. */
static inline bool netns_enter(void) {
    if (unshare(CLONE_NEWNET) == 0 && system("ip link set lo up") == 0) return true;
    printf("1..0 # SKIP no network namespace of our own: %s\n", strerror(errno));
    return false;
}

static inline void netns_run(const char *command) {
    assert_int_equal(system(command), 0);
}

/* The kernel reports an interface as running only some time after it was set up. */
static inline void await_link(struct netdev *dev) {
    uint64_t end = clock_now_ns() + GUARD_MS * 1000000ull;
    while (!dev->link_up && clock_now_ns() < end) {
        assert_int_equal(netdev_update(dev, 0), 0);
        poll(NULL, 0, 1);
    }
    assert_true(dev->link_up);
}

/* Waits, with a bound, until the device returns this error. Discards frames that arrive meanwhile. */
static inline void await_error(struct netdev *dev, int error) {
    struct netdev_buffer b;
    int r = 0;
    for (uint64_t now = 0; now < 1000000000 && (r = netdev_rx(dev, &b, 1, now)) >= 0; now += 10000000)
        if (r == 1) heap_free(b.data);
    assert_int_equal(r, error);
}

/* Opens a raw socket on an interface that receives only frames of the test's type. */
static inline int raw_open(const char *interface) {
    const uint16_t type = htons(TEST_ETHERTYPE_0 << 8 | TEST_ETHERTYPE_1);
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = type};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    assert_true(fd >= 0);
    address.sll_ifindex = (int)if_nametoindex(interface);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void raw_send(int fd, const uint8_t to[6], uint32_t number, uint32_t bytes) {
    uint8_t *p = test_frame(to, mac_b, number, bytes);
    assert_int_equal(send(fd, p, bytes, 0), bytes);
    heap_free(p);
}

/* Returns the number of the next frame that the socket receives. */
static inline int64_t raw_receive(int fd) {
    static uint8_t data[70000];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ssize_t n;
    assert_int_equal(poll(&p, 1, GUARD_MS), 1);
    n = recv(fd, data, sizeof data, 0);
    assert_true(n > 0);
    return test_number(data, (uint32_t)n);
}

/* Sends bursts by tx and by put; the socket receives them in order, and each costs `kicks` system calls. */
static inline void expect_bursts(struct netdev *dev, int fd, uint32_t bursts, uint64_t kicks) {
    for (uint32_t burst = 0; burst < bursts; burst++) {
        uint64_t before = dev->stats.tx_kicks;
        bool puts = dev->ops->put && burst % 2;
        (puts ? test_put_burst : test_send_burst)(dev, mac_b, burst * 100, 60);
        assert_int_equal(dev->stats.tx_kicks, before + kicks);
        for (uint32_t i = 0; i < TEST_BURST; i++)
            assert_int_equal(raw_receive(fd), burst * 100 + i);
    }
}

/* Returns the next frame of the test's type from a device; skips others (the kernel sends some). */
static inline int64_t await_frame(struct netdev *dev) {
    for (int i = 0; i < 1000; i++) {
        struct netdev_buffer b;
        struct pollfd p = {.fd = dev->fd, .events = POLLIN};
        int n = netdev_rx(dev, &b, 1, 0);
        assert_true(n >= 0);
        if (n == 1) {
            const uint8_t *type = (const uint8_t *)b.data + 12;
            bool ours = type[0] == TEST_ETHERTYPE_0 && type[1] == TEST_ETHERTYPE_1;
            int64_t number = ours ? (int64_t)test_number(b.data, b.bytes) : -1;
            heap_free(b.data);
            if (ours) return number;
        } else if (netdev_prepare(dev) == 0) {
            assert_int_equal(poll(&p, 1, GUARD_MS), 1);
        }
    }
    fail_msg("no frame of ours came");
    return -1;
}

#endif
