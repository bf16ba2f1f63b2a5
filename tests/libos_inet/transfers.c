/* SPDX-License-Identifier: MIT */
/*
 * transfers [COUNT [SERVER PEER]]: threads transfer connections to each other at random while the peer sends. No
 * connection may be lost or reset, and the test checks every byte in both directions. Two threads listen; a third joins
 * later.
 *
 * Each test makes COUNT transfers. SERVER and PEER are the two interfaces of one wire, which device `packet` drives.
 * Without them the wire is in shared memory.
 */
#include "net_test.h"

#include <stdatomic.h>
#include <stdlib.h>

#define SERVERS       3u
#define EARLY         2u
#define CONNECTIONS   12u
#define OUTSTANDING   16384u /* limit of bytes per connection that were sent and not echoed */
#define LENGTH_MAX    60000u /* of a connection's stream; grows with COUNT, so that the peer's ports suffice */
#define MESSAGE_MAX   2500u
#define PORT          80
#define TRANSFERS     10000u
#define TRANSFERS_MAX 1000000000u

struct server {
    pthread_t thread;
    dmtr_runtime_t runtime;
    uint64_t random;
    uint32_t number;
    uint32_t accepted, arrived;
    int handover;
    const char *failed;
};

/* The peer's side of a connection. */
struct conn {
    uint32_t sent, received, length;
    uint16_t port;
    bool reading;
    int qd;
};

static const char *policy, *server_interface, *peer_interface;
static uint32_t transfers = TRANSFERS;
static struct server servers[SERVERS];
static uint32_t positions[65536]; /* next byte that the owning thread expects, by the peer's port */
static atomic_bool stop;
static atomic_uint joined, handed;
static sem_t ready;

static uint8_t byte_at(uint16_t port, uint32_t position) {
    return (uint8_t)((position + port) * 2654435761u >> 24);
}

static uint32_t below(uint64_t *random, uint32_t n) {
    *random = *random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((*random >> 33) % n);
}

static int start(bool server) {
    char device[160], waits[64], queues[32], address[64];
    if (server_interface)
        snprintf(device, sizeof device, "inet.device_options=name=%s", server ? server_interface : peer_interface);
    else
        snprintf(device, sizeof device, "inet.device_options=path=/tmp/dmtr-inet.%d,listen=%s", wire_owner(),
                 server ? "yes" : "no");
    snprintf(waits, sizeof waits, "wait.policy=%s", policy);
    snprintf(queues, sizeof queues, "inet.queues=%u", server ? SERVERS : 1);
    snprintf(address, sizeof address, "inet.address=%s/24", server ? OUR_ADDRESS : PEER_ADDRESS);
    return start_with_options((const char *const[]){"libos=inet",
                                                    server_interface ? "inet.device=packet" : "inet.device=shm",
                                                    "log.sink=none", device, address, waits, queues, NULL});
}

static void serve_accept(struct server *s, const dmtr_qresult_t *qr) {
    dmtr_qtoken_t qt;
    PEER_CHECK(s, qr->qr_error == 0);
    PEER_CHECK(s, dmtr_accept(&qt, qr->qr_qd) == 0);
    uint16_t port = ntohs(((const struct sockaddr_in *)&qr->qr_value.ares.addr)->sin_port);
    if (qr->qr_qd == s->handover) {
        s->arrived++;
    } else {
        s->accepted++;
        positions[port] = 0;
    }
    PEER_CHECK(s, dmtr_pop(&qt, qr->qr_value.ares.qd) == 0);
}

static uint16_t peer_port(int qd) {
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    return dmtr_getpeername(qd, (struct sockaddr *)&a, &len) ? 0 : ntohs(a.sin_port);
}

static void serve_pop(struct server *s, dmtr_qresult_t *qr) {
    dmtr_qtoken_t qt;
    dmtr_sgarray_t *sga = &qr->qr_value.sga;
    PEER_CHECK(s, qr->qr_error == 0); /* no connection is reset */
    if (sga->sga_numsegs == 0) {
        PEER_CHECK(s, dmtr_close(qr->qr_qd) == 0);
        return;
    }
    uint16_t port = peer_port(qr->qr_qd);
    const uint8_t *p = sga->sga_segs[0].sgaseg_buf;
    for (uint32_t i = 0; i < sga->sga_segs[0].sgaseg_len; i++)
        PEER_CHECK(s, p[i] == byte_at(port, positions[port] + i));
    positions[port] += sga->sga_segs[0].sgaseg_len;
    PEER_CHECK(s, dmtr_push(&qt, qr->qr_qd, sga) == 0);
    PEER_CHECK(s, dmtr_sgafree(sga) == 0);
}

