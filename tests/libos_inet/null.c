/* SPDX-License-Identifier: MIT */
/* What only the device `null` promises: other hosts are unreachable, and the runtimes of one process reach each other.
 */
#include "net_test.h"

#define CONNECTIONS 100

static int start_runtime(void) {
    return start_with_options((const char *const[]){"libos=inet", "inet.device=null", "log.sink=none",
                                                    ("inet.address=" OUR_ADDRESS "/24"), "inet.queues=2",
                                                    "wait.policy=adaptive", NULL});
}

static void connections_to_other_hosts_fail(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(PEER_ADDRESS, PEER_PORT);
    dmtr_qtoken_t qt;
    int qd;
    assert_ok(start_alone("null"));
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_connect(&qt, qd, (struct sockaddr *)&to, sizeof to));
    expect_wait_error(qt, EHOSTUNREACH);
    assert_ok(dmtr_fini());
}

/* Another runtime: echoes the first data of each connection. */
struct server {
    pthread_t thread;
    sem_t ready;
    const char *failed; /* the failed check, or NULL */
};

static void serve(struct server *s) {
    struct sockaddr_in at = address_of(OUR_ADDRESS, PEER_PORT);
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int listener;
    PEER_CHECK(s, dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0) == 0);
    PEER_CHECK(s, dmtr_bind(listener, (struct sockaddr *)&at, sizeof at) == 0);
    PEER_CHECK(s, dmtr_listen(listener, CONNECTIONS) == 0);
    sem_post(&s->ready);
    for (int i = 0; i < CONNECTIONS; i++) {
        PEER_CHECK(s, dmtr_accept(&qt, listener) == 0 && dmtr_wait_timed(&qr, qt, HANG) == 0);
        int qd = qr.qr_value.ares.qd;
        PEER_CHECK(s, dmtr_pop(&qt, qd) == 0 && dmtr_wait_timed(&qr, qt, HANG) == 0);
        PEER_CHECK(s, dmtr_push_quiet(qd, &qr.qr_value.sga) == 0 && dmtr_sgafree(&qr.qr_value.sga) == 0);
        PEER_CHECK(s, dmtr_close(qd) == 0);
    }
}

static void *server_main(void *arg) {
    struct server *s = arg;
    if (start_runtime())
        s->failed = "no runtime";
    else
        serve(s);
    if (s->failed) sem_post(&s->ready);
    if (dmtr_fini() && !s->failed) s->failed = "fini";
    return NULL;
}

static void runtimes_of_one_process_reach_each_other(void **state) {
    (void)state;
    struct server s = {.failed = NULL};
    struct sockaddr_in to = address_of(OUR_ADDRESS, PEER_PORT);
    sem_init(&s.ready, 0, 0);
    assert_int_equal(pthread_create(&s.thread, NULL, server_main, &s), 0);
    assert_ok(start_runtime());
    sem_wait(&s.ready);
    for (int i = 0; i < CONNECTIONS && !s.failed; i++) {
        int qd;
        assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
        connect_wait(qd, &to);
        push_wait(qd, "question");
        expect_pop_text(qd, "question");
        assert_ok(dmtr_close(qd));
    }
    pthread_join(s.thread, NULL);
    sem_destroy(&s.ready);
    if (s.failed) fail_msg("the server: %s", s.failed);
    assert_ok(dmtr_fini());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_to_other_hosts_fail),
        cmocka_unit_test(runtimes_of_one_process_reach_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
