/* SPDX-License-Identifier: MIT */
/*
 * TCP between two stacks: the byte streams arrive complete, once and in order over any wire, and all memory is freed.
 */
#include "wire.h"

#include "inet/tcp/tcp.h"

struct stream {
    struct tcp_conn *conn;
    uint64_t pushed, popped, total; /* total: bytes to push; popped: bytes received from the peer */
    uint64_t pause_until;           /* the reader pops nothing before this time */
    bool ended, shut, failed;
    int error;
    uint32_t chunk;
};

static struct tcp_listener *listen_on(struct host *h, uint16_t port) {
    struct tcp_listener *l;
    struct inet_endpoint any = {.port = port};
    assert_int_equal(tcp_listen(h->stack, &l, &any, 16, NULL, NULL), 0);
    return l;
}

static struct tcp_conn *connect_to(struct host *h, uint8_t host, uint16_t port) {
    struct tcp_conn *c;
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, host)), port};
    assert_int_equal(tcp_connect(h->stack, &c, &to, NULL, NULL, NULL, h->wire->now), 0);
    return c;
}

static uint8_t byte_at(uint64_t i) {
    return (uint8_t)(i * 167 + i / 256 * 13 + i / 65536);
}

static void stream_push(struct stream *t, struct wire *w) {
    while (!t->failed && t->pushed < t->total) {
        uint32_t n = t->total - t->pushed < t->chunk ? (uint32_t)(t->total - t->pushed) : t->chunk;
        uint8_t *p = heap_alloc(n);
        for (uint32_t i = 0; i < n; i++)
            p[i] = byte_at(t->pushed + i);
        struct inet_segment segment = {p, n};
        int error = tcp_push(t->conn, &segment, false, w->now);
        heap_free(p);
        if (error == -EAGAIN || error == -ENOTCONN) return;
        if (error) {
            t->failed = true;
            t->error = error;
            return;
        }
        t->pushed += n;
    }
    if (!t->shut && !t->failed && t->pushed == t->total) t->shut = tcp_shutdown(t->conn, w->now) == 0;
}

static void stream_pop(struct stream *t, struct wire *w) {
    struct inet_slice s;
    if (w->now < t->pause_until) return;
    while (!t->ended && !t->failed) {
        int error = tcp_pop(t->conn, &s, 1u << 20, w->now);
        if (error == -EAGAIN || error == -ENOTCONN) return;
        if (error) {
            t->failed = true;
            t->error = error;
            return;
        }
        if (s.len == 0) {
            t->ended = true;
            return;
        }
        for (uint32_t i = 0; i < s.len; i++)
            if (((uint8_t *)s.base)[i] != byte_at(t->popped + i)) fail_msg("byte %llu differs", (unsigned long long)i);
        t->popped += s.len;
        heap_free(s.base);
    }
}

/* Both ends push and pop until both streams end. Returns false if they do not end in time. */
static bool exchange(struct wire *w, struct stream *a, struct stream *b, uint64_t within) {
    uint64_t until = w->now + within, step = MS, done = 0;
    while (w->now < until) {
        stream_push(a, w);
        stream_push(b, w);
        stream_pop(a, w);
        stream_pop(b, w);
        if ((a->ended && b->ended) || a->failed || b->failed) return a->ended && b->ended;
        uint64_t sum = a->pushed + a->popped + b->pushed + b->popped;
        step = sum != done ? MS : step < SEC ? step * 2 : step;
        done = sum;
        wire_run(w, w->now + step);
    }
    return false;
}

static struct wire *new_pair(uint64_t seed) {
    struct wire *w = wire_new(seed);
    host_start(w, 0);
    host_start(w, 1);
    wire_join(w);
    w->delay_ns = 5 * MS;
    return w;
}

static void open_pair(struct wire *w, struct tcp_listener **l, struct stream *a, struct stream *b) {
    *l = listen_on(&w->hosts[1], 80);
    a->conn = connect_to(&w->hosts[0], 2, 80);
    for (uint32_t i = 0; i < 60000 && tcp_accept(*l, &b->conn, NULL) == -EAGAIN; i++)
        wire_run(w, w->now + MS);
    assert_non_null(b->conn);
}

