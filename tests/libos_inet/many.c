/* SPDX-License-Identifier: MIT */
/*
 * Several runtimes of a process on one device: servers on threads at one end of a shared-memory wire, and their client,
 * the runtime of the test, at the other.
 */
#include "net_test.h"

#include <stdatomic.h>
#include <stdlib.h>

#define SERVERS  3
#define CLIENTS  48
#define MESSAGES 20
#define SHARED   80 /* all servers listen on this port */
#define FIRST    81 /* only the first server listens; it transfers its connections to all servers in turn */
#define DATAGRAM 82 /* only the last server has this port */

struct server {
    pthread_t thread;
    uint32_t number;
    dmtr_runtime_t runtime;
    const char *policy, *failed;
    uint32_t accepted, handed, messages;
    int datagrams; /* queue; -1: none */
};

static struct server servers[SERVERS];
static atomic_bool stop;
static sem_t ready;

static int listen_at(uint16_t port) {
    struct sockaddr_in a = address_of(OUR_ADDRESS, port);
    int qd;
    if (dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0) || dmtr_bind(qd, (struct sockaddr *)&a, sizeof a) ||
        dmtr_listen(qd, 64))
        return -1;
    return qd;
}

static void serve_accept(struct server *s, const dmtr_qresult_t *qr, int shared, int first, int handover) {
    dmtr_qtoken_t qt;
    int qd = qr->qr_value.ares.qd, from = qr->qr_qd;
    PEER_CHECK(s, qr->qr_error == 0);
    PEER_CHECK(s, dmtr_accept(&qt, from) == 0);
    if (from == first) {
        uint32_t to = s->accepted++ % SERVERS;
        if (to != s->number) {
            PEER_CHECK(s, dmtr_transfer(qd, servers[to].runtime) == 0);
            PEER_CHECK(s, dmtr_pop(&qt, qd) == EBADF); /* the queue is closed on this runtime */
            return;
        }
    }
    s->accepted += from == shared;
    s->handed += from == handover;
    PEER_CHECK(s, dmtr_pop(&qt, qd) == 0);
}

static void serve_pop(struct server *s, dmtr_qresult_t *qr) {
    dmtr_qtoken_t qt;
    dmtr_sgarray_t *sga = &qr->qr_value.sga;
    if (qr->qr_error || sga->sga_numsegs == 0) { /* a reset or the end of the stream */
        PEER_CHECK(s, dmtr_close(qr->qr_qd) == 0);
        return;
    }
    struct sockaddr_in from = sga->sga_addr;
    s->messages++;
    bool stream = qr->qr_qd != s->datagrams;
    PEER_CHECK(s, (stream ? dmtr_push(&qt, qr->qr_qd, sga)
                          : dmtr_pushto(&qt, qr->qr_qd, sga, (struct sockaddr *)&from, sizeof from)) == 0);
    PEER_CHECK(s, dmtr_sgafree(sga) == 0);
    PEER_CHECK(s, dmtr_pop(&qt, qr->qr_qd) == 0);
}

static void serve(struct server *s) {
    int shared = listen_at(SHARED), first = s->number == 0 ? listen_at(FIRST) : -1, handover;
    dmtr_qtoken_t qt;
    PEER_CHECK(s, shared >= 0 && (s->number > 0 || first >= 0));
    PEER_CHECK(s, dmtr_handover(&handover) == 0);
    PEER_CHECK(s, dmtr_handover(&(int){0}) == EADDRINUSE);
    PEER_CHECK(s, dmtr_accept(&qt, shared) == 0 && dmtr_accept(&qt, handover) == 0);
    if (first >= 0) PEER_CHECK(s, dmtr_accept(&qt, first) == 0);
    if (s->number == SERVERS - 1) {
        s->datagrams = datagram_socket(OUR_ADDRESS, DATAGRAM, 0);
        PEER_CHECK(s, s->datagrams >= 0 && dmtr_pop(&qt, s->datagrams) == 0);
    }
    sem_post(&ready);
    while (!stop && !s->failed) {
        dmtr_qresult_t qr;
        int got, r = dmtr_wait_next_n(&qr, 1, &got, HANG);
        if (r == EINTR) continue;
        PEER_CHECK(s, r == 0);
        if (qr.qr_opcode == DMTR_OPC_ACCEPT) serve_accept(s, &qr, shared, first, handover);
        if (qr.qr_opcode == DMTR_OPC_POP) serve_pop(s, &qr);
    }
}