/* The echo is pushed. Pops again, or transfers the connection to another thread. */
static void serve_pushed(struct server *s, const dmtr_qresult_t *qr) {
    dmtr_qtoken_t qt;
    PEER_CHECK(s, qr->qr_error == 0);
    uint32_t to = below(&s->random, joined);
    if (to != s->number && below(&s->random, 4) > 0) {
        int r = dmtr_transfer(qr->qr_qd, servers[to].runtime);
        handed += r == 0;
        if (r == 0) return;
        PEER_CHECK(s, r == EAGAIN);
    }
    PEER_CHECK(s, dmtr_pop(&qt, qr->qr_qd) == 0);
}

static void serve(struct server *s) {
    struct sockaddr_in a = address_of(OUR_ADDRESS, PORT);
    dmtr_qtoken_t qt;
    int listener;
    PEER_CHECK(s, dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0) == 0);
    PEER_CHECK(s, dmtr_handover(&s->handover) == 0);
    PEER_CHECK(s, dmtr_bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && dmtr_listen(listener, 64) == 0);
    PEER_CHECK(s, dmtr_accept(&qt, listener) == 0 && dmtr_accept(&qt, s->handover) == 0);
    joined = s->number + 1;
    sem_post(&ready);
    while (!stop && !s->failed) {
        dmtr_qresult_t qr;
        int got, r = dmtr_wait_next_n(&qr, 1, &got, HANG);
        if (r == EINTR) continue;
        PEER_CHECK(s, r == 0);
        if (qr.qr_opcode == DMTR_OPC_ACCEPT) serve_accept(s, &qr);
        if (qr.qr_opcode == DMTR_OPC_POP) serve_pop(s, &qr);
        if (qr.qr_opcode == DMTR_OPC_PUSH) serve_pushed(s, &qr);
    }
}

static void *server_main(void *arg) {
    struct server *s = arg;
    if (start(true) || dmtr_runtime_current(&s->runtime))
        s->failed = "no runtime";
    else
        serve(s);
    if (s->failed) sem_post(&ready);
    if (dmtr_fini() && !s->failed) s->failed = "fini";
    return NULL;
}

static void server_start(uint32_t i) {
    servers[i] = (struct server){.number = i, .random = i};
    assert_int_equal(pthread_create(&servers[i].thread, NULL, server_main, &servers[i]), 0);
    sem_wait(&ready);
    if (servers[i].failed) fail_msg("server %u: %s", i, servers[i].failed);
}

static void check_servers(uint32_t started) {
    for (uint32_t i = 0; i < started; i++)
        if (servers[i].failed) fail_msg("server %u after %u transfers: %s", i, (unsigned)handed, servers[i].failed);
}

static void stop_servers(void) {
    stop = true;
    for (uint32_t i = 0; i < SERVERS; i++) {
        dmtr_wake(servers[i].runtime);
        pthread_join(servers[i].thread, NULL);
    }
    check_servers(SERVERS);
}

static void conn_send(struct conn *c, uint64_t *random) {
    while (c->sent < c->length && c->sent - c->received < OUTSTANDING) {
        uint32_t n = 1 + below(random, MESSAGE_MAX);
        if (n > c->length - c->sent) n = c->length - c->sent;
        dmtr_sgarray_t sga = dmtr_sgaalloc(n);
        dmtr_qtoken_t qt;
        assert_int_equal(sga.sga_numsegs, 1);
        for (uint32_t i = 0; i < n; i++)
            ((uint8_t *)sga.sga_segs[0].sgaseg_buf)[i] = byte_at(c->port, c->sent + i);
        assert_ok(dmtr_push(&qt, c->qd, &sga));
        assert_ok(dmtr_sgafree(&sga));
        c->sent += n;
        if (c->sent == c->length)
            assert_ok(dmtr_shutdown(c->qd, SHUT_WR)); /* so that connections are transferred while they close */
    }
}

