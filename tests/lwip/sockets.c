/* SPDX-License-Identifier: MIT */
/* Sockets of libos lwip on one host: streams and datagrams to ourselves, ends, refusals, options, one lwIP a process.
 */
#include "net_test.h"

#include <netinet/tcp.h>

#define BULK (4u << 20)

static int start(bool listens) {
    char device[160];
    snprintf(device, sizeof device, "lwip.device_options=path=/tmp/dmtr-lwip.%d,listen=%s", (int)getpid(),
             listens ? "yes" : "no");
    return start_with_options((const char *const[]){"libos=lwip", "lwip.device=shm", "log.sink=none", device,
                                                    "lwip.address=10.77.0.1/24", NULL});
}

static int setup(void **state) {
    (void)state;
    return start(true);
}

struct pair {
    int listener, client, server;
    struct sockaddr_in at;
};

static int open_listener(struct sockaddr_in *at) {
    int qd;
    socklen_t len = sizeof *at;
    *at = address_of(OUR_ADDRESS, 0);
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(qd, (struct sockaddr *)at, len));
    assert_ok(dmtr_listen(qd, 8));
    assert_ok(dmtr_getsockname(qd, (struct sockaddr *)at, &len));
    assert_true(at->sin_port != 0);
    return qd;
}

static void connect_pair(struct pair *p) {
    dmtr_qtoken_t accepted;
    dmtr_qresult_t qr;
    p->listener = open_listener(&p->at);
    assert_ok(dmtr_socket(&p->client, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_accept(&accepted, p->listener));
    connect_wait(p->client, &p->at);
    assert_ok(dmtr_wait_timed(&qr, accepted, HANG));
    assert_int_equal(qr.qr_value.ares.addr.sin_addr.s_addr, p->at.sin_addr.s_addr);
    p->server = qr.qr_value.ares.qd;
}

static void expect_end(int qd) {
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
    assert_int_equal(qr.qr_value.sga.sga_numsegs, 0);
}

static void streams_go_both_ways(void **state) {
    (void)state;
    struct pair p;
    struct dmtr_queue_info info;
    socklen_t len = sizeof info;
    connect_pair(&p);
    for (int i = 0; i < 50; i++) {
        push_wait(p.client, "question");
        expect_pop_text(p.server, "question");
        push_wait(p.server, "answer");
        expect_pop_text(p.client, "answer");
    }
    assert_ok(dmtr_getsockopt(p.client, DMTR_SOL_QUEUE, DMTR_SO_INFO, &info, &len));
    assert_string_equal(info.backend, "lwip/tcp");
}

static unsigned char byte_at(size_t i) {
    return (unsigned char)(i * 7 + i / 251);
}

/* Pops until the end of the stream, comparing with the pattern; how many bytes. */
static size_t pop_all(int qd) {
    for (size_t got = 0;;) {
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
        dmtr_sgarray_t *sga = &qr.qr_value.sga;
        if (sga->sga_numsegs == 0) return got;
        for (uint32_t i = 0; i < sga->sga_segs[0].sgaseg_len; i++)
            assert_int_equal(((unsigned char *)sga->sga_segs[0].sgaseg_buf)[i], byte_at(got + i));
        got += sga->sga_segs[0].sgaseg_len;
        assert_ok(dmtr_sgafree(sga));
    }
}

static void a_large_push_is_held_until_acknowledged_and_closing_delivers_it(void **state) {
    (void)state;
    struct pair p;
    dmtr_qtoken_t pushed, closed;
    struct dmtr_queue_info info;
    socklen_t len = sizeof info;
    connect_pair(&p);
    dmtr_sgarray_t sga = dmtr_sgaalloc(BULK);
    assert_int_equal(sga.sga_numsegs, 1);
    for (size_t i = 0; i < BULK; i++)
        ((unsigned char *)sga.sga_segs[0].sgaseg_buf)[i] = byte_at(i);
    assert_ok(dmtr_push(&pushed, p.client, &sga));
    assert_ok(dmtr_sgafree(&sga));
    assert_ok(dmtr_getsockopt(p.client, DMTR_SOL_QUEUE, DMTR_SO_INFO, &info, &len));
    assert_int_equal(info.copies, 0);
    assert_ok(dmtr_async_close(&closed, p.client));
    assert_int_equal(pop_all(p.server), BULK);
    expect_wait_error(pushed, 0);
    expect_wait_error(closed, 0);
    expect_end(p.server);
}

static void a_push_asked_to_be_acknowledged_completes_when_it_is(void **state) {
    (void)state;
    struct pair p;
    int on = 1;
    connect_pair(&p);
    assert_ok(dmtr_setsockopt(p.client, DMTR_SOL_QUEUE, DMTR_SO_PUSH_ACKED, &on, sizeof on));
    dmtr_qtoken_t pushed = push_text(p.client, "text");
    expect_pop_text(p.server, "text");
    expect_wait_error(pushed, 0);
}

static void shutdown_ends_one_direction(void **state) {
    (void)state;
    struct pair p;
    dmtr_sgarray_t sga = message("more");
    dmtr_qtoken_t qt;
    connect_pair(&p);
    push_wait(p.client, "last");
    assert_ok(dmtr_shutdown(p.client, SHUT_WR));
    assert_int_equal(dmtr_push(&qt, p.client, &sga), EPIPE);
    assert_ok(dmtr_sgafree(&sga));
    expect_pop_text(p.server, "last");
    expect_end(p.server);
    push_wait(p.server, "still");
    expect_pop_text(p.client, "still");
}

static void connections_reset_before_they_are_accepted_are_accepted(void **state) {
    (void)state;
    enum { N = 3 };
    struct sockaddr_in at;
    struct linger now = {.l_onoff = 1};
    int listener = open_listener(&at);
    for (int i = 0; i < N; i++) {
        int client;
        assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
        connect_wait(client, &at);
        assert_ok(dmtr_setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now));
        assert_ok(dmtr_close(client));
        dmtr_qtoken_t timer; /* the reset arrives */
        assert_ok(dmtr_timer(&timer, MS));
        expect_wait_error(timer, 0);
    }
    for (int i = 0; i < N; i++) {
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        assert_ok(dmtr_accept(&qt, listener));
        assert_ok(dmtr_wait_timed(&qr, qt, HANG));
        assert_int_equal(qr.qr_value.ares.addr.sin_addr.s_addr, at.sin_addr.s_addr);
        expect_wait_error(pop_begin(qr.qr_value.ares.qd), ECONNRESET);
        assert_ok(dmtr_close(qr.qr_value.ares.qd));
    }
    assert_ok(dmtr_close(listener));
}

