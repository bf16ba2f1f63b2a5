/* SPDX-License-Identifier: MIT */
/*
 * The states of sockets, and addresses in use, as both interfaces tell of them, over one network (the argument): the
 * kernel's sockets by either engine, inet or lwip.
 */
#include "demi_test.h"

#include <dmtr/wait.h>
#include <unistd.h>

#define OUR_ADDRESS    "10.77.0.1"
#define NOBODY_ADDRESS "10.77.0.9"
#define OPTIONS_MAX    4
#define OPTION_BYTES   96

static const struct network {
    const char *name;
    bool own_stack; /* on a wire with nobody at its other end */
    const char *options[OPTIONS_MAX];
} networks[] = {
    {"epoll", false, {"posix.engine=epoll"}},
    {"io_uring", false, {"posix.engine=io_uring"}},
    {"inet", true, {"libos=inet", "inet.device=shm", "inet.device_options=path=%s,listen=yes", "inet.address=%s/24"}},
    {"lwip", true, {"libos=lwip", "lwip.device=shm", "lwip.device_options=path=%s,listen=yes", "lwip.address=%s/24"}},
};

static const struct network *network;
static uint16_t next_port;

static int start_network(void **state) {
    char options[OPTIONS_MAX][OPTION_BYTES], wire[48], *argv[2 * OPTIONS_MAX + 3];
    int argc = 0;
    (void)state;
    snprintf(wire, sizeof wire, "/tmp/dmtr-states.%d", (int)getpid());
    for (int i = 0; i < OPTIONS_MAX && network->options[i]; i++) {
        const char *value = strstr(network->options[i], "address") ? OUR_ADDRESS : wire;
        snprintf(options[i], sizeof options[i], network->options[i], value);
        argv[argc++] = (char *)"--dmtr-set";
        argv[argc++] = options[i];
    }
    argv[argc++] = (char *)"--dmtr-set";
    argv[argc++] = (char *)"log.sink=none";
    argv[argc] = NULL;
    return demi_init(&(const struct demi_args){.argc = argc, .argv = argv});
}

static struct sockaddr_in address(const char *ip, uint16_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, ip, &a.sin_addr), 1);
    return a;
}

static struct sockaddr_in our_address(uint16_t port) {
    return network->own_stack ? address(OUR_ADDRESS, port) : address("127.0.0.1", port);
}

/* A port that nobody has, to be named in a bind. */
static uint16_t free_port(void) {
    struct sockaddr_in a = our_address(0);
    socklen_t len = sizeof a;
    int qd;
    if (network->own_stack) return next_port++;
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)&a, sizeof a));
    assert_ok(dmtr_getsockname(qd, (struct sockaddr *)&a, &len));
    assert_ok(dmtr_close(qd));
    return ntohs(a.sin_port);
}

static int fresh(int type) {
    int qd = -1;
    assert_ok(demi_socket(&qd, AF_INET, type, 0));
    return qd;
}

static int demi_bound(int type, const struct sockaddr_in *at) {
    int qd = fresh(type);
    assert_ok(demi_bind(qd, (const struct sockaddr *)at, sizeof *at));
    return qd;
}

static demi_qtoken_t connect_begin(int qd, const struct sockaddr_in *to) {
    demi_qtoken_t qt = 0;
    assert_ok(demi_connect(&qt, qd, (const struct sockaddr *)to, sizeof *to));
    return qt;
}

static void expect_opcode(demi_qtoken_t qt, demi_opcode_t opcode) {
    assert_int_equal(wait_for(qt).qr_opcode, opcode);
}

/* A socket whose connect is outstanding, and stays so until somebody waits. */
static int connecting(demi_qtoken_t *qt) {
    struct sockaddr_in to = address(NOBODY_ADDRESS, 7);
    int qd = fresh(SOCK_STREAM);
    if (!network->own_stack) {
        to = our_address(free_port());
        assert_ok(demi_listen(demi_bound(SOCK_STREAM, &to), 1));
    }
    *qt = connect_begin(qd, &to);
    return qd;
}

