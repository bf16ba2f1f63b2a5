/* SPDX-License-Identifier: MIT */
/*
 * Closing a connection: unread data causes a reset after the pushed data is delivered; a lost FIN is retransmitted
 * while the program ends; two ends that finish at the same time do not wait for each other. Argument: the libos.
 */
#include "net_test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define BULK       (1u << 20)
#define ROUNDS     4
#define LOSSY_HANG (6 * HANG) /* lwIP retransmits after seconds */
#define CONNECTS   8
#define LONG       "core.linger_ms=600000" /* longer than the time limit of the test */

static const char *libos = "inet";
static int lossy_rounds = 16;

/* Starts a runtime on one end of the wire. */
static int start_stack(bool listens, const char *address, const char *wrappers, const char *linger) {
    char options[6][160];
    snprintf(options[0], sizeof options[0], "libos=%s", libos);
    snprintf(options[1], sizeof options[1], "%s.device=shm", libos);
    snprintf(options[2], sizeof options[2], "%s.device_options=path=/tmp/dmtr-close.%d,listen=%s", libos, wire_owner(),
             listens ? "yes" : "no");
    snprintf(options[3], sizeof options[3], "%s.address=%s/24", libos, address);
    snprintf(options[4], sizeof options[4], "%s.wrappers=%s", libos, wrappers);
    return start_with_options((const char *const[]){options[0], options[1], options[2], options[3], options[4],
                                                    "log.sink=none", linger, NULL});
}

static int setup(void **state) {
    (void)state;
    return start_stack(true, OUR_ADDRESS, "none", LONG);
}

struct pair {
    int listener, client, server;
};

static int open_listener(struct sockaddr_in *at) {
    int qd;
    socklen_t len = sizeof *at;
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)at, len));
    assert_ok(dmtr_listen(qd, 8));
    assert_ok(dmtr_getsockname(qd, (struct sockaddr *)at, &len));
    return qd;
}

static int accept_one(int listener) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    assert_ok(dmtr_accept(&qt, listener));
    assert_ok(dmtr_wait_timed(&qr, qt, LOSSY_HANG));
    return qr.qr_value.ares.qd;
}

static struct pair open_pair(void) {
    struct sockaddr_in at = address_of(OUR_ADDRESS, 0);
    struct pair p = {.listener = open_listener(&at)};
    assert_ok(dmtr_socket(&p.client, AF_INET, SOCK_STREAM, 0));
    connect_wait(p.client, &at);
    p.server = accept_one(p.listener);
    return p;
}

static uint8_t byte_at(uint64_t i) {
    return (uint8_t)(i * 7 + i / 251);
}

static dmtr_qtoken_t push_bulk(int qd) {
    dmtr_sgarray_t sga = dmtr_sgaalloc(BULK);
    dmtr_qtoken_t qt;
    assert_int_equal(sga.sga_numsegs, 1);
    for (uint32_t i = 0; i < BULK; i++)
        ((uint8_t *)sga.sga_segs[0].sgaseg_buf)[i] = byte_at(i);
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_ok(dmtr_sgafree(&sga));
    return qt;
}