/* Closes both ends and waits until TIME_WAIT is over. Then no timer is armed and no memory is used. */
static void close_pair(struct wire *w, struct tcp_listener *l, struct stream *a, struct stream *b) {
    tcp_close(a->conn, w->now);
    tcp_close(b->conn, w->now);
    tcp_listener_close(l, w->now);
    wire_run(w, w->now + 1000 * SEC);
    assert_int_equal(inet_next_ns(w->hosts[0].stack), UINT64_MAX);
    assert_int_equal(inet_next_ns(w->hosts[1].stack), UINT64_MAX);
    struct heap_stats stats;
    heap_get_stats(&stats);
    assert_int_equal(stats.used_bytes, 0);
}

static void run_transfer(struct wire *w, uint64_t up, uint64_t down, uint32_t chunk) {
    struct stream a = {.total = up, .chunk = chunk}, b = {.total = down, .chunk = chunk};
    struct tcp_listener *l;
    open_pair(w, &l, &a, &b);
    if (!exchange(w, &a, &b, 3000 * SEC))
        fail_msg("transfer did not finish: pushed %llu/%llu popped %llu/%llu errors %d %d",
                 (unsigned long long)a.pushed, (unsigned long long)b.pushed, (unsigned long long)a.popped,
                 (unsigned long long)b.popped, a.error, b.error);
    assert_int_equal(b.popped, up);
    assert_int_equal(a.popped, down);
    close_pair(w, l, &a, &b);
}

static void streams_arrive_in_both_directions(void **state) {
    (void)state;
    static const uint32_t chunks[] = {1, 64, 1460, 5000, 100000};
    for (uint32_t i = 0; i < 5; i++) {
        struct wire *w = new_pair(i);
        run_transfer(w, chunks[i] * 50ull, chunks[i] * 30ull, chunks[i]);
        assert_int_equal(counted(&w->hosts[0], tcp_retransmits), 0);
        wire_delete(w);
    }
}

static void empty_streams_reach_their_end(void **state) {
    (void)state;
    struct wire *w = new_pair(1);
    run_transfer(w, 0, 0, 1);
    wire_delete(w);
}

static void scaled_windows_fill_a_long_path(void **state) {
    (void)state;
    struct wire *w = new_pair(1);
    w->delay_ns = 50 * MS;
    uint64_t start = w->now;
    struct stream a = {.total = 30000000, .chunk = 100000}, b = {.chunk = 1};
    struct tcp_listener *l;
    open_pair(w, &l, &a, &b);
    assert_true(exchange(w, &a, &b, 100 * SEC));
    /* with an unscaled window of 64 KiB per round trip the transfer would take 45 s */
    assert_true(w->now - start < 10 * SEC);
    close_pair(w, l, &a, &b);
    wire_delete(w);
}

static void streams_arrive_despite_loss_duplication_and_reordering(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct wire *w = new_pair(seed);
        w->loss_permille = (uint32_t)seed * 5;
        w->duplicate_permille = (uint32_t)(seed % 3) * 50;
        w->jitter_ns = (seed % 4) * 3 * MS;
        run_transfer(w, 200000, 100000, seed % 2 ? 777 : 20000);
        wire_delete(w);
    }
}