static void conn_open(struct conn *c, uint64_t *random) {
    struct sockaddr_in to = address_of(OUR_ADDRESS, PORT), own;
    socklen_t len = sizeof own;
    dmtr_qtoken_t qt;
    *c = (struct conn){.length = 1 + below(random, LENGTH_MAX * (1 + transfers / 100000))};
    assert_ok(dmtr_socket(&c->qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_connect(&qt, c->qd, (struct sockaddr *)&to, sizeof to));
    assert_ok(dmtr_getsockname(c->qd, (struct sockaddr *)&own, &len));
    c->port = ntohs(own.sin_port);
}

static struct conn *conn_of(struct conn *conns, int qd) {
    for (uint32_t i = 0; i < CONNECTIONS; i++)
        if (conns[i].qd == qd) return &conns[i];
    fail_msg("the result belongs to no connection");
    return NULL;
}

/* Checks and counts echoed bytes. Returns true at the end of the stream. */
static bool conn_pop(struct conn *c, dmtr_qresult_t *qr, uint64_t *random) {
    dmtr_qtoken_t qt;
    dmtr_sgarray_t *sga = &qr->qr_value.sga;
    if (qr->qr_error)
        fail_msg("after %u transfers a connection ended with %s, %u of %u bytes came back", (unsigned)handed,
                 strerror((int)qr->qr_error), c->received, c->length);
    if (sga->sga_numsegs == 0) {
        assert_int_equal(c->received, c->length);
        assert_ok(dmtr_close(c->qd));
        return true;
    }
    const uint8_t *p = sga->sga_segs[0].sgaseg_buf;
    for (uint32_t i = 0; i < sga->sga_segs[0].sgaseg_len; i++)
        if (p[i] != byte_at(c->port, c->received + i)) fail_msg("byte %u is wrong", c->received + i);
    c->received += sga->sga_segs[0].sgaseg_len;
    assert_ok(dmtr_sgafree(sga));
    conn_send(c, random);
    assert_ok(dmtr_pop(&qt, c->qd));
    return false;
}

/*
 * Sends on all connections until the servers have made enough transfers. Replaces each connection that has ended.
 * Returns the number of connections opened.
 */
static uint32_t send_all(void) {
    struct conn conns[CONNECTIONS];
    uint64_t random = 77;
    uint32_t started = EARLY, open = CONNECTIONS, opened = CONNECTIONS;
    for (uint32_t i = 0; i < CONNECTIONS; i++)
        conn_open(&conns[i], &random);
    while (open > 0) {
        dmtr_qresult_t qr;
        dmtr_qtoken_t qt;
        int got, r = dmtr_wait_next_n(&qr, 1, &got, HANG);
        check_servers(started);
        if (r == EINTR) continue;
        if (r) fail_msg("after %u transfers: %s", (unsigned)handed, strerror(r));
        struct conn *c = conn_of(conns, qr.qr_qd);
        if (qr.qr_opcode == DMTR_OPC_CONNECT) {
            if (qr.qr_error) fail_msg("after %u transfers: connect: %s", (unsigned)handed, strerror((int)qr.qr_error));
            conn_send(c, &random);
            assert_ok(dmtr_pop(&qt, c->qd));
        }
        if (qr.qr_opcode != DMTR_OPC_POP || !conn_pop(c, &qr, &random)) continue;
        c->qd = -1;
        if (started < SERVERS && handed >= transfers / 3) server_start(started++);
        if (handed < transfers) {
            conn_open(c, &random);
            opened++;
        } else {
            open--;
        }
    }
    return opened;
}

static void run_transfers(const char *with_policy) {
    policy = with_policy;
    stop = false;
    joined = 1;
    handed = 0;
    sem_init(&ready, 0, 0);
    for (uint32_t i = 0; i < EARLY; i++)
        server_start(i);
    assert_ok(start(false));
    uint32_t opened = send_all(), accepted = 0, arrived = 0;
    assert_ok(dmtr_fini());
    stop_servers();
    sem_destroy(&ready);
    for (uint32_t i = 0; i < SERVERS; i++) {
        accepted += servers[i].accepted;
        arrived += servers[i].arrived;
        assert_true(servers[i].arrived > 0);
    }
    assert_true(handed >= transfers);
    assert_int_equal(accepted, opened);
    assert_int_equal(arrived, handed);
    print_message("# %u transfers, %u connections\n", (unsigned)handed, opened);
}

static void no_connection_is_lost_with_polling_runtimes(void **state) {
    (void)state;
    run_transfers("adaptive");
}

static void no_connection_is_lost_with_blocking_runtimes(void **state) {
    (void)state;
    run_transfers("block");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_connection_is_lost_with_polling_runtimes),
        cmocka_unit_test(no_connection_is_lost_with_blocking_runtimes),
    };
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : TRANSFERS;
    if (count == 0 || count > TRANSFERS_MAX || argc == 3 || argc > 4) {
        fprintf(stderr, "transfers [COUNT [SERVER PEER]]\n");
        return 2;
    }
    transfers = (uint32_t)count;
    if (argc == 4) {
        server_interface = argv[2];
        peer_interface = argv[3];
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
