/* SPDX-License-Identifier: MIT */
/* Our stack and lwIP in one process, on a simulated network and its clock: what each says, the other must understand.
 */
#include "peer.h"

#include "inet/tcp/tcp.h"
#include "inet/udp/udp.h"
#include "libos/lwip/host.h"
#include "mem/heap.h"
#include "netdev/sim/sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MS           1000000ull
#define SEC          1000000000ull
#define PORT         7u
#define OUR_IP       0x0a510001u
#define LWIP_IP      0x0a510002u
#define STEPS_MAX    3000000u
#define PUSH_BYTES   16384u
#define FULL_FRAME   1514u
#define LWIP_TICK    (500 * MS) /* its retransmission timeout is at least one tick */
#define MANY         100u
#define BURST        32u
#define TRANSFER     (2u << 20)
#define TRANSFER_BAD (256u << 10)

struct world {
    struct sim *sim;
    struct netdev *ours, *theirs;
    struct inet *stack;
    uint64_t now;
    struct tcp_listener *listener;
    uint32_t lose;    /* which one of the next full frames to us is lost; 0: none */
    uint64_t lost_ns; /* when it was */
};

/* One of our streams: sends the pattern, then ends its direction unless it stays; checks what comes. */
struct stream {
    struct world *w;
    struct tcp_conn *conn;
    uint64_t bytes, sent, received;
    bool holds, stays, fin_sent, ended;
};

static const struct sim_path clean = {.delay_ns = 100000}, lossy = {.delay_ns = 1 * MS, .loss = 10000},
                             unordered = {.delay_ns = 1 * MS, .reorder = 30000, .reorder_ns = 3 * MS},
                             doubled = {.delay_ns = 1 * MS, .duplicate = 50000};

static int transmit(void *ctx, const struct inet_frame *f) {
    struct world *w = ctx;
    struct netdev_seg segs[INET_FRAME_SEGMENTS];
    for (uint32_t i = 0; i < f->count; i++)
        segs[i] = (struct netdev_seg){f->segments[i].base, f->segments[i].len};
    struct netdev_frame frame = {.segs = segs, .bytes = f->bytes, .segs_count = f->count};
    return netdev_tx(w->ours, &frame, 1, w->now) == 1 ? 0 : -EAGAIN;
}

static struct inet_config config_of(uint32_t ip, uint8_t last) {
    return (struct inet_config){
        .mac = {2, 0, 0, 0, 0, last},
        .mtu = 1500,
        .addrs = {{inet_addr_ip4(htonl(ip)), 24}},
        .addr_count = 1,
        .seed = {last},
    };
}

static struct netdev *open_host(struct sim *sim, const char *options) {
    struct netdev *dev;
    assert_int_equal(netdev_open("sim", &(struct netdev_args){.options = options, .sim = sim}, &dev), 0);
    return dev;
}

static void begin(struct world *w, const struct sim_path *path) {
    const uint8_t macs[2][NETDEV_MAC_BYTES] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
    struct inet_config ours = config_of(OUR_IP, 1), theirs = config_of(LWIP_IP, 2);
    *w = (struct world){.now = SEC, .sim = sim_new(&(struct sim_config){.seed = 5, .start_ns = SEC})};
    assert_non_null(w->sim);
    int a = sim_add_host(w->sim, "ours", macs[0], 1500), b = sim_add_host(w->sim, "theirs", macs[1], 1500);
    assert_int_equal(sim_connect(w->sim, a, b, path, path), 0);
    w->ours = open_host(w->sim, "host=ours");
    w->theirs = open_host(w->sim, "host=theirs");
    ours.transmit = transmit;
    ours.ctx = w;
    assert_int_equal(inet_new(&w->stack, &ours, w->now), 0);
    assert_int_equal(host_open(w->theirs, &theirs, w->now), 0);
    peer_begin();
}

