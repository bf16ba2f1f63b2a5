/* SPDX-License-Identifier: MIT */
/*
 * Programs in Demikernel's manner, one for each name below: a server, and clients in processes of their own, over the
 * network that LIBOS and the options of the environment give. A program ends with 0, or says what went wrong.
 */
#include <demi/libos.h>
#include <demi/sga.h>
#include <demi/wait.h>
#include <dmtr/libos.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES   4096u
#define ROUNDS  256u
#define CLIENTS 4u
#define SOCKETS 8u

static const struct timespec hang = {.tv_sec = 60}; /* nothing takes that long */
static const struct timespec at_once = {0};
static struct sockaddr_in server_address;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static demi_qresult_t result_of(demi_qtoken_t qt) {
    demi_qresult_t qr;
    CHECK(demi_wait(&qr, qt, &hang) == 0);
    return qr;
}

static void expect(demi_qtoken_t qt, demi_opcode_t opcode) {
    demi_qresult_t qr = result_of(qt);
    if (qr.qr_opcode != opcode) fprintf(stderr, "opcode %d, error %lld\n", (int)qr.qr_opcode, (long long)qr.qr_ret);
    CHECK(qr.qr_opcode == opcode);
}

static void expect_cancelled(demi_qtoken_t qt) {
    demi_qresult_t qr = result_of(qt);
    CHECK(qr.qr_opcode == DEMI_OPC_FAILED && qr.qr_ret == ECANCELED);
}

static demi_qtoken_t push(int qd, size_t len, int byte) {
    demi_sgarray_t sga = demi_sgaalloc(len);
    demi_qtoken_t qt;
    CHECK(sga.sga_numsegs == 1);
    memset(sga.sga_segs[0].sgaseg_buf, byte, len);
    CHECK(demi_push(&qt, qd, &sga) == 0);
    CHECK(demi_sgafree(&sga) == 0);
    return qt;
}

static demi_qtoken_t pop(int qd) {
    demi_qtoken_t qt;
    CHECK(demi_pop(&qt, qd) == 0);
    return qt;
}

/* What a pop brought, each byte of it this one; 0 at the end of the stream. */
static size_t popped(demi_qresult_t *qr, int byte) {
    CHECK(qr->qr_opcode == DEMI_OPC_POP);
    const unsigned char *at = qr->qr_value.sga.sga_segs[0].sgaseg_buf;
    size_t len = qr->qr_value.sga.sga_segs[0].sgaseg_len;
    for (size_t i = 0; i < len; i++)
        CHECK(at[i] == byte);
    CHECK(demi_sgafree(&qr->qr_value.sga) == 0);
    return len;
}

static void pop_whole(int qd, size_t len, int byte) {
    for (size_t got = 0; got < len;) {
        demi_qresult_t qr = result_of(pop(qd));
        size_t n = popped(&qr, byte);
        CHECK(n > 0 && n <= len - got);
        got += n;
    }
}

static void expect_end(int qd) {
    demi_qresult_t qr = result_of(pop(qd));
    CHECK(popped(&qr, 0) == 0);
}

static int listener(void) {
    int qd;
    CHECK(demi_socket(&qd, AF_INET, SOCK_STREAM, 0) == 0);
    CHECK(demi_bind(qd, (struct sockaddr *)&server_address, sizeof server_address) == 0);
    CHECK(demi_listen(qd, 16) == 0);
    return qd;
}

static void ready(void) {
    printf("ready\n");
    fflush(stdout);
}

static int accepted(int qd) {
    demi_qtoken_t qt;
    CHECK(demi_accept(&qt, qd) == 0);
    demi_qresult_t qr = result_of(qt);
    CHECK(qr.qr_opcode == DEMI_OPC_ACCEPT);
    return qr.qr_value.ares.qd;
}

static demi_qtoken_t connect_begin(int *qd) {
    demi_qtoken_t qt;
    CHECK(demi_socket(qd, AF_INET, SOCK_STREAM, 0) == 0);
    CHECK(demi_connect(&qt, *qd, (struct sockaddr *)&server_address, sizeof server_address) == 0);
    return qt;
}

static int connected(void) {
    int qd;
    expect(connect_begin(&qd), DEMI_OPC_CONNECT);
    return qd;
}

/* Pushes go one way, and are under way when the client closes; all of them arrive, then the end. */
static void push_pop_server(void) {
    int l = listener();
    ready();
    int qd = accepted(l);
    pop_whole(qd, (size_t)BYTES * ROUNDS, 'p');
    expect_end(qd);
    CHECK(demi_close(qd) == 0 && demi_close(l) == 0);
}

