/* SPDX-License-Identifier: MIT */
/* echo-client: sends requests to an echo server, checks every byte of the replies and reports the round trips. */
#include "net.h"
#include "options.h"
#include "program.h"
#include "workload.h"

#include <dmtr/dmtr.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64

static struct {
    const char *address, *network;
    uint64_t port, cpu;
    bool udp, framed;
} options = {.address = "127.0.0.1", .cpu = CPU_ANY};

static const struct option_spec specs[] = {
    {"address", OPTION_STRING, &options.address, "HOST", "the server's address, IPv4 or IPv6", 0, 0},
    {"port", OPTION_UINT, &options.port, "PORT", "the server's port", 1, 65535},
    {"network", OPTION_STRING, &options.network, "NAME", "network instead of the configured one", 0, 0},
    {"udp", OPTION_FLAG, &options.udp, NULL, "datagrams instead of connections", 0, 0},
    {"framed", OPTION_FLAG, &options.framed, NULL, "keep message boundaries (the server must, too)", 0, 0},
    {"cpu", OPTION_UINT, &options.cpu, "N", "processor to run on", 0, 1023},
    {0}};

struct connection {
    int qd;
    struct flow *flow;
};

struct client {
    struct workload w;
    struct address server;
    struct connection *connections;
};

/* Connects a queue and begins its first pop. The user pointer of its results is the connection. */
static int connect_one(struct client *c, struct connection *conn) {
    int type = options.udp ? SOCK_DGRAM : SOCK_STREAM, family = c->server.sa.sa_family, one = 1, r;
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    r = program_socket(&conn->qd, options.network, family, type);
    if (r != 0) return program_fail(options.network ? options.network : "socket", r);
    if (!options.udp) dmtr_setsockopt(conn->qd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (options.framed && (r = dmtr_setsockopt(conn->qd, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &one, sizeof one)) != 0)
        return program_fail("framed", r);
    r = dmtr_connect(&qt, conn->qd, &c->server.sa, c->server.len);
    if (r == 0) r = dmtr_wait_timed(&qr, qt, (uint64_t)(c->w.o.timeout * 1e9));
    if (r == 0) r = dmtr_set_user(conn->qd, conn);
    if (r == 0) r = dmtr_pop(&qt, conn->qd);
    return r == 0 ? 0 : program_fail_address(&c->server, r);
}

static int send_request(struct client *c, struct connection *conn, uint64_t now) {
    void *request;
    int r = dmtr_malloc(&request, c->w.o.size);
    if (r != 0) return program_fail("malloc", r);
    workload_begin(&c->w, conn->flow, now, request);
    r = dmtr_push_buf_quiet(conn->qd, request, c->w.o.size);
    if (r == 0) return 0;
    dmtr_free(request);
    return program_fail("push", r);
}

/* Closed loop: begins as many requests as the connection may have. */
static int fill(struct client *c, struct connection *conn, uint64_t now) {
    while (!c->w.o.rate && workload_may_begin(&c->w, conn->flow, now))
        if (send_request(c, conn, now) != 0) return -1;
    return 0;
}

static int fill_all(struct client *c, uint64_t now) {
    for (uint64_t i = 0; i < c->w.o.connections; i++)
        if (fill(c, &c->connections[i], now) != 0) return -1;
    return 0;
}

static int send_due(struct client *c, uint64_t now) {
    struct flow *f;
    while (c->w.o.rate && (f = workload_pick(&c->w, now)))
        if (send_request(c, &c->connections[f - c->w.flows], now) != 0) return -1;
    return 0;
}

static int received(struct client *c, struct connection *conn, dmtr_qresult_t *qr, uint64_t now) {
    dmtr_sgarray_t *sga = &qr->qr_value.sga;
    dmtr_qtoken_t qt;
    size_t len = 0;
    int r = 0;
    if (qr->qr_error) return program_fail_address(&c->server, qr->qr_error);
    if (sga->sga_numsegs == 0 && !options.udp) {
        fprintf(stderr, "echo-client: the server closed the connection\n");
        return -1;
    }
    dmtr_sgalen(&len, sga);
    if (options.framed && len != c->w.o.size) {
        fprintf(stderr, "echo-client: a message of %zu bytes came back\n", len);
        r = -1;
    }
    for (uint32_t i = 0; r == 0 && i < sga->sga_numsegs; i++)
        r = workload_input(&c->w, conn->flow, sga->sga_segs[i].sgaseg_buf, sga->sga_segs[i].sgaseg_len, now);
    dmtr_sgafree(sga);
    if (r == 0) r = fill(c, conn, now); /* before the pop, because the server waits for the request */
    if (r == 0 && (r = dmtr_pop(&qt, conn->qd)) != 0) return program_fail("pop", r);
    return r;
}

static int handle(struct client *c, dmtr_qresult_t *qr, uint64_t now) {
    if (qr->qr_opcode == DMTR_OPC_PUSH_FAILED) return program_fail_address(&c->server, qr->qr_error);
    return qr->qr_opcode == DMTR_OPC_POP ? received(c, qr->qr_user, qr, now) : 0;
}

static int work(struct client *c) {
    static dmtr_qresult_t results[BATCH];
    uint64_t now = dmtr_now_ns();
    if (fill_all(c, now) != 0) return -1;
    while (!program_stopped() && !workload_finished(&c->w, now)) {
        uint64_t wake = workload_wake_ns(&c->w);
        int got = 0, lost;
        int r = dmtr_wait_next_n(results, BATCH, &got, wake > now ? wake - now : 0);
        now = dmtr_now_ns();
        if (r != 0 && r != ETIMEDOUT && r != EINTR) return program_fail("wait", r);
        for (int i = 0; r == 0 && i < got; i++)
            if (handle(c, &results[i], now) != 0) return -1;
        lost = workload_check(&c->w, now);
        if (lost < 0 || send_due(c, now) != 0) return -1;
        if (lost > 0 && fill_all(c, now) != 0) return -1;
    }
    return 0;
}

static int run(struct client *c) {
    char text[ADDRESS_TEXT];
    int type = options.udp ? SOCK_DGRAM : SOCK_STREAM;
    if (address_parse(&c->server, options.address, options.port, type) != 0) return -1;
    if (workload_init(&c->w, &workload_options, options.udp) != 0) return -1;
    c->connections = calloc(workload_options.connections, sizeof *c->connections);
    if (!c->connections) return program_fail("connections", ENOMEM);
    for (uint64_t i = 0; i < workload_options.connections; i++) {
        c->connections[i].flow = &c->w.flows[i];
        if (connect_one(c, &c->connections[i]) != 0) return -1;
    }
    workload_start(&c->w);
    if (work(c) != 0) return -1;
    const char *const what[] = {"program",  "echo-client",
                                "protocol", options.udp ? "udp" : options.framed ? "framed" : "tcp",
                                "server",   address_format(&c->server.sa, text),
                                NULL};
    return workload_report(&c->w, what);
}

int main(int argc, char *argv[]) {
    struct client c = {.connections = NULL};
    enum options_result o =
        options_parse(argc, argv, "Measures the round trips to an echo server.", specs, workload_specs);
    if (o != OPTIONS_RUN) return (int)o;
    if (!options.port || (options.udp && options.framed)) {
        fprintf(stderr, "echo-client: %s\n", options.port ? "--framed is for connections" : "--port is needed");
        return EXIT_USAGE;
    }
    int r = workload_check_options(&workload_options, options.udp);
    if (r != 0) return r;
    if (!program_start(argc, argv, options.cpu)) return 1;
    r = run(&c);
    dmtr_fini();
    workload_fini(&c.w);
    free(c.connections);
    return r == 0 ? 0 : 1;
}
