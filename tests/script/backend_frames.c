/* SPDX-License-Identifier: MIT */
/* The stack by its own interface: frames in and out, a virtual clock, a device that can refuse. One thread. */
#include "backend.h"

#include "inet/tcp/tcp.h"
#include "inet/udp/udp.h"
#include "mem/heap.h"
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOCKETS_MAX 64u
#define FRAMES_MAX  4096u
#define FIRST_NS    1000000000ull
#define ROUNDS_MAX  10000000u /* of a clock that goes from timer to timer */

enum kind { NONE, LISTENER, CONN, UDP };

struct sock {
    char name[NAME_BYTES];
    enum kind kind;
    union {
        struct tcp_listener *listener;
        struct tcp_conn *conn;
        struct udp_socket *udp;
    };
};

struct queued {
    uint64_t at_ns;
    uint32_t len;
    bool offloaded;
    uint16_t csum_start, csum_offset, tso_bytes;
    uint8_t *bytes;
};

struct frames {
    struct inet *stack;
    uint64_t now;
    struct tcp_settings settings; /* of connections to come */
    uint32_t refuse;              /* frames that the device is going to refuse */
    struct sock sockets[SOCKETS_MAX];
    struct queued queue[FRAMES_MAX];
    uint32_t first, count;
    const struct call *begun;
    uint8_t *begun_data;
};

static int take_frame(void *ctx, const struct inet_frame *f) {
    struct frames *b = ctx;
    if (b->refuse > 0) {
        b->refuse--;
        return -EAGAIN;
    }
    if (b->count == FRAMES_MAX) return -EAGAIN;
    struct queued *q = &b->queue[(b->first + b->count++) % FRAMES_MAX];
    *q = (struct queued){
        .at_ns = b->now,
        .bytes = malloc(f->bytes),
        .offloaded = f->flags & INET_FRAME_CSUM,
        .csum_start = f->csum_start,
        .csum_offset = f->csum_offset,
        .tso_bytes = f->tso_bytes,
    };
    if (!q->bytes) abort();
    for (uint32_t i = 0; i < f->count; q->len += f->segments[i++].len)
        memcpy(q->bytes + q->len, f->segments[i].base, f->segments[i].len);
    return 0;
}

static void *frames_start(const struct settings *s, char *why, size_t bytes) {
    struct inet_static_neighbour neighbours[2] = {{.addr = inet_addr_ip4(PEER_IP)},
                                                  {.addr = inet_addr_ip4(GATEWAY_IP)}};
    struct frames *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    b->now = FIRST_NS;
    b->settings = tcp_settings_default;
    struct inet_config config = {
        .mtu = (uint16_t)s->mtu,
        .addrs = {{inet_addr_ip4(STACK_IP), PREFIX_BITS}},
        .addr_count = 1,
        .gateway = inet_addr_ip4(GATEWAY_IP),
        .neighbours = neighbours,
        .neighbour_count = s->neighbour ? 2 : 0,
        .limits = {.neighbours = s->neighbours,
                   .neighbour_queue = s->neighbour_queue,
                   .fragment_bytes = s->fragment_bytes,
                   .icmp_per_second = s->icmp_per_second},
        .offloads = (s->csum ? INET_OFFLOAD_CSUM : 0u) | (s->tso ? INET_OFFLOAD_TSO : 0u),
        .announce = s->announce,
        .transmit = take_frame,
        .ctx = b,
    };
    memcpy(config.mac, stack_mac, INET_MAC_BYTES);
    for (int i = 0; i < 2; i++)
        memcpy(neighbours[i].mac, peer_mac, INET_MAC_BYTES);
    memcpy(config.seed, &s->seed, sizeof s->seed);
    int error = inet_new(&b->stack, &config, b->now);
    if (!error) return b;
    snprintf(why, bytes, "the stack does not start: %s", strerror(-error));
    free(b);
    return NULL;
}

