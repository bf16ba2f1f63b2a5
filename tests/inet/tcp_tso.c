/* SPDX-License-Identifier: MIT */
/* TCP segmentation offload between two stacks over simulated devices, which check every frame. */
#include "libos/link.h"
#include "netdev/sim/sim.h"

#include "inet/tcp/tcp.h"
#include "wire.h"

#include <stdio.h>

#define TOTAL      (1u << 20)
#define PUSH_BYTES 70000u
#define ROUNDS     1000000u

struct end {
    struct netdev *dev;
    struct inet *stack;
    struct tcp_conn *conn;
    uint64_t now, moved; /* bytes pushed or popped */
    uint32_t refused;
    bool bad;
};

static int transmit(void *ctx, const struct inet_frame *f) {
    struct end *e = ctx;
    struct netdev_seg segs[INET_FRAME_SEGMENTS];
    for (uint32_t i = 0; i < f->count; i++)
        segs[i] = (struct netdev_seg){f->segments[i].base, f->segments[i].len};
    struct netdev_frame frame = link_frame(f, segs);
    if (e->refused > 0 && --e->refused % 2 == 0) return -EAGAIN;
    return netdev_tx(e->dev, &frame, 1, e->now) == 1 ? 0 : -EAGAIN;
}

static void end_open(struct end *e, struct sim *sim, uint32_t i, const char *device, uint16_t mtu) {
    static struct inet_static_neighbour known[2];
    struct netdev_args args = {.options = device, .sim = sim};
    assert_int_equal(netdev_open("sim", &args, &e->dev), 0);
    struct inet_config config = {
        .mtu = mtu,
        .addrs = {{inet_addr_ip4(IP(10, 0, 0, i + 1)), 24}},
        .addr_count = 1,
        .neighbours = known,
        .neighbour_count = 2,
        .offloads = (e->dev->offloads & NETDEV_CSUM ? INET_OFFLOAD_CSUM : 0u) |
                    (e->dev->offloads & NETDEV_TSO4 ? INET_OFFLOAD_TSO : 0u),
        .tso_frame_bytes = e->dev->tso_bytes,
        .seed = {(uint8_t)i},
        .transmit = transmit,
        .ctx = e,
    };
    for (uint32_t k = 0; k < 2; k++) {
        known[k].addr = inet_addr_ip4(IP(10, 0, 0, k + 1));
        memcpy(known[k].mac, mac_of[k], INET_MAC_BYTES);
    }
    memcpy(config.mac, mac_of[i], INET_MAC_BYTES);
    assert_int_equal(inet_new(&e->stack, &config, e->now), 0);
}

static void end_close(struct end *e) {
    if (e->conn) tcp_abort(e->conn, e->now);
    inet_delete(e->stack);
    assert_int_equal(e->dev->stats.tx_refused, 0);
    netdev_close(e->dev);
}

static void push_some(struct end *e) {
    while (e->moved < TOTAL) {
        uint32_t bytes = TOTAL - e->moved < PUSH_BYTES ? (uint32_t)(TOTAL - e->moved) : PUSH_BYTES;
        struct inet_segment data = {heap_alloc(bytes), bytes};
        for (uint32_t i = 0; i < bytes; i++)
            ((uint8_t *)data.base)[i] = (uint8_t)((e->moved + i) * 31 >> 5);
        int error = tcp_push(e->conn, &data, false, e->now);
        heap_free((void *)data.base);
        if (error) return;
        e->moved += bytes;
    }
    tcp_shutdown(e->conn, e->now);
}

/* Pops and checks all data. Returns true at the end of the stream. */
static bool pop_all(struct end *e) {
    struct inet_slice slice;
    while (tcp_pop(e->conn, &slice, UINT32_MAX, e->now) == 0) {
        if (slice.len == 0) return true;
        for (uint32_t i = 0; i < slice.len; i++)
            e->bad |= ((uint8_t *)slice.base)[i] != (uint8_t)((e->moved + i) * 31 >> 5);
        e->moved += slice.len;
        heap_free(slice.base);
    }
    return false;
}

static void poll_end(struct end *e, uint64_t now) {
    struct netdev_buffer frames[32];
    uint32_t events;
    int n;
    e->now = now;
    while ((n = netdev_rx(e->dev, frames, 32, now)) > 0)
        for (int i = 0; i < n; i++)
            inet_input(e->stack, frames[i].data, frames[i].bytes, 0, now);
    inet_timers(e->stack, now);
    while (inet_next_event(e->stack, &events))
        ;
}