static void push_pop_client(void) {
    int qd = connected();
    demi_qtoken_t last = 0;
    for (unsigned i = 0; i < ROUNDS; i++)
        last = push(qd, BYTES, 'p');
    CHECK(demi_close(qd) == 0);
    demi_qresult_t qr; /* delivered, or ended by the close: but it ends */
    CHECK(demi_wait(&qr, last, &hang) == 0);
}

static void ping_pong_server(void) {
    int l = listener();
    ready();
    int qd = accepted(l);
    for (unsigned i = 0; i < ROUNDS; i++) {
        pop_whole(qd, i % 64 + 1, 'c');
        expect(push(qd, i % 64 + 1, 's'), DEMI_OPC_PUSH);
    }
    expect_end(qd);
    CHECK(demi_close(qd) == 0);
}

static void ping_pong_client(void) {
    int qd = connected();
    for (unsigned i = 0; i < ROUNDS; i++) {
        expect(push(qd, i % 64 + 1, 'c'), DEMI_OPC_PUSH);
        pop_whole(qd, i % 64 + 1, 's');
    }
    CHECK(demi_close(qd) == 0);
}

/* One wait for the operations of all: an accept, and for each client a pop or a push. */
struct echo {
    demi_qtoken_t qts[CLIENTS + 1];
    int count, ended;
    unsigned accepts;
};

static void echo_end(struct echo *e, int i, int qd) {
    CHECK(demi_close(qd) == 0);
    e->qts[i] = e->qts[--e->count];
    e->ended++;
}

static void echo_step(struct echo *e, int l) {
    demi_qresult_t qr;
    int i;
    CHECK(demi_wait_any(&qr, &i, e->qts, e->count, &hang) == 0);
    if (qr.qr_opcode == DEMI_OPC_ACCEPT) {
        e->qts[i] = pop(qr.qr_value.ares.qd);
        if (++e->accepts < CLIENTS) CHECK(demi_accept(&e->qts[e->count++], l) == 0);
    } else if (qr.qr_opcode == DEMI_OPC_PUSH) {
        e->qts[i] = pop(qr.qr_qd);
    } else {
        size_t len = popped(&qr, 'e');
        if (len > 0)
            e->qts[i] = push(qr.qr_qd, len, 'e');
        else
            echo_end(e, i, qr.qr_qd);
    }
}

static void echo_server(void) {
    struct echo e = {.count = 1};
    int l = listener();
    CHECK(demi_accept(&e.qts[0], l) == 0);
    ready();
    while (e.ended < (int)CLIENTS)
        echo_step(&e, l);
}

static void echo_client(void) {
    int qds[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++)
        qds[i] = connected();
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < CLIENTS; i++) {
            expect(push(qds[i], 64, 'e'), DEMI_OPC_PUSH);
            pop_whole(qds[i], 64, 'e');
        }
    for (unsigned i = 0; i < CLIENTS; i++)
        CHECK(demi_close(qds[i]) == 0);
}

/* Sockets are closed in every state, with their tokens outstanding: fresh, bound, listening, accepting, connected. */
static void close_server(void) {
    struct sockaddr_in other = server_address;
    demi_qtoken_t accept;
    int l = listener(), fresh, bound;
    other.sin_port = 0;
    CHECK(demi_socket(&fresh, AF_INET, SOCK_STREAM, 0) == 0 && demi_close(fresh) == 0);
    CHECK(demi_close(fresh) == EBADF);
    CHECK(demi_socket(&bound, AF_INET, SOCK_STREAM, 0) == 0);
    CHECK(demi_bind(bound, (struct sockaddr *)&other, sizeof other) == 0 && demi_close(bound) == 0);
    CHECK(demi_accept(&accept, l) == 0);
    CHECK(demi_close(l) == 0);
    expect_cancelled(accept);
    l = listener();
    ready();
    for (unsigned i = 0; i < SOCKETS; i++) {
        int qd = accepted(l);
        expect_end(qd);
        CHECK(demi_close(qd) == 0);
    }
}

static void close_client(void) {
    demi_qtoken_t qt;
    demi_qresult_t qr;
    int qd;
    for (unsigned i = 0; i < SOCKETS; i++) {
        qd = connected();
        qt = pop(qd);
        CHECK(demi_close(qd) == 0);
        expect_cancelled(qt);
        CHECK(demi_pop(&qt, qd) == EBADF);
    }
    qt = connect_begin(&qd); /* closed while it connects */
    CHECK(demi_close(qd) == 0);
    CHECK(demi_wait(&qr, qt, &hang) == 0);
    CHECK(qr.qr_opcode == DEMI_OPC_CONNECT || qr.qr_ret == ECANCELED);
}