static void sock_close(struct frames *b, struct sock *k, bool abort) {
    if (k->kind == LISTENER) tcp_listener_close(k->listener, b->now);
    if (k->kind == CONN && abort) tcp_abort(k->conn, b->now);
    if (k->kind == CONN && !abort) tcp_close(k->conn, b->now);
    if (k->kind == UDP) udp_close(k->udp);
    *k = (struct sock){.kind = NONE};
}

static bool frames_stop(void *backend) {
    struct frames *b = backend;
    struct heap_stats stats;
    for (uint32_t i = 0; i < SOCKETS_MAX; i++)
        sock_close(b, &b->sockets[i], true);
    inet_delete(b->stack);
    for (; b->count > 0; b->count--)
        free(b->queue[b->first++ % FRAMES_MAX].bytes);
    free(b);
    heap_get_stats(&stats);
    return stats.used_bytes + stats.large_bytes == 0;
}

static uint64_t frames_now(void *backend) {
    return ((struct frames *)backend)->now;
}

/* Goes from timer to timer; stops at the first frame if `frame`. */
static void run(struct frames *b, uint64_t until, bool frame) {
    uint32_t events;
    for (uint32_t i = 0; i < ROUNDS_MAX && !(frame && b->count > 0); i++) {
        uint64_t next = inet_next_ns(b->stack);
        while (inet_next_event(b->stack, &events)) {
        }
        if (next > until) {
            if (b->now < until) b->now = until;
            return;
        }
        if (next > b->now) b->now = next;
        inet_timers(b->stack, b->now);
    }
}

static void frames_pass(void *backend, uint64_t until) {
    run(backend, until, false);
}

static bool frames_receive(void *backend, uint64_t until, struct wire_frame *f) {
    struct frames *b = backend;
    run(b, until, true);
    if (b->count == 0) return false;
    struct queued *q = &b->queue[b->first++ % FRAMES_MAX];
    b->count--;
    *f = (struct wire_frame){
        .at_ns = q->at_ns,
        .len = q->len,
        .offloaded = q->offloaded,
        .csum_start = q->csum_start,
        .csum_offset = q->csum_offset,
        .tso_bytes = q->tso_bytes,
    };
    memcpy(f->bytes, q->bytes, q->len < sizeof f->bytes ? q->len : sizeof f->bytes);
    free(q->bytes);
    return true;
}

static void frames_send(void *backend, const uint8_t *frame, uint32_t len) {
    struct frames *b = backend;
    void *buffer = heap_alloc(len);
    if (!buffer) abort();
    memcpy(buffer, frame, len);
    inet_input(b->stack, buffer, len, 0, b->now);
    inet_timers(b->stack, b->now);
}

static struct sock *sock_named(struct frames *b, const char *name) {
    for (uint32_t i = 0; i < SOCKETS_MAX; i++)
        if (b->sockets[i].kind != NONE && strcmp(b->sockets[i].name, name) == 0) return &b->sockets[i];
    return NULL;
}

static int sock_new(struct frames *b, const char *name, enum kind kind, void *it) {
    for (uint32_t i = 0; i < SOCKETS_MAX; i++)
        if (b->sockets[i].kind == NONE) {
            b->sockets[i] = (struct sock){.kind = kind, .conn = it};
            memcpy(b->sockets[i].name, name, NAME_BYTES);
            return 0;
        }
    return -EMFILE;
}

static int64_t do_listen(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct inet_endpoint at = {.port = (uint16_t)c->port};
    struct tcp_listener *l;
    (void)k, (void)data;
    int error = tcp_listen(b->stack, &l, &at, c->backlog, &b->settings, NULL);
    return error ? error : sock_new(b, c->name, LISTENER, l);
}

static int64_t do_accept(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct tcp_conn *conn;
    (void)data;
    int error = tcp_accept(k->listener, &conn, NULL);
    return error ? error : sock_new(b, c->other, CONN, conn);
}

static int64_t do_connect(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct inet_endpoint to = {inet_addr_ip4(c->ip), (uint16_t)c->port}, from = {.port = (uint16_t)c->from_port};
    struct tcp_conn *conn;
    (void)k, (void)data;
    int error = tcp_connect(b->stack, &conn, &to, &from, &b->settings, NULL, b->now);
    if (!error) error = sock_new(b, c->name, CONN, conn);
    return error ? error : -EINPROGRESS;
}

