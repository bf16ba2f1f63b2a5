/* echo-server: sends back what it is sent, over TCP or UDP, framed or not, and may append it to a file first. */
#include "server.h"

#include "net.h"
#include "options.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define BATCH           64
#define ACCEPT_RETRY_NS 100000000u

static struct {
    const char *address, *network, *file;
    uint64_t port, max_connections, push_limit, cpu;
    bool udp, framed, quiet;
} options = {.address = "127.0.0.1", .max_connections = 16384, .cpu = CPU_ANY};

static const struct option_spec specs[] = {
    {"address", OPTION_STRING, &options.address, "HOST", "address to listen on, IPv4 or IPv6", 0, 0},
    {"port", OPTION_UINT, &options.port, "PORT", "port to listen on; 0 takes any and says which", 0, 65535},
    {"network", OPTION_STRING, &options.network, "NAME", "network instead of the configured one", 0, 0},
    {"udp", OPTION_FLAG, &options.udp, NULL, "datagrams instead of connections", 0, 0},
    {"framed", OPTION_FLAG, &options.framed, NULL, "keep message borders on connections", 0, 0},
    {"file", OPTION_STRING, &options.file, "PATH", "append each message to a file, durably, before it is echoed", 0, 0},
    {"max-connections", OPTION_UINT, &options.max_connections, "N", "clients served at a time; more wait", 1, 1000000},
    {"push-limit", OPTION_UINT, &options.push_limit, "BYTES",
     "most bytes on their way to one client (1 MiB; framed 16 MiB)", 1, 1ull << 40},
    {"cpu", OPTION_UINT, &options.cpu, "N", "processor to run on", 0, 1023},
    {"quiet", OPTION_FLAG, &options.quiet, NULL, "no statistics at the end", 0, 0},
    {0}};

struct listener {
    struct server server;
    int qd;
    dmtr_qtoken_t accept_qt, retry_qt; /* 0: none */
};

