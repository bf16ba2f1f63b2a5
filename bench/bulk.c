/* SPDX-License-Identifier: MIT */
/*
 * bulk: bulk transfer over one connection in one direction. The server discards what it receives. The client sends the
 * given number of bytes, shuts down its direction, waits for the server's end of stream, and prints the time. Over the
 * library, or (--plain) over blocking system calls.
 */
#include "net.h"
#include "options.h"
#include "program.h"

#include <dmtr/dmtr.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTSTANDING 16u

static struct {
    const char *address;
    uint64_t port, cpu, size, bytes;
    bool server, plain;
} options = {.address = "127.0.0.1", .cpu = CPU_ANY, .size = 65536, .bytes = 1u << 30};

static const struct option_spec specs[] = {
    {"server", OPTION_FLAG, &options.server, NULL, "serve, until killed", 0, 0},
    {"plain", OPTION_FLAG, &options.plain, NULL, "system calls instead of the library", 0, 0},
    {"address", OPTION_STRING, &options.address, "HOST", "the server's address", 0, 0},
    {"port", OPTION_UINT, &options.port, "PORT", "the server's port", 0, 65535},
    {"cpu", OPTION_UINT, &options.cpu, "N", "processor to run on", 0, 1023},
    {"size", OPTION_UINT, &options.size, "BYTES", "size of a write", 1, 1u << 20},
    {"bytes", OPTION_UINT, &options.bytes, "N", "bytes to send", 1, 1ull << 40},
    {0}};

static void say_listening(const struct sockaddr *at) {
    char text[ADDRESS_TEXT];
    printf("listening on tcp %s\n", address_format(at, text));
    fflush(stdout);
}

/* Waits for the result of one operation; -1: it failed, with the reason on stderr. */
static int await(const char *what, int begun, const dmtr_qtoken_t *qt, dmtr_qresult_t *qr) {
    int r = begun ? begun : dmtr_wait(qr, *qt);
    return r ? program_fail(what, r) : 0;
}

static int take_all(int qd) {
    for (;;) {
        dmtr_qtoken_t qt = 0;
        dmtr_qresult_t qr = {0};
        if (await("pop", dmtr_pop(&qt, qd), &qt, &qr) || qr.qr_value.sga.sga_numsegs == 0) return dmtr_close(qd);
        dmtr_sgafree(&qr.qr_value.sga);
    }
}

static int serve(const struct address *a) {
    struct address at = *a;
    int qd, r = program_socket(&qd, NULL, a->sa.sa_family, SOCK_STREAM);
    if (!r) r = dmtr_bind(qd, &a->sa, a->len);
    if (!r) r = dmtr_listen(qd, 8);
    if (!r) r = dmtr_getsockname(qd, &at.sa, &at.len);
    if (r) return program_fail("listen", r);
    say_listening(&at.sa);
    while (!program_stopped()) {
        dmtr_qtoken_t qt = 0;
        dmtr_qresult_t qr = {0};
        if (await("accept", dmtr_accept(&qt, qd), &qt, &qr)) return -1;
        take_all(qr.qr_value.ares.qd);
    }
    return 0;
}

static int send_all(int qd) {
    dmtr_qtoken_t tokens[OUTSTANDING];
    dmtr_qresult_t qr;
    uint64_t pushes = (options.bytes + options.size - 1) / options.size;
    dmtr_sgarray_t sga = dmtr_sgaalloc(options.size);
    if (sga.sga_numsegs != 1) return program_fail("memory", ENOMEM);
    memset(sga.sga_segs[0].sgaseg_buf, 7, options.size);
    for (uint64_t i = 0; i < pushes + OUTSTANDING; i++) {
        dmtr_qtoken_t *qt = &tokens[i % OUTSTANDING];
        if (i >= OUTSTANDING && i - OUTSTANDING < pushes && await("push", 0, qt, &qr)) return -1;
        int r = i < pushes ? dmtr_push(qt, qd, &sga) : 0;
        if (r) return program_fail("push", r);
    }
    dmtr_sgafree(&sga);
    int r = dmtr_shutdown(qd, SHUT_WR);
    return r ? program_fail("shutdown", r) : take_all(qd);
}

static int ask(const struct address *a, uint64_t *began) {
    dmtr_qtoken_t qt = 0;
    dmtr_qresult_t qr;
    int qd, r = program_socket(&qd, NULL, a->sa.sa_family, SOCK_STREAM);
    if (r) return -1;
    if (await("connect", dmtr_connect(&qt, qd, &a->sa, a->len), &qt, &qr)) return -1;
    *began = dmtr_now_ns();
    return send_all(qd);
}

static int plain_serve(const struct address *a, char *memory) {
    struct address at = *a;
    int fd = socket(a->sa.sa_family, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, &a->sa, a->len) || listen(fd, 8) || getsockname(fd, &at.sa, &at.len)) return -1;
    say_listening(&at.sa);
    for (int conn; (conn = accept(fd, NULL, NULL)) >= 0; close(conn))
        while (read(conn, memory, options.size) > 0)
            continue;
    return -1;
}

static int plain_ask(const struct address *a, char *memory, uint64_t *began) {
    int fd = socket(a->sa.sa_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, &a->sa, a->len)) return -1;
    *began = dmtr_now_ns();
    for (uint64_t sent = 0; sent < options.bytes;) {
        ssize_t n = write(fd, memory, options.size);
        if (n < 0) return -1;
        sent += (uint64_t)n;
    }
    shutdown(fd, SHUT_WR);
    return read(fd, memory, 1) == 0 ? close(fd) : -1;
}

static int run(void) {
    struct address a;
    uint64_t began = 0;
    if (address_parse(&a, options.address, options.port, SOCK_STREAM)) return -1;
    char *memory = options.plain ? calloc(1, options.size) : NULL;
    if (options.plain && !memory) return -1;
    int r;
    if (options.server)
        r = options.plain ? plain_serve(&a, memory) : serve(&a);
    else
        r = options.plain ? plain_ask(&a, memory, &began) : ask(&a, &began);
    free(memory);
    if (r && options.plain && !program_stopped()) return program_fail("sockets", errno);
    if (r || options.server) return r;
    uint64_t ns = dmtr_now_ns() - began;
    printf("{\"program\":\"bulk\",\"bytes\":%llu,\"gbit_per_second\":%.3f}\n", (unsigned long long)options.bytes,
           (double)options.bytes * 8 / (double)ns);
    return 0;
}

int main(int argc, char *argv[]) {
    enum options_result o = options_parse(argc, argv, "Bulk transfer over one connection.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    if (!program_start(argc, argv, options.cpu)) return 1;
    int r = run();
    dmtr_fini();
    return r ? 1 : 0;
}