static int64_t do_connected(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct tcp_status info;
    (void)b, (void)c, (void)data;
    tcp_get_status(k->conn, &info);
    if (info.state == TCP_STATE_SYN_SENT || info.state == TCP_STATE_SYN_RECEIVED) return -EINPROGRESS;
    return tcp_error(k->conn);
}

static int64_t do_send(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct inet_segment s = {heap_alloc(c->number), c->number};
    if (!s.base) return -ENOMEM;
    memcpy((void *)s.base, data, c->number);
    int error = tcp_push(k->conn, &s, c->more, b->now);
    heap_free((void *)s.base);
    return error ? error : (int64_t)c->number;
}

static int64_t do_recv(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct inet_slice slice;
    uint32_t got = 0;
    int error = 0;
    while (got < c->number && (error = tcp_pop(k->conn, &slice, c->number - got, b->now)) == 0 && slice.len > 0) {
        memcpy(data + got, slice.base, slice.len);
        got += slice.len;
        heap_free(slice.base);
    }
    return got > 0 ? (int64_t)got : error;
}

static int64_t do_shutdown(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    (void)c, (void)data;
    return tcp_shutdown(k->conn, b->now);
}

static int64_t do_close(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    (void)data;
    sock_close(b, k, c->verb == VERB_ABORT);
    return 0;
}

/* Of a connection; or, of "all", of those to come. */
static int64_t do_option(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    const struct name_option *o = name_option_find(c->word);
    (void)data;
    if (!o) return -ENOPROTOOPT;
    if (k && k->kind == CONN) return tcp_set_option(k->conn, o->option, c->number, b->now);
    if (strcmp(c->name, "all") != 0) return -EBADF;
    b->settings.values[o->option] = c->number;
    return tcp_option_check(o->option, c->number);
}

static int64_t do_udp(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct inet_endpoint at = {.port = (uint16_t)c->port};
    struct udp_socket *u;
    (void)k, (void)data;
    int error = udp_open(b->stack, &u, NULL);
    if (!error && (error = udp_bind(u, &at))) udp_close(u);
    return error ? error : sock_new(b, c->name, UDP, u);
}

static int64_t do_udp_connect(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct inet_endpoint to = {inet_addr_ip4(c->ip), (uint16_t)c->port};
    (void)b, (void)data;
    return udp_connect(k->udp, &to);
}

static int64_t do_sendto(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct inet_segment s = {heap_alloc(c->number), c->number};
    struct inet_endpoint to = {inet_addr_ip4(c->ip), (uint16_t)c->port};
    if (!s.base) return -ENOMEM;
    memcpy((void *)s.base, data, c->number);
    int error = udp_send(k->udp, &s, 1, c->port ? &to : NULL, b->now);
    heap_free((void *)s.base);
    return error ? error : (int64_t)c->number;
}

static int64_t do_recvfrom(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct udp_datagram d;
    (void)b;
    int error = udp_receive(k->udp, &d);
    if (error) return error;
    uint32_t len = d.payload.len < c->number ? d.payload.len : c->number;
    if (len > 0) memcpy(data, d.payload.base, len);
    if (d.payload.base) heap_free(d.payload.base);
    return len;
}

static int64_t do_counter(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    (void)k, (void)data;
    for (enum inet_counter i = 0; i < INET_COUNTER_COUNT; i++)
        if (strcmp(inet_counter_name(i), c->word) == 0) return (int64_t)inet_counters(b->stack)[i];
    return -EINVAL;
}

