/* SPDX-License-Identifier: MIT */
/*
 * runtimes: the cost of an echo for the runtime that serves it, as one of several on a device. Client and server take
 * turns, so that the instructions that callgrind counts inside `server_turn` repeat. The component is runtimes-N, with
 * N runtimes.
 */
#include "counted.h"
#include "options.h"

#include <arpa/inet.h>
#include <dmtr/dmtr.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNTIMES_MAX  64u
#define PORT          7
#define TURNS_MAX     1000000u /* limit on turns until an answer */
#define MESSAGE_BYTES 64u

static const char *component = "runtimes-1";
static uint64_t iterations = 1000;
static unsigned runtimes;

static const struct option_spec specs[] = {{"component", OPTION_STRING, &component, "NAME", "runtimes-N", 0, 0},
                                           {"iterations", OPTION_UINT, &iterations, "N", "echoes", 1, 1ull << 40},
                                           {0}};

static sem_t go, done, stop; /* the server's turn begins; it has ended; all threads end */
static atomic_bool stopped;

static void give_up(const char *what, int error) {
    fprintf(stderr, "runtimes: %s: %s\n", what, strerror(error));
    exit(1);
}

static void expect(const char *what, int error) {
    if (error) give_up(what, error);
}

static void start(unsigned end) {
    char options[7][96] = {"libos=inet", "inet.device=shm", "wait.policy=spin", "stats.share=no"};
    char *argv[15] = {(char *)"runtimes"};
    snprintf(options[4], sizeof options[4], "inet.address=10.0.0.%u/24", end + 1);
    snprintf(options[5], sizeof options[5], "inet.device_options=path=/tmp/dmtr-runtimes.%d,listen=%s", (int)getpid(),
             end ? "no" : "yes");
    snprintf(options[6], sizeof options[6], "inet.queues=%u", end ? 1 : runtimes);
    for (int i = 0; i < 7; i++) {
        argv[1 + 2 * i] = (char *)"--dmtr-set";
        argv[2 + 2 * i] = options[i];
    }
    expect("init", dmtr_init(15, argv));
}

static struct sockaddr_in server_address(void) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = inet_addr("10.0.0.1")};
}

/* Handles all results that are ready. */
static COUNTED void server_turn(void) {
    dmtr_qresult_t qr;
    dmtr_qtoken_t qt;
    int got;
    while (dmtr_wait_next_n(&qr, 1, &got, 0) == 0) {
        dmtr_sgarray_t *sga = &qr.qr_value.sga;
        if (qr.qr_opcode == DMTR_OPC_ACCEPT) expect("pop", dmtr_pop(&qt, qr.qr_value.ares.qd));
        if (qr.qr_opcode != DMTR_OPC_POP || qr.qr_error) continue;
        expect("push", dmtr_push(&qt, qr.qr_qd, sga));
        expect("free", dmtr_sgafree(sga));
        expect("pop", dmtr_pop(&qt, qr.qr_qd));
    }
}

/* The first runtime serves; the others only exist. */
static void *server(void *arg) {
    bool serves = arg == NULL;
    struct sockaddr_in address = server_address();
    dmtr_qtoken_t qt;
    int qd;
    start(0);
    if (serves) {
        expect("socket", dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
        expect("bind", dmtr_bind(qd, (struct sockaddr *)&address, sizeof address));
        expect("listen", dmtr_listen(qd, 1));
        expect("accept", dmtr_accept(&qt, qd));
    }
    sem_post(&done);
    for (sem_wait(serves ? &go : &stop); !stopped; sem_wait(&go)) {
        server_turn();
        sem_post(&done);
    }
    dmtr_fini();
    return NULL;
}

static void turn(void) {
    sem_post(&go);
    sem_wait(&done);
}

static dmtr_qresult_t finish(dmtr_qtoken_t qt) {
    dmtr_qresult_t qr;
    for (uint32_t i = 0; i < TURNS_MAX; i++) {
        int r = dmtr_wait_timed(&qr, qt, 0);
        if (r != ETIMEDOUT) {
            expect("wait", r);
            return qr;
        }
        turn();
    }
    give_up("no answer", ETIMEDOUT);
    abort();
}

static void echo(int qd) {
    dmtr_sgarray_t sga = dmtr_sgaalloc(MESSAGE_BYTES);
    dmtr_qtoken_t push, pop;
    if (sga.sga_numsegs == 0) give_up("memory", ENOMEM);
    memset(sga.sga_segs[0].sgaseg_buf, 'x', MESSAGE_BYTES);
    expect("push", dmtr_push(&push, qd, &sga));
    expect("free", dmtr_sgafree(&sga));
    finish(push);
    expect("pop", dmtr_pop(&pop, qd));
    dmtr_qresult_t qr = finish(pop);
    expect("free", dmtr_sgafree(&qr.qr_value.sga));
}

int main(int argc, char *argv[]) {
    enum options_result o =
        options_parse(argc, argv, "Measures echoes beside other runtimes on a device.", specs, NULL);
    struct sockaddr_in address = server_address();
    pthread_t threads[RUNTIMES_MAX];
    dmtr_qtoken_t qt;
    char rest;
    int qd;
    if (o != OPTIONS_RUN) return (int)o;
    if (sscanf(component, "runtimes-%u%c", &runtimes, &rest) != 1 || runtimes == 0 || runtimes > RUNTIMES_MAX)
        return EXIT_USAGE;
    sem_init(&go, 0, 0);
    sem_init(&done, 0, 0);
    sem_init(&stop, 0, 0);
    for (unsigned i = 0; i < runtimes; i++) {
        expect("thread", pthread_create(&threads[i], NULL, server, i ? &threads[i] : NULL));
        sem_wait(&done);
    }
    start(1);
    expect("socket", dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    expect("connect", dmtr_connect(&qt, qd, (struct sockaddr *)&address, sizeof address));
    finish(qt);
    for (uint64_t i = 0; i < iterations; i++)
        echo(qd);
    stopped = true;
    dmtr_fini();
    sem_post(&go);
    for (unsigned i = 1; i < runtimes; i++)
        sem_post(&stop);
    for (unsigned i = 0; i < runtimes; i++)
        pthread_join(threads[i], NULL);
    printf("{\"program\":\"runtimes\",\"component\":\"%s\"}\n", component);
    return 0;
}