static void streams_arrive_over_a_lossy_path_with_reno_and_with_cubic(void **state) {
    (void)state;
    static const char *const names[] = {"reno", "cubic"};
    for (uint32_t i = 0; i < 2; i++) {
        struct wire *w = new_pair(i);
        struct stream a = {.total = 5000000, .chunk = 50000}, b = {.chunk = 1};
        struct tcp_listener *l;
        struct tcp_status info;
        open_pair(w, &l, &a, &b);
        assert_int_equal(tcp_congestion_find("no such"), -ENOENT);
        assert_int_equal(tcp_set_option(a.conn, TCP_OPTION_CONGESTION, (uint32_t)tcp_congestion_find(names[i]), w->now),
                         0);
        w->loss_permille = 10;
        w->delay_ns = 10 * MS;
        uint64_t start = w->now;
        assert_true(exchange(w, &a, &b, 300 * SEC));
        tcp_get_status(a.conn, &info);
        assert_string_equal(info.congestion, names[i]);
        assert_true(counted(&w->hosts[0], tcp_recoveries) > 0);
        printf("# %s: %llu kbit/s at 1%% loss and 20 ms, %u retransmitted segments, %llu timeouts\n", names[i],
               (unsigned long long)(a.total * 8 * MS / (w->now - start)), info.retransmits,
               (unsigned long long)counted(&w->hosts[0], tcp_rto));
        close_pair(w, l, &a, &b);
        wire_delete(w);
    }
}

static void stream_stops_while_the_peer_does_not_read_and_then_continues(void **state) {
    (void)state;
    struct wire *w = new_pair(1);
    struct stream a = {.total = 20000000, .chunk = 50000}, b = {.chunk = 1};
    struct tcp_listener *l;
    open_pair(w, &l, &a, &b);
    b.pause_until = w->now + 1000 * SEC; /* much longer than the limit for unanswered window probes */
    assert_true(exchange(w, &a, &b, 2000 * SEC));
    assert_int_equal(b.popped, a.total);
    close_pair(w, l, &a, &b);
    wire_delete(w);
}

static void half_closed_connection_carries_the_other_direction(void **state) {
    (void)state;
    struct wire *w = new_pair(3);
    w->loss_permille = 50;
    run_transfer(w, 0, 300000, 3000); /* the client shuts down immediately */
    wire_delete(w);
    w = new_pair(4);
    w->loss_permille = 50;
    run_transfer(w, 300000, 0, 3000);
    wire_delete(w);
}

static void close_delivers_pushed_data(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct wire *w = new_pair(seed);
        struct stream a = {.total = 100000, .chunk = 100000}, b = {.chunk = 1};
        struct tcp_listener *l;
        open_pair(w, &l, &a, &b);
        w->loss_permille = 100;
        uint8_t *p = heap_alloc(100000);
        for (uint32_t i = 0; i < 100000; i++)
            p[i] = byte_at(i);
        struct inet_segment segment = {p, 100000};
        wire_run(w, w->now + SEC);
        assert_int_equal(tcp_push(a.conn, &segment, false, w->now), 0);
        heap_free(p);
        tcp_close(a.conn, w->now);
        for (uint32_t i = 0; i < 100000 && !b.ended && !b.failed; i++) {
            wire_run(w, w->now + MS);
            stream_pop(&b, w);
        }
        assert_true(b.ended);
        assert_int_equal(b.popped, 100000);
        tcp_close(b.conn, w->now);
        tcp_listener_close(l, w->now);
        wire_run(w, w->now + 1000 * SEC);
        wire_delete(w);
    }
}

/* Opens, uses and closes a connection on a lossy path. Returns a digest of each host's frames and their times. */
static void run_lossy_connection(uint64_t seed, bool detour, uint64_t digests[2]) {
    struct wire *w = new_pair(seed);
    struct stream a = {.total = 200000, .chunk = (uint32_t)(100 + seed * 777)}, b = {.total = 100000, .chunk = 3000};
    struct tcp_listener *l;
    w->detour = detour;
    w->loss_permille = 5 * (uint32_t)seed;
    w->duplicate_permille = 10;
    w->jitter_ns = seed % 2 * MS;
    open_pair(w, &l, &a, &b);
    assert_true(exchange(w, &a, &b, 300 * SEC));
    close_pair(w, l, &a, &b);
    for (uint32_t i = 0; i < 2; i++)
        digests[i] = w->hosts[i].digest;
    wire_delete(w);
}