/* Waits that time out leave their tokens, which complete later. */
static void wait_server(void) {
    int l = listener();
    ready();
    int qd = accepted(l);
    demi_qtoken_t qts[] = {pop(qd)};
    demi_qresult_t qr;
    const struct timespec moment = {.tv_nsec = 1000000};
    int i;
    CHECK(demi_wait(&qr, qts[0], &at_once) == ETIMEDOUT);
    CHECK(demi_wait_any(&qr, &i, qts, 1, &moment) == ETIMEDOUT);
    CHECK(demi_wait_next_n(&qr, 1, &i, &moment) == ETIMEDOUT && i == 0);
    expect(push(qd, 1, 's'), DEMI_OPC_PUSH); /* now the client speaks */
    qr = result_of(qts[0]);
    CHECK(popped(&qr, 'c') == 1);
    expect_end(qd);
}

static void wait_client(void) {
    int qd = connected();
    pop_whole(qd, 1, 's');
    expect(push(qd, 1, 'c'), DEMI_OPC_PUSH);
    CHECK(demi_close(qd) == 0);
}

/* The server closes first, and listens at the same address again at once. It closes the listener before the connection:
 * otherwise the client's next connection could enter the backlog of the old listener. */
static void restart_server(void) {
    for (int round = 0; round < 2; round++) {
        int l = listener();
        if (round == 0) ready();
        int qd = accepted(l);
        CHECK(demi_close(l) == 0 && demi_close(qd) == 0);
    }
}

static void restart_client(void) {
    demi_qresult_t qr = {.qr_opcode = DEMI_OPC_FAILED};
    int qd = connected();
    expect_end(qd);
    CHECK(demi_close(qd) == 0);
    for (time_t end = time(NULL) + hang.tv_sec; qr.qr_opcode == DEMI_OPC_FAILED;) {
        CHECK(time(NULL) <= end); /* until the server listens again */
        qr = result_of(connect_begin(&qd));
        if (qr.qr_opcode == DEMI_OPC_FAILED) CHECK(qr.qr_ret == ECONNREFUSED && demi_close(qd) == 0);
    }
    qr = result_of(pop(qd));
    CHECK(qr.qr_opcode == DEMI_OPC_POP || qr.qr_ret == ECONNRESET);
}

static int datagram_socket(void) {
    int qd;
    CHECK(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0) == 0);
    return qd;
}

static demi_qtoken_t push_to(int qd, const struct sockaddr_in *to, size_t len, int byte) {
    demi_sgarray_t sga = demi_sgaalloc(len);
    demi_qtoken_t qt;
    CHECK(sga.sga_numsegs == 1);
    memset(sga.sga_segs[0].sgaseg_buf, byte, len);
    CHECK(demi_pushto(&qt, qd, &sga, (const struct sockaddr *)to, sizeof *to) == 0);
    CHECK(demi_sgafree(&sga) == 0);
    return qt;
}

/* Datagrams go back to whoever sent them. */
static void udp_server(void) {
    int qd = datagram_socket();
    CHECK(demi_bind(qd, (struct sockaddr *)&server_address, sizeof server_address) == 0);
    ready();
    for (unsigned i = 0; i < ROUNDS; i++) {
        demi_qresult_t qr = result_of(pop(qd));
        struct sockaddr_in from = qr.qr_value.sga.sga_addr;
        CHECK(popped(&qr, 'd') == i % 64 + 1);
        expect(push_to(qd, &from, i % 64 + 1, 'a'), DEMI_OPC_PUSH);
    }
}

static void udp_client(void) {
    int qd = datagram_socket();
    for (unsigned i = 0; i < ROUNDS; i++) {
        expect(push_to(qd, &server_address, i % 64 + 1, 'd'), DEMI_OPC_PUSH);
        demi_qresult_t qr = result_of(pop(qd));
        CHECK(popped(&qr, 'a') == i % 64 + 1);
    }
}

