/* SPDX-License-Identifier: MIT */
/* baseline-echo: server or client on plain system calls, in one of several modes. */
#include "baseline.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

static struct {
    const char *address, *mode;
    uint64_t port, cpu;
    bool server, client, udp;
} options = {.address = "127.0.0.1", .mode = "epoll", .cpu = CPU_ANY};

static const struct option_spec specs[] = {
    {"server", OPTION_FLAG, &options.server, NULL, "serve, until killed", 0, 0},
    {"client", OPTION_FLAG, &options.client, NULL, "send requests and measure", 0, 0},
    {"mode", OPTION_STRING, &options.mode, "MODE", "blocking, epoll, spin, uring (waits) or uring-spin", 0, 0},
    {"address", OPTION_STRING, &options.address, "HOST", "the server's address, IPv4 or IPv6", 0, 0},
    {"port", OPTION_UINT, &options.port, "PORT", "the server's port; 0 selects a free one and prints it", 0, 65535},
    {"udp", OPTION_FLAG, &options.udp, NULL, "datagrams instead of connections", 0, 0},
    {"cpu", OPTION_UINT, &options.cpu, "N", "processor to run on", 0, 1023},
    {0}};

static const char *const mode_names[] = {"blocking", "epoll", "spin", "uring", "uring-spin"};

volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

int baseline_fail(const char *what) {
    fprintf(stderr, "baseline-echo: %s: %s\n", what, strerror(errno));
    return -1;
}

static bool non_blocking(enum mode mode) {
    return mode == MODE_EPOLL || mode == MODE_SPIN;
}

static int serve(struct address *a, enum mode mode) {
    int type = options.udp ? SOCK_DGRAM : SOCK_STREAM, one = 1;
    char text[ADDRESS_TEXT];
    int fd = socket(a->sa.sa_family, type | SOCK_CLOEXEC | (non_blocking(mode) ? SOCK_NONBLOCK : 0), 0);
    if (fd < 0) return baseline_fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, &a->sa, a->len) != 0 || (!options.udp && listen(fd, SOMAXCONN) != 0) ||
        getsockname(fd, &a->sa, &a->len) != 0) {
        program_fail_address(a, errno);
        close(fd);
        return -1;
    }
    printf("listening on %s %s\n", options.udp ? "udp" : "tcp", address_format(&a->sa, text));
    fflush(stdout);
    int r = mode == MODE_BLOCKING ? serve_blocking(fd, options.udp)
            : mode == MODE_EPOLL  ? serve_epoll(fd, options.udp)
            : mode == MODE_SPIN   ? serve_spin(fd, options.udp)
                                  : serve_uring(fd, options.udp, mode == MODE_URING_SPIN);
    close(fd);
    return r;
}

static int connect_one(struct connection *c, const struct address *a, enum mode mode, const struct workload *w) {
    int type = options.udp ? SOCK_DGRAM : SOCK_STREAM, one = 1;
    struct timeval limit = {.tv_sec = (time_t)w->o.timeout + 1};
    c->out = malloc(w->o.size * w->o.outstanding);
    if (!c->out) return baseline_fail("buffer");
    c->fd = socket(a->sa.sa_family, type | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return baseline_fail("socket");
    if (!options.udp) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* also for connect */
    if (connect(c->fd, &a->sa, a->len) != 0) return program_fail_address(a, errno);
    limit = (struct timeval){.tv_usec = 100000}; /* for blocking mode: so that workload_check runs */
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (non_blocking(mode) && fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0) return baseline_fail("fcntl");
    return 0;
}

static int work(const struct address *a, enum mode mode, struct workload *w, struct connection *conns) {
    char text[ADDRESS_TEXT];
    for (uint64_t i = 0; i < w->o.connections; i++) {
        conns[i].flow = &w->flows[i];
        if (connect_one(&conns[i], a, mode, w) != 0) return -1;
    }
    workload_start(w);
    int r = mode < MODE_URING ? work_sockets(w, conns, mode) : work_uring(w, conns, mode == MODE_URING_SPIN);
    if (r != 0) return r;
    const char *const what[] = {"program",  "baseline-echo",
                                "mode",     options.mode,
                                "protocol", options.udp ? "udp" : "tcp",
                                "server",   address_format(&a->sa, text),
                                NULL};
    return workload_report(w, what);
}

static int measure(const struct address *a, enum mode mode) {
    struct workload w;
    struct connection *conns = calloc(workload_options.connections, sizeof *conns);
    int r = conns ? workload_init(&w, &workload_options, options.udp) : baseline_fail("connections");
    if (r == 0) {
        for (uint64_t i = 0; i < w.o.connections; i++)
            conns[i].fd = -1;
        r = work(a, mode, &w, conns);
        for (uint64_t i = 0; i < w.o.connections; i++) {
            if (conns[i].fd >= 0) close(conns[i].fd);
            free(conns[i].out);
        }
        workload_fini(&w);
    }
    free(conns);
    return r;
}

int main(int argc, char *argv[]) {
    struct sigaction action = {.sa_handler = stop};
    struct address a;
    size_t mode = 0;
    enum options_result o =
        options_parse(argc, argv, "Echo on plain system calls, for comparison.", specs, workload_specs);
    if (o != OPTIONS_RUN) return (int)o;
    while (mode < sizeof mode_names / sizeof *mode_names && strcmp(mode_names[mode], options.mode) != 0)
        mode++;
    if (options.server == options.client) {
        fprintf(stderr, "baseline-echo: give one of --server and --client; see baseline-echo --help\n");
        return EXIT_USAGE;
    }
    if (mode == sizeof mode_names / sizeof *mode_names) {
        fprintf(stderr, "baseline-echo: --mode takes blocking, epoll, spin, uring or uring-spin, not \"%s\"\n",
                options.mode);
        return EXIT_USAGE;
    }
    if (options.client && (!options.port || (mode == MODE_BLOCKING && workload_options.rate))) {
        fprintf(stderr, "baseline-echo: %s\n", options.port ? "--rate is not for blocking" : "--port is needed");
        return EXIT_USAGE;
    }
    int r = options.client ? workload_check_options(&workload_options, options.udp) : 0;
    if (r != 0) return r;
    if (address_parse(&a, options.address, options.port, options.udp ? SOCK_DGRAM : SOCK_STREAM) != 0) return 1;
    if (options.client) {
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
    }
    if (cpu_pin(options.cpu) != 0) return 1;
    return (options.server ? serve(&a, (enum mode)mode) : measure(&a, (enum mode)mode)) == 0 ? 0 : 1;
}