static void fast_path_and_slow_path_send_the_same_frames(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        uint64_t with[2], without[2];
        run_lossy_connection(seed, false, with);
        run_lossy_connection(seed, true, without);
        assert_true(with[0] == without[0] && with[1] == without[1]);
    }
}

static void connection_times_out_when_the_peer_vanishes(void **state) {
    (void)state;
    struct wire *w = new_pair(1);
    struct stream a = {.total = 100000, .chunk = 1000}, b = {.chunk = 1};
    struct tcp_listener *l;
    open_pair(w, &l, &a, &b);
    w->loss_permille = 1000;
    assert_false(exchange(w, &a, &b, 2000 * SEC));
    wire_run(w, w->now + 1000 * SEC);
    assert_int_equal(tcp_error(a.conn), -ETIMEDOUT);
    assert_int_equal(tcp_error(b.conn), -ETIMEDOUT);
    assert_int_equal(tcp_unacked(a.conn), 0);
    close_pair(w, l, &a, &b);
    wire_delete(w);
}

static void user_timeout_ends_the_connection_earlier(void **state) {
    (void)state;
    struct wire *w = new_pair(1);
    struct stream a = {.total = 100000, .chunk = 1000}, b = {.chunk = 1};
    struct tcp_listener *l;
    open_pair(w, &l, &a, &b);
    assert_int_equal(tcp_set_option(a.conn, TCP_OPTION_USER_TIMEOUT_MS, 5000, w->now), 0);
    w->loss_permille = 1000;
    uint64_t start = w->now;
    assert_false(exchange(w, &a, &b, 2000 * SEC));
    assert_int_equal(a.error, -ETIMEDOUT);
    assert_true(w->now - start < 15 * SEC);
    close_pair(w, l, &a, &b);
    wire_delete(w);
}

static void connect_to_a_closed_port_is_refused(void **state) {
    (void)state;
    struct wire *w = new_pair(1);
    struct tcp_conn *c = connect_to(&w->hosts[0], 2, 81);
    uint32_t events;
    wire_run(w, w->now + SEC);
    assert_non_null(inet_next_event(w->hosts[0].stack, &events));
    assert_true(events & INET_EVENT_CLOSED);
    assert_int_equal(tcp_error(c), -ECONNREFUSED);
    tcp_close(c, w->now);
    wire_delete(w);
}

static void connect_to_an_unreachable_host_reports_it(void **state) {
    (void)state;
    struct wire *w = new_pair(1);
    struct tcp_conn *c = connect_to(&w->hosts[0], 77, 80);
    wire_run(w, w->now + 10 * SEC);
    assert_int_equal(tcp_error(c), -EHOSTUNREACH);
    tcp_close(c, w->now);
    wire_delete(w);
}

static void simultaneous_open_makes_one_connection(void **state) {
    (void)state;
    struct wire *w = new_pair(1);
    struct stream a = {.total = 5000, .chunk = 500}, b = {.total = 7000, .chunk = 700};
    struct inet_endpoint ends[2] = {{inet_addr_ip4(IP(10, 0, 0, 1)), 1111}, {inet_addr_ip4(IP(10, 0, 0, 2)), 2222}};
    assert_int_equal(tcp_connect(w->hosts[0].stack, &a.conn, &ends[1], &ends[0], NULL, NULL, w->now), 0);
    assert_int_equal(tcp_connect(w->hosts[1].stack, &b.conn, &ends[0], &ends[1], NULL, NULL, w->now), 0);
    assert_true(exchange(w, &a, &b, 100 * SEC));
    assert_int_equal(a.popped, 7000);
    assert_int_equal(b.popped, 5000);
    tcp_close(a.conn, w->now);
    tcp_close(b.conn, w->now);
    wire_run(w, w->now + 1000 * SEC);
    wire_delete(w);
}