static int start_server(const char *policy, const char *queues) {
    char device[160], waits[64];
    snprintf(device, sizeof device, "inet.device_options=path=/tmp/dmtr-inet.%d,listen=yes", wire_owner());
    snprintf(waits, sizeof waits, "wait.policy=%s", policy);
    return start_with_options((const char *const[]){"libos=inet", "inet.device=shm", "log.sink=none", device,
                                                    ("inet.address=" OUR_ADDRESS "/24"), waits, queues, NULL});
}

static void *server_main(void *arg) {
    struct server *s = arg;
    if (start_server(s->policy, "inet.queues=3") || dmtr_runtime_current(&s->runtime))
        s->failed = "no runtime";
    else
        serve(s);
    if (s->failed) sem_post(&ready);
    if (dmtr_fini() && !s->failed) s->failed = "fini";
    return NULL;
}

static void start_servers(const char *policy) {
    stop = false;
    sem_init(&ready, 0, 0);
    for (uint32_t i = 0; i < SERVERS; i++) {
        servers[i] = (struct server){.number = i, .policy = policy, .datagrams = -1};
        assert_int_equal(pthread_create(&servers[i].thread, NULL, server_main, &servers[i]), 0);
        sem_wait(&ready);
    }
}

static void stop_servers(void) {
    stop = true;
    for (uint32_t i = 0; i < SERVERS; i++) {
        dmtr_wake(servers[i].runtime);
        pthread_join(servers[i].thread, NULL);
    }
    sem_destroy(&ready);
    for (uint32_t i = 0; i < SERVERS; i++)
        if (servers[i].failed) fail_msg("server %u: %s", i, servers[i].failed);
}

static void exchange(int qd, const char *text) {
    dmtr_sgarray_t sga = dmtr_sgaalloc(strlen(text));
    dmtr_qtoken_t qt;
    memcpy(sga.sga_segs[0].sgaseg_buf, text, strlen(text));
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_ok(dmtr_sgafree(&sga));
    expect_wait_error(qt, 0);
    expect_pop_text(qd, text);
}

static void connect_many(int qds[CLIENTS], uint16_t port) {
    struct sockaddr_in to = address_of(OUR_ADDRESS, port);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        assert_ok(dmtr_socket(&qds[i], AF_INET, SOCK_STREAM, 0));
        connect_wait(qds[i], &to);
    }
}

static void exchange_and_close(int qds[CLIENTS]) {
    char text[32];
    for (uint32_t n = 0; n < MESSAGES; n++)
        for (uint32_t i = 0; i < CLIENTS; i++) {
            snprintf(text, sizeof text, "%u of %u", n, i);
            exchange(qds[i], text);
        }
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_ok(dmtr_close(qds[i]));
}

/* The client's device has other options, so the client is not in the group of the servers. */
static void run_client(const char *policy) {
    int qds[CLIENTS], udp;
    assert_ok(start_end(false, PEER_ADDRESS, "", policy));
    connect_many(qds, SHARED);
    exchange_and_close(qds);
    connect_many(qds, FIRST);
    exchange_and_close(qds);
    struct sockaddr_in to = address_of(OUR_ADDRESS, DATAGRAM);
    char large[4000];
    memset(large, 'x', sizeof large);
    udp = datagram_socket(PEER_ADDRESS, 0, 0);
    for (uint32_t n = 0; n < MESSAGES; n++) {
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        size_t len = n % 2 ? sizeof large : 10; /* fragmented, or in one frame */
        expect_wait_error(push_to(udp, large, len, &to), 0);
        assert_ok(dmtr_pop(&qt, udp));
        assert_ok(dmtr_wait_timed(&qr, qt, HANG));
        assert_int_equal(qr.qr_error, 0);
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, len);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    assert_ok(dmtr_fini());
}

