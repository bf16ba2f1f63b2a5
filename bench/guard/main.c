/* SPDX-License-Identifier: MIT */
/*
 * guard: bench/guard.py counts with callgrind what runs inside `measure` and not inside `outside`. The program has its
 * own clock and random numbers, and one thread, so that counts repeat exactly. Components:
 *
 * tcp-N, udp-N  echo server of apps/echo over shared memory: an echo of 64 bytes, N of which are asked for in a burst
 * lost-request  the same on one connection, 8 in a burst; in every fourth burst the first segment to the server is lost
 * lost-answer   likewise with full segments, and the first segment from the server is lost
 * empty-N       a poll that finds nothing, with N networks open: libos inet, and kernel sockets (epoll)
 * others        those of bench/latency/queues.c
 */
#include "../counted.h"
#include "api/api.h"
#include "base/clock.h"
#include "component.h"
#include "core/runtime.h"
#include "options.h"
#include "peer.h"
#include "program.h"

#include <dmtr/dmtr.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define READ_NS    50u          /* by which the clock advances when it is read */
#define CONNECT_NS 1000000u     /* the same while the wire does not lead to the peer */
#define PATIENCE   4u           /* after so many clock reads in one wait the peer sends the next requests */
#define NEVER_NS   (1ull << 62) /* timeout of a wait that finds nothing */

/* apps/echo/server.c calls its main and program_stopped by these names; see meson.build. */
int echo_server(int argc, char *argv[]);
bool guard_server_waits(void);

struct guard {
    const char *name;
    void (*run)(const struct guard *g, uint64_t iterations);
    struct peer_load load;
    uint32_t networks; /* 0: the server, which opens its own */
};

static const char *component = "tcp-1";
static uint64_t iterations = 1600;
static uint32_t reads;     /* of the clock since the server has begun to wait */
static uint64_t last_poll; /* after this poll the wait that finds nothing ends; 0: there is none */
static char wire[64];      /* the peer's device options */
static const struct component *queues;

/* As costly as the library's clock. */
static volatile struct {
    uint64_t ticks, base_ticks, base_ns, mult;
} counter = {1000000000, 0, 0, 1ull << 32};

static uint64_t counter_ns(void) {
    uint64_t ticks = counter.ticks;
    if (ticks < counter.base_ticks) return counter.base_ns;
    return counter.base_ns + (uint64_t)((unsigned __int128)(ticks - counter.base_ticks) * counter.mult >> 32);
}

static uint64_t polls(void) {
    return api_runtime->counters.values[COUNTER_polls];
}

/* The world outside the measured program. */
static COUNTED void outside(bool waits) {
    reads = waits ? 0 : reads + 1;
    counter.ticks += peer_connecting() ? CONNECT_NS : READ_NS;
    peer_run(reads == 0 || reads > PATIENCE, counter_ns());
    if (last_poll && polls() >= last_poll) counter.ticks += NEVER_NS;
    if (peer_finished() && !program_stopped()) program_stop();
}

uint64_t clock_now_ns(void) {
    outside(false);
    return counter_ns();
}

bool clock_uses_tsc(void) {
    return true;
}

ssize_t getrandom(void *buffer, size_t length, unsigned flags) {
    static unsigned char next;
    (void)flags;
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)buffer)[i] = ++next;
    return (ssize_t)length;
}

/* The server asks before each wait whether it is to end. */
bool guard_server_waits(void) {
    outside(true);
    return program_stopped();
}

static void serve(const struct guard *g, uint64_t n) {
    char *argv[] = {(char *)"echo-server", (char *)"--quiet", (char *)"--address", (char *)"10.78.0.1",
                    (char *)"--port",      (char *)"7",       (char *)"--udp",     NULL};
    (void)n;
    optind = 0; /* getopt begins anew */
    if (echo_server(g->load.stream ? 6 : 7, argv) != 0) exit(1);
}

static void expect(const char *what, int error) {
    if (error == 0) return;
    fprintf(stderr, "guard: %s: %s\n", what, strerror(error));
    exit(1);
}

static dmtr_qtoken_t pop_of_a_socket(const char *network, uint16_t port) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    dmtr_qtoken_t qt;
    int qd;
    expect(network, dmtr_socket_on(&qd, network, AF_INET, SOCK_DGRAM, 0));
    expect("bind", dmtr_bind(qd, (struct sockaddr *)&any, sizeof any));
    expect("pop", dmtr_pop(&qt, qd));
    return qt;
}

