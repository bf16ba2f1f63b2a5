/* SPDX-License-Identifier: MIT */
/*
 * Shared by the tests of pushes that take over memory: queues of every kind over the network that the argument of the
 * test names, and blocks of the heap, whose release the heap's statistics show.
 */
#ifndef TESTS_PUSH_TEST_H
#define TESTS_PUSH_TEST_H

#include "api_test.h"
#include "mem/heap.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

/* The heap counts blocks of this size separately from all others. */
#define BLOCK_BYTES (1u << 20)

static const char *network = "epoll"; /* io_uring, inet, lwip */

static inline bool on_posix(void) {
    return strcmp(network, "epoll") == 0 || strcmp(network, "io_uring") == 0;
}

static inline int start_network(const char *option) {
    char options[4][128];
    char *argv[16] = {(char *)"test", (char *)"--dmtr-set", (char *)"log.sink=none"};
    int argc = 3;
    if (on_posix()) {
        snprintf(options[0], sizeof options[0], "posix.engine=%s", network);
        options[1][0] = options[2][0] = options[3][0] = '\0';
    } else {
        snprintf(options[0], sizeof options[0], "libos=%s", network);
        snprintf(options[1], sizeof options[1], "%s.device=shm", network);
        snprintf(options[2], sizeof options[2], "%s.device_options=path=/tmp/dmtr-push.%d,listen=yes", network,
                 (int)getpid());
        snprintf(options[3], sizeof options[3], "%s.address=10.77.0.1/24", network);
    }
    for (int i = 0; i < 4 && options[i][0]; i++) {
        argv[argc++] = (char *)"--dmtr-set";
        argv[argc++] = options[i];
    }
    if (option) {
        argv[argc++] = (char *)"--dmtr-set";
        argv[argc++] = (char *)option;
    }
    return dmtr_init(argc, argv);
}

static inline int push_setup(void **state) {
    (void)state;
    return start_network(NULL);
}

#define push_test(fn) cmocka_unit_test_setup_teardown(fn, push_setup, test_teardown)

/* Runs the tests, or skips them if the kernel lacks io_uring. */
static inline int push_main(int argc, char *argv[], const char *name, const struct CMUnitTest *tests, size_t n) {
    if (argc > 1) network = argv[1];
    if (strcmp(network, "io_uring") == 0) {
        if (start_network(NULL)) {
            printf("1..0 # SKIP the kernel lacks what engine io_uring needs\n");
            return 0;
        }
        dmtr_fini();
    }
    return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}

/* ---- blocks ---- */

static inline size_t blocks_bytes(void) {
    struct heap_stats stats;
    heap_get_stats(&stats);
    return stats.large_bytes;
}

static inline char *new_block(void) {
    void *p;
    assert_ok(dmtr_malloc(&p, BLOCK_BYTES));
    return p;
}

static inline char pattern(size_t i) {
    return (char)(i % 251 + 1);
}

/* Allocates a block and writes a pattern of `len` bytes at `offset`. Returns their address. */
static inline char *new_pattern_block(size_t offset, size_t len) {
    char *p = new_block() + offset;
    for (size_t i = 0; i < len; i++)
        p[i] = pattern(i);
    return p;
}

/* Waits until the blocks in use have `bytes` bytes in total. */
static inline void wait_for_blocks(size_t bytes) {
    uint64_t end = dmtr_now_ns() + HANG;
    while (blocks_bytes() != bytes && dmtr_now_ns() < end) {
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        assert_ok(dmtr_timer(&qt, MS));
        assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    }
    assert_int_equal(blocks_bytes(), bytes);
}

/* ---- queues ---- */

enum kind { MEMORY, FILTER, MAP, SORT, MERGE, UDP, TCP, FRAMED, ACKED, DISK, KINDS };

struct ends {
    enum kind kind;
    int in, out; /* the queue for pushes, and the queue for pops */
    int others[2];
};

static inline bool is_supported(enum kind kind) {
    return kind != DISK || on_posix();
}

static inline struct sockaddr_in own_address(void) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    inet_pton(AF_INET, on_posix() ? "127.0.0.1" : "10.77.0.1", &a.sin_addr);
    return a;
}

static inline int bound_socket(int type, struct sockaddr_in *at) {
    int qd;
    socklen_t len = sizeof *at;
    *at = own_address();
    assert_ok(dmtr_socket(&qd, AF_INET, type, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)at, len));
    assert_ok(dmtr_getsockname(qd, (struct sockaddr *)at, &len));
    return qd;
}