static void finish(struct world *w) {
    peer_begin();
    host_close();
    if (w->listener) tcp_listener_close(w->listener, w->now);
    inet_delete(w->stack);
    netdev_close(w->ours);
    netdev_close(w->theirs);
    sim_free(w->sim);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static bool loses(struct world *w, const struct netdev_buffer *frame) {
    if (frame->bytes < FULL_FRAME || w->lose == 0 || --w->lose > 0) return false;
    w->lost_ns = w->now;
    heap_free(frame->data);
    return true;
}

/* Time goes on to whatever happens next, and both stacks see it. */
static void step(struct world *w) {
    struct netdev_buffer frames[BURST];
    uint64_t next = earlier(sim_next_ns(w->sim), earlier(inet_next_ns(w->stack), host_next_ns()));
    assert_true(next != NETDEV_NEVER);
    w->now = next > w->now ? next : w->now + 1000;
    sim_advance(w->sim, w->now);
    int n = netdev_rx(w->ours, frames, BURST, w->now);
    for (int i = 0; i < n; i++)
        if (!loses(w, &frames[i])) inet_input(w->stack, frames[i].data, frames[i].bytes, 0, w->now);
    inet_timers(w->stack, w->now);
    assert_true(host_poll(w->now) >= 0);
    peer_work();
}

static void send_more(struct stream *s) {
    while (s->sent < s->bytes) {
        uint64_t left = s->bytes - s->sent;
        uint32_t len = left < PUSH_BYTES ? (uint32_t)left : PUSH_BYTES;
        uint8_t *data = heap_alloc(len);
        assert_non_null(data);
        for (uint32_t i = 0; i < len; i++)
            data[i] = pattern(s->sent + i);
        int r = tcp_push(s->conn, &(struct inet_segment){data, len}, false, s->w->now);
        heap_free(data);
        if (r == 0) s->sent += len;
        if (r) return;
    }
    if (!s->fin_sent && !s->stays) s->fin_sent = tcp_shutdown(s->conn, s->w->now) == 0;
}

static void receive_more(struct stream *s) {
    struct inet_slice got;
    while (!s->ended && !s->holds && tcp_pop(s->conn, &got, UINT32_MAX, s->w->now) == 0) {
        for (uint32_t i = 0; i < got.len; i++)
            assert_int_equal(((uint8_t *)got.base)[i], pattern(s->received + i));
        s->received += got.len;
        s->ended = got.len == 0;
        if (got.len) heap_free(got.base);
    }
}

/* What the events say is looked up all the same. */
static void serve(struct world *w) {
    struct inet_socket *k;
    uint32_t events;
    while ((k = inet_next_event(w->stack, &events))) {
        struct stream *s = k->user;
        if (k->kind != INET_TCP || !s || !s->conn) continue;
        send_more(s);
        receive_more(s);
    }
}

#define run_until(w, condition)                                                                                        \
    do {                                                                                                               \
        for (uint32_t steps = 0; !(condition); steps++) {                                                              \
            assert_true(steps < STEPS_MAX);                                                                            \
            step(w);                                                                                                   \
            serve(w);                                                                                                  \
        }                                                                                                              \
    } while (0)

static void connect_to_lwip(struct world *w, struct stream *s) {
    const struct inet_endpoint to = {inet_addr_ip4(htonl(LWIP_IP)), PORT}, from = {.port = 0};
    s->w = w;
    assert_int_equal(tcp_connect(w->stack, &s->conn, &to, &from, NULL, s, w->now), 0);
}

static void listen_for_lwip(struct world *w) {
    const struct inet_endpoint local = {.port = PORT};
    assert_int_equal(tcp_listen(w->stack, &w->listener, &local, 8, NULL, NULL), 0);
}

static void accept_lwip(struct world *w, struct stream *s) {
    s->w = w;
    run_until(w, tcp_accept(w->listener, &s->conn, s) == 0);
    send_more(s);
    receive_more(s);
}

static void expect_whole(struct stream *s, const struct peer_stream *p, uint64_t bytes) {
    assert_int_equal(s->received, bytes);
    assert_int_equal(tcp_error(s->conn), 0);
    assert_int_equal(p->received, bytes);
    assert_int_equal(p->error, 0);
    assert_false(p->differs);
    tcp_close(s->conn, s->w->now);
}

/* Both send, end and hear of the other's end; who called is the question. */
static void transfer(const struct sim_path *path, uint64_t bytes, bool we_call) {
    struct world w;
    struct stream s = {.bytes = bytes};
    const struct peer_plan plan = {.bytes = bytes};
    begin(&w, path);
    if (we_call) {
        assert_int_equal(peer_listen(PORT, &plan), 0);
        connect_to_lwip(&w, &s);
    } else {
        listen_for_lwip(&w);
        assert_non_null(peer_connect(htonl(OUR_IP), PORT, &plan));
        accept_lwip(&w, &s);
    }
    run_until(&w, s.ended && peer_at(0) && peer_at(0)->finished && tcp_unacked(s.conn) == 0);
    expect_whole(&s, peer_at(0), bytes);
    finish(&w);
}

static void megabytes_pass_both_ways(void **state) {
    (void)state;
    transfer(&clean, TRANSFER, true);
    transfer(&clean, TRANSFER, false);
}

static void streams_survive_loss(void **state) {
    (void)state;
    transfer(&lossy, TRANSFER_BAD, true);
    transfer(&lossy, TRANSFER_BAD, false);
}

/* lwIP has no SACK: it needs a duplicate ACK for each segment behind the hole, although they arrive in one burst. */
static void lwip_recovers_from_a_loss_without_a_timeout(void **state) {
    (void)state;
    for (uint32_t nth = 20; nth < 40; nth++) {
        struct world w;
        struct stream s = {.bytes = 0};
        begin(&w, &clean);
        listen_for_lwip(&w);
        assert_non_null(peer_connect(htonl(OUR_IP), PORT, &(struct peer_plan){.bytes = TRANSFER_BAD}));
        w.lose = nth;
        accept_lwip(&w, &s);
        run_until(&w, s.received == TRANSFER_BAD);
        assert_int_not_equal(w.lost_ns, 0);
        assert_true(w.now - w.lost_ns < LWIP_TICK);
        run_until(&w, s.ended && peer_at(0)->finished && tcp_unacked(s.conn) == 0);
        assert_int_equal(tcp_error(s.conn), 0);
        tcp_close(s.conn, w.now);
        finish(&w);
    }
}

static void streams_survive_reordering(void **state) {
    (void)state;
    transfer(&unordered, TRANSFER_BAD, true);
    transfer(&unordered, TRANSFER_BAD, false);
}

static void streams_survive_duplication(void **state) {
    (void)state;
    transfer(&doubled, TRANSFER_BAD, true);
    transfer(&doubled, TRANSFER_BAD, false);
}

static void connections_without_data_end_in_order(void **state) {
    (void)state;
    transfer(&clean, 0, true);
    transfer(&clean, 0, false);
}

static void a_reset_of_ours_ends_lwips_stream(void **state) {
    struct world w;
    struct stream s = {.bytes = 1000, .stays = true};
    (void)state;
    begin(&w, &clean);
    assert_int_equal(peer_listen(PORT, &(struct peer_plan){.bytes = 1, .stays = true}), 0);
    connect_to_lwip(&w, &s);
    run_until(&w, peer_at(0) && peer_at(0)->received == 1000);
    tcp_abort(s.conn, w.now);
    s.conn = NULL;
    run_until(&w, !peer_at(0)->pcb);
    assert_int_not_equal(peer_at(0)->error, 0);
    finish(&w);
}

static void a_reset_of_lwips_ends_our_stream(void **state) {
    struct world w;
    struct stream s = {.bytes = 1000, .stays = true};
    (void)state;
    begin(&w, &clean);
    assert_int_equal(peer_listen(PORT, &(struct peer_plan){.bytes = 1, .stays = true}), 0);
    connect_to_lwip(&w, &s);
    run_until(&w, peer_at(0) && peer_at(0)->received == 1000);
    peer_abort(peer_at(0));
    run_until(&w, tcp_error(s.conn) != 0);
    assert_int_equal(tcp_error(s.conn), -ECONNRESET);
    tcp_close(s.conn, w.now);
    finish(&w);
}

static void a_closed_port_refuses(void **state) {
    struct world w;
    struct stream s = {.bytes = 0};
    (void)state;
    begin(&w, &clean);
    connect_to_lwip(&w, &s);
    run_until(&w, tcp_error(s.conn) != 0);
    assert_int_equal(tcp_error(s.conn), -ECONNREFUSED);
    tcp_close(s.conn, w.now);
    struct peer_stream *p = peer_connect(htonl(OUR_IP), PORT, &(struct peer_plan){.bytes = 0});
    assert_non_null(p);
    run_until(&w, !p->pcb);
    assert_int_not_equal(p->error, 0);
    assert_false(p->connected);
    finish(&w);
}

/* Long enough for several probes of the closed window. */
static void pause_for(struct world *w, uint64_t ns) {
    uint64_t until = w->now + ns;
    run_until(w, w->now >= until);
}

static void a_window_that_lwip_closes_opens_again(void **state) {
    struct world w;
    struct stream s = {.bytes = 2 * TRANSFER};
    (void)state;
    begin(&w, &clean);
    assert_int_equal(peer_listen(PORT, &(struct peer_plan){.bytes = 1, .holds = true}), 0);
    connect_to_lwip(&w, &s);
    pause_for(&w, 60 * SEC);
    assert_true(peer_at(0)->received > 0 && peer_at(0)->received < 2 * TRANSFER);
    assert_int_equal(tcp_error(s.conn), 0);
    peer_read(peer_at(0));
    run_until(&w, peer_at(0)->finished);
    assert_int_equal(peer_at(0)->received, 2 * TRANSFER);
    assert_false(peer_at(0)->differs);
    tcp_close(s.conn, w.now);
    finish(&w);
}

static void a_window_that_we_close_opens_again(void **state) {
    const uint64_t bytes = 16 * TRANSFER;
    struct world w;
    struct stream s = {.bytes = 1, .holds = true};
    (void)state;
    begin(&w, &clean);
    assert_int_equal(peer_listen(PORT, &(struct peer_plan){.bytes = bytes}), 0);
    connect_to_lwip(&w, &s);
    pause_for(&w, 20 * SEC);
    assert_true(peer_at(0)->sent < bytes);
    assert_int_equal(peer_at(0)->error, 0);
    s.holds = false;
    receive_more(&s);
    run_until(&w, s.ended);
    assert_int_equal(s.received, bytes);
    tcp_close(s.conn, w.now);
    finish(&w);
}

static bool all_ended(const struct stream *s) {
    for (uint32_t i = 0; i < MANY; i++)
        if (!s[i].ended || !peer_at(i) || !peer_at(i)->finished) return false;
    return true;
}

static void many_connections_live_side_by_side(void **state) {
    static struct stream s[MANY];
    struct world w;
    (void)state;
    begin(&w, &lossy);
    assert_int_equal(peer_listen(PORT, &(struct peer_plan){.bytes = 5000}), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        s[i] = (struct stream){.bytes = 5000};
        connect_to_lwip(&w, &s[i]);
    }
    run_until(&w, all_ended(s));
    for (uint32_t i = 0; i < MANY; i++)
        expect_whole(&s[i], peer_at(i), 5000);
    finish(&w);
}

static bool take_datagram(struct udp_socket *u, uint32_t *bytes) {
    struct udp_datagram got;
    if (udp_receive(u, &got)) return false;
    *bytes = got.payload.len;
    for (uint32_t i = 0; i < got.payload.len; i++)
        assert_int_equal(((uint8_t *)got.payload.base)[i], pattern(i));
    heap_free(got.payload.base);
    return true;
}

static void datagrams_of_any_size_come_back(void **state) {
    static const uint32_t sizes[] = {1, 64, 1472, 1473, 5000, 40000};
    const struct inet_endpoint to = {inet_addr_ip4(htonl(LWIP_IP)), PORT};
    struct world w;
    struct udp_socket *u;
    (void)state;
    begin(&w, &clean);
    assert_int_equal(peer_echo_datagrams(PORT), 0);
    assert_int_equal(udp_open(w.stack, &u, NULL), 0);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint8_t *data = heap_alloc(sizes[k]);
        uint32_t bytes = 0;
        for (uint32_t i = 0; i < sizes[k]; i++)
            data[i] = pattern(i);
        assert_int_equal(udp_send(u, &(struct inet_segment){data, sizes[k]}, 1, &to, w.now), 0);
        heap_free(data);
        run_until(&w, take_datagram(u, &bytes));
        assert_int_equal(bytes, sizes[k]);
    }
    udp_close(u);
    finish(&w);
}

static void a_process_has_one_lwip(void **state) {
    const struct inet_config config = config_of(LWIP_IP, 3);
    struct world w;
    (void)state;
    begin(&w, &clean);
    assert_int_equal(host_open(w.theirs, &config, w.now), -EBUSY);
    finish(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(megabytes_pass_both_ways),
        cmocka_unit_test(streams_survive_loss),
        cmocka_unit_test(lwip_recovers_from_a_loss_without_a_timeout),
        cmocka_unit_test(streams_survive_reordering),
        cmocka_unit_test(streams_survive_duplication),
        cmocka_unit_test(connections_without_data_end_in_order),
        cmocka_unit_test(a_reset_of_ours_ends_lwips_stream),
        cmocka_unit_test(a_reset_of_lwips_ends_our_stream),
        cmocka_unit_test(a_closed_port_refuses),
        cmocka_unit_test(a_window_that_lwip_closes_opens_again),
        cmocka_unit_test(a_window_that_we_close_opens_again),
        cmocka_unit_test(many_connections_live_side_by_side),
        cmocka_unit_test(datagrams_of_any_size_come_back),
        cmocka_unit_test(a_process_has_one_lwip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
