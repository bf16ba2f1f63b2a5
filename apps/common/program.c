/* SPDX-License-Identifier: MIT */
/* Shared by the programs over the library. */
#include "program.h"

#include <dmtr/dmtr.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static atomic_bool stopped;
static dmtr_runtime_t runtimes[PROGRAM_THREADS_MAX];
static atomic_uint runtime_count;

static void stop(int signal) {
    (void)signal;
    program_stop();
}

void program_stop(void) {
    stopped = true;
    for (unsigned i = 0; i < runtime_count; i++)
        dmtr_wake(runtimes[i]);
}

bool program_thread_start(int argc, char *argv[], uint64_t cpu) {
    dmtr_runtime_t runtime;
    int r;
    if (cpu_pin(cpu) != 0) return false;
    r = dmtr_init(argc, argv);
    if (r == 0) r = dmtr_runtime_current(&runtime);
    if (r == 0 && runtime_count == PROGRAM_THREADS_MAX) r = EMFILE;
    if (r != 0) {
        program_fail("cannot start the library", r);
        return false;
    }
    runtimes[runtime_count] = runtime;
    runtime_count++; /* program_stop wakes it from now on */
    return true;
}

bool program_start(int argc, char *argv[], uint64_t cpu) {
    struct sigaction action = {.sa_handler = stop};
    if (!program_thread_start(argc, argv, cpu)) return false;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return true;
}

static unsigned own_place(void) {
    dmtr_runtime_t runtime;
    unsigned place = 0;
    if (dmtr_runtime_current(&runtime) != 0) return 0;
    while (place < runtime_count && runtimes[place] != runtime)
        place++;
    return place;
}

bool program_restart(int argc, char *argv[], uint64_t seconds) {
    const struct timespec pause = {.tv_sec = (time_t)seconds};
    unsigned place = own_place();
    dmtr_fini();
    while (!stopped) {
        nanosleep(&pause, NULL); /* a signal ends it early */
        if (stopped || dmtr_init(argc, argv) != 0) continue;
        return dmtr_runtime_current(&runtimes[place]) == 0;
    }
    return false;
}

bool program_stopped(void) {
    return stopped;
}

int program_fail(const char *what, int error) {
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(error));
    return -1;
}

/* Remedies for errors of an address; ends with error 0. */
static const struct {
    int error;
    const char *advice;
} advices[] = {
    {EADDRINUSE, "another program uses this port; choose another with --port"},
    {EADDRNOTAVAIL, "the network does not have this address; choose one of its own with --address"},
    {EACCES, "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one with --port"},
    {ECONNREFUSED, "nothing listens there; start the server, or choose its --address and --port"},
    {ENETUNREACH, "the network has no route there; check --address"},
    {EHOSTUNREACH, "the host does not answer; check --address"},
    {ETIMEDOUT, "nothing answers there; check --address and --port"},
    {0, NULL},
};

int program_fail_address(const struct address *a, int error) {
    char text[ADDRESS_TEXT];
    size_t i = 0;
    while (advices[i].error && advices[i].error != error)
        i++;
    fprintf(stderr, "%s: %s: %s%s%s\n", program_invocation_short_name, address_format(&a->sa, text), strerror(error),
            advices[i].error ? "; " : "", advices[i].error ? advices[i].advice : "");
    return -1;
}

/* The source address of broadcasts: connecting a datagram socket sends nothing, but sets its local address. */
static struct in_addr first_address(const char *network) {
    struct sockaddr_in all = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_BROADCAST), .sin_port = htons(9)};
    struct sockaddr_in own = {.sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t len = sizeof own;
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int qd;
    if (program_socket(&qd, network, AF_INET, SOCK_DGRAM) != 0) return own.sin_addr;
    if (dmtr_connect(&qt, qd, (const struct sockaddr *)&all, sizeof all) == 0 && dmtr_wait(&qr, qt) == 0 &&
        dmtr_getsockname(qd, (struct sockaddr *)&own, &len) != 0)
        own.sin_addr.s_addr = htonl(INADDR_ANY);
    dmtr_close(qd);
    return own.sin_addr;
}

int program_bind(int qd, const char *network, struct address *a, bool chosen) {
    int r = dmtr_bind(qd, &a->sa, a->len);
    if (r == EADDRNOTAVAIL && !chosen) {
        a->in.sin_addr = first_address(network);
        r = dmtr_bind(qd, &a->sa, a->len);
    }
    return r == 0 ? 0 : program_fail_address(a, r);
}

int program_socket(int *qd, const char *network, int family, int type) {
    return network ? dmtr_socket_on(qd, network, family, type, 0) : dmtr_socket(qd, family, type, 0);
}