static inline void connect_to(int qd, const struct sockaddr_in *to) {
    dmtr_qtoken_t qt;
    assert_ok(dmtr_connect(&qt, qd, (const struct sockaddr *)to, sizeof *to));
    expect_wait_error(qt, 0);
}

static inline void set_flag(int qd, int name) {
    int one = 1;
    assert_ok(dmtr_setsockopt(qd, DMTR_SOL_QUEUE, name, &one, sizeof one));
}

static inline void open_stream(struct ends *e) {
    struct sockaddr_in at;
    dmtr_qtoken_t accept;
    dmtr_qresult_t qr;
    int listener = e->others[0] = bound_socket(SOCK_STREAM, &at);
    socklen_t len = sizeof at;
    assert_ok(dmtr_listen(listener, 8));
    assert_ok(dmtr_getsockname(listener, (struct sockaddr *)&at, &len));
    assert_ok(dmtr_socket(&e->in, AF_INET, SOCK_STREAM, 0));
    if (e->kind == FRAMED) {
        set_flag(listener, DMTR_SO_FRAMED);
        set_flag(e->in, DMTR_SO_FRAMED);
    }
    if (e->kind == ACKED) set_flag(e->in, DMTR_SO_PUSH_ACKED);
    assert_ok(dmtr_accept(&accept, listener));
    connect_to(e->in, &at);
    assert_ok(dmtr_wait_timed(&qr, accept, HANG));
    e->out = qr.qr_value.ares.qd;
}

static bool pass_if_arg(const dmtr_sgarray_t *sga, void *arg) {
    (void)sga;
    return arg != NULL;
}

static bool never_less(const dmtr_sgarray_t *a, const dmtr_sgarray_t *b, void *arg) {
    (void)a, (void)b, (void)arg;
    return false;
}

static int keep_array(dmtr_sgarray_t *sga, void *arg) {
    (void)sga, (void)arg;
    return 0;
}

static int not_null; /* a non-NULL argument for filters */

static inline struct ends open_ends(enum kind kind) {
    struct ends e = {.kind = kind, .in = -1, .out = -1, .others = {-1, -1}};
    struct sockaddr_in at;
    char path[] = "/tmp/dmtr-push-XXXXXX";
    if (kind <= MERGE) e.out = new_queue();
    if (kind == MEMORY) e.in = e.out;
    if (kind == FILTER) assert_ok(dmtr_filter(&e.in, e.out, pass_if_arg, &not_null));
    if (kind == MAP) assert_ok(dmtr_map(&e.in, e.out, keep_array, NULL));
    if (kind == SORT) assert_ok(dmtr_sort(&e.in, e.out, never_less, NULL));
    if (kind == MERGE) {
        e.others[0] = new_queue();
        assert_ok(dmtr_merge(&e.in, e.out, e.others[0]));
    }
    if (kind == UDP) {
        e.out = bound_socket(SOCK_DGRAM, &at);
        assert_ok(dmtr_socket(&e.in, AF_INET, SOCK_DGRAM, 0));
        connect_to(e.in, &at);
    }
    if (kind == TCP || kind == FRAMED || kind == ACKED) open_stream(&e);
    if (kind == DISK) {
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        close(fd);
        assert_ok(dmtr_open(&e.in, path, O_RDWR));
        assert_ok(dmtr_open(&e.out, path, O_RDONLY));
        unlink(path);
    }
    return e;
}

static inline void close_ends(struct ends *e) {
    int qds[] = {e->in, e->out == e->in ? -1 : e->out, e->others[0], e->others[1]};
    for (int i = 0; i < 4; i++)
        if (qds[i] >= 0) assert_ok(dmtr_close(qds[i]));
}

/* Pops `len` bytes in one or more pops and checks the pattern. */
static inline void expect_pattern(int qd, size_t len) {
    size_t at = 0;
    do {
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
        assert_true(len == 0 || qr.qr_value.sga.sga_numsegs > 0);
        for (uint32_t i = 0; i < qr.qr_value.sga.sga_numsegs; i++)
            for (uint32_t k = 0; k < qr.qr_value.sga.sga_segs[i].sgaseg_len; k++, at++)
                assert_int_equal(((char *)qr.qr_value.sga.sga_segs[i].sgaseg_buf)[k], pattern(at));
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    } while (at < len);
    assert_int_equal(at, len);
}

/* Pops and checks the pushed pattern on each output of e. */
static inline void expect_arrival(const struct ends *e, size_t len) {
    expect_pattern(e->out, len);
    if (e->kind == MERGE) expect_pattern(e->others[0], len);
}

#endif
