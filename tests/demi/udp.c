/* SPDX-License-Identifier: MIT */
/* Datagrams: destinations, senders, borders. */
#include "demi_test.h"

#include <unistd.h>

static void send_to(int qd, const struct sockaddr_in *to, size_t len, int byte) {
    demi_sgarray_t sga = filled(len, byte);
    demi_qtoken_t qt;
    assert_ok(demi_pushto(&qt, qd, &sga, (const struct sockaddr *)to, sizeof *to));
    assert_ok(demi_sgafree(&sga));
    assert_int_equal(wait_for(qt).qr_opcode, DEMI_OPC_PUSH);
}

static void pop_gives_one_datagram_and_its_sender(void **state) {
    (void)state;
    struct sockaddr_in from, to;
    int sender = bound(SOCK_DGRAM, &from), receiver = bound(SOCK_DGRAM, &to);
    const size_t sizes[] = {1, 1400, 9000, 60000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        demi_qtoken_t qt = pop_begin(receiver);
        send_to(sender, &to, sizes[i], 'd');
        demi_qresult_t qr = wait_for(qt);
        assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
        assert_int_equal(qr.qr_qd, receiver);
        struct sockaddr_in told = qr.qr_value.sga.sga_addr;
        assert_int_equal(told.sin_family, AF_INET);
        assert_int_equal(told.sin_port, from.sin_port);
        assert_int_equal(told.sin_addr.s_addr, from.sin_addr.s_addr);
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, sizes[i]);
        assert_ok(demi_sgafree(&qr.qr_value.sga));
    }
}

static void datagrams_keep_their_borders(void **state) {
    (void)state;
    struct sockaddr_in from, to;
    int sender = bound(SOCK_DGRAM, &from), receiver = bound(SOCK_DGRAM, &to);
    for (int i = 1; i <= 8; i++)
        send_to(sender, &to, (size_t)i, 'a' + i);
    for (int i = 1; i <= 8; i++) {
        demi_qresult_t qr = wait_for(pop_begin(receiver));
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, i);
        assert_ok(demi_sgafree(&qr.qr_value.sga));
    }
}

static void empty_datagram_is_a_segment_of_length_zero(void **state) {
    (void)state;
    struct sockaddr_in to;
    int receiver = bound(SOCK_DGRAM, &to), fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(sendto(fd, NULL, 0, 0, (struct sockaddr *)&to, sizeof to), 0);
    demi_qresult_t qr = wait_for(pop_begin(receiver));
    assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
    assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
    assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 0);
    assert_int_equal(qr.qr_value.sga.sga_addr.sin_family, AF_INET);
    assert_ok(demi_sgafree(&qr.qr_value.sga));
    close(fd);
}

static void connected_socket_pushes_without_an_address(void **state) {
    (void)state;
    struct sockaddr_in from, to;
    demi_qtoken_t qt;
    int sender = bound(SOCK_DGRAM, &from), receiver = bound(SOCK_DGRAM, &to);
    assert_ok(demi_connect(&qt, sender, (struct sockaddr *)&to, sizeof to));
    assert_int_equal(wait_for(qt).qr_opcode, DEMI_OPC_CONNECT);
    push_wait(sender, 100, 'c');
    pop_exactly(receiver, 100, 'c');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        demi_test(pop_gives_one_datagram_and_its_sender),
        demi_test(datagrams_keep_their_borders),
        demi_test(empty_datagram_is_a_segment_of_length_zero),
        demi_test(connected_socket_pushes_without_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