static void connection_to_our_own_address_does_not_use_the_device(void **state) {
    (void)state;
    struct wire *w = wire_new_scripted();
    struct stream a = {.total = 500000, .chunk = 3000}, b = {.total = 300, .chunk = 300};
    struct tcp_listener *l = listen_on(&w->hosts[0], 80);
    a.conn = connect_to(&w->hosts[0], 1, 80);
    wire_run(w, w->now + MS);
    assert_int_equal(tcp_accept(l, &b.conn, NULL), 0);
    assert_true(exchange(w, &a, &b, 100 * SEC));
    assert_int_equal(b.popped, 500000);
    host_expect_silence(&w->hosts[0]);
    tcp_close(a.conn, w->now);
    tcp_close(b.conn, w->now);
    tcp_listener_close(l, w->now);
    wire_run(w, w->now + 1000 * SEC);
    wire_delete(w);
}

static void full_device_delays_segments_and_loses_none(void **state) {
    (void)state;
    struct wire *w = new_pair(1);
    struct stream a = {.total = 300000, .chunk = 3000}, b = {.total = 1000, .chunk = 100};
    struct tcp_listener *l;
    open_pair(w, &l, &a, &b);
    for (uint32_t i = 0; i < 100; i++) {
        w->hosts[0].refuse = 3;
        w->hosts[1].refuse = 2;
        exchange(w, &a, &b, 3 * MS);
    }
    w->hosts[0].refuse = w->hosts[1].refuse = 0;
    assert_true(exchange(w, &a, &b, 100 * SEC));
    assert_int_equal(b.popped, 300000);
    assert_int_equal(counted(&w->hosts[0], tcp_retransmits), 0);
    close_pair(w, l, &a, &b);
    wire_delete(w);
}

static void listener_limits_connections_that_wait_but_not_accepted_ones(void **state) {
    (void)state;
    struct wire *w = new_pair(1);
    struct tcp_listener *l = listen_on(&w->hosts[1], 80);
    struct tcp_conn *live[200][2];
    for (uint32_t i = 0; i < 200; i++) { /* many more connections than the backlog of 16 */
        live[i][0] = connect_to(&w->hosts[0], 2, 80);
        wire_run(w, w->now + 50 * MS);
        assert_int_equal(tcp_accept(l, &live[i][1], NULL), 0);
    }
    struct tcp_conn *waiting[40], *accepted;
    for (uint32_t i = 0; i < 40; i++)
        waiting[i] = connect_to(&w->hosts[0], 2, 80);
    wire_run(w, w->now + 500 * MS);
    assert_true(counted(&w->hosts[1], tcp_accept_limit) + counted(&w->hosts[1], tcp_syn_limit) >= 24);
    uint8_t *byte = heap_alloc(1);
    struct inet_segment data = {byte, 1};
    uint32_t n = 0;
    for (uint32_t round = 0; round < 100; round++) { /* each accept makes room for another connection */
        while (tcp_accept(l, &accepted, NULL) == 0) {
            tcp_abort(accepted, w->now);
            n++;
        }
        for (uint32_t i = 0; i < 40; i++) /* data from a client with a SYN cookie completes its handshake */
            if (tcp_unacked(waiting[i]) == 0) tcp_push(waiting[i], &data, false, w->now);
        wire_run(w, w->now + SEC);
    }
    heap_free(byte);
    assert_int_equal(n, 40);
    for (uint32_t i = 0; i < 40; i++)
        tcp_abort(waiting[i], w->now);
    for (uint32_t i = 0; i < 200; i++) {
        tcp_abort(live[i][0], w->now);
        tcp_abort(live[i][1], w->now);
    }
    tcp_listener_close(l, w->now);
    wire_run(w, w->now + SEC);
    wire_delete(w);
}

