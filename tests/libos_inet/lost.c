/* SPDX-License-Identifier: MIT */
/*
 * A lost device, here a deleted TAP interface: each outstanding operation ends once, and each later call returns an
 * error. Argument: the libos.
 */
#include "net_test.h"

#include <sched.h>

static bool over_lwip;

static void run(const char *command) {
    assert_int_equal(system(command), 0);
}

static int setup(void **state) {
    (void)state;
    const char *const inet[] = {"libos=inet",
                                "inet.device=tap",
                                "inet.device_options=name=t0",
                                ("inet.address=" OUR_ADDRESS "/24"),
                                "log.sink=none",
                                NULL};
    const char *const lwip[] = {"libos=lwip",
                                "lwip.device=tap",
                                "lwip.device_options=name=t0",
                                ("lwip.address=" OUR_ADDRESS "/24"),
                                "log.sink=none",
                                NULL};
    int r = start_with_options(over_lwip ? lwip : inet);
    return r ? r : system("ip link set t0 up");
}

static int stream_socket(void) {
    int qd;
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    return qd;
}

static int open_listener(uint16_t port) {
    struct sockaddr_in at = address_of(OUR_ADDRESS, port);
    int qd = stream_socket();
    assert_ok(dmtr_bind(qd, (struct sockaddr *)&at, sizeof at));
    assert_ok(dmtr_listen(qd, 8));
    return qd;
}

static void outstanding_operations_end_once_and_later_calls_fail(void **state) {
    (void)state;
    struct sockaddr_in peer = address_of(PEER_ADDRESS, PEER_PORT), own = address_of(OUR_ADDRESS, 80);
    int listener = open_listener(80), connecting = stream_socket(), fresh = stream_socket(), client = stream_socket(),
        qd;
    int datagrams = datagram_socket(OUR_ADDRESS, 7, 0);
    dmtr_qtoken_t accepts[2], connect, qt;
    dmtr_qresult_t qr;
    assert_ok(dmtr_accept(&accepts[0], listener));
    connect_wait(client, &own);
    assert_ok(dmtr_wait_timed(&qr, accepts[0], HANG));
    int server = qr.qr_value.ares.qd;
    push_wait(client, "before");
    for (int i = 0; i < 2; i++)
        assert_ok(dmtr_accept(&accepts[i], listener));
    assert_ok(dmtr_connect(&connect, connecting, (struct sockaddr *)&peer, sizeof peer));
    dmtr_qtoken_t stream_pop = pop_begin(client), datagram_pop = pop_begin(datagrams);

    run("ip link del t0");
    for (int i = 0; i < 2; i++)
        expect_wait_error(accepts[i], ENETDOWN);
    expect_wait_error(connect, ENETDOWN);
    expect_wait_error(stream_pop, ENETDOWN);
    expect_wait_error(datagram_pop, ENETDOWN);

    expect_pop_text(server, "before"); /* data that had arrived can be popped */
    assert_int_equal(dmtr_pop(&qt, server), ENETDOWN);
    assert_int_equal(dmtr_pop(&qt, datagrams), ENETDOWN);
    assert_int_equal(dmtr_accept(&qt, listener), ENETDOWN);
    assert_int_equal(dmtr_connect(&qt, fresh, (struct sockaddr *)&peer, sizeof peer), ENETDOWN);
    assert_int_equal(dmtr_listen(fresh, 8), ENETDOWN);
    assert_int_equal(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0), ENETDOWN);
    assert_int_equal(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0), ENETDOWN);
    dmtr_sgarray_t sga = message("after");
    assert_int_equal(dmtr_push(&qt, client, &sga), ENETDOWN);
    assert_int_equal(dmtr_pushto(&qt, datagrams, &sga, (struct sockaddr *)&peer, sizeof peer), ENETDOWN);
    assert_ok(dmtr_sgafree(&sga));
    assert_int_equal(dmtr_wait_timed(&qr, qt, 0), EINVAL); /* no failed call returned a token */
    assert_ok(dmtr_close(server));
    assert_ok(dmtr_close(listener));
}

/* dmtr_fini returns immediately, and another runtime can use the interface when it exists again. */
static void a_new_runtime_replaces_one_that_lost_its_device(void **state) {
    (void)state;
    dmtr_qtoken_t qt;
    int listener = open_listener(80);
    assert_ok(dmtr_accept(&qt, listener));
    run("ip link del t0");
    expect_wait_error(qt, ENETDOWN);
    assert_ok(dmtr_fini());
    assert_ok(setup(NULL));
    struct sockaddr_in own = address_of(OUR_ADDRESS, 80);
    int client = stream_socket();
    listener = open_listener(80);
    assert_ok(dmtr_accept(&qt, listener));
    connect_wait(client, &own);
    expect_wait_error(qt, 0);
}

int main(int argc, char *argv[]) {
    over_lwip = argc > 1 && strcmp(argv[1], "lwip") == 0;
    if (unshare(CLONE_NEWNET) || system("ip link set lo up")) {
        printf("1..0 # SKIP no network namespace of our own: %s\n", strerror(errno));
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(outstanding_operations_end_once_and_later_calls_fail, setup, test_teardown),
        cmocka_unit_test_setup_teardown(a_new_runtime_replaces_one_that_lost_its_device, setup, test_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