static void a_reset_ends_pops(void **state) {
    (void)state;
    struct pair p;
    const struct linger now = {.l_onoff = 1};
    connect_pair(&p);
    dmtr_qtoken_t popped = pop_begin(p.server);
    assert_ok(dmtr_setsockopt(p.client, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    assert_ok(dmtr_close(p.client));
    expect_wait_error(popped, ECONNRESET);
    expect_wait_error(push_text(p.server, "late"), ECONNRESET);
}

static void closing_cancels_waiting_operations(void **state) {
    (void)state;
    struct pair p;
    dmtr_qtoken_t accepted;
    connect_pair(&p);
    dmtr_qtoken_t popped = pop_begin(p.server);
    assert_ok(dmtr_accept(&accepted, p.listener));
    assert_ok(dmtr_close(p.server));
    assert_ok(dmtr_close(p.listener));
    expect_wait_error(popped, ECANCELED);
    expect_wait_error(accepted, ECANCELED);
}

/* A connection that was never accepted. */
static void closing_a_listener_resets_who_waits_there(void **state) {
    (void)state;
    struct sockaddr_in at;
    int client, listener = open_listener(&at);
    assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    connect_wait(client, &at);
    push_wait(client, "anybody?");
    dmtr_qtoken_t popped = pop_begin(client);
    assert_ok(dmtr_close(listener));
    expect_wait_error(popped, ECONNRESET);
}

static void a_refused_connect_is_reported_and_may_be_retried(void **state) {
    (void)state;
    struct sockaddr_in at, nobody = address_of(OUR_ADDRESS, 9);
    dmtr_qtoken_t qt;
    int client;
    assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_connect(&qt, client, (struct sockaddr *)&nobody, sizeof nobody));
    expect_wait_error(qt, ECONNREFUSED);
    open_listener(&at);
    connect_wait(client, &at);
}

static void a_bound_socket_stays_bound_when_its_connect_fails(void **state) {
    (void)state;
    struct sockaddr_in own = address_of(OUR_ADDRESS, 1000), nobody = address_of(OUR_ADDRESS, 9), name;
    socklen_t len = sizeof name;
    dmtr_qtoken_t qt, accepted;
    int listener, client;
    assert_ok(dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(listener, (struct sockaddr *)&own, sizeof own));
    assert_ok(dmtr_connect(&qt, listener, (struct sockaddr *)&nobody, sizeof nobody));
    expect_wait_error(qt, ECONNREFUSED);
    assert_ok(dmtr_getsockname(listener, (struct sockaddr *)&name, &len));
    assert_int_equal(name.sin_port, own.sin_port);
    assert_ok(dmtr_listen(listener, 1));
    assert_ok(dmtr_accept(&accepted, listener));
    assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    connect_wait(client, &own);
    expect_wait_error(accepted, 0);
}

static void a_datagram_socket_may_be_disconnected(void **state) {
    (void)state;
    struct sockaddr_in peer = address_of(PEER_ADDRESS, 7), none = {.sin_family = AF_UNSPEC};
    socklen_t len = sizeof peer;
    dmtr_sgarray_t sga = message("to nobody");
    dmtr_qtoken_t qt;
    int qd;
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0));
    connect_wait(qd, &peer);
    assert_ok(dmtr_getpeername(qd, (struct sockaddr *)&peer, &len));
    connect_wait(qd, &none);
    assert_int_equal(dmtr_getpeername(qd, (struct sockaddr *)&peer, &len), ENOTCONN);
    assert_int_equal(dmtr_push(&qt, qd, &sga), EDESTADDRREQ);
    assert_ok(dmtr_sgafree(&sga));
}

