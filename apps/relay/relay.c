/* SPDX-License-Identifier: MIT */
/*
 * dmtr-relay: forwards datagrams from any number of clients to one target, and the target's replies back. Each client
 * has its own queue to the target, which identifies its replies. Can relay connections instead (streams.c).
 */
#include "flow.h"
#include "options.h"
#include "program.h"
#include "streams.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BATCH    64
#define POPS     32 /* outstanding pops on the clients' side */
#define SWEEP_NS 250000000u

static struct {
    const char *address, *target, *network, *target_network;
    uint64_t port, target_port, max_flows, cpu;
    double idle;
    bool tcp, quiet;
} options = {.max_flows = 4096, .cpu = CPU_ANY, .idle = 60};

static const struct option_spec specs[] = {
    {"address", OPTION_STRING, &options.address, "HOST",
     "address to listen on, IPv4 or IPv6 (default " PROGRAM_ADDRESS
     ", or the first address of a network that does not have it)",
     0, 0},
    {"port", OPTION_UINT, &options.port, "PORT", "port to listen on; 0 selects a free one and prints it", 0, 65535},
    {"target", OPTION_STRING, &options.target, "HOST", "host to forward to", 0, 0},
    {"target-port", OPTION_UINT, &options.target_port, "PORT", "port to forward to", 1, 65535},
    {"network", OPTION_STRING, &options.network, "NAME", "network instead of the configured one", 0, 0},
    {"target-network", OPTION_STRING, &options.target_network, "NAME", "network for the target's side, if it differs",
     0, 0},
    {"tcp", OPTION_FLAG, &options.tcp, NULL, "connections instead of datagrams", 0, 0},
    {"max-flows", OPTION_UINT, &options.max_flows, "N",
     "maximum number of clients; further ones have their datagrams dropped, or wait to connect", 1, 1000000},
    {"idle", OPTION_REAL, &options.idle, "SECONDS", "forget a client after this time without a datagram", 0, 86400},
    {"cpu", OPTION_UINT, &options.cpu, "N", "processor to run on", 0, 1023},
    {"quiet", OPTION_FLAG, &options.quiet, NULL, "print no statistics at the end", 0, 0},
    {0}};

struct relay {
    int qd; /* queue on the clients' side */
    unsigned pops;
    struct address target;
    struct flow_table table;
    uint64_t to_target, to_client, bytes, flows, expired, table_full, dropped, errors;
};

static void end_flow(struct relay *r, struct relay_flow *f) {
    dmtr_drop(f->pop_qt);
    dmtr_close(f->qd);
    flow_remove(&r->table, f);
}

/* Opens a queue to the target for a new client. NULL: failed, and a counter shows the reason. */
static struct relay_flow *begin_flow(struct relay *r, const struct address *client, uint64_t now) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int qd;
    if (r->table.count == r->table.max) {
        r->table_full++;
        return NULL;
    }
    int error = program_socket(&qd, options.target_network, r->target.sa.sa_family, SOCK_DGRAM);
    if (error != 0) {
        r->errors++;
        return NULL;
    }
    error = dmtr_connect(&qt, qd, &r->target.sa, r->target.len); /* completes at once, because it sends no packet */
    if (error == 0) error = dmtr_wait(&qr, qt);
    if (error == 0) {
        struct relay_flow *f = flow_add(&r->table, client, qd, now);
        dmtr_set_user(qd, f);
        error = dmtr_pop(&f->pop_qt, qd);
        if (error == 0) {
            r->flows++;
            return f;
        }
        flow_remove(&r->table, f);
    }
    r->errors++;
    dmtr_close(qd);
    return NULL;
}

/* Counts a quiet push when it begins: only later failures have a result. */
static void forwarded(struct relay *r, uint64_t *count, const dmtr_sgarray_t *sga, int error) {
    size_t len = 0;
    if (error != 0) {
        r->dropped++;
        return;
    }
    dmtr_sgalen(&len, sga);
    r->bytes += len;
    ++*count;
}

static void from_client(struct relay *r, dmtr_sgarray_t *sga, uint64_t now) {
    struct address client = {.len = sga->sga_addrlen};
    if (client.len < sizeof client.in || client.len > sizeof client.in6) return;
    memcpy(&client.in6, &sga->sga_addr6, client.len);
    struct relay_flow *f = flow_find(&r->table, &client);
    if (!f) f = begin_flow(r, &client, now);
    if (!f) return;
    flow_touch(&r->table, f, now);
    forwarded(r, &r->to_target, sga, dmtr_push_quiet(f->qd, sga));
}

static void from_target(struct relay *r, struct relay_flow *f, const dmtr_qresult_t *qr, uint64_t now) {
    if (qr->qr_error) { /* such as ECONNREFUSED: the target's port is closed now */
        r->errors++;
    } else if (qr->qr_value.sga.sga_numsegs > 0) {
        flow_touch(&r->table, f, now);
        forwarded(r, &r->to_client, &qr->qr_value.sga,
                  dmtr_pushto_quiet(r->qd, &qr->qr_value.sga, &f->client.sa, f->client.len));
    }
    if (dmtr_pop(&f->pop_qt, f->qd) == 0) return;
    f->pop_qt = 0;
    end_flow(r, f);
}

static void popped(struct relay *r, dmtr_qresult_t *qr, uint64_t now) {
    struct relay_flow *f = qr->qr_user; /* NULL: the queue on the clients' side */
    if (!f) {
        r->pops--;
        if (qr->qr_error)
            r->errors++;
        else if (qr->qr_value.sga.sga_numsegs > 0)
            from_client(r, &qr->qr_value.sga, now);
    } else if (f->pop_qt == qr->qr_qt) { /* otherwise its flow ended earlier in this batch */
        from_target(r, f, qr, now);
    }
    if (!qr->qr_error) dmtr_sgafree(&qr->qr_value.sga);
}

