/* SPDX-License-Identifier: MIT */
/* Options of libos inet: accepted and refused values. */
#include "net_test.h"

static int start_with_two(const char *option, const char *another) {
    char path[64];
    snprintf(path, sizeof path, "inet.device_options=path=/tmp/dmtr-inet.%d,listen=yes", (int)getpid());
    return start_with_options((const char *const[]){"libos=inet", "log.sink=none", "inet.device=shm", path,
                                                    "inet.address=10.77.0.1/24", option, another, NULL});
}

static int start_with_one(const char *option) {
    return start_with_two(option, NULL);
}

#define FOUR(n) "1.0." #n ".1/8,1.0." #n ".2/8,1.0." #n ".3/8,1.0." #n ".4/8"
static const char seventeen_addresses[] = "inet.address=" FOUR(0) "," FOUR(1) "," FOUR(2) "," FOUR(3) ",1.0.4.1/8";

static void invalid_values_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "inet.address=none",
        "inet.address=10.77.0.1",
        "inet.address=10.77.0.1/33",
        "inet.address=10.77.0.1/",
        "inet.address=10.77.0.1/24x",
        "inet.address=10.77.0.1/24,",
        "inet.address=10.77.0.256/24",
        seventeen_addresses,
        "inet.gateway=router",
        "inet.mac=02:00:00:00:00",
        "inet.mac=02:00:00:00:00:01:02",
        "inet.mac=01:00:00:00:00:01",
        "inet.mac=2:0:0:0:0:1",
        "inet.neighbours=10.77.0.2",
        "inet.neighbours=10.77.0.2=here",
        "inet.neighbours=10.77.0.2=02:00:00:00:00:02,",
        "inet.mtu=67",
        "inet.mtu=9217",
        "inet.device_options=listen=yes",
        "inet.device_options=colour=blue",
        "inet.wrappers=fault:loss=2",
        "inet.wrappers=fault:loss=0;pcap",
        "inet.wrappers=shm:path=/tmp/wire",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int r = start_with_one(wrong[i]);
        if (r != EINVAL) fail_msg("%s: %d", wrong[i], r);
    }
}

static void an_unknown_device_is_refused(void **state) {
    (void)state;
    assert_int_equal(start_with_one("inet.device=none"), ENODEV);
    assert_int_equal(start_with_one("inet.device=carrier-pigeon"), ENODEV);
    assert_int_equal(start_with_one("inet.wrappers=fault;"), ENODEV);
    int qd;
    assert_ok(start_with_options((const char *const[]){"log.sink=none", NULL}));
    assert_int_equal(dmtr_socket_on(&qd, "inet", AF_INET, SOCK_DGRAM, 0), ENODEV);
    assert_ok(dmtr_socket_on(&qd, "posix", AF_INET, SOCK_DGRAM, 0));
    assert_ok(dmtr_fini());
}

static void every_option_is_accepted(void **state) {
    (void)state;
    static const char *const right[] = {
        "inet.address=10.77.0.1/24,10.78.0.1/16",
        "inet.gateway=10.77.0.254",
        "inet.gateway=none",
        "inet.mac=02:ab:CD:00:00:01",
        "inet.neighbours=10.77.0.2=02:00:00:00:00:02,10.77.0.3=02:00:00:00:00:03",
        "inet.mtu=576",
        "inet.max_neighbours=16",
        "inet.neighbour_queue=65536",
        "inet.neighbour_memory=262144",
        "inet.fragment_bytes=65536",
        "inet.icmp_per_second=1",
        "inet.wrappers=trace;fault:loss=0.1,seed=1;trace",
    };
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_ok(start_with_one(right[i]));
        assert_ok(dmtr_fini());
    }
}

static void additional_addresses_are_served(void **state) {
    (void)state;
    struct sockaddr_in second = address_of("10.78.0.1", 1000);
    assert_ok(start_with_one("inet.address=10.77.0.1/24,10.78.0.1/16"));
    int a = datagram_socket("10.77.0.1", 0, 0), b = datagram_socket("10.78.0.1", 1000, 0);
    assert_true(a >= 0 && b >= 0);
    push_text_to(a, "across", &second);
    expect_pop_text(b, "across");
    assert_ok(dmtr_fini());
}

static void configured_wrappers_are_applied(void **state) {
    (void)state;
    char file[64], option[128];
    snprintf(file, sizeof file, "/tmp/dmtr-inet.%d.pcapng", (int)getpid());
    snprintf(option, sizeof option, "inet.wrappers=fault:loss=0;pcap:file=%s", file);
    static const char *const queues[] = {"inet.queues=1", "inet.queues=2"};
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
        assert_ok(start_with_two(option, queues[i]));
        assert_ok(dmtr_fini());
        assert_int_equal(unlink(file), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invalid_values_are_refused),      cmocka_unit_test(an_unknown_device_is_refused),
        cmocka_unit_test(every_option_is_accepted),        cmocka_unit_test(additional_addresses_are_served),
        cmocka_unit_test(configured_wrappers_are_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