static void addresses_are_checked_at_the_bind(void **state) {
    (void)state;
    struct sockaddr_in at, others = address_of(PEER_ADDRESS, 7);
    int qd;
    open_listener(&at);
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_int_equal(dmtr_bind(qd, (struct sockaddr *)&at, sizeof at), EADDRINUSE);
    assert_int_equal(dmtr_bind(qd, (struct sockaddr *)&others, sizeof others), EADDRNOTAVAIL);
    assert_int_equal(dmtr_socket(&qd, AF_INET6, SOCK_STREAM, 0), EAFNOSUPPORT);
}

static void options_that_lwip_has_are_kept_and_others_refused(void **state) {
    (void)state;
    struct pair p;
    int value = 1, got = 0;
    socklen_t len = sizeof got;
    connect_pair(&p);
    assert_ok(dmtr_setsockopt(p.client, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value));
    assert_ok(dmtr_getsockopt(p.client, IPPROTO_TCP, TCP_NODELAY, &got, &len));
    assert_int_equal(got, 1);
    value = 0;
    assert_int_equal(dmtr_setsockopt(p.client, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof value), EINVAL);
    assert_int_equal(dmtr_setsockopt(p.client, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value), ENOPROTOOPT);
    push_wait(p.client, "text");
    expect_pop_text(p.server, "text");
}

static void a_stream_reports_its_error(void **state) {
    (void)state;
    const struct linger now = {.l_onoff = 1};
    struct pair p;
    int error = 1;
    socklen_t len = sizeof error;
    connect_pair(&p);
    assert_ok(dmtr_getsockopt(p.client, SOL_SOCKET, SO_ERROR, &error, &len));
    assert_int_equal(error, 0);
    assert_ok(dmtr_setsockopt(p.server, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    assert_ok(dmtr_close(p.server));
    expect_wait_error(pop_begin(p.client), ECONNRESET);
    assert_ok(dmtr_getsockopt(p.client, SOL_SOCKET, SO_ERROR, &error, &len));
    assert_int_equal(error, ECONNRESET);
}

static void options_of_datagrams_are_kept_and_bounded(void **state) {
    (void)state;
    static const struct {
        int name, good, bad;
    } options[] = {{IP_TOS, 16, 256}, {IP_TTL, 3, 0}};
    int qd = datagram_socket(OUR_ADDRESS, 100, 0);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        int value = options[i].good, bad = options[i].bad, got = 0;
        socklen_t len = sizeof got;
        assert_ok(dmtr_setsockopt(qd, IPPROTO_IP, options[i].name, &value, sizeof value));
        assert_int_equal(dmtr_setsockopt(qd, IPPROTO_IP, options[i].name, &bad, sizeof bad), EINVAL);
        assert_ok(dmtr_getsockopt(qd, IPPROTO_IP, options[i].name, &got, &len));
        assert_int_equal(got, value);
    }
}

static void datagrams_come_whole_with_their_sender_and_cut_where_asked(void **state) {
    (void)state;
    struct sockaddr_in from = address_of(OUR_ADDRESS, 100), to = address_of(OUR_ADDRESS, 101);
    int a = datagram_socket(OUR_ADDRESS, 100, 0), b = datagram_socket(OUR_ADDRESS, 101, 0);
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    push_text_to(a, "datagram", &to);
    assert_ok(dmtr_wait_timed(&qr, pop_begin(b), HANG));
    assert_int_equal(qr.qr_value.sga.sga_addr.sin_port, from.sin_port);
    expect_text(&qr, "datagram");
    push_text_to(a, "datagram", &to);
    assert_ok(dmtr_pop2(&qt, b, 4));
    expect_wait_text(qt, "data");
}

static void datagrams_that_are_not_popped_are_bounded(void **state) {
    (void)state;
    struct sockaddr_in to = address_of(OUR_ADDRESS, 101);
    int a = datagram_socket(OUR_ADDRESS, 100, 0), b = datagram_socket(OUR_ADDRESS, 101, 10);
    push_text_to(a, "12345678", &to);
    push_text_to(a, "too much", &to);
    push_text_to(a, "90", &to);
    dmtr_qtoken_t later;
    assert_ok(dmtr_timer(&later, MS)); /* all have arrived by then */
    expect_wait_error(later, 0);
    expect_pop_text(b, "12345678");
    expect_pop_text(b, "90");
}

static void what_cannot_be_pushed_is_refused(void **state) {
    (void)state;
    int qd = datagram_socket(OUR_ADDRESS, 100, 0);
    dmtr_sgarray_t small = message("text"), large = dmtr_sgaalloc(65508);
    struct sockaddr_in to = address_of(OUR_ADDRESS, 101);
    dmtr_qtoken_t qt;
    assert_int_equal(dmtr_push(&qt, qd, &small), EDESTADDRREQ);
    assert_int_equal(dmtr_pushto(&qt, qd, &large, (struct sockaddr *)&to, sizeof to), EMSGSIZE);
    assert_ok(dmtr_sgafree(&small));
    assert_ok(dmtr_sgafree(&large));
}

static void *start_another(void *result) {
    int qd;
    *(int *)result = start(false);
    if (*(int *)result == 0) *(int *)result = dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0);
    dmtr_fini();
    return NULL;
}