static void connections_reset_before_accept_are_accepted_and_report_the_reset(void **state) {
    (void)state;
    enum { BACKLOG = 16, PEERS = 40 }; /* the backlog that listen_on passes */
    struct wire *w = new_pair(1);
    struct tcp_listener *l = listen_on(&w->hosts[1], 80);
    struct tcp_conn *accepted;
    struct inet_slice slice;
    uint8_t *word = heap_alloc(4);
    struct inet_segment data = {word, 4};
    memcpy(word, "data", 4);
    for (uint32_t i = 0; i < PEERS; i++) { /* more than the backlog, each reset before the next one connects */
        struct tcp_conn *c = connect_to(&w->hosts[0], 2, 80);
        wire_run(w, w->now + 50 * MS);
        if (i == 0) assert_int_equal(tcp_push(c, &data, false, w->now), 0);
        wire_run(w, w->now + 50 * MS);
        tcp_abort(c, w->now);
        wire_run(w, w->now + 50 * MS);
    }
    for (uint32_t i = 0; i < BACKLOG; i++) {
        assert_int_equal(tcp_accept(l, &accepted, NULL), 0);
        assert_int_equal(tcp_error(accepted), -ECONNRESET);
        if (i == 0) { /* data received before the reset can still be popped */
            assert_int_equal(tcp_pop(accepted, &slice, 100, w->now), 0);
            assert_int_equal(slice.len, 4);
            heap_free(slice.base);
        }
        assert_int_equal(tcp_pop(accepted, &slice, 100, w->now), -ECONNRESET);
        assert_int_equal(tcp_push(accepted, &data, false, w->now), -ECONNRESET);
        assert_int_equal(tcp_detach(accepted), -EINVAL);
        tcp_close(accepted, w->now);
    }
    assert_int_equal(tcp_accept(l, &accepted, NULL), -EAGAIN);
    heap_free(word);
    tcp_listener_close(l, w->now);
    wire_run(w, w->now + SEC);
    wire_delete(w);
}

/* Closing the listener, or deleting the stack, frees the reset connections that were not accepted. */
static void connections_reset_before_accept_are_freed_with_the_listener(void **state) {
    (void)state;
    for (int with_stack = 0; with_stack < 2; with_stack++) {
        struct wire *w = new_pair(1);
        struct tcp_listener *l = listen_on(&w->hosts[1], 80);
        struct tcp_conn *reset = connect_to(&w->hosts[0], 2, 80), *live = connect_to(&w->hosts[0], 2, 80);
        wire_run(w, w->now + 50 * MS);
        tcp_abort(reset, w->now);
        wire_run(w, w->now + 50 * MS);
        if (!with_stack) {
            tcp_listener_close(l, w->now);
            wire_run(w, w->now + 50 * MS);
            assert_int_equal(tcp_error(live), -ECONNRESET);
        }
        tcp_abort(live, w->now);
        wire_delete(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_reset_before_accept_are_accepted_and_report_the_reset),
        cmocka_unit_test(connections_reset_before_accept_are_freed_with_the_listener),
        cmocka_unit_test(streams_arrive_in_both_directions),
        cmocka_unit_test(empty_streams_reach_their_end),
        cmocka_unit_test(scaled_windows_fill_a_long_path),
        cmocka_unit_test(streams_arrive_despite_loss_duplication_and_reordering),
        cmocka_unit_test(streams_arrive_over_a_lossy_path_with_reno_and_with_cubic),
        cmocka_unit_test(stream_stops_while_the_peer_does_not_read_and_then_continues),
        cmocka_unit_test(half_closed_connection_carries_the_other_direction),
        cmocka_unit_test(close_delivers_pushed_data),
        cmocka_unit_test(fast_path_and_slow_path_send_the_same_frames),
        cmocka_unit_test(connection_times_out_when_the_peer_vanishes),
        cmocka_unit_test(user_timeout_ends_the_connection_earlier),
        cmocka_unit_test(connect_to_a_closed_port_is_refused),
        cmocka_unit_test(connect_to_an_unreachable_host_reports_it),
        cmocka_unit_test(simultaneous_open_makes_one_connection),
        cmocka_unit_test(connection_to_our_own_address_does_not_use_the_device),
        cmocka_unit_test(full_device_delays_segments_and_loses_none),
        cmocka_unit_test(listener_limits_connections_that_wait_but_not_accepted_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
