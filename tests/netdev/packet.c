/* SPDX-License-Identifier: MIT */
/* The device `packet` on one end of a veth pair, with a raw socket on the other. */
#include "netns_test.h"

static struct netdev *open_packet(const char *options) {
    char why[160] = "";
    struct netdev_args args = {.options = options, .why = why, .why_bytes = sizeof why};
    struct netdev *dev;
    if (netdev_open("packet", &args, &dev) < 0) fail_msg("%s", why);
    await_link(dev);
    return dev;
}

static void make_veth(uint32_t mtu) {
    char command[256];
    snprintf(command, sizeof command,
             "ip link add v0 type veth peer name v1 && ip link set v0 mtu %u up && ip link set v1 mtu %u up", mtu, mtu);
    netns_run(command);
}

static void frames_cross_at_every_mtu(void **state) {
    (void)state;
    static const uint32_t mtus[] = {576, 1500, 9000};
    for (size_t m = 0; m < sizeof mtus / sizeof *mtus; m++) {
        struct netdev *dev;
        int raw;
        make_veth(mtus[m]);
        dev = open_packet("name=v0,slots=16");
        assert_int_equal(dev->mtu, mtus[m]);
        raw = raw_open("v1");
        for (uint32_t i = 0; i < 200; i++) { /* several times around the rings */
            uint32_t bytes = i % 4 ? mtus[m] + 14 : 60 + i;
            assert_int_equal(test_send(dev, mac_b, i, bytes, 0), 1);
            assert_int_equal(raw_receive(raw), i);
            raw_send(raw, dev->mac, i + 1, bytes);
            assert_int_equal(await_frame(dev), i + 1);
        }
        close(raw);
        netdev_close(dev);
        netns_run("ip link del v0");
    }
}

static void a_burst_costs_one_system_call(void **state) {
    (void)state;
    struct netdev *dev;
    int raw;
    make_veth(1500);
    dev = open_packet("name=v0,slots=64");
    raw = raw_open("v1");
    assert_int_equal(test_send(dev, mac_b, 1000, 60, 0), 1);
    assert_int_equal(raw_receive(raw), 1000);
    expect_bursts(dev, raw, 5, 1); /* the second passes the end of the ring */
    close(raw);
    netdev_close(dev);
    netns_run("ip link del v0");
}

static void all_ready_frames_are_received_in_one_call(void **state) {
    (void)state;
    struct netdev_buffer frames[2 * TEST_BURST];
    struct netdev *dev;
    uint32_t ours = 0;
    int raw, witness;
    make_veth(1500);
    dev = open_packet("name=v0");
    witness = raw_open("v0"); /* the kernel gives it each frame after the device */
    raw = raw_open("v1");
    for (uint32_t i = 0; i < TEST_BURST; i++) {
        raw_send(raw, dev->mac, i, 100);
        assert_int_equal(raw_receive(witness), i);
    }
    int n = netdev_rx(dev, frames, 2 * TEST_BURST, 0);
    for (int i = 0; i < n; i++) { /* the kernel may have sent others */
        const uint8_t *type = (const uint8_t *)frames[i].data + 12;
        if (type[0] == TEST_ETHERTYPE_0 && type[1] == TEST_ETHERTYPE_1)
            assert_int_equal(test_number(frames[i].data, frames[i].bytes), ours++);
        heap_free(frames[i].data);
    }
    assert_int_equal(ours, TEST_BURST);
    close(witness);
    close(raw);
    netdev_close(dev);
    netns_run("ip link del v0");
}

static void own_frames_are_not_received(void **state) {
    (void)state;
    struct netdev *dev;
    int raw;
    make_veth(1500);
    dev = open_packet("name=v0,mac=02:00:00:00:00:0a");
    assert_memory_equal(dev->mac, mac_a, 6);
    raw = raw_open("v1");
    assert_int_equal(test_send(dev, mac_all, 1, 100, 0), 1);
    assert_int_equal(raw_receive(raw), 1);
    raw_send(raw, mac_a, 2, 100);
    assert_int_equal(await_frame(dev), 2);
    close(raw);
    netdev_close(dev);
    netns_run("ip link del v0");
}