static void a_second_runtime_is_refused_and_the_next_gets_it(void **state) {
    (void)state;
    pthread_t thread;
    int qd, refused = 0;
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_int_equal(pthread_create(&thread, NULL, start_another, &refused), 0);
    pthread_join(thread, NULL);
    assert_int_equal(refused, EBUSY);
    for (int i = 0; i < 3; i++) {
        assert_ok(dmtr_fini());
        assert_ok(start(true));
        streams_go_both_ways(state);
    }
}

/* Both kinds: a connection that waits out its time, because this end closed first, and one that nobody has closed. */
static void the_next_runtime_may_bind_what_the_last_one_had(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct pair closed, open;
        int qd;
        connect_pair(&closed);
        assert_ok(dmtr_close(closed.server));
        expect_end(closed.client);
        assert_ok(dmtr_close(closed.client));
        connect_pair(&open);
        assert_ok(dmtr_fini());
        assert_ok(start(true));
        assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
        assert_ok(dmtr_bind(qd, (struct sockaddr *)&closed.at, sizeof closed.at));
        assert_ok(dmtr_socket(&qd, AF_INET, SOCK_STREAM, 0));
        assert_ok(dmtr_bind(qd, (struct sockaddr *)&open.at, sizeof open.at));
    }
}

#define lwip_test(fn) cmocka_unit_test_setup_teardown(fn, setup, test_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        lwip_test(streams_go_both_ways),
        lwip_test(a_large_push_is_held_until_acknowledged_and_closing_delivers_it),
        lwip_test(a_push_asked_to_be_acknowledged_completes_when_it_is),
        lwip_test(shutdown_ends_one_direction),
        lwip_test(connections_reset_before_they_are_accepted_are_accepted),
        lwip_test(a_reset_ends_pops),
        lwip_test(closing_cancels_waiting_operations),
        lwip_test(closing_a_listener_resets_who_waits_there),
        lwip_test(a_refused_connect_is_reported_and_may_be_retried),
        lwip_test(a_bound_socket_stays_bound_when_its_connect_fails),
        lwip_test(a_datagram_socket_may_be_disconnected),
        lwip_test(addresses_are_checked_at_the_bind),
        lwip_test(options_that_lwip_has_are_kept_and_others_refused),
        lwip_test(a_stream_reports_its_error),
        lwip_test(options_of_datagrams_are_kept_and_bounded),
        lwip_test(datagrams_come_whole_with_their_sender_and_cut_where_asked),
        lwip_test(datagrams_that_are_not_popped_are_bounded),
        lwip_test(what_cannot_be_pushed_is_refused),
        lwip_test(a_second_runtime_is_refused_and_the_next_gets_it),
        lwip_test(the_next_runtime_may_bind_what_the_last_one_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
