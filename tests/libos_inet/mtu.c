/* SPDX-License-Identifier: MIT */
/* The stack's MTU follows that of the device, up to inet.mtu. The test is the other end of the wire. */
#include "mem/heap.h"
#include "net_test.h"
#include "netdev/netdev.h"

#define PAYLOAD 3000u
#define HEADERS 34u /* Ethernet and IPv4 */

static struct netdev *open_wire(const char *mtu) {
    char options[128], why[160] = "";
    struct netdev_args args = {.options = options, .why = why, .why_bytes = sizeof why};
    struct netdev *dev;
    snprintf(options, sizeof options, "path=/tmp/dmtr-inet.%d,listen=yes,mtu=%s", wire_owner(), mtu);
    if (netdev_open("shm", &args, &dev) < 0) fail_msg("%s", why);
    return dev;
}

static int start_stack(const char *mtu) {
    char device[64];
    snprintf(device, sizeof device, "inet.device_options=path=/tmp/dmtr-inet.%d", wire_owner());
    return start_with_options((const char *const[]){"libos=inet", "inet.device=shm", "log.sink=none", device,
                                                    ("inet.address=" OUR_ADDRESS "/24"), mtu, NULL});
}

static void poll_for_1_ms(void) {
    dmtr_qtoken_t qt;
    assert_ok(dmtr_timer(&qt, MS));
    expect_wait_error(qt, 0);
}

/* Sends a large datagram with these MTUs. Returns the length of the longest IP packet on the wire. */
static uint32_t longest_packet(const char *inet_mtu, const char *wire_mtu) {
    struct sockaddr_in everybody = address_of("10.77.0.255", 9);
    uint8_t payload[PAYLOAD] = {0};
    struct netdev_buffer b;
    uint32_t longest = 0, bytes = 0;
    assert_ok(start_stack(inet_mtu));
    int qd = datagram_socket(OUR_ADDRESS, 1000, 0);
    assert_true(qd >= 0);
    struct netdev *wire = open_wire(wire_mtu);
    for (uint64_t i = 1; i < 1000 && !wire->link_up; i++) {
        netdev_update(wire, i);
        poll_for_1_ms();
    }
    assert_true(wire->link_up);
    for (uint32_t i = 0; i < 50; i++)
        poll_for_1_ms(); /* the stack polls the device and learns its MTU */
    expect_wait_error(push_to(qd, payload, sizeof payload, &everybody), 0);
    for (uint32_t i = 0; i < 1000 && bytes < PAYLOAD; i++) {
        poll_for_1_ms();
        while (netdev_rx(wire, &b, 1, i) == 1) {
            if (b.bytes > HEADERS + 8 && ((const uint8_t *)b.data)[23] == IPPROTO_UDP) {
                bytes += b.bytes - HEADERS;
                if (b.bytes - 14 > longest) longest = b.bytes - 14;
            }
            heap_free(b.data);
        }
    }
    assert_int_equal(bytes, PAYLOAD + 8);
    assert_ok(dmtr_fini());
    netdev_close(wire);
    return longest;
}

static void mtu_follows_the_device_up_to_the_configured_mtu(void **state) {
    (void)state;
    assert_int_equal(longest_packet("inet.mtu=9000", "9000"), PAYLOAD + 28);
    assert_uint_in_range(longest_packet("inet.mtu=9000", "1000"), 990, 1000);
    assert_uint_in_range(longest_packet("inet.mtu=1400", "9000"), 1390, 1400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mtu_follows_the_device_up_to_the_configured_mtu),
    };
    return cmocka_run_group_tests_name("mtu", tests, NULL, NULL);
}
