/* SPDX-License-Identifier: MIT */
/* The device `tap`, with the kernel as the peer. */
#include "netns_test.h"

#include "base/csum.h"
#include "base/fault.h"
#include "netdev/tap/io.h"

#include <netinet/in.h>

static struct netdev *open_tap(const char *options) {
    char why[160] = "";
    struct netdev_args args = {.options = options, .why = why, .why_bytes = sizeof why};
    struct netdev *dev;
    if (netdev_open("tap", &args, &dev) < 0) fail_msg("%s", why);
    return dev;
}

static void frames_pass_between_device_and_kernel(void **state) {
    (void)state;
    struct netdev *dev = open_tap("name=t0");
    int raw;
    netns_run("ip link set t0 mtu 9000 up");
    assert_int_equal(netdev_update(dev, 0), 0);
    assert_true(dev->link_up);
    assert_int_equal(dev->mtu, 9000);
    raw = raw_open("t0");
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t bytes = 60 + i * 29;
        assert_int_equal(test_send(dev, mac_b, i, bytes, 0), 1);
        assert_int_equal(raw_receive(raw), i);
        raw_send(raw, mac_a, i + 1, bytes);
        assert_int_equal(await_frame(dev), i + 1);
    }
    close(raw);
    netdev_close(dev);
}

static bool has_io_uring(void) {
    struct tap_io io;
    tap_io_open(&io, -1);
    bool has = io.has_ring;
    tap_io_close(&io);
    return has;
}

static void a_burst_is_written_in_order_with_one_system_call(void **state) {
    (void)state;
    struct netdev *dev = open_tap("name=t5");
    netns_run("ip link set t5 up");
    int raw = raw_open("t5");
    expect_bursts(dev, raw, 3, has_io_uring() ? 1 : TEST_BURST);
    assert_int_equal(test_send(dev, mac_b, 1000, 60, 0), 1);
    assert_int_equal(raw_receive(raw), 1000);
    close(raw);
    netdev_close(dev);
}

/* Each call reads about twice as many frames as the call before it has found. */
static void a_burst_is_read_with_few_system_calls(void **state) {
    (void)state;
    struct netdev *dev = open_tap("name=t6");
    uint32_t calls = 0, next = 0;
    netns_run("ip link set t6 up");
    int raw = raw_open("t6");
    for (uint32_t i = 0; i < TEST_BURST; i++)
        raw_send(raw, mac_a, i, 100);
    while (next < TEST_BURST) {
        struct netdev_buffer frames[TEST_BURST];
        int n = netdev_rx(dev, frames, TEST_BURST, 0);
        assert_true(n > 0);
        calls++;
        for (int i = 0; i < n; i++) {
            const uint8_t *type = (const uint8_t *)frames[i].data + 12;
            if (type[0] == TEST_ETHERTYPE_0 && type[1] == TEST_ETHERTYPE_1)
                assert_int_equal(test_number(frames[i].data, frames[i].bytes), next++);
            heap_free(frames[i].data);
        }
    }
    assert_uint_in_range(calls, 2, 8);
    close(raw);
    netdev_close(dev);
}

static void a_frame_that_breaks_the_rules_leaves_the_rest_of_its_burst(void **state) {
    (void)state;
    struct netdev *dev = open_tap("name=t7");
    struct netdev_frame frames[3];
    struct netdev_seg segs[3];
    netns_run("ip link set t7 up");
    int raw = raw_open("t7");
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t bytes = i == 1 ? 2000 : 100;
        segs[i] = (struct netdev_seg){test_frame(mac_b, dev->mac, i, bytes), bytes};
        frames[i] = (struct netdev_frame){.segs = &segs[i], .segs_count = 1, .bytes = bytes};
    }
    assert_int_equal(netdev_tx(dev, frames, 3, 0), 3);
    assert_int_equal(dev->stats.tx_refused, 1);
    assert_int_equal(dev->stats.tx_frames, 2);
    assert_int_equal(raw_receive(raw), 0);
    assert_int_equal(raw_receive(raw), 2);
    for (uint32_t i = 0; i < 3; i++)
        heap_free((void *)(uintptr_t)segs[i].data);
    close(raw);
    netdev_close(dev);
}

#ifdef DMTR_FAULT
static void without_io_uring_a_burst_is_written_and_read_frame_by_frame(void **state) {
    (void)state;
    static const char *const calls[] = {"io_uring_setup", "io_uring_enter"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        fault_arm(1, calls[i], ENOSYS);
        struct netdev *dev = open_tap("name=t8");
        netns_run("ip link set t8 up");
        int raw = raw_open("t8");
        test_send_burst(dev, mac_b, 0, 60);
        assert_true(dev->stats.tx_kicks >= TEST_BURST);
        for (uint32_t k = 0; k < TEST_BURST; k++)
            assert_int_equal(raw_receive(raw), k);
        for (uint32_t k = 0; k < TEST_BURST; k++)
            raw_send(raw, mac_a, k, 100);
        for (uint32_t k = 0; k < TEST_BURST; k++)
            assert_int_equal(await_frame(dev), k);
        fault_arm(0, NULL, 0);
        close(raw);
        netdev_close(dev);
    }
}
#endif

