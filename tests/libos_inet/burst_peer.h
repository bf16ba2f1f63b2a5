/* SPDX-License-Identifier: MIT */
/*
 * A peer on the other end of our wire, in the same thread: a stack of its own that runs only in peer_step, so that a
 * test sees which frames have left after each call. The clock is the test's.
 */
#ifndef TESTS_BURST_PEER_H
#define TESTS_BURST_PEER_H

#include "base/clock.h"
#include "inet/inet.h"
#include "inet/tcp/tcp.h"
#include "inet/udp/udp.h"
#include "mem/heap.h"
#include "net_test.h"
#include "netdev/netdev.h"

#define PEER_CONNS 64

static uint64_t test_now_ns = 1000000000;

uint64_t clock_now_ns(void) {
    return test_now_ns;
}

bool clock_uses_tsc(void) {
    return false;
}

static struct {
    struct netdev *dev;
    struct inet *stack;
    struct tcp_conn *conns[PEER_CONNS];
    struct udp_socket *udp;
    uint32_t frames, bytes; /* received in the last peer_step: frames, and payload of TCP */
    uint32_t connected;
    bool refuses; /* leaves frames in the wire */
} peer;

static int peer_transmit(void *ctx, const struct inet_frame *f) {
    struct netdev_seg segs[INET_FRAME_SEGMENTS];
    struct netdev_frame out = {.segs = segs, .bytes = f->bytes, .segs_count = f->count};
    (void)ctx;
    for (uint32_t i = 0; i < f->count; i++)
        segs[i] = (struct netdev_seg){f->segments[i].base, f->segments[i].len};
    return netdev_tx(peer.dev, &out, 1, test_now_ns) == 1 ? 0 : -EAGAIN;
}

/* Receives what is in the wire, without an answer; peer_answer sends those. Returns the number of frames. */
static uint32_t peer_look(void) {
    struct netdev_buffer frames[64];
    int n;
    peer.frames = 0;
    while (!peer.refuses && (n = netdev_rx(peer.dev, frames, 64, test_now_ns)) > 0)
        for (int i = 0; i < n; i++) {
            peer.frames++;
            inet_input(peer.stack, frames[i].data, frames[i].bytes, INET_INPUT_CSUM_OK, test_now_ns);
        }
    return peer.frames;
}

static void peer_answer(void) {
    uint32_t events;
    inet_timers(peer.stack, test_now_ns);
    while (inet_next_event(peer.stack, &events))
        peer.connected += (events & INET_EVENT_CONNECTED) != 0;
}

/* Both ends take steps until neither sends anything. */
static void exchange(void) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    for (int quiet = 0, i = 0; quiet < 3; i++) {
        assert_true(i < 10000);
        assert_ok(dmtr_timer(&qt, HANG));
        assert_int_equal(dmtr_poll(&qr, qt), EAGAIN);
        assert_ok(dmtr_drop(qt));
        quiet = peer_look() ? 0 : quiet + 1;
        peer_answer();
        test_now_ns += 1000;
    }
}

/* Reads all that connection i has received, as bytes. */
static uint32_t peer_read(uint32_t i) {
    struct inet_slice slice;
    uint32_t bytes = 0;
    while (tcp_pop(peer.conns[i], &slice, UINT32_MAX, test_now_ns) == 0 && slice.len > 0) {
        bytes += slice.len;
        heap_free(slice.base);
    }
    return bytes;
}

static void peer_push(uint32_t i, uint32_t bytes) {
    struct inet_segment data = {heap_alloc(bytes), bytes};
    assert_non_null(data.base);
    memset((void *)data.base, 'q', bytes);
    assert_int_equal(tcp_push(peer.conns[i], &data, false, test_now_ns), 0);
    heap_free((void *)data.base);
    inet_flush(peer.stack, test_now_ns);
}

static void start_ours(const char *option, const char *second) {
    char device[160];
    snprintf(device, sizeof device, "inet.device_options=path=/tmp/dmtr-burst.%d,listen=yes", (int)getpid());
    assert_ok(start_with_options((const char *const[]){"libos=inet", "inet.device=shm", "log.sink=none", device,
                                                       ("inet.address=" OUR_ADDRESS "/24"), "core.linger_ms=0", option,
                                                       second, NULL}));
}

static void start_peer(void) {
    char device[160];
    struct netdev_args args = {.options = device};
    struct inet_config config = {.mtu = 1500,
                                 .addrs = {{inet_addr_ip4(address_of(PEER_ADDRESS, 0).sin_addr.s_addr), 24}},
                                 .addr_count = 1,
                                 .transmit = peer_transmit};
    snprintf(device, sizeof device, "path=/tmp/dmtr-burst.%d", (int)getpid());
    memset(&peer, 0, sizeof peer);
    assert_int_equal(netdev_open("shm", &args, &peer.dev), 0);
    memcpy(config.mac, peer.dev->mac, sizeof config.mac);
    config.seed[0] = 1;
    assert_int_equal(inet_new(&peer.stack, &config, test_now_ns), 0);
    for (int i = 0; i < 1000 && !peer.dev->link_up; i++) {
        test_now_ns += 10 * MS;
        exchange();
    }
    assert_true(peer.dev->link_up);
}

static void peer_fini(void) {
    for (uint32_t i = 0; i < PEER_CONNS; i++)
        if (peer.conns[i]) tcp_abort(peer.conns[i], test_now_ns);
    if (peer.udp) udp_close(peer.udp);
    inet_delete(peer.stack);
    netdev_close(peer.dev);
}

/* n connections of the peer to our port 80; ours go to qds. */
static void peer_connect(int *qds, uint32_t n) {
    struct sockaddr_in at = address_of(OUR_ADDRESS, 80);
    struct inet_endpoint to = {inet_addr_ip4(at.sin_addr.s_addr), 80};
    struct tcp_settings settings = tcp_settings_default;
    int listening;
    settings.values[TCP_OPTION_NODELAY] = 1;
    assert_ok(dmtr_socket(&listening, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(listening, (struct sockaddr *)&at, sizeof at));
    assert_ok(dmtr_listen(listening, PEER_CONNS));
    for (uint32_t i = 0; i < n; i++) {
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        assert_int_equal(tcp_connect(peer.stack, &peer.conns[i], &to, NULL, &settings, NULL, test_now_ns), 0);
        exchange();
        assert_ok(dmtr_accept(&qt, listening));
        assert_ok(dmtr_wait_timed(&qr, qt, 0));
        qds[i] = qr.qr_value.ares.qd;
    }
    exchange();
    assert_int_equal(peer.connected, n);
    assert_ok(dmtr_close(listening));
}

#endif
