/* SPDX-License-Identifier: MIT */
/* The device `tap`, with the kernel as the peer. */
#include "netns_test.h"

#include "base/csum.h"

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
