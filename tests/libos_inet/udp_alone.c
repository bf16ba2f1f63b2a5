/* SPDX-License-Identifier: MIT */
/* UDP sockets of libos inet over loopback: datagrams, refusals, options, limits, the event descriptor. */
#include "counter_test.h"
#include "net_test.h"

#include <poll.h>

#define LARGEST 65507

static const char *device = "shm";

static int setup(void **state) {
    (void)state;
    return start_alone(device);
}

static int open_socket(uint16_t port) {
    int qd = datagram_socket(OUR_ADDRESS, port, 0);
    assert_true(qd >= 0);
    return qd;
}

static struct dmtr_queue_info info_of(int qd) {
    struct dmtr_queue_info info;
    socklen_t len = sizeof info;
    assert_ok(dmtr_getsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_INFO, &info, &len));
    return info;
}

static void a_loopback_datagram_has_its_sender_and_is_not_copied(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(OUR_ADDRESS, 1000);
    int a = open_socket(999), b = open_socket(1000);
    for (int i = 0; i < 50; i++) {
        dmtr_qresult_t qr;
        dmtr_qtoken_t qt = pop_begin(b);
        push_text_to(a, "question", &to);
        assert_ok(dmtr_wait_timed(&qr, qt, HANG));
        struct sockaddr_in from = qr.qr_value.sga.sga_addr;
        assert_int_equal(qr.qr_value.sga.sga_addrlen, sizeof from);
        assert_int_equal(from.sin_port, htons(999));
        assert_int_equal(from.sin_addr.s_addr, to.sin_addr.s_addr);
        expect_text(&qr, "question");
        push_text_to(b, "answer", &from);
        expect_pop_text(a, "answer");
    }
    assert_string_equal(info_of(a).backend, "inet/udp");
    assert_int_equal(info_of(a).copies, 0);
    assert_int_equal(info_of(b).copies, 0);
    assert_int_equal(info_of(a).pushes, 50);
    assert_int_equal(info_of(b).pops, 50);
}

static void pushes_of_foreign_memory_are_copied_and_counted(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(OUR_ADDRESS, 1000);
    int a = open_socket(0), b = open_socket(1000);
    dmtr_sgarray_t ours = message("mixed ");
    char foreign[] = "with others'";
    dmtr_sgarray_t sga = {.sga_numsegs = 3,
                          .sga_segs = {ours.sga_segs[0],
                                       {.sgaseg_buf = NULL, .sgaseg_len = 0},
                                       {.sgaseg_buf = foreign, .sgaseg_len = (uint32_t)strlen(foreign)}}};
    dmtr_qtoken_t qt;
    assert_ok(dmtr_pushto(&qt, a, &sga, (struct sockaddr *)&to, sizeof to));
    memset(foreign, 'x', strlen(foreign)); /* the call has copied foreign memory */
    assert_ok(dmtr_sgafree(&ours));
    expect_wait_error(qt, 0);
    expect_pop_text(b, "mixed with others'");
    assert_int_equal(info_of(a).copies, 1);
}

static void empty_datagrams_arrive_and_limited_pops_truncate(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(OUR_ADDRESS, 1000);
    int a = open_socket(0), b = open_socket(1000);
    uint64_t cut = counter_value("inet_datagrams_truncated");
    dmtr_sgarray_t none = {.sga_numsegs = 1};
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    assert_ok(dmtr_pushto(&qt, a, &none, (struct sockaddr *)&to, sizeof to));
    expect_wait_error(qt, 0);
    assert_ok(dmtr_wait_timed(&qr, pop_begin(b), HANG));
    assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
    assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 0);
    assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    push_text_to(a, "too long", &to);
    push_text_to(a, "next", &to);
    assert_ok(dmtr_pop2(&qt, b, 3));
    expect_wait_text(qt, "too");
    assert_ok(dmtr_pop2(&qt, b, 4)); /* fits exactly: not truncated */
    expect_wait_text(qt, "next");
    assert_int_equal(counter_value("inet_datagrams_truncated"), cut + 1);
}

static void pops_complete_in_order_and_can_be_dropped(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(OUR_ADDRESS, 1000);
    int a = open_socket(0), b = open_socket(1000);
    dmtr_qtoken_t first = pop_begin(b), dropped = pop_begin(b), last = pop_begin(b);
    assert_ok(dmtr_drop(dropped));
    push_text_to(a, "one", &to);
    push_text_to(a, "two", &to);
    expect_wait_text(first, "one");
    expect_wait_text(last, "two");
}

