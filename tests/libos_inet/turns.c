/* SPDX-License-Identifier: MIT */
/* A busy program still receives from the network: ARP replies, datagrams, segments. Argument: the libos. */
#include "busy_test.h"
#include "net_test.h"

static bool over_lwip;

static int setup(void **state) {
    (void)state;
    if (!over_lwip) return start_end(true, OUR_ADDRESS, "", "adaptive");
    char device[160];
    snprintf(device, sizeof device, "lwip.device_options=path=/tmp/dmtr-inet.%d,listen=yes", wire_owner());
    return start_with_options((const char *const[]){"libos=lwip", "lwip.device=shm", "log.sink=none", device,
                                                    ("lwip.address=" OUR_ADDRESS "/24"), NULL});
}

/* The first datagram waits for the ARP reply; each echo waits for a poll. */
static void echoes_reach_a_busy_program(void **state) {
    (void)state;
    struct peer p;
    peer_start(&p, "adaptive", NO_PAUSE);
    struct sockaddr_in to = address_of(PEER_ADDRESS, PEER_PORT), sink = address_of(OUR_ADDRESS, 9);
    int sink_qd = datagram_socket(OUR_ADDRESS, 9, 0);
    for (int side = 0; side < BUSY_SIDES; side++)
        for (int kind = 0; kind < BUSY_WAITS; kind++) {
            struct busy b;
            dmtr_qresult_t qr;
            int qd = datagram_socket(OUR_ADDRESS, 0, 0);
            int busy_qd = side == BUSY_SOCKET ? datagram_socket(OUR_ADDRESS, 0, 0) : new_queue();
            busy_begin(&b, (enum busy_side)side, busy_qd, (struct sockaddr *)&sink);
            assert_ok(dmtr_drop(push_to(qd, "question", 8, &to)));
            busy_until(&b, (enum busy_wait)kind, pop_begin(qd), &qr);
            expect_text(&qr, "question");
            busy_end(&b);
            assert_ok(dmtr_close(qd));
            assert_ok(dmtr_close(busy_qd));
        }
    push_text_to(sink_qd, "quit", &to);
    peer_join(&p);
}

/* A loopback connection: each step of it needs a poll. */
static void connections_progress_in_a_busy_program(void **state) {
    (void)state;
    struct sockaddr_in at = address_of(OUR_ADDRESS, 80);
    int listening, client;
    assert_ok(dmtr_socket(&listening, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(listening, (struct sockaddr *)&at, sizeof at));
    assert_ok(dmtr_listen(listening, 8));
    for (int kind = 0; kind < BUSY_WAITS; kind++) {
        struct busy b;
        dmtr_qresult_t qr;
        dmtr_qtoken_t accept, connect;
        busy_begin(&b, BUSY_QUEUE, new_queue(), NULL);
        assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
        assert_ok(dmtr_accept(&accept, listening));
        assert_ok(dmtr_connect(&connect, client, (struct sockaddr *)&at, sizeof at));
        assert_ok(dmtr_drop(connect));
        busy_until(&b, (enum busy_wait)kind, accept, &qr);
        int server = qr.qr_value.ares.qd;
        assert_ok(dmtr_drop(push_text(server, "hello")));
        busy_until(&b, (enum busy_wait)kind, pop_begin(client), &qr);
        expect_text(&qr, "hello");
        busy_end(&b);
    }
}

int main(int argc, char *argv[]) {
    over_lwip = argc > 1 && strcmp(argv[1], "lwip") == 0;
    wire_owner();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(echoes_reach_a_busy_program, setup, test_teardown),
        cmocka_unit_test_setup_teardown(connections_progress_in_a_busy_program, setup, test_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