static void demi_listens_on_bound_sockets_once(void **state) {
    (void)state;
    struct sockaddr_in at = our_address(free_port());
    demi_qtoken_t qt;
    int qd = fresh(SOCK_STREAM);
    assert_int_equal(demi_listen(qd, 8), EDESTADDRREQ);
    assert_ok(demi_bind(qd, (struct sockaddr *)&at, sizeof at));
    assert_ok(demi_listen(qd, 8));
    assert_int_equal(demi_listen(qd, 8), EADDRINUSE);
    assert_ok(demi_accept(&qt, qd));
    assert_int_equal(demi_listen(qd, 8), EADDRINUSE);
    assert_ok(demi_close(qd));
    expect_failed(qt, ECANCELED);
}

static void demi_calls_on_a_connecting_socket(void **state) {
    (void)state;
    demi_qtoken_t qt, second;
    struct sockaddr_in to = our_address(7);
    int qd = connecting(&qt);
    assert_int_equal(demi_listen(qd, 8), EADDRINUSE);
    assert_int_equal(demi_connect(&second, qd, (struct sockaddr *)&to, sizeof to), EINPROGRESS);
    assert_ok(demi_close(qd));
    expect_failed(qt, ECANCELED);
}

static void dmtr_calls_answer_as_linux_does(void **state) {
    (void)state;
    demi_qtoken_t qt;
    dmtr_qtoken_t second;
    struct sockaddr_in to = our_address(7), name;
    socklen_t len = sizeof name;
    int qd = connecting(&qt), unbound = fresh(SOCK_STREAM);
    assert_int_equal(dmtr_listen(qd, 8), EINVAL);
    assert_int_equal(dmtr_connect(&second, qd, (struct sockaddr *)&to, sizeof to), EALREADY);
    assert_ok(dmtr_listen(unbound, 8));
    assert_ok(dmtr_listen(unbound, 8));
    assert_ok(dmtr_getsockname(unbound, (struct sockaddr *)&name, &len));
    assert_true(name.sin_port != 0);
    assert_ok(dmtr_close(qd));
    expect_failed(qt, ECANCELED);
}

/* The first backlog has room for one connection, or for two with Linux. */
static void second_dmtr_listen_changes_the_backlog(void **state) {
    (void)state;
    enum { CLIENTS = 8 };
    struct sockaddr_in at = our_address(free_port());
    demi_qtoken_t connects[CLIENTS];
    int listener = demi_bound(SOCK_STREAM, &at);
    assert_ok(dmtr_listen(listener, 1));
    assert_ok(dmtr_listen(listener, CLIENTS));
    for (int i = 0; i < CLIENTS; i++)
        connects[i] = connect_begin(fresh(SOCK_STREAM), &at);
    for (int i = 0; i < CLIENTS; i++)
        expect_opcode(connects[i], DEMI_OPC_CONNECT);
    for (int i = 0; i < CLIENTS; i++) {
        demi_qtoken_t accept;
        assert_ok(demi_accept(&accept, listener));
        expect_opcode(accept, DEMI_OPC_ACCEPT);
    }
}

static void connect_to_no_address_is_refused(void **state) {
    (void)state;
    struct sockaddr_in nowhere = address("0.0.0.0", 0), no_port = our_address(0);
    expect_failed(connect_begin(fresh(SOCK_STREAM), &nowhere), ECONNREFUSED);
    expect_failed(connect_begin(fresh(SOCK_STREAM), &no_port), ECONNREFUSED);
}

static void connect_to_the_wildcard_reaches_ourselves(void **state) {
    (void)state;
    struct sockaddr_in any = address("0.0.0.0", free_port());
    demi_qtoken_t accept, connect;
    int listener = demi_bound(SOCK_STREAM, &any);
    assert_ok(demi_listen(listener, 8));
    assert_ok(demi_accept(&accept, listener));
    connect = connect_begin(fresh(SOCK_STREAM), &any);
    expect_opcode(connect, DEMI_OPC_CONNECT);
    expect_opcode(accept, DEMI_OPC_ACCEPT);
}

