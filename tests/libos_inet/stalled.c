/* SPDX-License-Identifier: MIT */
/*
 * Closing a stream whose peer does not read. The test defines the clock functions of the library, so that it can skip
 * minutes.
 */
#include "base/clock.h"
#include "net_test.h"

#include <time.h>

#define SKIP (1000ull * MS)
#define BULK (8u << 20)

static uint64_t skipped_ns;

uint64_t clock_now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec + skipped_ns;
}

bool clock_uses_tsc(void) {
    return false;
}

static int setup(void **state) {
    (void)state;
    return start_end(true, OUR_ADDRESS, "", "spin");
}

static int teardown(void **state) {
    (void)state;
    return dmtr_fini();
}

/* Opens a loopback stream and pushes more than its peer accepts. Stores the peer's queue in *server. */
static int open_full_stream(int *server, dmtr_qtoken_t *push) {
    struct sockaddr_in at = address_of(OUR_ADDRESS, 1000);
    int listener, client;
    dmtr_qtoken_t accepted;
    dmtr_qresult_t qr;
    dmtr_sgarray_t sga = dmtr_sgaalloc(BULK);
    assert_non_null(sga.sga_segs[0].sgaseg_buf);
    memset(sga.sga_segs[0].sgaseg_buf, 'x', BULK);
    assert_ok(dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(listener, (struct sockaddr *)&at, sizeof at));
    assert_ok(dmtr_listen(listener, 1));
    assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_accept(&accepted, listener));
    connect_wait(client, &at);
    assert_ok(dmtr_wait_timed(&qr, accepted, HANG));
    *server = qr.qr_value.ares.qd;
    assert_ok(dmtr_push(push, client, &sga));
    assert_ok(dmtr_sgafree(&sga));
    return client;
}

/* Advances the clock by `seconds`, one at a time. Returns the result of the close, or -1 if it has not ended. */
static int skip_seconds(dmtr_qtoken_t close, uint32_t seconds) {
    dmtr_qresult_t qr;
    for (uint32_t i = 0; i < seconds; i++) {
        skipped_ns += SKIP;
        for (uint32_t polls = 0; polls < 10; polls++)
            if (dmtr_poll(&qr, close) != EAGAIN) return qr.qr_error;
    }
    return -1;
}

static void close_fails_if_the_peer_reads_nothing_for_a_minute(void **state) {
    (void)state;
    int server, client;
    dmtr_qtoken_t push, close;
    client = open_full_stream(&server, &push);
    assert_ok(dmtr_async_close(&close, client));
    assert_int_equal(skip_seconds(close, 50), -1);
    assert_int_equal(skip_seconds(close, 200), ETIMEDOUT);
    expect_wait_error(push, ETIMEDOUT);
}

static void close_continues_while_the_peer_reads(void **state) {
    (void)state;
    int server, client;
    dmtr_qtoken_t push, close;
    dmtr_qresult_t qr;
    client = open_full_stream(&server, &push);
    assert_ok(dmtr_async_close(&close, client));
    for (uint32_t i = 0; i < 8; i++) {
        for (uint32_t pops = 0; pops < 20; pops++) {
            assert_ok(dmtr_wait_timed(&qr, pop_begin(server), HANG));
            assert_ok(dmtr_sgafree(&qr.qr_value.sga));
        }
        assert_int_equal(skip_seconds(close, 40), -1);
    }
    assert_int_equal(skip_seconds(close, 200), ETIMEDOUT);
    expect_wait_error(push, ETIMEDOUT);
}

static void close_fails_after_the_linger_time(void **state) {
    (void)state;
    const struct linger five = {.l_onoff = 1, .l_linger = 5};
    int server, client;
    dmtr_qtoken_t push, close;
    client = open_full_stream(&server, &push);
    assert_ok(dmtr_setsockopt(client, SOL_SOCKET, SO_LINGER, &five, sizeof five));
    assert_ok(dmtr_async_close(&close, client));
    assert_int_equal(skip_seconds(close, 4), -1);
    assert_int_equal(skip_seconds(close, 4), ETIMEDOUT);
    expect_wait_error(push, ETIMEDOUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(close_fails_if_the_peer_reads_nothing_for_a_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(close_continues_while_the_peer_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(close_fails_after_the_linger_time, setup, teardown),
    };
    return cmocka_run_group_tests_name("stalled", tests, NULL, NULL);
}
