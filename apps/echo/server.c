/* SPDX-License-Identifier: MIT */
/* echo-server: sends received data back, over TCP or UDP, framed or not, and may append it to a file first. */
#include "server.h"

#include "net.h"
#include "options.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#define BATCH           64
#define ACCEPT_RETRY_NS 100000000u

static struct {
    const char *address, *network, *file;
    uint64_t port, max_connections, push_limit, cpu, threads, retry, work_us;
    bool udp, framed, quiet;
} options = {.max_connections = 16384, .cpu = CPU_ANY, .threads = 1};

static const struct option_spec specs[] = {
    {"address", OPTION_STRING, &options.address, "HOST",
     "address to listen on, IPv4 or IPv6 (default " PROGRAM_ADDRESS
     ", or the first address of a network that does not have it)",
     0, 0},
    {"port", OPTION_UINT, &options.port, "PORT", "port to listen on; 0 selects a free one and prints it", 0, 65535},
    {"network", OPTION_STRING, &options.network, "NAME", "network instead of the configured one", 0, 0},
    {"udp", OPTION_FLAG, &options.udp, NULL, "datagrams instead of connections", 0, 0},
    {"framed", OPTION_FLAG, &options.framed, NULL, "keep message boundaries on connections", 0, 0},
    {"file", OPTION_STRING, &options.file, "PATH", "append each message to a file, durably, before it is echoed", 0, 0},
    {"max-connections", OPTION_UINT, &options.max_connections, "N", "maximum number of clients; further ones wait", 1,
     1000000},
    {"push-limit", OPTION_UINT, &options.push_limit, "BYTES",
     "maximum bytes of outstanding pushes to one client (1 MiB; framed 16 MiB)", 1, 1ull << 40},
    {"cpu", OPTION_UINT, &options.cpu, "N", "processor to run on; further threads use the next ones", 0, 1023},
    {"threads", OPTION_UINT, &options.threads, "N",
     "threads, each with a runtime and a listening socket (with libos inet, set inet.queues to this number)", 1,
     PROGRAM_THREADS_MAX},
    {"retry", OPTION_UINT, &options.retry, "SECONDS",
     "restart after the loss of the network device, retrying at this interval; 0: exit with status 1", 0, 86400},
    {"work", OPTION_UINT, &options.work_us, "US", "microseconds of computing for each message", 0, 1000000},
    {"quiet", OPTION_FLAG, &options.quiet, NULL, "print no statistics at the end", 0, 0},
    {0}};

struct listener {
    struct server server;
    int qd;
    dmtr_qtoken_t accept_qt, retry_qt; /* 0: none */
    pthread_t thread;
    uint64_t number; /* number of the thread */
    bool started;
    int argc;
    char **argv;
    int result;
};

