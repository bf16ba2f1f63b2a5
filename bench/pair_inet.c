/* SPDX-License-Identifier: MIT */
/* The library's own stack as one end of a pair. */
#include "pair.h"

#include "inet/tcp/tcp.h"
#include "inet/udp/udp.h"
#include "mem/heap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

struct end {
    struct inet *stack;
    struct udp_socket *udp;
    struct tcp_listener *listener;
    struct tcp_conn *conn;
    bool client, connected;
    uint64_t received;
    void *message;
    pair_send *send;
    void *wire;
};

static int transmit(void *ctx, const struct inet_frame *f) {
    struct end *e = ctx;
    struct pair_run runs[INET_FRAME_SEGMENTS];
    for (uint32_t i = 0; i < f->count; i++)
        runs[i] = (struct pair_run){f->segments[i].base, f->segments[i].len};
    return e->send(e->wire, runs, f->count) ? 0 : -EAGAIN;
}

static struct inet_endpoint endpoint(uint32_t end, uint16_t port) {
    return (struct inet_endpoint){inet_addr_ip4(htonl(PAIR_ADDRESS(end))), port};
}

static int open_sockets(struct end *e, bool stream, uint64_t now) {
    struct inet_endpoint server = endpoint(0, PAIR_PORT), own = {.port = 0};
    int r = stream ? 0 : udp_open(e->stack, &e->udp, e);
    if (r) return r;
    if (stream) {
        return e->client ? tcp_connect(e->stack, &e->conn, &server, &own, NULL, e, now)
                         : tcp_listen(e->stack, &e->listener, &server, 1, NULL, e);
    }
    e->connected = true;
    return e->client ? udp_connect(e->udp, &server) : udp_bind(e->udp, &server);
}

static void end_close(void *end) {
    struct end *e = end;
    if (e->udp) udp_close(e->udp);
    if (e->conn) tcp_abort(e->conn, 0);
    if (e->listener) tcp_listener_close(e->listener, 0);
    if (e->stack) inet_delete(e->stack);
    heap_free(e->message);
    free(e);
}

static void *end_open(uint32_t end, bool stream, pair_send *send, void *wire, uint64_t now) {
    uint32_t other = PAIR_ENDS - 1 - end;
    struct inet_static_neighbour peer = {inet_addr_ip4(htonl(PAIR_ADDRESS(other))),
                                         {2, 0, 0, 0, 0, PAIR_MAC_LAST(other)}};
    struct end *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    *e = (struct end){.client = end != 0, .message = heap_alloc_zeroed(PAIR_MESSAGE_BYTES), .send = send, .wire = wire};
    struct inet_config config = {.mac = {2, 0, 0, 0, 0, PAIR_MAC_LAST(end)},
                                 .mtu = PAIR_MTU,
                                 .addrs = {{inet_addr_ip4(htonl(PAIR_ADDRESS(end))), 24}},
                                 .addr_count = 1,
                                 .neighbours = &peer,
                                 .neighbour_count = 1,
                                 .offloads = INET_OFFLOAD_CSUM,
                                 .seed = {(uint8_t)end},
                                 .transmit = transmit,
                                 .ctx = e};
    if (e->message && inet_new(&e->stack, &config, now) == 0 && open_sockets(e, stream, now) == 0) return e;
    end_close(e);
    return NULL;
}

static void *end_buffer(void *end, uint32_t bytes) {
    (void)end;
    return heap_alloc(bytes);
}

static void end_input(void *end, void *frame, uint32_t bytes, uint64_t now) {
    inet_input(((struct end *)end)->stack, frame, bytes, INET_INPUT_CSUM_OK, now);
}

static void take_stream(struct end *e, uint64_t now) {
    struct inet_slice got;
    while (tcp_pop(e->conn, &got, UINT32_MAX, now) == 0 && got.len > 0) {
        struct inet_segment back = {got.base, got.len};
        e->received += got.len;
        if (!e->client) tcp_push(e->conn, &back, false, now);
        heap_free(got.base);
    }
}

static void take_datagrams(struct end *e, uint64_t now) {
    struct udp_datagram got;
    while (udp_receive(e->udp, &got) == 0) {
        struct inet_segment back = {got.payload.base, got.payload.len};
        e->received += got.payload.len;
        if (!e->client) udp_send(e->udp, &back, 1, &got.from, now);
        heap_free(got.payload.base);
    }
}

static void end_settle(void *end, uint64_t now) {
    struct end *e = end;
    struct inet_socket *k;
    uint32_t events;
    inet_timers(e->stack, now);
    while ((k = inet_next_event(e->stack, &events))) {
        if (k->kind == INET_TCP_LISTENER && tcp_accept(e->listener, &e->conn, e)) continue;
        e->connected = true;
        if (e->udp)
            take_datagrams(e, now);
        else
            take_stream(e, now);
    }
    inet_flush(e->stack, now);
}

static bool end_connected(void *end) {
    return ((struct end *)end)->connected;
}

static void end_request(void *end, uint64_t now) {
    struct end *e = end;
    struct inet_segment message = {e->message, PAIR_MESSAGE_BYTES};
    if (e->udp)
        udp_send(e->udp, &message, 1, NULL, now);
    else
        tcp_push(e->conn, &message, false, now);
    inet_flush(e->stack, now);
}

static uint64_t end_received(const void *end) {
    return ((const struct end *)end)->received;
}

const struct pair_kind pair_inet = {
    .name = "inet",
    .open = end_open,
    .close = end_close,
    .buffer = end_buffer,
    .input = end_input,
    .settle = end_settle,
    .connected = end_connected,
    .request = end_request,
    .received = end_received,
};