static void unpopped_datagrams_are_limited_by_the_receive_buffer(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(OUR_ADDRESS, 1000);
    int a = open_socket(0), b = open_socket(1000), room = 4096, got = 0;
    assert_ok(dmtr_setsockopt(b, SOL_SOCKET, SO_RCVBUF, &room, sizeof room));
    for (int i = 0; i < 500; i++)
        push_text_to(a, "flood", &to);
    dmtr_qresult_t qr;
    dmtr_qtoken_t qt = pop_begin(b);
    while (dmtr_wait_timed(&qr, qt, 50 * MS) == 0) {
        expect_text(&qr, "flood");
        qt = pop_begin(b);
        got++;
    }
    assert_uint_in_range(got, 1, 100);
    push_text_to(a, "after", &to);
    expect_wait_text(qt, "after");
}

static void an_icmp_error_fails_one_pop(void **state) {
    (void)state;
    struct sockaddr_in nobody = address_of(OUR_ADDRESS, 4000);
    int a = open_socket(0);
    connect_wait(a, &nobody);
    push_wait(a, "anyone?");
    expect_wait_error(pop_begin(a), ECONNREFUSED);
    int there = open_socket(4000);
    push_wait(a, "now");
    expect_pop_text(there, "now");
}

static void invalid_pushes_are_refused(void **state) {
    (void)state;
    static char data[LARGEST + 1];
    struct sockaddr_in to = address_of(OUR_ADDRESS, 1000), portless = address_of(OUR_ADDRESS, 0);
    struct sockaddr_in away = address_of("192.0.2.1", 9);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = 1};
    int a = open_socket(0), b = open_socket(1000);
    dmtr_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{.sgaseg_buf = data, .sgaseg_len = LARGEST + 1}}};
    dmtr_qtoken_t qt;
    assert_int_equal(dmtr_pushto(&qt, a, &sga, (struct sockaddr *)&to, sizeof to), EMSGSIZE);
    sga.sga_segs[0].sgaseg_len = 1;
    assert_int_equal(dmtr_push(&qt, a, &sga), EDESTADDRREQ);
    assert_int_equal(dmtr_pushto(&qt, a, &sga, (struct sockaddr *)&portless, sizeof portless), EINVAL);
    assert_int_equal(dmtr_pushto(&qt, a, &sga, (struct sockaddr *)&six, sizeof six), EAFNOSUPPORT);
    assert_ok(dmtr_pushto(&qt, a, &sga, (struct sockaddr *)&away, sizeof away));
    expect_wait_error(qt, ENETUNREACH);
    expect_wait_error(push_to(a, data, LARGEST, &to), 0);
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, pop_begin(b), HANG));
    assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, LARGEST);
    assert_ok(dmtr_sgafree(&qr.qr_value.sga));
}

static void addresses_are_reported_and_invalid_ones_refused(void **state) {
    (void)state;
    struct sockaddr_in own = address_of(OUR_ADDRESS, 1000), other = address_of("10.77.0.99", 1000), got;
    socklen_t len = sizeof got;
    int a = open_socket(1000), b, c;
    assert_ok(dmtr_socket(&b, AF_INET, SOCK_DGRAM, IPPROTO_UDP));
    assert_int_equal(dmtr_bind(b, (struct sockaddr *)&own, sizeof own), EADDRINUSE);
    assert_int_equal(dmtr_bind(b, (struct sockaddr *)&other, sizeof other), EADDRNOTAVAIL);
    assert_int_equal(dmtr_bind(b, (struct sockaddr *)&own, 4), EINVAL);
    own.sin_port = 0;
    assert_ok(dmtr_bind(b, (struct sockaddr *)&own, sizeof own));
    assert_int_equal(dmtr_bind(b, (struct sockaddr *)&own, sizeof own), EINVAL);
    assert_ok(dmtr_getsockname(b, (struct sockaddr *)&got, &len));
    assert_int_equal(len, sizeof got);
    assert_int_equal(got.sin_addr.s_addr, own.sin_addr.s_addr);
    assert_true(got.sin_port != 0);
    assert_int_equal(dmtr_getpeername(a, (struct sockaddr *)&got, &len), ENOTCONN);
    connect_wait(a, &other);
    assert_ok(dmtr_getpeername(a, (struct sockaddr *)&got, &len));
    assert_int_equal(got.sin_addr.s_addr, other.sin_addr.s_addr);
    assert_int_equal(got.sin_port, other.sin_port);
    assert_int_equal(dmtr_socket(&c, AF_INET6, SOCK_DGRAM, 0), EAFNOSUPPORT);
    assert_int_equal(dmtr_listen(a, 1), EOPNOTSUPP);
}