/* Transfers TOTAL bytes. Returns the number of TSO frames that the sender's device received. */
static uint64_t transfer(const char *device, uint16_t mtu, const struct sim_path *path, uint32_t refuse) {
    static const uint16_t port = 80;
    struct sim *sim = sim_new(&(struct sim_config){.seed = 1, .start_ns = SEC, .host_queue_max = 4096});
    struct end a = {.now = SEC, .refused = refuse}, b = {.now = SEC};
    struct inet_endpoint to = {inet_addr_ip4(IP(10, 0, 0, 2)), port}, any = {.port = port};
    struct tcp_listener *listener;
    uint64_t now = SEC;
    sim_add_host(sim, "a", mac_of[0], mtu);
    sim_add_host(sim, "b", mac_of[1], mtu);
    sim_connect(sim, 0, 1, path, NULL);
    end_open(&a, sim, 0, device, mtu);
    end_open(&b, sim, 1, "host=b", mtu);
    assert_int_equal(tcp_listen(b.stack, &listener, &any, 1, NULL, NULL), 0);
    assert_int_equal(tcp_connect(a.stack, &a.conn, &to, NULL, NULL, NULL, now), 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        poll_end(&a, now);
        poll_end(&b, now);
        push_some(&a);
        if (!b.conn) tcp_accept(listener, &b.conn, NULL);
        if (b.conn && pop_all(&b)) break;
        uint64_t next = sim_next_ns(sim), timer = inet_next_ns(a.stack), other = inet_next_ns(b.stack);
        if (timer < next) next = timer;
        if (other < next) next = other;
        now = next > now ? next : now;
    }
    assert_int_equal(b.moved, TOTAL);
    assert_false(b.bad);
    uint64_t cut = inet_counters(a.stack)[INET_COUNTER_tcp_tso_frames];
    tcp_listener_close(listener, now);
    end_close(&a);
    end_close(&b);
    sim_free(sim);
    return cut;
}

static const struct sim_path good = {.delay_ns = MS}, bad = {.delay_ns = MS,
                                                             .loss = SIM_CHANCE_ONE / 100,
                                                             .reorder = SIM_CHANCE_ONE / 100,
                                                             .reorder_ns = MS};

static void streams_arrive_unchanged_with_every_set_of_offloads(void **state) {
    (void)state;
    static const struct {
        const char *device;
        bool cuts;
    } devices[] = {
        {"host=a", false},
        {"host=a,csum=yes", false},
        {"host=a,csum=yes,tso=128", false},
        {"host=a,csum=yes,tso=20000", true},
        {"host=a,csum=yes,tso=65535", true},
        {"host=a,csum=yes,tso=65549", true},
    };
    static const uint16_t mtus[] = {576, 1500, 9000};
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++)
        for (size_t m = 0; m < sizeof mtus / sizeof *mtus; m++)
            for (int p = 0; p < 2; p++) {
                uint64_t cut = transfer(devices[d].device, mtus[m], p ? &bad : &good, 0);
                if ((cut > 0) != devices[d].cuts) fail_msg("%s, MTU %u: %u", devices[d].device, mtus[m], (unsigned)cut);
            }
}

static void tso_replaces_many_segments_by_one_frame(void **state) {
    (void)state;
    uint64_t cut = transfer("host=a,csum=yes,tso=65549", 1500, &good, 0);
    assert_true(cut > 0 && cut < TOTAL / 1448 / 8);
}

static void refused_frames_are_sent_later(void **state) {
    (void)state;
    assert_true(transfer("host=a,csum=yes,tso=65549", 1500, &good, 60) > 0);
    assert_true(transfer("host=a,csum=yes,tso=65549", 1500, &bad, 60) > 0);
}

static int refuse_frame(void *ctx, const struct inet_frame *f) {
    (void)ctx, (void)f;
    return -EAGAIN;
}

/* Loopback frames are never segmented. The receiver must acknowledge each long frame without delay. */
static void long_loopback_frames_are_not_segmented(void **state) {
    (void)state;
    struct end a = {.now = SEC}, b = {.now = SEC};
    struct inet_config config = {
        .mtu = 1500,
        .addrs = {{inet_addr_ip4(IP(10, 0, 0, 1)), 24}},
        .addr_count = 1,
        .offloads = INET_OFFLOAD_CSUM | INET_OFFLOAD_TSO,
        .transmit = refuse_frame,
    };
    struct inet_endpoint own = {inet_addr_ip4(IP(10, 0, 0, 1)), 80};
    struct tcp_listener *listener;
    uint64_t now = SEC;
    uint32_t events;
    assert_int_equal(inet_new(&a.stack, &config, now), 0);
    b.stack = a.stack;
    assert_int_equal(tcp_listen(b.stack, &listener, &own, 1, NULL, NULL), 0);
    assert_int_equal(tcp_connect(a.stack, &a.conn, &own, NULL, NULL, NULL, now), 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        a.now = b.now = now;
        inet_timers(a.stack, now);
        while (inet_next_event(a.stack, &events))
            ;
        push_some(&a);
        if (!b.conn) tcp_accept(listener, &b.conn, NULL);
        if (b.conn && pop_all(&b)) break;
        uint64_t next = inet_next_ns(a.stack);
        now = next > now ? next : now;
    }
    assert_int_equal(b.moved, TOTAL);
    assert_false(b.bad);
    assert_true(inet_counters(a.stack)[INET_COUNTER_tcp_tso_frames] > TOTAL / 65535 / 2);
    assert_true(now - SEC < 100 * MS); /* on the virtual clock */
    tcp_listener_close(listener, now);
    tcp_abort(a.conn, now);
    tcp_abort(b.conn, now);
    inet_delete(a.stack);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_arrive_unchanged_with_every_set_of_offloads),
        cmocka_unit_test(tso_replaces_many_segments_by_one_frame),
        cmocka_unit_test(refused_frames_are_sent_later),
        cmocka_unit_test(long_loopback_frames_are_not_segmented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