/* `with`: sets the options that would let others have the address too. */
static void expect_in_use(int type, const struct sockaddr_in *at, bool with) {
    const int one = 1;
    int qd = fresh(type);
    assert_int_equal(demi_bind(qd, (const struct sockaddr *)at, sizeof *at), EADDRINUSE);
    if (with) {
        assert_ok(dmtr_setsockopt(qd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
        assert_ok(dmtr_setsockopt(qd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
    }
    assert_int_equal(dmtr_bind(qd, (const struct sockaddr *)at, sizeof *at), EADDRINUSE);
    assert_ok(demi_close(qd));
}

static void address_is_bound_once_in_a_runtime(void **state) {
    (void)state;
    const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_in at = our_address(free_port()), any = address("0.0.0.0", ntohs(at.sin_port));
        int qd = demi_bound(types[i], &at), other;
        for (int with = 0; with < 2; with++) {
            expect_in_use(types[i], &at, with);
            expect_in_use(types[i], &any, with);
        }
        if (types[i] == SOCK_STREAM) assert_ok(demi_listen(qd, 8));
        expect_in_use(types[i], &at, true);
        other = demi_bound(types[1 - i], &at); /* the other protocol has ports of its own */
        assert_ok(demi_close(qd));
        qd = demi_bound(types[i], &any);
        expect_in_use(types[i], &at, true);
        assert_ok(demi_close(other));
        assert_ok(demi_close(qd));
    }
}

/* The server's side closes first, so that its connection stays behind in TIME-WAIT. */
static void server_that_closed_first_starts_again(bool by_dmtr) {
    struct sockaddr_in at = our_address(free_port());
    for (int round = 0; round < 2; round++) {
        demi_qtoken_t accept, connect, pop;
        int client = fresh(SOCK_STREAM), listener = fresh(SOCK_STREAM);
        if (by_dmtr)
            assert_ok(dmtr_bind(listener, (struct sockaddr *)&at, sizeof at));
        else
            assert_ok(demi_bind(listener, (struct sockaddr *)&at, sizeof at));
        assert_ok(demi_listen(listener, 8));
        assert_ok(demi_accept(&accept, listener));
        connect = connect_begin(client, &at);
        expect_opcode(connect, DEMI_OPC_CONNECT);
        int server = wait_for(accept).qr_value.ares.qd;
        pop = pop_begin(client);
        assert_ok(demi_close(server));
        demi_qresult_t qr = wait_for(pop);
        assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 0);
        assert_ok(demi_sgafree(&qr.qr_value.sga));
        assert_ok(demi_close(client));
        assert_ok(demi_close(listener));
    }
}

static void demi_server_that_closed_first_starts_again(void **state) {
    (void)state;
    server_that_closed_first_starts_again(false);
}

static void dmtr_server_that_closed_first_starts_again(void **state) {
    (void)state;
    server_that_closed_first_starts_again(true);
}

#define on_network(fn) cmocka_unit_test_setup_teardown(fn, start_network, test_teardown)

int main(int argc, char *argv[]) {
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (argc == 2 && strcmp(argv[1], networks[i].name) == 0) network = &networks[i];
    if (!network) {
        fprintf(stderr, "usage: %s epoll|io_uring|inet|lwip\n", argv[0]);
        return 2;
    }
    next_port = 1000;
    const struct CMUnitTest tests[] = {
        on_network(demi_listens_on_bound_sockets_once),
        on_network(demi_calls_on_a_connecting_socket),
        on_network(dmtr_calls_answer_as_linux_does),
        on_network(second_dmtr_listen_changes_the_backlog),
        on_network(connect_to_no_address_is_refused),
        on_network(connect_to_the_wildcard_reaches_ourselves),
        on_network(address_is_bound_once_in_a_runtime),
        on_network(demi_server_that_closed_first_starts_again),
        on_network(dmtr_server_that_closed_first_starts_again),
    };
    return cmocka_run_group_tests_name(argv[1], tests, NULL, NULL);
}