static void expect_name(int qd, const char *address, uint16_t port) {
    struct sockaddr_in got, wanted = address_of(address, port);
    socklen_t len = sizeof got;
    assert_ok(dmtr_getsockname(qd, (struct sockaddr *)&got, &len));
    assert_int_equal(got.sin_addr.s_addr, wanted.sin_addr.s_addr);
    if (port > 0) assert_int_equal(got.sin_port, wanted.sin_port);
}

static void connect_chooses_a_local_address_and_disconnect_releases_it(void **state) {
    (void)state;
    struct sockaddr_in peer = address_of(OUR_ADDRESS, 1000), none = {.sin_family = AF_UNSPEC};
    int server = open_socket(1000), a;
    socklen_t len = sizeof peer;
    assert_ok(dmtr_socket(&a, AF_INET, SOCK_DGRAM, 0));
    expect_name(a, "0.0.0.0", 0);
    connect_wait(a, &peer);
    expect_name(a, OUR_ADDRESS, 0);
    push_wait(a, "connected");
    expect_pop_text(server, "connected");
    connect_wait(a, &none);
    expect_name(a, "0.0.0.0", 0);
    assert_int_equal(dmtr_getpeername(a, (struct sockaddr *)&peer, &len), ENOTCONN);
    dmtr_sgarray_t sga = message("to nobody");
    dmtr_qtoken_t qt;
    assert_int_equal(dmtr_push(&qt, a, &sga), EDESTADDRREQ);
    assert_ok(dmtr_sgafree(&sga));
    push_text_to(a, "by name", &peer);
    expect_pop_text(server, "by name");
}

static void socket_options_match_the_platform(void **state) {
    (void)state;
    int a = open_socket(0), value = 0;
    socklen_t len = sizeof value;
    static const struct {
        int name, value;
    } expected[] = {{SO_TYPE, SOCK_DGRAM},
                    {SO_DOMAIN, AF_INET},
                    {SO_PROTOCOL, IPPROTO_UDP},
                    {SO_ACCEPTCONN, 0},
                    {SO_RCVBUF, 212992}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_ok(dmtr_getsockopt(a, SOL_SOCKET, expected[i].name, &value, &len));
        assert_int_equal(value, expected[i].value);
        assert_int_equal(len, sizeof value);
    }
    value = 5000;
    assert_ok(dmtr_setsockopt(a, SOL_SOCKET, SO_RCVBUF, &value, sizeof value));
    value = 0;
    assert_ok(dmtr_getsockopt(a, SOL_SOCKET, SO_RCVBUF, &value, &len));
    assert_int_equal(value, 5000);
    static const struct {
        int name, first, least, most;
    } bytes[] = {{IP_TOS, 0, 0, 255}, {IP_TTL, 64, 1, 255}};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        assert_ok(dmtr_getsockopt(a, IPPROTO_IP, bytes[i].name, &value, &len));
        assert_int_equal(value, bytes[i].first);
        for (int k = 0; k < 2; k++) {
            int wanted = k ? bytes[i].most : bytes[i].least, wrong = k ? wanted + 1 : wanted - 1;
            assert_ok(dmtr_setsockopt(a, IPPROTO_IP, bytes[i].name, &wanted, sizeof wanted));
            assert_int_equal(dmtr_setsockopt(a, IPPROTO_IP, bytes[i].name, &wrong, sizeof wrong), EINVAL);
            assert_ok(dmtr_getsockopt(a, IPPROTO_IP, bytes[i].name, &value, &len));
            assert_int_equal(value, wanted);
        }
    }
    value = -1;
    assert_int_equal(dmtr_setsockopt(a, SOL_SOCKET, SO_RCVBUF, &value, sizeof value), EINVAL);
    assert_int_equal(dmtr_setsockopt(a, SOL_SOCKET, SO_RCVBUF, &value, 1), EINVAL);
    assert_int_equal(dmtr_setsockopt(a, SOL_SOCKET, SO_TYPE, &value, sizeof value), ENOPROTOOPT);
    assert_int_equal(dmtr_getsockopt(a, IPPROTO_TCP, 1, &value, &len), ENOPROTOOPT);
}

