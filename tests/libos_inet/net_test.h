/* SPDX-License-Identifier: MIT */
/* Shared by the tests of libos inet: a runtime on one end of a shared-memory wire, and a peer on another thread. */
#ifndef TESTS_NET_TEST_H
#define TESTS_NET_TEST_H

#include "api_test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#define OUR_ADDRESS  "10.77.0.1"
#define PEER_ADDRESS "10.77.0.2"
#define PEER_SECOND  "10.77.0.3"
#define PEER_PORT    7

#define ARGS_MAX 24

/* Starts a runtime with these options, NULL last. */
static inline int start_with_options(const char *const *options) {
    char *argv[ARGS_MAX + 1];
    int argc = 0;
    argv[argc++] = (char *)"test";
    for (size_t i = 0; options[i]; i++) {
        argv[argc++] = (char *)"--dmtr-set";
        argv[argc++] = (char *)options[i];
    }
    argv[argc] = NULL;
    return dmtr_init(argc, argv);
}

#define WIRE_OWNER "WIRE_OWNER"

/*
 * The process id in the wire's path: that of the first caller. Forked children inherit it. Programs that the test
 * executes get it from the environment.
 */
static inline int wire_owner(void) {
    static int pid;
    const char *given = getenv(WIRE_OWNER);
    if (!pid) pid = given ? atoi(given) : (int)getpid();
    return pid;
}

/* Starts a runtime on one end of the wire. `extra`: device options that begin with a comma. */
static inline int start_end(bool listens, const char *address, const char *extra, const char *policy) {
    char device[160], own[64], waits[64];
    snprintf(device, sizeof device, "inet.device_options=path=/tmp/dmtr-inet.%d,listen=%s%s", wire_owner(),
             listens ? "yes" : "no", extra);
    snprintf(own, sizeof own, "inet.address=%s/24", address);
    snprintf(waits, sizeof waits, "wait.policy=%s", policy);
    return start_with_options(
        (const char *const[]){"libos=inet", "inet.device=shm", "log.sink=none", device, own, waits, NULL});
}

/* Starts a runtime that only talks to itself. */
static inline int start_alone(const char *device) {
    char kind[64], own[64];
    if (strcmp(device, "shm") == 0) return start_end(true, OUR_ADDRESS, "", "adaptive");
    snprintf(kind, sizeof kind, "inet.device=%s", device);
    snprintf(own, sizeof own, "inet.address=%s/24", OUR_ADDRESS);
    return start_with_options((const char *const[]){"libos=inet", "log.sink=none", kind, "inet.device_options=mtu=1500",
                                                    own, "wait.policy=adaptive", NULL});
}

static inline struct sockaddr_in address_of(const char *text, uint16_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, text, &a.sin_addr);
    return a;
}

static inline int datagram_socket(const char *address, uint16_t port, int receive_bytes) {
    struct sockaddr_in a = address_of(address, port);
    int qd;
    if (dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0)) return -1;
    if (dmtr_bind(qd, (struct sockaddr *)&a, sizeof a)) return -1;
    if (receive_bytes && dmtr_setsockopt(qd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes)) return -1;
    return qd;
}

#define ROOM (64 << 20)

/* A peer with its own thread and stack. It echoes every datagram until it receives "quit". */
struct peer {
    pthread_t thread;
    const char *policy; /* wait.policy */
    sem_t ready;        /* posted when the socket is open */
    uint32_t pause_at;  /* number of datagrams after which it waits for `go` */
    sem_t go;
    sem_t done; /* posted when the runtime has ended */
    uint32_t received;
    const char *failed; /* the failed check, or NULL */
};

#define PEER_CHECK(p, condition)                                                                                       \
    if (!(condition)) {                                                                                                \
        (p)->failed = #condition;                                                                                      \
        return;                                                                                                        \
    }

static inline void peer_echo(struct peer *p, int qd) {
    for (;;) {
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        if (p->received == p->pause_at) sem_wait(&p->go);
        PEER_CHECK(p, dmtr_pop(&qt, qd) == 0);
        PEER_CHECK(p, dmtr_wait_timed(&qr, qt, HANG) == 0);
        dmtr_sgarray_t *sga = &qr.qr_value.sga;
        struct sockaddr_in from = sga->sga_addr;
        bool quit = sga->sga_segs[0].sgaseg_len == 4 && memcmp(sga->sga_segs[0].sgaseg_buf, "quit", 4) == 0;
        p->received += !quit;
        if (!quit) {
            PEER_CHECK(p, dmtr_pushto(&qt, qd, sga, (struct sockaddr *)&from, sizeof from) == 0);
            PEER_CHECK(p, dmtr_sgafree(sga) == 0);
            PEER_CHECK(p, dmtr_wait_timed(&qr, qt, HANG) == 0);
            continue;
        }
        PEER_CHECK(p, dmtr_sgafree(sga) == 0);
        return;
    }
}

static inline void peer_run(struct peer *p) {
    int qd = datagram_socket("0.0.0.0", PEER_PORT, ROOM);
    if (qd < 0) p->failed = "no socket";
    sem_post(&p->ready);
    if (qd >= 0) peer_echo(p, qd);
}

static inline void *peer_main(void *arg) {
    struct peer *p = arg;
    if (start_end(false, PEER_ADDRESS "/24," PEER_SECOND, "", p->policy)) {
        p->failed = "no runtime";
        sem_post(&p->ready);
        sem_post(&p->done);
        return NULL;
    }
    peer_run(p);
    if (dmtr_fini() && !p->failed) p->failed = "fini";
    sem_post(&p->done);
    return NULL;
}

#define NO_PAUSE UINT32_MAX

/* The listening end must be open. Returns when the peer's socket is open. */
static inline void peer_start(struct peer *p, const char *policy, uint32_t pause_at) {
    *p = (struct peer){.policy = policy, .pause_at = pause_at};
    sem_init(&p->ready, 0, 0);
    sem_init(&p->go, 0, 0);
    sem_init(&p->done, 0, 0);
    assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
    sem_wait(&p->ready);
}

/* Polls our runtime until the peer has ended. */
static inline void peer_join(struct peer *p) {
    while (sem_trywait(&p->done)) {
        dmtr_qtoken_t qt;
        assert_ok(dmtr_timer(&qt, MS));
        expect_wait_error(qt, 0);
    }
    pthread_join(p->thread, NULL);
    sem_destroy(&p->ready);
    sem_destroy(&p->go);
    sem_destroy(&p->done);
    if (p->failed) fail_msg("the peer: %s", p->failed);
}

static inline dmtr_qtoken_t push_to(int qd, const void *data, size_t len, const struct sockaddr_in *to) {
    dmtr_sgarray_t sga = dmtr_sgaalloc(len);
    dmtr_qtoken_t qt;
    assert_int_equal(sga.sga_numsegs, 1);
    memcpy(sga.sga_segs[0].sgaseg_buf, data, len);
    assert_ok(dmtr_pushto(&qt, qd, &sga, (const struct sockaddr *)to, sizeof *to));
    assert_ok(dmtr_sgafree(&sga));
    return qt;
}

static inline void push_text_to(int qd, const char *text, const struct sockaddr_in *to) {
    expect_wait_error(push_to(qd, text, strlen(text), to), 0);
}

static inline void connect_wait(int qd, const struct sockaddr_in *to) {
    dmtr_qtoken_t qt;
    assert_ok(dmtr_connect(&qt, qd, (const struct sockaddr *)to, sizeof *to));
    expect_wait_error(qt, 0);
}

#endif