static int open_socket(struct listener *l, struct address *a) {
    int type = options.udp ? SOCK_DGRAM : SOCK_STREAM, one = 1, r;
    char text[ADDRESS_TEXT];
    int family = a->sa.sa_family;
    r = program_socket(&l->qd, options.network, family, type);
    if (r != 0) return program_fail(options.network ? options.network : "socket", r);
    dmtr_setsockopt(l->qd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (options.threads > 1 && (r = dmtr_setsockopt(l->qd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one)) != 0)
        return program_fail("listen on several threads", r);
    if (options.framed) {
        r = dmtr_setsockopt(l->qd, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &one, sizeof one);
        if (r != 0) return program_fail("framed", r);
    }
    if (program_bind(l->qd, options.network, a, options.address != NULL) != 0) return -1;
    if (!options.udp && (r = dmtr_listen(l->qd, SOMAXCONN)) != 0) return program_fail_address(a, r);
    r = dmtr_getsockname(l->qd, &a->sa, &a->len);
    if (r != 0) return program_fail("getsockname", r);
    if (l->number > 0) return 0;          /* the first thread has printed it */
    options.port = ntohs(a->in.sin_port); /* at the same offset in both families */
    printf("listening on %s %s\n", options.udp ? "udp" : "tcp", address_format(&a->sa, text));
    return 0;
}

static int open_file(struct server *sv) {
    size_t unlimited = 1ull << 40; /* one message per client bounds the outstanding writes */
    int r = dmtr_open2(&sv->file_qd, options.file, O_WRONLY | O_CREAT | O_APPEND | O_DSYNC, 0644);
    if (r != 0) return program_fail(options.file, r);
    dmtr_setsockopt(sv->file_qd, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &unlimited, sizeof unlimited);
    return 0;
}

/* A lost device does not come back; a lack of descriptors or memory may be temporary. */
static void accept_failed(struct listener *l, int error) {
    l->server.stats.accept_errors++;
    l->server.lost |= error == ENETDOWN;
    if (dmtr_timer(&l->retry_qt, ACCEPT_RETRY_NS) != 0) l->retry_qt = 0;
}

/* Keeps one accept outstanding while there is room for clients. Retries a failed accept after a pause. */
static void accept_more(struct listener *l) {
    if (options.udp || l->accept_qt || l->retry_qt || l->server.open >= options.max_connections) return;
    int r = dmtr_accept(&l->accept_qt, l->qd);
    if (r == 0) return;
    l->accept_qt = 0;
    accept_failed(l, r);
}

static void accepted(struct listener *l, const dmtr_qresult_t *qr) {
    l->accept_qt = 0;
    if (qr->qr_error == 0) {
        l->server.stats.accepted++;
        session_new(&l->server, qr->qr_value.ares.qd);
        return;
    }
    accept_failed(l, qr->qr_error);
}

static void dispatch(struct listener *l, dmtr_qresult_t *qr) {
    switch (qr->qr_opcode) {
    case DMTR_OPC_ACCEPT:
        accepted(l, qr);
        break;
    case DMTR_OPC_TIMER:
        l->retry_qt = 0;
        break;
    case DMTR_OPC_POP:
        session_popped(&l->server, qr);
        break;
    case DMTR_OPC_PUSH:
        if (qr->qr_qd == l->server.file_qd)
            session_written(&l->server, qr);
        else
            session_pushed(&l->server, qr);
        break;
    default:
        break;
    }
}

static int serve(struct listener *l) {
    dmtr_qresult_t results[BATCH];
    while (!program_stopped() && !l->server.lost) {
        int got = 0;
        accept_more(l);
        if (l->server.lost) break;
        int r = dmtr_wait_next_n(results, BATCH, &got, UINT64_MAX);
        if (r != 0 && r != EINTR) return program_fail("wait", r);
        for (int i = 0; r == 0 && i < got; i++)
            dispatch(l, &results[i]);
    }
    return 0;
}

static void add_stats(struct server_stats *to, const struct server_stats *from) {
    to->accepted += from->accepted;
    to->accept_errors += from->accept_errors;
    to->messages += from->messages;
    to->bytes += from->bytes;
    to->held += from->held;
    to->resets += from->resets;
    to->bad += from->bad;
    to->dropped += from->dropped;
    to->file_errors += from->file_errors;
}

static void print_stats(const struct server_stats *st) {
    printf("%llu connections, %llu accept errors, %llu messages, %llu bytes\n", (unsigned long long)st->accepted,
           (unsigned long long)st->accept_errors, (unsigned long long)st->messages, (unsigned long long)st->bytes);
    printf("%llu held for slow readers, %llu resets, %llu malformed, %llu dropped, %llu file errors\n",
           (unsigned long long)st->held, (unsigned long long)st->resets, (unsigned long long)st->bad,
           (unsigned long long)st->dropped, (unsigned long long)st->file_errors);
}

static int open_all(struct listener *l) {
    struct address a;
    int r;
    const char *host = options.address ? options.address : PROGRAM_ADDRESS;
    if (address_parse(&a, host, options.port, options.udp ? SOCK_DGRAM : SOCK_STREAM) != 0) return -1;
    if (options.file && open_file(&l->server) != 0) return -1;
    if (open_socket(l, &a) != 0) return -1;
    if (options.udp && (r = session_new(&l->server, l->qd)) != 0) return program_fail("udp", r);
    return 0;
}

/* Restarts everything, on the same address and port. */
static int reopen(struct listener *l) {
    session_end_all(&l->server);
    if (!program_restart(l->argc, l->argv, options.retry)) return program_stopped() ? 0 : -1;
    l->server.lost = false;
    l->accept_qt = l->retry_qt = 0;
    int r = open_all(l);
    fflush(stdout);
    return r;
}

static int serve_on(struct listener *l) {
    int r = serve(l);
    while (r == 0 && l->server.lost && !program_stopped()) {
        r = program_fail("the network device is lost", ENETDOWN);
        if (options.retry > 0) r = reopen(l);
        if (r == 0) r = serve(l);
    }
    return r;
}

static void listener_init(struct listener *l, uint64_t number, int argc, char *argv[]) {
    *l = (struct listener){.server.file_qd = -1, .qd = -1, .number = number, .argc = argc, .argv = argv, .result = -1};
    l->server.udp = options.udp;
    l->server.writes_end = &l->server.writes;
    l->server.work_ns = options.work_us * 1000;
    l->server.push_limit = options.push_limit ? options.push_limit : options.framed ? 16u << 20 : 1u << 20;
}

static void listener_end(struct listener *l) {
    session_end_all(&l->server);
    dmtr_fini();
}

/* Threads start one after the other: each when the previous one listens or has failed. */
static sem_t ready;

static void *further(void *arg) {
    struct listener *l = arg;
    uint64_t cpu = options.cpu == CPU_ANY ? CPU_ANY : options.cpu + l->number;
    if (!program_thread_start(l->argc, l->argv, cpu)) {
        sem_post(&ready);
        return NULL;
    }
    l->result = open_all(l);
    sem_post(&ready);
    if (l->result == 0) l->result = serve_on(l);
    if (l->result != 0) program_stop();
    listener_end(l);
    return NULL;
}

static int start_further(struct listener *all) {
    for (uint64_t i = 1; i < options.threads; i++) {
        int r = pthread_create(&all[i].thread, NULL, further, &all[i]);
        if (r != 0) return program_fail("thread", r);
        all[i].started = true;
        while (sem_wait(&ready) != 0) {
        }
        if (all[i].result != 0) return -1;
    }
    return 0;
}

static int run(struct listener *all) {
    int r = open_all(&all[0]);
    if (r == 0) r = start_further(all);
    fflush(stdout);
    if (r == 0) r = serve_on(&all[0]);
    program_stop();
    for (uint64_t i = 1; i < options.threads && all[i].started; i++) {
        pthread_join(all[i].thread, NULL);
        if (all[i].result != 0) r = -1;
        add_stats(&all[0].server.stats, &all[i].server.stats);
    }
    return r;
}

int main(int argc, char *argv[]) {
    static struct listener all[PROGRAM_THREADS_MAX];
    enum options_result o =
        options_parse(argc, argv, "Sends received data back, until SIGINT or SIGTERM.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    if (options.udp && options.framed) {
        fprintf(stderr, "echo-server: --framed is for connections\n");
        return EXIT_USAGE;
    }
    for (uint64_t i = 0; i < options.threads; i++)
        listener_init(&all[i], i, argc, argv);
    sem_init(&ready, 0, 0);
    if (!program_start(argc, argv, options.cpu)) return 1;
    int r = run(all);
    if (r == 0 && !options.quiet) print_stats(&all[0].server.stats);
    listener_end(&all[0]);
    return options_flush("echo-server") != 0 || r != 0;
}