static void interface_set_down_and_up_changes_the_link(void **state) {
    (void)state;
    struct netdev *dev;
    make_veth(1500);
    dev = open_packet("name=v0");
    netns_run("ip link set v0 down");
    await_error(dev, -ENETDOWN);
    assert_int_equal(test_send(dev, mac_b, 1, 100, 0), -ENETDOWN);
    netns_run("ip link set v0 up");
    await_link(dev);
    int raw = raw_open("v1");
    raw_send(raw, dev->mac, 2, 100);
    assert_int_equal(await_frame(dev), 2);
    assert_int_equal(test_send(dev, mac_b, 3, 100, 0), 1);
    assert_int_equal(raw_receive(raw), 3);
    close(raw);
    netdev_close(dev);
    netns_run("ip link del v0");
}

static void frames_above_a_lowered_mtu_do_not_block_the_others(void **state) {
    (void)state;
    make_veth(1500);
    struct netdev *dev = open_packet("name=v0");
    int raw = raw_open("v1");
    netns_run("ip link set v0 mtu 700 && ip link set v1 mtu 700");
    assert_int_equal(test_send(dev, mac_b, 1, 1514, 0), 1); /* the device has not noticed */
    assert_int_equal(test_send(dev, mac_b, 2, 700, 0), 1);
    assert_int_equal(netdev_update(dev, 0), 0);
    assert_int_equal(dev->mtu, 700);
    assert_int_equal(dev->stats.tx_errors, 1);
    assert_int_equal(test_send(dev, mac_b, 3, 1514, 0), 1);
    assert_int_equal(dev->stats.tx_refused, 1);
    assert_int_equal(test_send(dev, mac_b, 4, 714, 0), 1);
    assert_int_equal(raw_receive(raw), 2);
    assert_int_equal(raw_receive(raw), 4);
    close(raw);
    netdev_close(dev);
    netns_run("ip link del v0");
}

static void removed_interface_fails_for_good(void **state) {
    (void)state;
    struct netdev *dev;
    make_veth(1500);
    dev = open_packet("name=v0");
    netns_run("ip link del v0");
    await_error(dev, -ENODEV);
    assert_int_equal(test_send(dev, mac_b, 1, 100, 0), -ENODEV);
    assert_int_equal(netdev_prepare(dev), -ENODEV);
    netdev_close(dev);
}

static void full_receive_ring_loses_the_rest_and_counts_it(void **state) {
    (void)state;
    struct netdev *dev;
    int raw;
    uint32_t got = 0;
    make_veth(1500);
    dev = open_packet("name=v0,slots=4");
    raw = raw_open("v1");
    for (uint32_t i = 0; i < 50; i++)
        raw_send(raw, dev->mac, i, 100);
    for (uint64_t now = 0; now < 100; now++) {
        struct netdev_buffer b;
        if (netdev_rx(dev, &b, 1, now * 100000000) != 1) continue;
        got++;
        heap_free(b.data);
    }
    assert_uint_in_range(got, 1, 20); /* may include frames that the kernel itself sends in a new network */
    assert_true(dev->stats.rx_overrun >= 30);
    close(raw);
    netdev_close(dev);
    netns_run("ip link del v0");
}

static void missing_interface_is_refused(void **state) {
    (void)state;
    char why[160] = "";
    struct netdev_args args = {.options = "name=nosuch0", .why = why, .why_bytes = sizeof why};
    struct netdev *dev;
    assert_int_equal(netdev_open("packet", &args, &dev), -ENODEV);
    assert_non_null(strstr(why, "nosuch0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_cross_at_every_mtu),
        cmocka_unit_test(a_burst_costs_one_system_call),
        cmocka_unit_test(all_ready_frames_are_received_in_one_call),
        cmocka_unit_test(own_frames_are_not_received),
        cmocka_unit_test(interface_set_down_and_up_changes_the_link),
        cmocka_unit_test(frames_above_a_lowered_mtu_do_not_block_the_others),
        cmocka_unit_test(removed_interface_fails_for_good),
        cmocka_unit_test(full_receive_ring_loses_the_rest_and_counts_it),
        cmocka_unit_test(missing_interface_is_refused),
    };
    return netns_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
