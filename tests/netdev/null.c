/* SPDX-License-Identifier: MIT */
/* The device `null` receives nothing, accepts every frame, and its descriptor never becomes readable. */
#include "netdev_test.h"

#include <poll.h>

static struct netdev *open_null(const char *options) {
    char why[160] = "";
    struct netdev_args args = {.options = options, .why = why, .why_bytes = sizeof why};
    struct netdev *dev;
    if (netdev_open("null", &args, &dev) < 0) fail_msg("%s", why);
    return dev;
}

static void frames_are_accepted_and_never_arrive(void **state) {
    (void)state;
    struct netdev *dev = open_null(NULL);
    struct netdev_buffer b;
    struct pollfd p = {.fd = dev->fd, .events = POLLIN};
    assert_true(dev->link_up);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(test_send(dev, mac_b, i, 60 + i, i), 1);
        assert_int_equal(netdev_rx(dev, &b, 1, i), 0);
    }
    assert_int_equal(dev->stats.tx_frames, 1000);
    assert_int_equal(netdev_prepare(dev), 0);
    assert_int_equal(poll(&p, 1, 0), 0);
    netdev_close(dev);
}

static void a_frame_that_is_too_long_is_counted(void **state) {
    (void)state;
    struct netdev *dev = open_null("mtu=1500");
    assert_int_equal(test_send(dev, mac_b, 0, 2000, 0), 1);
    assert_int_equal(dev->stats.tx_refused, 1);
    assert_int_equal(dev->stats.tx_frames, 0);
    netdev_close(dev);
}

static void options_set_mtu_and_address(void **state) {
    (void)state;
    struct netdev *dev = open_null("mtu=3000,mac=02:00:00:00:00:07");
    assert_int_equal(dev->mtu, 3000);
    assert_int_equal(dev->mac[5], 7);
    netdev_close(dev);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_accepted_and_never_arrive),
        cmocka_unit_test(a_frame_that_is_too_long_is_counted),
        cmocka_unit_test(options_set_mtu_and_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
