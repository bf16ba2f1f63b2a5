/* SPDX-License-Identifier: MIT */
/*
 * Each system call and each allocation fails once while datagrams and streams pass over loopback. Nobody is at the
 * other end of the device. Argument: the libos; inet by default.
 */
#include "../fault/stream_scenario.h"

#include <unistd.h>

enum { DATAGRAMS = 4, TRIES = 20 };

static const char *libos = "inet";

static int push_one(int qd, int number, const struct sockaddr_in *to) {
    dmtr_sgarray_t sga = dmtr_sgaalloc(sizeof number);
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    if (sga.sga_numsegs == 0) return ENOMEM;
    memcpy(sga.sga_segs[0].sgaseg_buf, &number, sizeof number);
    int r = dmtr_pushto(&qt, qd, &sga, (const struct sockaddr *)to, sizeof *to);
    assert_ok(dmtr_sgafree(&sga));
    return r ? r : dmtr_wait_timed(&qr, qt, STEP_TIME);
}

/* Returns ETIMEDOUT if no datagram arrived in 20 ms. */
static int pop_one(int qd, int number) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int got, r = dmtr_pop(&qt, qd);
    if (r) return r;
    r = dmtr_wait_timed(&qr, qt, 20 * MS);
    if (r == ETIMEDOUT) assert_ok(dmtr_drop(qt));
    if (r) return r;
    assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, sizeof got);
    memcpy(&got, qr.qr_value.sga.sga_segs[0].sgaseg_buf, sizeof got);
    assert_int_equal(got, number);
    assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    return 0;
}

/* A datagram may be lost if memory is missing, as on a wire: retry. */
static int run_udp(void) {
    int failed = 0, a, b;
    struct sockaddr_in to, from;
    TRY(bound(&a, SOCK_DGRAM, &to));
    TRY(bound(&b, SOCK_DGRAM, &from));
    for (int i = 0; i < DATAGRAMS; i++) {
        for (int k = 0; k < TRIES; k++) {
            TRY(push_one(b, i, &to));
            failed = pop_one(a, i);
            if (failed != ETIMEDOUT) break;
        }
        if (failed) goto out;
    }
out:
    return failed;
}

static void sweep(const char *name, int (*run)(void)) {
    static char file[64];
    snprintf(file, sizeof file, "/tmp/dmtr-%s-fault.%d.yaml", libos, (int)getpid());
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fprintf(f, "libos: %s\nlog:\n  sink: none\n%s:\n  device: shm\n  address: 10.77.0.1/24\n", libos, libos);
    fprintf(f, "  device_options: path=/tmp/dmtr-%s-fault.%d,listen=yes\n", libos, (int)getpid());
    assert_int_equal(fclose(f), 0);
    own_address = "10.77.0.1";
    struct scenario s = {name, 3, {"test", "--dmtr-config", file}, run};
    scenario_all_errors(&s);
    unlink(file);
}

static void udp(void **state) {
    (void)state;
    sweep("udp", run_udp);
}

static void tcp(void **state) {
    (void)state;
    framed = 0;
    sweep("tcp", run_tcp);
}

static void tcp_framed(void **state) {
    (void)state;
    framed = 1;
    sweep("tcp framed", run_tcp);
}

static void tcp_push_buf(void **state) {
    (void)state;
    given_away = true;
    for (framed = 0; framed < 2; framed++) {
        size_t before = blocks_bytes();
        sweep(framed ? "tcp framed, push_buf" : "tcp, push_buf", run_tcp);
        assert_int_equal(blocks_bytes(), before);
    }
    given_away = false;
}

int main(int argc, char **argv) {
    if (argc > 1) libos = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(udp), cmocka_unit_test(tcp), cmocka_unit_test(tcp_framed),
                                       cmocka_unit_test(tcp_push_buf)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