static int64_t do_info(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct tcp_status i;
    (void)b, (void)data;
    if (k->kind != CONN) return -EINVAL;
    tcp_get_status(k->conn, &i);
    const struct {
        const char *name;
        uint32_t value;
    } fields[] = {
        {"cwnd", i.cwnd},
        {"ssthresh", i.ssthresh},
        {"mss", i.mss},
        {"in-flight", i.in_flight},
        {"retransmits", i.retransmits},
        {"backoff", i.backoff},
        {"send-window", i.send_window},
        {"receive-window", i.receive_window},
        {"rto-ms", i.rto_us / 1000},
        {"srtt-ms", i.srtt_us / 1000},
        {"recovery", i.recovery},
        {"path-mtu", i.path_mtu},
        {"lost", i.lost},
        {"reordering", i.reordering_segments},
        {"busy-us", (uint32_t)i.busy_us},
        {"window-limited-us", (uint32_t)i.window_limited_us},
        {"buffer-limited-us", (uint32_t)i.buffer_limited_us},
        {"sacked", i.sacked},
        {"unacked", tcp_unacked(k->conn)},
    };
    for (size_t n = 0; n < sizeof fields / sizeof *fields; n++)
        if (strcmp(fields[n].name, c->word) == 0) return fields[n].value;
    return -EINVAL;
}

static int64_t do_state(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    struct tcp_status s;
    (void)b, (void)c, (void)data;
    tcp_get_status(k->conn, &s);
    return s.state;
}

static int64_t do_refuse(struct frames *b, struct sock *k, const struct call *c, uint8_t *data) {
    (void)k, (void)data;
    b->refuse = c->number;
    return 0;
}

/* What the verbs do, and what kind of socket they want. */
static const struct {
    int64_t (*how)(struct frames *b, struct sock *k, const struct call *c, uint8_t *data);
    enum kind kind;
} verbs[VERB_COUNT] = {
    [VERB_LISTEN] = {do_listen, NONE},     [VERB_ACCEPT] = {do_accept, LISTENER},
    [VERB_CONNECT] = {do_connect, NONE},   [VERB_CONNECTED] = {do_connected, CONN},
    [VERB_SEND] = {do_send, CONN},         [VERB_RECV] = {do_recv, CONN},
    [VERB_SHUTDOWN] = {do_shutdown, CONN}, [VERB_CLOSE] = {do_close, NONE},
    [VERB_ABORT] = {do_close, CONN},       [VERB_OPTION] = {do_option, NONE},
    [VERB_UDP] = {do_udp, NONE},           [VERB_UDP_CONNECT] = {do_udp_connect, UDP},
    [VERB_SENDTO] = {do_sendto, UDP},      [VERB_RECVFROM] = {do_recvfrom, UDP},
    [VERB_COUNTER] = {do_counter, NONE},   [VERB_INFO] = {do_info, CONN},
    [VERB_STATE] = {do_state, CONN},       [VERB_REFUSE] = {do_refuse, NONE},
};

static int64_t frames_call(void *backend, const struct call *c, uint8_t *data) {
    struct frames *b = backend;
    struct sock *k = sock_named(b, c->name);
    if (verbs[c->verb].kind != NONE && (!k || k->kind != verbs[c->verb].kind)) return -EBADF;
    if (c->verb == VERB_CLOSE && !k) return -EBADF;
    return verbs[c->verb].how(b, k, c, data);
}

/* There is nothing to block in: what would block now is tried again when it is to be over. */
static bool frames_begin(void *backend, const struct call *c, uint8_t *data) {
    struct frames *b = backend;
    int64_t result = frames_call(b, c, data);
    b->begun = c;
    b->begun_data = data;
    return result == -EAGAIN || result == -EINPROGRESS;
}

static bool frames_end(void *backend, int64_t *result) {
    struct frames *b = backend;
    struct call again = *b->begun;
    if (again.verb == VERB_CONNECT) again.verb = VERB_CONNECTED;
    *result = frames_call(b, &again, b->begun_data);
    return *result != -EAGAIN && *result != -EINPROGRESS;
}

const struct backend_ops backend_frames = {
    .name = "frames",
    .timed = true,
    .sees_silence = true,
    .start = frames_start,
    .stop = frames_stop,
    .now = frames_now,
    .pass = frames_pass,
    .receive = frames_receive,
    .send = frames_send,
    .call = frames_call,
    .begin = frames_begin,
    .end = frames_end,
};
