/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "inet/tcp/tcp.h"
#include "inet/udp/udp.h"
#include "mem/heap.h"
#include "netdev/netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST         64u
#define PAYLOAD_LEAST 100u /* bytes of a frame with a message; a mere ACK is shorter */
#define LOSE_EVERY    4u   /* rounds: the window recovers in between */
#define SERVER        "10.78.0.1"
#define OWN           "10.78.0.2"
#define PORT          7u

static struct {
    const struct peer_load *load;
    struct netdev *dev;
    struct inet *stack;
    struct tcp_conn *conns[PEER_QUEUES_MAX];
    struct udp_socket *udp;
    void *message;
    uint32_t opened, connected;
    uint64_t rounds, asked, answered; /* asked, answered: bytes */
    uint64_t last_round;
    enum peer_loss losing; /* what the next frame with a message is lost as */
} peer;

static void expect(const char *what, int r) {
    if (r == 0) return;
    fprintf(stderr, "guard: %s: %s\n", what, strerror(-r));
    exit(1);
}

/* Whether a frame of this length is lost on its way. */
static bool loses(enum peer_loss direction, uint32_t bytes) {
    if (peer.losing != direction || bytes < PAYLOAD_LEAST) return false;
    peer.losing = LOSE_NOTHING;
    return true;
}

static int transmit(void *ctx, const struct inet_frame *f) {
    struct netdev_seg segs[INET_FRAME_SEGMENTS];
    struct netdev_frame out = {.segs = segs, .bytes = f->bytes, .segs_count = f->count};
    (void)ctx;
    if (loses(LOSE_REQUEST, f->bytes)) return 0;
    for (uint32_t i = 0; i < f->count; i++)
        segs[i] = (struct netdev_seg){f->segments[i].base, f->segments[i].len};
    return netdev_tx(peer.dev, &out, 1, 0) == 1 ? 0 : -EAGAIN;
}

static struct inet_addr address(const char *text) {
    return inet_addr_ip4(inet_addr(text));
}

void peer_open(const char *device_options, const struct peer_load *load, uint64_t echoes, uint64_t now) {
    struct netdev_args args = {.options = device_options};
    struct inet_config config = {
        .mtu = 1500, .addrs = {{address(OWN), 24}}, .addr_count = 1, .seed = {1}, .transmit = transmit};
    peer.load = load;
    peer.last_round = load->queues ? echoes / load->queues / load->messages : 0;
    peer.message = heap_alloc_zeroed(load->bytes + 1);
    if (!peer.message) expect("memory", -ENOMEM);
    expect("device", netdev_open("shm", &args, &peer.dev));
    memcpy(config.mac, peer.dev->mac, sizeof config.mac);
    expect("stack", inet_new(&peer.stack, &config, now));
}

static void open_sockets(uint64_t now) {
    struct inet_endpoint to = {address(SERVER), PORT};
    struct tcp_settings settings = tcp_settings_default;
    settings.values[TCP_OPTION_NODELAY] = 1;
    settings.values[TCP_OPTION_QUICKACK] = 0;
    for (peer.opened = 0; peer.opened < peer.load->queues; peer.opened++) {
        struct tcp_conn **c = &peer.conns[peer.opened];
        if (peer.load->stream) {
            expect("connect", tcp_connect(peer.stack, c, &to, NULL, &settings, NULL, now));
            continue;
        }
        expect("socket", udp_open(peer.stack, &peer.udp, NULL));
        expect("connect", udp_connect(peer.udp, &to));
        peer.connected++;
    }
}

static void ask(uint64_t now) {
    const struct peer_load *l = peer.load;
    struct inet_segment message = {peer.message, l->bytes};
    if (++peer.rounds % LOSE_EVERY == 0) peer.losing = l->loss;
    for (uint32_t i = 0; i < l->queues; i++)
        for (uint32_t k = 0; k < l->messages; k++) {
            expect("push", l->stream ? tcp_push(peer.conns[i], &message, false, now)
                                     : udp_send(peer.udp, &message, 1, NULL, now));
            inet_flush(peer.stack, now);
        }
    peer.asked += (uint64_t)l->queues * l->messages * l->bytes;
}

static void take(uint64_t now) {
    struct inet_slice slice;
    struct udp_datagram datagram;
    for (uint32_t i = 0; i < peer.opened && peer.load->stream; i++)
        for (; tcp_pop(peer.conns[i], &slice, UINT32_MAX, now) == 0 && slice.len > 0; heap_free(slice.base))
            peer.answered += slice.len;
    for (; peer.udp && udp_receive(peer.udp, &datagram) == 0; heap_free(datagram.payload.base))
        peer.answered += datagram.payload.len;
}

static void receive(uint64_t now) {
    struct netdev_buffer frames[BURST];
    int n;
    while ((n = netdev_rx(peer.dev, frames, BURST, now)) > 0)
        for (int i = 0; i < n; i++) {
            if (loses(LOSE_ANSWER, frames[i].bytes))
                heap_free(frames[i].data);
            else
                inet_input(peer.stack, frames[i].data, frames[i].bytes, INET_INPUT_CSUM_OK, now);
        }
}

void peer_run(bool asks, uint64_t now) {
    uint32_t events;
    if (!peer.stack) return;
    receive(now);
    if (!peer.dev->link_up) return;
    inet_timers(peer.stack, now);
    while (inet_next_event(peer.stack, &events))
        peer.connected += (events & INET_EVENT_CONNECTED) != 0;
    take(now);
    inet_flush(peer.stack, now);
    if (peer.opened < peer.load->queues)
        open_sockets(now);
    else if (asks && peer.connected == peer.load->queues && peer.answered == peer.asked &&
             peer.rounds < peer.last_round)
        ask(now);
}

bool peer_connecting(void) {
    return peer.dev && !peer.dev->link_up;
}

bool peer_finished(void) {
    return peer.last_round > 0 && peer.rounds == peer.last_round && peer.answered == peer.asked;
}

void peer_close(void) {
    if (!peer.stack) return;
    for (uint32_t i = 0; i < peer.opened && peer.load->stream; i++)
        tcp_abort(peer.conns[i], 0);
    if (peer.udp) udp_close(peer.udp);
    inet_delete(peer.stack);
    netdev_close(peer.dev);
    heap_free(peer.message);
}
