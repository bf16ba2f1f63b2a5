/* SPDX-License-Identifier: MIT */
/* A busy program still receives from the kernel, on both engines. */
#include "busy_test.h"
#include "posix_test.h"

static int bound_socket(struct sockaddr_in *addr) {
    int qd;
    socklen_t len = sizeof *addr;
    *addr = loopback(0);
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)addr, len));
    assert_ok(dmtr_getsockname(qd, (struct sockaddr *)addr, &len));
    return qd;
}

/* The queue that keeps the program busy. */
static int busy_queue(int side) {
    struct sockaddr_in addr;
    return side == BUSY_SOCKET ? bound_socket(&addr) : new_queue();
}

static void datagrams_reach_a_busy_program(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr, sink;
    int sink_qd = bound_socket(&sink), raw = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (int side = 0; side < BUSY_SIDES; side++)
        for (int kind = 0; kind < BUSY_WAITS; kind++) {
            struct busy b;
            dmtr_qresult_t qr;
            int qd = bound_socket(&addr), busy_qd = busy_queue(side);
            busy_begin(&b, (enum busy_side)side, busy_qd, (struct sockaddr *)&sink);
            dmtr_qtoken_t pop = pop_begin(qd);
            assert_int_equal(sendto(raw, "hi", 2, 0, (struct sockaddr *)&addr, sizeof addr), 2);
            busy_until(&b, (enum busy_wait)kind, pop, &qr);
            expect_text(&qr, "hi");
            busy_end(&b);
            assert_ok(dmtr_close(qd));
            assert_ok(dmtr_close(busy_qd));
        }
    close(raw);
    assert_ok(dmtr_close(sink_qd));
}

static void connections_and_their_data_reach_a_busy_program(void **state) {
    (void)state;
    skip_without_engine();
    for (int kind = 0; kind < BUSY_WAITS; kind++) {
        struct busy b;
        dmtr_qresult_t qr;
        struct sockaddr_in addr;
        int listening = listener(&addr);
        busy_begin(&b, BUSY_QUEUE, new_queue(), NULL);
        dmtr_qtoken_t accept = accept_begin(listening);
        int fd = raw_connect(&addr);
        busy_until(&b, (enum busy_wait)kind, accept, &qr);
        int qd = qr.qr_value.ares.qd;
        raw_send(fd, "hi", 2);
        busy_until(&b, (enum busy_wait)kind, pop_begin(qd), &qr);
        expect_text(&qr, "hi");
        busy_end(&b);
        raw_close(&(struct raw_ends){.listener = listening, .fd = fd, .server = qd});
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        both_engines(datagrams_reach_a_busy_program),
        both_engines(connections_and_their_data_reach_a_busy_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
