/* SPDX-License-Identifier: MIT */
/* A peer process is killed during a transfer. Its connection times out, and another peer can connect. */
#include "net_test.h"

#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PORT        9
#define BLOCK       65536
#define TIMEOUT_MS  500
#define POPS_BEFORE 20

/* Children are forked before the runtime starts. Each runs after a byte arrives on its pipe. */
struct child {
    pid_t pid;
    int go;
};

static struct child killed, successor;

static dmtr_qtoken_t push_block(int qd) {
    dmtr_sgarray_t sga = dmtr_sgaalloc(BLOCK);
    dmtr_qtoken_t qt = 0;
    if (sga.sga_numsegs == 0) return 0;
    memset(sga.sga_segs[0].sgaseg_buf, 'x', BLOCK);
    if (dmtr_push(&qt, qd, &sga)) qt = 0;
    dmtr_sgafree(&sga);
    return qt;
}

static int connect_to_parent(int *qd) {
    struct sockaddr_in to = address_of(OUR_ADDRESS, PORT);
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int r = start_end(false, PEER_ADDRESS, "", "adaptive");
    if (!r) r = dmtr_socket(qd, AF_INET, SOCK_STREAM, 0);
    if (!r) r = dmtr_connect(&qt, *qd, (struct sockaddr *)&to, sizeof to);
    return r ? r : dmtr_wait_timed(&qr, qt, HANG);
}

/* Sends without end. */
static int run_killed(void) {
    dmtr_qresult_t qr;
    dmtr_qtoken_t qt;
    int qd, r = connect_to_parent(&qd);
    while (!r && (qt = push_block(qd)))
        r = dmtr_wait(&qr, qt);
    return 1;
}

/* Echoes one message. */
static int run_successor(void) {
    dmtr_qresult_t qr;
    dmtr_qtoken_t qt;
    int qd, r = connect_to_parent(&qd);
    if (!r) r = dmtr_pop(&qt, qd);
    if (!r) r = dmtr_wait_timed(&qr, qt, HANG);
    if (!r) r = dmtr_push(&qt, qd, &qr.qr_value.sga);
    if (!r) r = dmtr_sgafree(&qr.qr_value.sga);
    if (!r) r = dmtr_wait_timed(&qr, qt, HANG);
    if (!r) r = dmtr_close(qd);
    return r ? r : dmtr_fini();
}

static void child_fork(struct child *c, int (*run)(void)) {
    int ends[2];
    char byte;
    if (pipe(ends)) abort();
    c->pid = fork();
    if (c->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 ? run() : 1);
    }
    close(ends[0]);
    c->go = ends[1];
}

static void child_begin(const struct child *c) {
    assert_int_equal(write(c->go, "g", 1), 1);
}

static int accept_one(int listener) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    assert_ok(dmtr_accept(&qt, listener));
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    return qr.qr_value.ares.qd;
}

/* Pops at most `most` times. Returns the error of a pop, or 0. */
static int pop_blocks(int qd, int most) {
    for (int i = 0; i < most; i++) {
        dmtr_qresult_t qr;
        int r = dmtr_wait_timed(&qr, pop_begin(qd), HANG);
        if (r) return r;
        assert_true(qr.qr_value.sga.sga_numsegs > 0); /* a killed peer sends no FIN */
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    return 0;
}

static void connection_of_a_killed_peer_times_out_and_another_peer_connects(void **state) {
    (void)state;
    struct sockaddr_in at = address_of(OUR_ADDRESS, PORT);
    unsigned timeout_ms = TIMEOUT_MS;
    int listener, qd, status;
    assert_ok(start_end(true, OUR_ADDRESS, "", "adaptive"));
    assert_ok(dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(listener, (struct sockaddr *)&at, sizeof at));
    assert_ok(dmtr_listen(listener, 4));

    child_begin(&killed);
    qd = accept_one(listener);
    assert_ok(dmtr_setsockopt(qd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms));
    assert_ok(pop_blocks(qd, POPS_BEFORE));
    assert_ok(kill(killed.pid, SIGKILL));
    assert_int_equal(waitpid(killed.pid, &status, 0), killed.pid);
    assert_ok(dmtr_drop(push_block(qd))); /* nobody acknowledges this data */
    int error = pop_blocks(qd, INT32_MAX);
    assert_true(error == ETIMEDOUT || error == EHOSTUNREACH);
    assert_ok(dmtr_close(qd));

    child_begin(&successor);
    qd = accept_one(listener);
    push_wait(qd, "still here");
    expect_pop_text(qd, "still here");
    assert_ok(dmtr_close(qd));
    dmtr_qtoken_t qt; /* our stack must be polled to answer the FIN of the peer */
    while (waitpid(successor.pid, &status, WNOHANG) == 0) {
        assert_ok(dmtr_timer(&qt, MS));
        expect_wait_error(qt, 0);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_ok(dmtr_close(listener));
    assert_ok(dmtr_fini());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection_of_a_killed_peer_times_out_and_another_peer_connects),
    };
    wire_owner();
    child_fork(&killed, run_killed);
    child_fork(&successor, run_successor);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