/* Pops until the stream ends and checks the pattern. Returns 0 or the error of the last pop. */
static int pop_pattern(int qd, uint64_t bytes) {
    for (uint64_t got = 0;;) {
        dmtr_qresult_t qr;
        int r = dmtr_wait_timed(&qr, pop_begin(qd), HANG);
        uint32_t n = r ? 0 : qr.qr_value.sga.sga_numsegs;
        if (n == 0) {
            assert_int_equal(got, bytes);
            return r;
        }
        assert_int_equal(n, 1);
        for (uint32_t i = 0; i < qr.qr_value.sga.sga_segs[0].sgaseg_len; i++)
            assert_int_equal(((uint8_t *)qr.qr_value.sga.sga_segs[0].sgaseg_buf)[i], byte_at(got++));
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
}

/* Polls for 5 ms, so that pushed data arrives. */
static void poll_for_5_ms(void) {
    dmtr_qtoken_t qt;
    assert_ok(dmtr_timer(&qt, 5 * MS));
    expect_wait_error(qt, 0);
}

static void unread_data_causes_a_reset_after_the_pushed_data(void **state) {
    (void)state;
    struct pair p = open_pair();
    dmtr_qtoken_t closed;
    push_wait(p.server, "never popped");
    poll_for_5_ms();
    dmtr_qtoken_t pushed = push_bulk(p.client);
    assert_ok(dmtr_async_close(&closed, p.client));
    assert_int_equal(pop_pattern(p.server, BULK), ECONNRESET);
    expect_wait_error(pushed, 0);
    expect_wait_error(closed, 0);
    assert_ok(dmtr_close(p.server));
}

static void data_after_the_close_causes_a_reset_after_the_pushed_data(void **state) {
    (void)state;
    struct pair p = open_pair();
    dmtr_qtoken_t closed, pushed = push_bulk(p.client);
    assert_ok(dmtr_async_close(&closed, p.client));
    poll_for_5_ms();
    assert_ok(dmtr_drop(push_text(p.server, "too late")));
    assert_int_equal(pop_pattern(p.server, BULK), ECONNRESET);
    expect_wait_error(pushed, 0);
    expect_wait_error(closed, 0);
    assert_ok(dmtr_close(p.server));
}

static void unread_data_causes_an_immediate_reset_if_nothing_was_pushed(void **state) {
    (void)state;
    struct pair p = open_pair();
    push_wait(p.server, "never popped");
    poll_for_5_ms();
    assert_ok(dmtr_close(p.client));
    expect_wait_error(pop_begin(p.server), ECONNRESET);
    assert_ok(dmtr_close(p.server));
}

/* Framing has read only the header of this message from the stream. */
static void an_incomplete_message_is_unread_data(void **state) {
    (void)state;
    struct pair p = open_pair();
    int on = 1;
    uint32_t header[] = {htonl(DMTR_HEADER_MAGIC), htonl(104), htonl(1), htonl(100)};
    dmtr_sgarray_t sga = dmtr_sgaalloc(sizeof header);
    dmtr_qtoken_t qt;
    assert_ok(dmtr_setsockopt(p.client, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &on, sizeof on));
    dmtr_qtoken_t popped = pop_begin(p.client);
    memcpy(sga.sga_segs[0].sgaseg_buf, header, sizeof header);
    assert_ok(dmtr_push(&qt, p.server, &sga));
    assert_ok(dmtr_sgafree(&sga));
    expect_wait_error(qt, 0);
    poll_for_5_ms();
    assert_ok(dmtr_close(p.client));
    expect_wait_error(popped, ECANCELED);
    expect_wait_error(pop_begin(p.server), ECONNRESET);
    assert_ok(dmtr_close(p.server));
}

static void an_unread_end_of_stream_causes_no_reset(void **state) {
    (void)state;
    struct pair p = open_pair();
    dmtr_qtoken_t closed;
    assert_ok(dmtr_shutdown(p.server, SHUT_WR));
    poll_for_5_ms();
    dmtr_qtoken_t pushed = push_bulk(p.client);
    assert_ok(dmtr_async_close(&closed, p.client));
    assert_int_equal(pop_pattern(p.server, BULK), 0);
    expect_wait_error(pushed, 0);
    expect_wait_error(closed, 0);
    assert_ok(dmtr_close(p.server));
}

static void shutdown_causes_no_reset(void **state) {
    (void)state;
    struct pair p = open_pair();
    push_wait(p.server, "never popped");
    poll_for_5_ms();
    assert_ok(dmtr_shutdown(p.client, SHUT_RDWR));
    assert_int_equal(pop_pattern(p.server, 0), 0);
    push_wait(p.server, "still no reset");
    poll_for_5_ms();
    assert_int_equal(pop_pattern(p.server, 0), 0);
    assert_ok(dmtr_close(p.client));
    assert_ok(dmtr_close(p.server));
}

/* A child that is forked before the runtime starts, and runs after a byte arrives on its pipe. */
struct child {
    pid_t pid;
    int go;
};

static struct child lossy, both;

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

/* Waits until the child exits. If `work` is set, polls our runtime meanwhile. */
static void child_expect_success(const struct child *c, bool work) {
    int status, pid;
    while ((pid = waitpid(c->pid, &status, work ? WNOHANG : 0)) == 0)
        poll_for_5_ms();
    assert_int_equal(pid, c->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int connect_to_parent(int *qd, const char *wrappers) {
    struct sockaddr_in to = address_of(OUR_ADDRESS, PEER_PORT);
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int r = start_stack(false, PEER_ADDRESS, wrappers, LONG);
    if (!r) r = dmtr_socket(qd, AF_INET, SOCK_STREAM, 0);
    for (int i = 0; !r && i < CONNECTS; i++) {
        r = dmtr_connect(&qt, *qd, (struct sockaddr *)&to, sizeof to);
        if (!r) r = dmtr_wait_timed(&qr, qt, LOSSY_HANG);
        if (r != EHOSTUNREACH && r != ETIMEDOUT) return r; /* retry: the link has lost the ARP requests */
        r = 0;
    }
    return r ? r : ETIMEDOUT;
}

/* In each round pushes one byte and ends, over a link that loses one frame in five. */
static int run_lossy(void) {
    for (int i = 1; i <= lossy_rounds; i++) {
        char wrapper[64];
        dmtr_qtoken_t qt;
        dmtr_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{.sgaseg_buf = wrapper, .sgaseg_len = 1}}};
        snprintf(wrapper, sizeof wrapper, "fault:loss=0.2,seed=%d", i);
        int qd, r = connect_to_parent(&qd, wrapper);
        if (!r) r = dmtr_push(&qt, qd, &sga);
        if (!r) r = dmtr_fini();
        if (r) return r;
    }
    return 0;
}

static void a_lost_fin_is_retransmitted_while_the_program_ends(void **state) {
    (void)state;
    struct sockaddr_in at = address_of(OUR_ADDRESS, PEER_PORT);
    assert_ok(start_stack(true, OUR_ADDRESS, "none", "core.linger_ms=10"));
    int listener = open_listener(&at);
    child_begin(&lossy);
    for (int i = 0; i < lossy_rounds; i++) {
        int qd = accept_one(listener);
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), LOSSY_HANG));
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
        assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), LOSSY_HANG));
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 0);
        assert_ok(dmtr_close(qd));
    }
    child_expect_success(&lossy, true); /* our FIN may be lost, too */
    assert_ok(dmtr_fini());
}

