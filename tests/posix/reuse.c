/* SPDX-License-Identifier: MIT */
/* Addresses in use: restarted servers, second servers, and the effects of SO_REUSEADDR and SO_REUSEPORT. */
#include "posix_test.h"

/*
 * Creates a kernel socket of this type, bound to addr (or to a free port, which is stored in addr). `share`: with
 * SO_REUSEPORT.
 */
static int kernel_socket(int type, struct sockaddr_in *addr, bool share) {
    const int one = 1;
    socklen_t len = sizeof *addr;
    int fd = socket(AF_INET, type, 0);
    assert_true(fd >= 0);
    if (share) assert_ok(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
    assert_ok(bind(fd, (struct sockaddr *)addr, len));
    assert_ok(getsockname(fd, (struct sockaddr *)addr, &len));
    return fd;
}

static int option(int qd, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    assert_ok(dmtr_getsockopt(qd, SOL_SOCKET, name, &value, &len));
    return value;
}

static int bind_error(int type, const struct sockaddr_in *addr, bool share) {
    const int one = 1;
    int qd;
    assert_ok(dmtr_socket(&qd, AF_INET, type, 0));
    if (share) assert_ok(dmtr_setsockopt(qd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
    int r = dmtr_bind(qd, (const struct sockaddr *)addr, sizeof *addr);
    if (r) assert_false(option(qd, SO_REUSEADDR)); /* as before */
    assert_ok(dmtr_close(qd));
    return r;
}

static void second_server_is_refused(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr = loopback(0);
    int fd = kernel_socket(SOCK_STREAM, &addr, false);
    const int one = 1;
    assert_ok(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one)); /* as another program on the library has */
    assert_ok(listen(fd, 1));
    assert_int_equal(bind_error(SOCK_STREAM, &addr, false), EADDRINUSE);
    close(fd);
    assert_ok(bind_error(SOCK_STREAM, &addr, false));
}

static void datagram_address_is_not_shared_by_default(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr = loopback(0);
    int fd = kernel_socket(SOCK_DGRAM, &addr, false);
    const int one = 1;
    assert_ok(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    assert_int_equal(bind_error(SOCK_DGRAM, &addr, false), EADDRINUSE);
    close(fd);
}

static void address_is_shared_on_request(void **state) {
    (void)state;
    skip_without_engine();
    const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in addr = loopback(0);
        int fd = kernel_socket(types[i], &addr, true);
        if (types[i] == SOCK_STREAM) assert_ok(listen(fd, 1));
        assert_int_equal(bind_error(types[i], &addr, false), EADDRINUSE);
        assert_ok(bind_error(types[i], &addr, true));
        close(fd);
    }
}

static void streams_bound_to_a_port_have_reuseaddr(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr = loopback(0);
    socklen_t len = sizeof addr;
    const int off = 0;
    int chosen, given, refused, datagrams;
    assert_ok(dmtr_socket(&chosen, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(chosen, (struct sockaddr *)&addr, len));
    assert_false(option(chosen, SO_REUSEADDR));
    assert_ok(dmtr_getsockname(chosen, (struct sockaddr *)&addr, &len));
    assert_ok(dmtr_close(chosen));
    assert_ok(dmtr_socket(&given, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(given, (struct sockaddr *)&addr, len));
    assert_true(option(given, SO_REUSEADDR));
    assert_false(option(given, SO_REUSEPORT));
    assert_ok(dmtr_close(given));
    assert_ok(dmtr_socket(&refused, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_setsockopt(refused, SOL_SOCKET, SO_REUSEADDR, &off, sizeof off));
    assert_ok(dmtr_bind(refused, (struct sockaddr *)&addr, len));
    assert_false(option(refused, SO_REUSEADDR));
    assert_ok(dmtr_socket(&datagrams, AF_INET, SOCK_DGRAM, 0));
    assert_ok(dmtr_bind(datagrams, (struct sockaddr *)&addr, len));
    assert_false(option(datagrams, SO_REUSEADDR));
}

static int bound6(const struct sockaddr_in6 *addr, bool only, int *r) {
    int qd, value = only;
    assert_ok(dmtr_socket(&qd, AF_INET6, SOCK_STREAM, 0));
    assert_ok(dmtr_setsockopt(qd, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof value));
    *r = dmtr_bind(qd, (const struct sockaddr *)addr, sizeof *addr);
    return qd;
}

static void ip6_wildcard_occupies_the_ip4_port(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr = loopback(0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int fd = kernel_socket(SOCK_STREAM, &addr, false), r, both, only;
    close(fd);
    any.sin6_port = addr.sin_port;
    both = bound6(&any, false, &r);
    if (r == EADDRNOTAVAIL || r == EAFNOSUPPORT) skip(); /* no IPv6 here */
    assert_ok(r);
    assert_int_equal(bind_error(SOCK_STREAM, &addr, true), EADDRINUSE);
    assert_ok(dmtr_close(both));
    only = bound6(&any, true, &r);
    assert_ok(r);
    assert_ok(bind_error(SOCK_STREAM, &addr, false));
    assert_ok(dmtr_close(only));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        both_engines(second_server_is_refused),           both_engines(datagram_address_is_not_shared_by_default),
        both_engines(address_is_shared_on_request),       both_engines(streams_bound_to_a_port_have_reuseaddr),
        both_engines(ip6_wildcard_occupies_the_ip4_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