static void interface_set_down_and_up_changes_the_link(void **state) {
    (void)state;
    struct netdev *dev = open_tap("name=t1");
    struct netdev_buffer b;
    assert_false(dev->link_up); /* new interfaces are down */
    assert_int_equal(netdev_rx(dev, &b, 1, 0), -ENETDOWN);
    assert_int_equal(test_send(dev, mac_b, 1, 100, 0), -ENETDOWN);
    netns_run("ip link set t1 up");
    assert_int_equal(netdev_update(dev, 0), 0);
    assert_true(dev->link_up);
    assert_int_equal(test_send(dev, mac_b, 1, 100, 0), 1);
    netns_run("ip link set t1 down");
    assert_int_equal(test_send(dev, mac_b, 1, 100, 0), -ENETDOWN);
    assert_false(dev->link_up);
    netdev_close(dev);
}

static void removed_interface_fails_for_good(void **state) {
    (void)state;
    struct netdev *dev = open_tap("name=t2");
    struct netdev_buffer b;
    netns_run("ip link set t2 up && ip link del t2");
    assert_int_equal(test_send(dev, mac_b, 1, 100, 0), -ENODEV);
    assert_int_equal(netdev_rx(dev, &b, 1, 0), -ENODEV);
    assert_int_equal(netdev_prepare(dev), -ENODEV);
    assert_int_equal(netdev_update(dev, 0), -ENODEV);
    netdev_close(dev);
}

static void queues_share_an_interface(void **state) {
    (void)state;
    struct netdev *first = open_tap("name=t3,queues=yes"), *second = open_tap("name=t3,queues=yes"), *third;
    struct netdev_args args = {.options = "name=t3"};
    int raw;
    netns_run("ip link set t3 up");
    raw = raw_open("t3");
    assert_int_equal(test_send(first, mac_b, 1, 100, 0), 1);
    assert_int_equal(raw_receive(raw), 1);
    assert_int_equal(test_send(second, mac_b, 2, 100, 0), 1);
    assert_int_equal(raw_receive(raw), 2);
    assert_true(netdev_open("tap", &args, &third) < 0);
    close(raw);
    netdev_close(first);
    netdev_close(second);
}

/* A UDP packet over IPv4 to the interface's own address, whose checksum is left to the device. */
static void checksum_offload_is_completed_by_the_kernel(void **state) {
    (void)state;
    struct netdev *dev = open_tap("name=t4");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a090001)};
    socklen_t len = sizeof address;
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    static const uint8_t ip[28] = {0x45, 0, 0,  32, 0, 0, 0x40, 0,    64, 17, 0, 0,  10, 9,
                                   0,    2, 10, 9,  0, 1, 0x30, 0x39, 0,  0,  0, 12, 0,  0};
    uint8_t *p = heap_alloc(46);
    struct netdev_seg segs[2] = {{p, 42}, {p + 42, 4}};
    struct netdev_frame frame = {.segs = segs,
                                 .segs_count = 2,
                                 .bytes = 46,
                                 .offloads = NETDEV_CSUM,
                                 .l2_bytes = 14,
                                 .l3_bytes = 20,
                                 .l4_bytes = 8,
                                 .csum_offset = 6};
    char got[8];
    uint16_t check;
    struct pollfd waiting = {.fd = udp, .events = POLLIN};
    netns_run("ip addr add 10.9.0.1/24 dev t4 && ip link set t4 address 02:00:00:00:00:0b up");
    assert_int_equal(bind(udp, (struct sockaddr *)&address, sizeof address), 0);
    getsockname(udp, (struct sockaddr *)&address, &len);
    memcpy(p, mac_b, 6);
    memcpy(p + 6, mac_a, 6);
    p[12] = 8;
    p[13] = 0;
    memcpy(p + 14, ip, sizeof ip);
    memcpy(p + 36, &address.sin_port, 2);
    memcpy(p + 42, "ping", 4);
    check = csum_finish(csum_add(0, p + 14, 20));
    memcpy(p + 24, &check, 2);
    /* the pseudo header: addresses, protocol, length */
    check = csum_fold(csum_join(csum_add(0, p + 26, 8), (uint64_t)htons(17) + htons(12)));
    memcpy(p + 40, &check, 2);
    assert_int_equal(netdev_tx(dev, &frame, 1, 0), 1);
    assert_int_equal(poll(&waiting, 1, GUARD_MS), 1);
    assert_int_equal(recv(udp, got, sizeof got, 0), 4);
    assert_memory_equal(got, "ping", 4);
    heap_free(p);
    close(udp);
    netdev_close(dev);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_pass_between_device_and_kernel),
        cmocka_unit_test(a_burst_is_written_in_order_with_one_system_call),
        cmocka_unit_test(a_burst_is_read_with_few_system_calls),
        cmocka_unit_test(a_frame_that_breaks_the_rules_leaves_the_rest_of_its_burst),
#ifdef DMTR_FAULT
        cmocka_unit_test(without_io_uring_a_burst_is_written_and_read_frame_by_frame),
#endif
        cmocka_unit_test(interface_set_down_and_up_changes_the_link),
        cmocka_unit_test(removed_interface_fails_for_good),
        cmocka_unit_test(queues_share_an_interface),
        cmocka_unit_test(checksum_offload_is_completed_by_the_kernel),
    };
    if (access("/dev/net/tun", R_OK | W_OK) < 0) {
        printf("1..0 # SKIP no /dev/net/tun: %s\n", strerror(errno));
        return 0;
    }
    return netns_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