static int run_both(void) {
    for (int i = 0; i < ROUNDS; i++) {
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        int qd, r = connect_to_parent(&qd, "none");
        if (!r) r = dmtr_pop(&qt, qd);
        if (!r) r = dmtr_wait_timed(&qr, qt, HANG);
        if (!r) r = dmtr_push(&qt, qd, &qr.qr_value.sga);
        if (!r) r = dmtr_sgafree(&qr.qr_value.sga);
        if (!r) r = dmtr_wait_timed(&qr, qt, HANG);
        if (!r && i % 2) r = dmtr_timer(&qt, 200 * MS); /* the other end has called dmtr_fini by then */
        if (!r && i % 2) r = dmtr_wait(&qr, qt);
        if (!r) r = dmtr_fini();
        if (r) return r;
    }
    return 0;
}

/* The FINs cross, or one end finishes first. core.linger_ms is longer than the time limit of the test. */
static void two_ends_that_finish_together_do_not_wait_for_the_linger_limit(void **state) {
    (void)state;
    child_begin(&both);
    for (int i = 0; i < ROUNDS; i++) {
        struct sockaddr_in at = address_of(OUR_ADDRESS, PEER_PORT);
        assert_ok(start_stack(true, OUR_ADDRESS, "none", LONG));
        int qd = accept_one(open_listener(&at));
        push_wait(qd, "over");
        expect_pop_text(qd, "over");
        assert_ok(dmtr_fini());
    }
    child_expect_success(&both, false);
}

#define with_runtime(fn) cmocka_unit_test_setup_teardown(fn, setup, test_teardown)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        with_runtime(unread_data_causes_a_reset_after_the_pushed_data),
        with_runtime(data_after_the_close_causes_a_reset_after_the_pushed_data),
        with_runtime(unread_data_causes_an_immediate_reset_if_nothing_was_pushed),
        with_runtime(an_incomplete_message_is_unread_data),
        with_runtime(an_unread_end_of_stream_causes_no_reset),
        with_runtime(shutdown_causes_no_reset),
        cmocka_unit_test(a_lost_fin_is_retransmitted_while_the_program_ends),
        cmocka_unit_test(two_ends_that_finish_together_do_not_wait_for_the_linger_limit),
    };
    if (argc > 1) {
        libos = argv[1];
        lossy_rounds = 3; /* lwIP retransmits slowly */
    }
    wire_owner();
    child_fork(&lossy, run_lossy);
    child_fork(&both, run_both);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
