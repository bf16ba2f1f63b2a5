/* SPDX-License-Identifier: MIT */
/*
 * Shared by the tests of kernel sockets and files: every test runs on both engines, with the library or plain sockets
 * as the peer.
 */
#ifndef TESTS_POSIX_TEST_H
#define TESTS_POSIX_TEST_H

#include "api_test.h"
#include "counter_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

static const char *engine; /* of the running test */

static inline int start_with(const char *option) {
    char engine_option[64];
    snprintf(engine_option, sizeof engine_option, "posix.engine=%s", engine);
    char *argv[] = {"test",        "--dmtr-set", "log.sink=none", "--dmtr-set",
                    engine_option, "--dmtr-set", (char *)option,  NULL};
    return dmtr_init(option ? 7 : 5, argv);
}

/* Restarts with an option and the same engine. */
static inline void restart_engine_with(const char *option) {
    assert_ok(dmtr_fini());
    assert_ok(start_with(option));
}

/* Skips the test if the kernel lacks io_uring. */
static inline int setup_engine(const char *name) {
    engine = name;
    if (start_with(NULL) == 0) return 0;
    print_message("# the kernel lacks what engine %s needs\n", name);
    engine = NULL;
    return dmtr_init(0, NULL);
}

static inline int setup_epoll(void **state) {
    (void)state;
    return setup_engine("epoll");
}

static inline int setup_io_uring(void **state) {
    (void)state;
    return setup_engine("io_uring");
}

static inline void skip_without_engine(void) {
    if (!engine) skip();
}

#define both_engines(fn)                                                                                               \
    {"epoll: " #fn, fn, setup_epoll, test_teardown, NULL}, {                                                           \
        "io_uring: " #fn, fn, setup_io_uring, test_teardown, NULL                                                      \
    }

static inline bool on_io_uring(void) {
    return strcmp(engine, "io_uring") == 0;
}

static inline void wait_ok(dmtr_qtoken_t qt, dmtr_qresult_t *qr) {
    assert_ok(dmtr_wait_timed(qr, qt, HANG));
}

static inline struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Creates a listener in the library on a port that the kernel chooses. */
static inline int listener(struct sockaddr_in *addr) {
    int qd;
    socklen_t len = sizeof *addr;
    *addr = loopback(0);
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)addr, len));
    assert_ok(dmtr_listen(qd, 512));
    assert_ok(dmtr_getsockname(qd, (struct sockaddr *)addr, &len));
    return qd;
}

static inline dmtr_qtoken_t accept_begin(int qd) {
    dmtr_qtoken_t qt;
    assert_ok(dmtr_accept(&qt, qd));
    return qt;
}

static inline int accept_wait(int qd) {
    dmtr_qresult_t qr;
    wait_ok(accept_begin(qd), &qr);
    return qr.qr_value.ares.qd;
}

static inline dmtr_qtoken_t connect_begin(int *qd, const struct sockaddr_in *addr) {
    dmtr_qtoken_t qt;
    assert_ok(dmtr_socket(qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_connect(&qt, *qd, (const struct sockaddr *)addr, sizeof *addr));
    return qt;
}

/* Both ends in the library. */
struct ends {
    int listener, client, server;
};

static inline struct ends connected(void) {
    struct ends e;
    struct sockaddr_in addr;
    dmtr_qresult_t qr;
    e.listener = listener(&addr);
    dmtr_qtoken_t qt = connect_begin(&e.client, &addr);
    e.server = accept_wait(e.listener);
    wait_ok(qt, &qr);
    return e;
}

static inline void close_ends(const struct ends *e) {
    assert_ok(dmtr_close(e->client));
    assert_ok(dmtr_close(e->server));
    assert_ok(dmtr_close(e->listener));
}

/* A plain blocking socket as the client, the library as the server. */
struct raw_ends {
    int listener, fd, server;
};

static inline int raw_connect(const struct sockaddr_in *addr) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 10};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)addr, sizeof *addr), 0);
    return fd;
}

static inline struct raw_ends raw_connected(void) {
    struct raw_ends e;
    struct sockaddr_in addr;
    e.listener = listener(&addr);
    e.fd = raw_connect(&addr);
    e.server = accept_wait(e.listener);
    return e;
}

static inline void raw_close(const struct raw_ends *e) {
    close(e->fd);
    assert_ok(dmtr_close(e->server));
    assert_ok(dmtr_close(e->listener));
}

/* The peer vanishes with a reset. */
static inline void raw_reset(int fd) {
    struct linger now = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
}

static inline void raw_send(int fd, const void *data, size_t len) {
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void raw_expect(int fd, const char *text) {
    char buf[256];
    size_t len = strlen(text);
    assert_true(len < sizeof buf);
    assert_int_equal(recv(fd, buf, len, MSG_WAITALL), (ssize_t)len);
    assert_memory_equal(buf, text, len);
}

static inline void raw_expect_end(int fd) {
    char c;
    assert_int_equal(recv(fd, &c, 1, 0), 0);
}

/* Pops until `text` has arrived. */
static inline void expect_stream(int qd, const char *text) {
    size_t len = strlen(text);
    while (len) {
        dmtr_qresult_t qr;
        wait_ok(pop_begin(qd), &qr);
        dmtr_sgaseg_t *seg = &qr.qr_value.sga.sga_segs[0];
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
        assert_true(seg->sgaseg_len <= len);
        assert_memory_equal(seg->sgaseg_buf, text, seg->sgaseg_len);
        text += seg->sgaseg_len;
        len -= seg->sgaseg_len;
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
}

static inline void expect_end(int qd) {
    dmtr_qresult_t qr;
    wait_ok(pop_begin(qd), &qr);
    assert_int_equal(qr.qr_value.sga.sga_numsegs, 0);
}

/* Lets the library run for a while. */
static inline void run_for(uint64_t ns) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    assert_ok(dmtr_timer(&qt, ns));
    wait_ok(qt, &qr);
}

static inline dmtr_qtoken_t push_bytes(int qd, void *data, uint32_t len) {
    dmtr_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{.sgaseg_buf = data, .sgaseg_len = len}}};
    dmtr_qtoken_t qt = 0;
    assert_ok(dmtr_push(&qt, qd, &sga));
    return qt;
}

/* A byte that depends on its position in the stream. */
static inline uint8_t pattern(uint64_t at) {
    return (uint8_t)((at * 2654435761u) >> 13);
}

static inline void fill_pattern(void *buf, size_t len, uint64_t at) {
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] = pattern(at + i);
}

static inline bool has_pattern(const void *buf, size_t len, uint64_t at) {
    for (size_t i = 0; i < len; i++)
        if (((const uint8_t *)buf)[i] != pattern(at + i)) return false;
    return true;
}

#endif