static void wait_in_vain(const struct guard *g, uint64_t n) {
    dmtr_qtoken_t qts[2];
    dmtr_qresult_t qr;
    int at;
    expect("init", dmtr_init(0, NULL));
    qts[0] = pop_of_a_socket("inet", 7);
    if (g->networks == 2) qts[1] = pop_of_a_socket("posix", 0);
    while (peer_connecting())
        if (dmtr_wait_any_timed(&qr, &at, qts, (int)g->networks, 0) != ETIMEDOUT) expect("wait", EBUSY);
    last_poll = polls() + n;
    if (dmtr_wait_any_timed(&qr, &at, qts, (int)g->networks, NEVER_NS / 2) != ETIMEDOUT) expect("wait", EBUSY);
    last_poll = 0;
    dmtr_fini();
}

static void run_queues(const struct guard *g, uint64_t n) {
    (void)g;
    expect("init", dmtr_init(0, NULL));
    expect("begin", queues->begin(queues->argument));
    if (queues->run(n, queues->argument) == COMPONENT_FAILED) expect(queues->name, EIO);
    queues->end(queues->argument);
    dmtr_fini();
}

static const struct guard guards[] = {
    {"tcp-1", serve, {true, 1, 1, 64, LOSE_NOTHING}, 0},
    {"tcp-16", serve, {true, 16, 1, 64, LOSE_NOTHING}, 0},
    {"udp-1", serve, {false, 1, 1, 64, LOSE_NOTHING}, 0},
    {"udp-16", serve, {false, 1, 16, 64, LOSE_NOTHING}, 0},
    {"lost-request", serve, {true, 1, 8, 64, LOSE_REQUEST}, 0},
    {"lost-answer", serve, {true, 1, 8, 1448, LOSE_ANSWER}, 0},
    {"empty-1", wait_in_vain, {0}, 1},
    {"empty-2", wait_in_vain, {0}, 2},
};

static const struct option_spec specs[] = {
    {"component", OPTION_STRING, &component, "NAME", "what to run; see the head of bench/guard/main.c", 0, 0},
    {"iterations", OPTION_UINT, &iterations, "N", "how often", 1, 1ull << 40},
    {0}};

/* Both ends of the wire are in this process. */
static void open_wire(const struct guard *g) {
    static const char *const environment[][2] = {
        {"DMTR_LIBOS", "inet"},       {"DMTR_INET_DEVICE", "shm"}, {"DMTR_INET_ADDRESS", "10.78.0.1/24"},
        {"DMTR_WAIT_POLICY", "spin"}, {"DMTR_LOG_SINK", "none"},   {"DMTR_POSIX_ENGINE", "epoll"},
        {"DMTR_CORE_LINGER_MS", "0"},
    };
    char options[sizeof wire + sizeof ",listen=yes"];
    for (size_t i = 0; i < sizeof environment / sizeof *environment; i++)
        setenv(environment[i][0], environment[i][1], 1);
    snprintf(wire, sizeof wire, "path=/tmp/dmtr-guard.%d", (int)getpid());
    snprintf(options, sizeof options, "%s,listen=yes", wire);
    setenv("DMTR_INET_DEVICE_OPTIONS", options, 1);
    peer_open(wire, &g->load, iterations, counter_ns());
}

static COUNTED void measure(const struct guard *g) {
    g->run(g, iterations);
}

int main(int argc, char *argv[]) {
    static const struct guard queue_guard = {.run = run_queues};
    const struct guard *g = NULL;
    enum options_result o = options_parse(argc, argv, "Runs what the guard of instruction counts counts.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
        if (strcmp(guards[i].name, component) == 0) g = &guards[i];
    for (queues = queue_components; !g && queues->name; queues++)
        if (strcmp(queues->name, component) == 0) {
            g = &queue_guard;
            break;
        }
    if (!g) {
        fprintf(stderr, "guard: no component \"%s\"\n", component);
        return EXIT_USAGE;
    }
    setenv("DMTR_STATS_SHARE", "no", 1);
    if (g != &queue_guard) open_wire(g);
    measure(g);
    peer_close();
    return 0;
}