static int open_socket(struct listener *l, struct address *a) {
    int type = options.udp ? SOCK_DGRAM : SOCK_STREAM, one = 1, r;
    char text[ADDRESS_TEXT];
    int family = a->sa.sa_family;
    r = program_socket(&l->qd, options.network, family, type);
    if (r != 0) return program_fail("socket", r);
    dmtr_setsockopt(l->qd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (options.framed) {
        r = dmtr_setsockopt(l->qd, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &one, sizeof one);
        if (r != 0) return program_fail("framed", r);
    }
    r = dmtr_bind(l->qd, &a->sa, a->len);
    if (r != 0) return program_fail(address_format(&a->sa, text), r);
    if (!options.udp && (r = dmtr_listen(l->qd, SOMAXCONN)) != 0) return program_fail("listen", r);
    r = dmtr_getsockname(l->qd, &a->sa, &a->len);
    if (r != 0) return program_fail("getsockname", r);
    printf("listening on %s %s\n", options.udp ? "udp" : "tcp", address_format(&a->sa, text));
    fflush(stdout);
    return 0;
}

static int open_file(struct server *sv) {
    size_t unlimited = 1ull << 40; /* what is on its way is bounded by one message per client */
    int r = dmtr_open2(&sv->file_qd, options.file, O_WRONLY | O_CREAT | O_APPEND | O_DSYNC, 0644);
    if (r != 0) return program_fail(options.file, r);
    dmtr_setsockopt(sv->file_qd, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &unlimited, sizeof unlimited);
    return 0;
}

/* Keeps one accept going while there is room. What cannot be had now is asked for again a little later. */
static void accept_more(struct listener *l) {
    if (options.udp || l->accept_qt || l->retry_qt || l->server.sessions.count >= options.max_connections) return;
    if (dmtr_accept(&l->accept_qt, l->qd) == 0) return;
    l->accept_qt = 0;
    l->server.stats.accept_errors++;
    if (dmtr_timer(&l->retry_qt, ACCEPT_RETRY_NS) != 0) l->retry_qt = 0;
}

static void accepted(struct listener *l, const dmtr_qresult_t *qr) {
    l->accept_qt = 0;
    if (qr->qr_error == 0) {
        l->server.stats.accepted++;
        session_new(&l->server, qr->qr_value.ares.qd);
        return;
    }
    l->server.stats.accept_errors++;
    if (dmtr_timer(&l->retry_qt, ACCEPT_RETRY_NS) != 0) l->retry_qt = 0;
}

static void dispatch(struct listener *l, dmtr_qresult_t *qr) {
    struct session *s = qdmap_get(&l->server.sessions, qr->qr_qd);
    switch (qr->qr_opcode) {
    case DMTR_OPC_ACCEPT:
        accepted(l, qr);
        break;
    case DMTR_OPC_TIMER:
        l->retry_qt = 0;
        break;
    case DMTR_OPC_POP:
        if (s)
            session_popped(&l->server, s, qr);
        else if (qr->qr_error == 0) /* of a session that ended earlier in this batch */
            dmtr_sgafree(&qr->qr_value.sga);
        break;
    case DMTR_OPC_PUSH:
        if (qr->qr_qd == l->server.file_qd)
            session_written(&l->server, qr);
        else if (s)
            session_pushed(&l->server, s, qr);
        break;
    default:
        break;
    }
}

static int serve(struct listener *l) {
    static dmtr_qresult_t results[BATCH];
    while (!program_stopped()) {
        int got = 0;
        accept_more(l);
        int r = dmtr_wait_next_n(results, BATCH, &got, UINT64_MAX);
        if (r != 0 && r != EINTR) return program_fail("wait", r);
        for (int i = 0; r == 0 && i < got; i++)
            dispatch(l, &results[i]);
    }
    return 0;
}

static void print_stats(const struct server_stats *st) {
    printf("%llu connections, %llu accept errors, %llu messages, %llu bytes\n", (unsigned long long)st->accepted,
           (unsigned long long)st->accept_errors, (unsigned long long)st->messages, (unsigned long long)st->bytes);
    printf("%llu held for slow readers, %llu resets, %llu malformed, %llu dropped, %llu file errors\n",
           (unsigned long long)st->held, (unsigned long long)st->resets, (unsigned long long)st->bad,
           (unsigned long long)st->dropped, (unsigned long long)st->file_errors);
}

static int run(struct listener *l) {
    struct address a;
    int r;
    if (address_parse(&a, options.address, options.port, options.udp ? SOCK_DGRAM : SOCK_STREAM) != 0) return -1;
    if (qdmap_init(&l->server.sessions, options.max_connections + 1) != 0) return program_fail("sessions", ENOMEM);
    if (options.file && open_file(&l->server) != 0) return -1;
    if (open_socket(l, &a) != 0) return -1;
    if (options.udp && (r = session_new(&l->server, l->qd)) != 0) return program_fail("udp", r);
    return serve(l);
}

int main(int argc, char *argv[]) {
    struct listener l = {.server.file_qd = -1, .qd = -1};
    enum options_result o =
        options_parse(argc, argv, "Sends back what it is sent, until SIGINT or SIGTERM.", specs, NULL);
    if (o != OPTIONS_RUN) return o == OPTIONS_HELP ? 0 : EXIT_USAGE;
    if (options.udp && options.framed) {
        fprintf(stderr, "echo-server: --framed is for connections\n");
        return EXIT_USAGE;
    }
    l.server.udp = options.udp;
    l.server.writes_end = &l.server.writes;
    l.server.push_limit = options.push_limit ? options.push_limit : options.framed ? 16u << 20 : 1u << 20;
    if (!program_start("echo-server", argc, argv, options.cpu)) return 1;
    int r = run(&l);
    if (r == 0 && !options.quiet) print_stats(&l.server.stats);
    if (l.server.sessions.entries) session_end_all(&l.server);
    dmtr_fini();
    qdmap_fini(&l.server.sessions);
    return r == 0 ? 0 : 1;
}