static void expire(struct relay *r, uint64_t now) {
    uint64_t idle_ns = (uint64_t)(options.idle * 1e9);
    while (r->table.oldest && now - r->table.oldest->used_ns >= idle_ns) {
        end_flow(r, r->table.oldest);
        r->expired++;
    }
}

static int relay(struct relay *r) {
    static dmtr_qresult_t results[BATCH];
    dmtr_qtoken_t qt;
    uint64_t now = dmtr_now_ns(), sweep = now + SWEEP_NS;
    while (!program_stopped()) {
        int got = 0, error;
        for (; r->pops < POPS; r->pops++)
            if ((error = dmtr_pop(&qt, r->qd)) != 0) return program_fail("pop", error);
        bool idle = r->table.count == 0; /* no flow can expire: wait without a limit */
        error = dmtr_wait_next_n(results, BATCH, &got, idle ? UINT64_MAX : sweep > now ? sweep - now : 0);
        now = dmtr_now_ns();
        if (error != 0 && error != EINTR && error != ETIMEDOUT) return program_fail("wait", error);
        for (int i = 0; error == 0 && i < got; i++) {
            if (results[i].qr_opcode == DMTR_OPC_POP)
                popped(r, &results[i], now);
            else if (results[i].qr_opcode == DMTR_OPC_PUSH_FAILED)
                r->dropped += results[i].qr_value.failures;
        }
        if (now < sweep) continue;
        expire(r, now);
        sweep = now + SWEEP_NS;
    }
    return 0;
}

static const char *listen_host(void) {
    return options.address ? options.address : PROGRAM_ADDRESS;
}

/* Checks at the start that the network exists and can reach such a target; otherwise every client would fail. */
static int check_target(const struct address *target, int type) {
    char text[ADDRESS_TEXT];
    int qd, error = program_socket(&qd, options.target_network, target->sa.sa_family, type);
    if (error == 0) return dmtr_close(qd);
    fprintf(stderr, "dmtr-relay: target %s over network %s: %s\n", address_format(&target->sa, text),
            options.target_network ? options.target_network : "of the configuration", strerror(error));
    return -1;
}

static int run(struct relay *r) {
    struct address a;
    char here[ADDRESS_TEXT], there[ADDRESS_TEXT];
    int error;
    if (address_parse(&a, listen_host(), options.port, SOCK_DGRAM) != 0 ||
        address_parse(&r->target, options.target, options.target_port, SOCK_DGRAM) != 0 ||
        check_target(&r->target, SOCK_DGRAM) != 0)
        return -1;
    if (flow_table_init(&r->table, (uint32_t)options.max_flows) != 0) return program_fail("flows", ENOMEM);
    if ((error = program_socket(&r->qd, options.network, a.sa.sa_family, SOCK_DGRAM)) != 0)
        return program_fail(options.network ? options.network : "socket", error);
    if (program_bind(r->qd, options.network, &a, options.address != NULL) != 0) return -1;
    if ((error = dmtr_getsockname(r->qd, &a.sa, &a.len)) != 0) return program_fail("getsockname", error);
    printf("relaying to udp %s\nlistening on udp %s\n", address_format(&r->target.sa, there),
           address_format(&a.sa, here));
    fflush(stdout);
    return relay(r);
}

static void print_stats(const struct relay *r) {
    printf("%llu to the target, %llu back, %llu bytes; %llu flows, %llu expired\n", (unsigned long long)r->to_target,
           (unsigned long long)r->to_client, (unsigned long long)r->bytes, (unsigned long long)r->flows,
           (unsigned long long)r->expired);
    printf("%llu dropped, %llu for want of a flow, %llu errors\n", (unsigned long long)r->dropped,
           (unsigned long long)r->table_full, (unsigned long long)r->errors);
}

static int relay_datagrams(void) {
    struct relay r = {.qd = -1};
    int error = run(&r);
    if (error == 0 && !options.quiet) print_stats(&r);
    dmtr_fini();
    flow_table_fini(&r.table);
    return error;
}

static int relay_streams(void) {
    struct streams_options o = {.network = options.network,
                                .target_network = options.target_network,
                                .max = (uint32_t)options.max_flows,
                                .chosen = options.address != NULL};
    struct streams_stats st = {.accepted = 0};
    int error = -1;
    if (address_parse(&o.listen, listen_host(), options.port, SOCK_STREAM) == 0 &&
        address_parse(&o.target, options.target, options.target_port, SOCK_STREAM) == 0 &&
        check_target(&o.target, SOCK_STREAM) == 0)
        error = streams_relay(&o, &st);
    if (error == 0 && !options.quiet)
        printf("%llu connections, %llu bytes; %llu refused by the target, %llu reset, %llu errors\n",
               (unsigned long long)st.accepted, (unsigned long long)st.bytes, (unsigned long long)st.refused,
               (unsigned long long)st.resets, (unsigned long long)st.errors);
    dmtr_fini();
    return error;
}

int main(int argc, char *argv[]) {
    enum options_result o = options_parse(
        argc, argv, "Forwards datagrams or connections to a target, until SIGINT or SIGTERM.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    if (!options.target || !options.target_port) {
        fprintf(stderr, "dmtr-relay: --target and --target-port are needed\n");
        return EXIT_USAGE;
    }
    if (!options.target_network) options.target_network = options.network;
    if (!program_start(argc, argv, options.cpu)) return 1;
    int r = options.tcp ? relay_streams() : relay_datagrams();
    return options_flush("dmtr-relay") != 0 || r != 0;
}