/* One process: pushes to one of its own sockets complete at once, and the other socket receives all the same. */
static void udp_loop(void) {
    struct sockaddr_in from = server_address;
    demi_qtoken_t qts[2];
    unsigned received = 0;
    int sender, receiver;
    from.sin_port = 0;
    CHECK(demi_socket(&receiver, AF_INET, SOCK_DGRAM, 0) == 0 && demi_socket(&sender, AF_INET, SOCK_DGRAM, 0) == 0);
    CHECK(demi_bind(receiver, (struct sockaddr *)&server_address, sizeof server_address) == 0);
    CHECK(demi_bind(sender, (struct sockaddr *)&from, sizeof from) == 0);
    ready();
    demi_sgarray_t sga = demi_sgaalloc(64);
    CHECK(sga.sga_numsegs == 1);
    memset(sga.sga_segs[0].sgaseg_buf, 'u', 64);
    qts[0] = pop(receiver);
    CHECK(demi_pushto(&qts[1], sender, &sga, (struct sockaddr *)&server_address, sizeof server_address) == 0);
    for (unsigned steps = 0; received < 16; steps++) {
        demi_qresult_t qr;
        int i;
        CHECK(steps < 1000000);
        CHECK(demi_wait_any(&qr, &i, qts, 2, &hang) == 0);
        if (i == 0) {
            CHECK(popped(&qr, 'u') == 64);
            received++;
            qts[0] = pop(receiver);
        } else {
            CHECK(qr.qr_opcode == DEMI_OPC_PUSH);
            CHECK(demi_pushto(&qts[1], sender, &sga, (struct sockaddr *)&server_address, sizeof server_address) == 0);
        }
    }
}

/* Threads with a runtime each listen at one address, and serve connections until there were enough of all. */
static atomic_uint listening, served;

static void *serve_on_thread(void *arg) {
    const struct timespec moment = {.tv_nsec = 10000000};
    const unsigned *threads = arg;
    demi_qtoken_t accept;
    demi_qresult_t qr;
    CHECK(demi_init(NULL) == 0);
    int l = listener();
    CHECK(demi_accept(&accept, l) == 0);
    if (atomic_fetch_add(&listening, 1) + 1 == *threads) ready();
    while (atomic_load(&served) < SOCKETS * SOCKETS) {
        int r = demi_wait(&qr, accept, &moment);
        if (r == ETIMEDOUT) continue;
        CHECK(r == 0 && qr.qr_opcode == DEMI_OPC_ACCEPT);
        int qd = qr.qr_value.ares.qd;
        pop_whole(qd, 1, 't');
        expect(push(qd, 1, 'T'), DEMI_OPC_PUSH);
        expect_end(qd);
        CHECK(demi_close(qd) == 0);
        atomic_fetch_add(&served, 1);
        CHECK(demi_accept(&accept, l) == 0);
    }
    CHECK(dmtr_fini() == 0);
    return NULL;
}

static void threads_server(void) {
    static const unsigned threads = 3;
    pthread_t thread[3];
    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_create(&thread[i], NULL, serve_on_thread, (void *)(uintptr_t)&threads) == 0);
    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

static void threads_client(void) {
    for (unsigned i = 0; i < SOCKETS * SOCKETS; i++) {
        int qd = connected();
        expect(push(qd, 1, 't'), DEMI_OPC_PUSH);
        pop_whole(qd, 1, 'T');
        CHECK(demi_close(qd) == 0);
    }
}

static const struct program {
    const char *name;
    void (*server)(void), (*client)(void);
} programs[] = {
    {"tcp-push-pop", push_pop_server, push_pop_client},
    {"tcp-ping-pong", ping_pong_server, ping_pong_client},
    {"tcp-echo", echo_server, echo_client},
    {"tcp-close", close_server, close_client},
    {"tcp-wait", wait_server, wait_client},
    {"tcp-restart", restart_server, restart_client},
    {"udp-ping-pong", udp_server, udp_client},
    {"tcp-threads", threads_server, threads_client},
    {"udp-loop", udp_loop, NULL},
};

int main(int argc, char *argv[]) {
    const struct program *p = NULL;
    for (size_t i = 0; argc == 5 && i < sizeof programs / sizeof *programs; i++)
        if (strcmp(argv[1], programs[i].name) == 0) p = &programs[i];
    if (!p || inet_pton(AF_INET, argv[3], &server_address.sin_addr) != 1) {
        fprintf(stderr, "usage: %s PROGRAM server|client ADDRESS PORT\n", argv[0]);
        return 2;
    }
    server_address.sin_family = AF_INET;
    server_address.sin_port = htons((uint16_t)atoi(argv[4]));
    CHECK(demi_init(&(const struct demi_args){.argc = argc, .argv = argv}) == 0);
    if (strcmp(argv[2], "server") == 0)
        p->server();
    else
        p->client();
    return 0; /* the library delivers what is under way */
}