static void run_servers(const char *policy) {
    uint32_t shared = 0, handed = 0;
    start_servers(policy);
    run_client(policy);
    stop_servers();
    for (uint32_t i = 0; i < SERVERS; i++) {
        assert_true(servers[i].messages > 0);
        assert_true(i == 0 || servers[i].handed == CLIENTS / SERVERS);
        shared += servers[i].accepted;
        handed += servers[i].handed;
        assert_true(servers[i].accepted > 0); /* the RSS hash spreads the connections */
    }
    assert_int_equal(shared, 2 * CLIENTS); /* includes the connections that the first server accepted on port FIRST */
    assert_int_equal(handed, CLIENTS - CLIENTS / SERVERS);
}

static void connections_are_spread_and_transferred_with_polling_runtimes(void **state) {
    (void)state;
    run_servers("adaptive");
}

static void connections_are_spread_and_transferred_with_blocking_runtimes(void **state) {
    (void)state;
    run_servers("block");
}

static void a_runtime_beyond_the_queues_is_refused_until_another_ends(void **state) {
    (void)state;
    start_servers("block");
    assert_int_equal(start_server("block", "inet.queues=3"), ENOSPC);
    stop_servers();
    assert_ok(start_server("block", "inet.queues=3"));
    assert_ok(dmtr_fini());
}

static void invalid_transfers_are_refused(void **state) {
    (void)state;
    dmtr_runtime_t own;
    int qd;
    assert_ok(start_end(true, OUR_ADDRESS, "", "block"));
    assert_ok(dmtr_runtime_current(&own));
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_int_equal(dmtr_handover(NULL), EINVAL);
    assert_int_equal(dmtr_handover(&(int){0}), EOPNOTSUPP);
    assert_int_equal(dmtr_transfer(qd, own), EINVAL);
    assert_int_equal(dmtr_transfer(qd, own + 1), ENOTCONN);
    assert_int_equal(dmtr_transfer(qd + 1, own + 1), EBADF);
    assert_int_equal(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0), 0);
    assert_int_equal(dmtr_transfer(qd, own + 1), EOPNOTSUPP);
    assert_ok(dmtr_fini());
}

static void a_transfer_to_an_unknown_runtime_is_refused(void **state) {
    (void)state;
    struct sockaddr_in at = address_of(OUR_ADDRESS, FIRST);
    dmtr_runtime_t own;
    dmtr_qtoken_t accepted;
    dmtr_qresult_t qr;
    int client;
    assert_ok(start_server("block", "inet.queues=3"));
    assert_ok(dmtr_runtime_current(&own));
    assert_ok(dmtr_accept(&accepted, listen_at(FIRST)));
    assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    connect_wait(client, &at);
    assert_ok(dmtr_wait_timed(&qr, accepted, HANG));
    assert_int_equal(dmtr_transfer(client, own + 1), EXDEV);
    push_wait(client, "still ours");
    expect_pop_text(qr.qr_value.ares.qd, "still ours");
    assert_ok(dmtr_fini());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_spread_and_transferred_with_polling_runtimes),
        cmocka_unit_test(connections_are_spread_and_transferred_with_blocking_runtimes),
        cmocka_unit_test(a_runtime_beyond_the_queues_is_refused_until_another_ends),
        cmocka_unit_test(invalid_transfers_are_refused),
        cmocka_unit_test(a_transfer_to_an_unknown_runtime_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