static void shutdown_ends_pops_and_pushes(void **state) {
    (void)state;
    struct sockaddr_in own = address_of(OUR_ADDRESS, 1000);
    int a = open_socket(0);
    assert_int_equal(dmtr_shutdown(a, SHUT_RDWR), ENOTCONN);
    connect_wait(a, &own);
    dmtr_qtoken_t qt = pop_begin(a);
    dmtr_sgarray_t sga = message("late");
    assert_ok(dmtr_shutdown(a, SHUT_RDWR));
    expect_wait_text(qt, "");
    assert_int_equal(dmtr_push(&qt, a, &sga), EPIPE);
    assert_ok(dmtr_sgafree(&sga));
}

static void close_cancels_pops_and_frees_the_port(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        int a = open_socket(1000);
        dmtr_qtoken_t qt = pop_begin(a), closed;
        assert_ok(dmtr_async_close(&closed, a));
        expect_wait_error(qt, ECANCELED);
        expect_wait_error(closed, 0);
    }
}

static void kernel_sockets_work_in_the_same_runtime(void **state) {
    (void)state;
    struct sockaddr_in to = address_of("127.0.0.1", 0), ours = address_of(OUR_ADDRESS, 1000);
    socklen_t len = sizeof to;
    int a, b, inside = open_socket(0), there = open_socket(1000);
    assert_ok(dmtr_socket_on(&a, "posix", AF_INET, SOCK_DGRAM, 0));
    assert_ok(dmtr_socket_on(&b, "posix", AF_INET, SOCK_DGRAM, 0));
    assert_ok(dmtr_bind(b, (struct sockaddr *)&to, len));
    assert_ok(dmtr_getsockname(b, (struct sockaddr *)&to, &len));
    for (int i = 0; i < 20; i++) {
        dmtr_qtoken_t kernels = pop_begin(b), own = pop_begin(there);
        push_text_to(a, "by the kernel", &to);
        push_text_to(inside, "by ourselves", &ours);
        expect_wait_text(own, "by ourselves");
        expect_wait_text(kernels, "by the kernel");
    }
}

static void the_event_descriptor_reports_datagrams(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(OUR_ADDRESS, 1000);
    int a = open_socket(0), b = open_socket(1000), fd;
    assert_ok(dmtr_event_fd(&fd));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    dmtr_qtoken_t qt = pop_begin(b);
    push_text_to(a, "look", &to);
    int r = EAGAIN;
    for (int i = 0; i < 1000 && r == EAGAIN; i++) {
        dmtr_qresult_t qr;
        assert_int_equal(poll(&p, 1, 10000), 1);
        r = dmtr_poll(&qr, qt);
        if (r == 0) expect_text(&qr, "look");
    }
    assert_ok(r);
}

static const struct CMUnitTest tests[] = {
#define with_runtime(fn) cmocka_unit_test_setup_teardown(fn, setup, test_teardown)
    with_runtime(a_loopback_datagram_has_its_sender_and_is_not_copied),
    with_runtime(pushes_of_foreign_memory_are_copied_and_counted),
    with_runtime(empty_datagrams_arrive_and_limited_pops_truncate),
    with_runtime(pops_complete_in_order_and_can_be_dropped),
    with_runtime(unpopped_datagrams_are_limited_by_the_receive_buffer),
    with_runtime(an_icmp_error_fails_one_pop),
    with_runtime(invalid_pushes_are_refused),
    with_runtime(addresses_are_reported_and_invalid_ones_refused),
    with_runtime(connect_chooses_a_local_address_and_disconnect_releases_it),
    with_runtime(socket_options_match_the_platform),
    with_runtime(shutdown_ends_pops_and_pushes),
    with_runtime(close_cancels_pops_and_frees_the_port),
    with_runtime(kernel_sockets_work_in_the_same_runtime),
    with_runtime(the_event_descriptor_reports_datagrams),
};

int main(int argc, char *argv[]) {
    if (argc > 1) device = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
