/* SPDX-License-Identifier: MIT */
/* How libos inet is configured, and what is refused. */
#include "net_test.h"

static int start_configured_twice(const char *option, const char *another) {
    char path[64];
    snprintf(path, sizeof path, "inet.device_options=path=/tmp/dmtr-inet.%d,listen=yes", (int)getpid());
    return start_with_options((const char *const[]){"libos=inet", "log.sink=none", "inet.device=shm", path,
                                                    "inet.address=10.77.0.1/24", option, another, NULL});
}

static int start_configured(const char *option) {
    return start_configured_twice(option, NULL);
}

#define FOUR(n) "1.0." #n ".1/8,1.0." #n ".2/8,1.0." #n ".3/8,1.0." #n ".4/8"
static const char seventeen_addresses[] = "inet.address=" FOUR(0) "," FOUR(1) "," FOUR(2) "," FOUR(3) ",1.0.4.1/8";

static void wrong_values_are_refused(void **state) {
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
        int r = start_configured(wrong[i]);
        if (r != EINVAL) fail_msg("%s: %d", wrong[i], r);
    }
}

static void a_device_that_is_not_there_is_refused(void **state) {
    (void)state;
    assert_int_equal(start_configured("inet.device=none"), ENODEV);
    assert_int_equal(start_configured("inet.device=carrier-pigeon"), ENODEV);
    assert_int_equal(start_configured("inet.wrappers=fault;"), ENODEV);
    int qd;
    assert_ok(start_with_options((const char *const[]){"log.sink=none", NULL}));
    assert_int_equal(dmtr_socket_on(&qd, "inet", AF_INET, SOCK_DGRAM, 0), ENODEV);
    assert_ok(dmtr_socket_on(&qd, "posix", AF_INET, SOCK_DGRAM, 0));
    assert_ok(dmtr_fini());
}

static void every_option_is_taken(void **state) {
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
        assert_ok(start_configured(right[i]));
        assert_ok(dmtr_fini());
    }
}

static void addresses_beyond_the_first_are_ours_too(void **state) {
    (void)state;
    struct sockaddr_in second = address_of("10.78.0.1", 1000);
    assert_ok(start_configured("inet.address=10.77.0.1/24,10.78.0.1/16"));
    int a = datagram_socket("10.77.0.1", 0, 0), b = datagram_socket("10.78.0.1", 1000, 0);
    assert_true(a >= 0 && b >= 0);
    push_text_to(a, "across", &second);
    expect_pop_text(b, "across");
    assert_ok(dmtr_fini());
}

static void a_device_is_wrapped_as_configured(void **state) {
    (void)state;
    char file[64], option[128];
    snprintf(file, sizeof file, "/tmp/dmtr-inet.%d.pcapng", (int)getpid());
    snprintf(option, sizeof option, "inet.wrappers=fault:loss=0;pcap:file=%s", file);
    static const char *const queues[] = {"inet.queues=1", "inet.queues=2"};
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
        assert_ok(start_configured_twice(option, queues[i]));
        assert_ok(dmtr_fini());
        assert_int_equal(unlink(file), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(a_device_that_is_not_there_is_refused),
        cmocka_unit_test(every_option_is_taken),
        cmocka_unit_test(addresses_beyond_the_first_are_ours_too),
        cmocka_unit_test(a_device_is_wrapped_as_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
