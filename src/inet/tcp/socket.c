/* SPDX-License-Identifier: MIT */
/* The calls on a connection. */
#include "inet/ip/path.h"
#include "inet/ip/route.h"
#include "inet/tcp/check.h"
#include "inet/tcp/listen.h"
#include "inet/tcp/memory.h"
#include "inet/tcp/ooo.h"
#include "inet/tcp/reassembly.h"
#include "inet/tcp/recovery.h"

static int flow_try(struct inet *s, struct tcp_conn **out, const struct inet_flow *flow,
                    const struct tcp_settings *settings, void *user) {
    if (hash_find(&s->tcp_conns, flow) || listener_find(s, &flow->local, flow->local_port)) return -EADDRINUSE;
    return conn_new(s, out, flow, settings, user);
}

/* Opens the flow with a port of our choice: first among those whose frames arrive here, if there is a difference. */
static int flow_choose(struct inet *s, struct tcp_conn **out, struct inet_flow *flow,
                       const struct tcp_settings *settings, void *user) {
    /* RFC 6056 section 3.3.3: an offset that depends on the flow, so that ports seen elsewhere tell nothing. */
    uint32_t start = (uint32_t)(siphash24(s->secret, flow, sizeof *flow) + rng_below(&s->rng, PORT_EPHEMERAL_COUNT));
    bool (*ours)(void *ctx, const struct inet_flow *flow) = s->config.flow_ours;
    for (uint32_t i = 0; i < (ours ? 2 : 1) * PORT_EPHEMERAL_COUNT; i++) {
        flow->local_port = port_candidate(start % PORT_EPHEMERAL_COUNT, i % PORT_EPHEMERAL_COUNT);
        if (ours && i < PORT_EPHEMERAL_COUNT && !ours(s->config.ctx, flow)) continue;
        int error = flow_try(s, out, flow, settings, user);
        if (error != -EADDRINUSE) return error;
    }
    return -EADDRNOTAVAIL;
}

int tcp_connect(struct inet *s, struct tcp_conn **out, const struct inet_endpoint *remote,
                const struct inet_endpoint *local, const struct tcp_settings *settings, void *user, uint64_t now) {
    s->now = now;
    if (!inet_addr_is_ip4(&remote->addr) || remote->port == 0) return -EINVAL;
    struct route r = route_find(s, inet_addr_to_ip4(&remote->addr));
    if (r.kind == ROUTE_BROADCAST) return -EINVAL;
    if (r.kind == ROUTE_NONE || r.source == 0) return -ENETUNREACH;
    struct inet_flow flow = {inet_addr_ip4(r.source), remote->addr, 0, remote->port};
    if (local) {
        if (!inet_addr_is_any(&local->addr)) flow.local = local->addr;
        if (!route_is_own(s, inet_addr_to_ip4(&flow.local)) && r.kind != ROUTE_LOOPBACK) return -EADDRNOTAVAIL;
        flow.local_port = local->port;
    }
    if (!settings) settings = &tcp_settings_default;
    struct tcp_conn *c;
    int error = flow.local_port ? flow_try(s, &c, &flow, settings, user) : flow_choose(s, &c, &flow, settings, user);
    if (error) return error;
    c->state = TCP_STATE_SYN_SENT;
    tcp_send_syn(c);
    tcp_arm_send(c);
    *out = c;
    return 0;
}

int tcp_error(const struct tcp_conn *c) {
    return c->error;
}

uint32_t tcp_unacked(const struct tcp_conn *c) {
    return c->flight->chunks.count > 0 ? c->snd_end - (seq_lt(c->snd_una, c->snd_end) ? c->snd_una : c->snd_end) : 0;
}

bool tcp_delivered(const struct tcp_conn *c) {
    return c->flight->chunks.count == 0 && !c->undelivered;
}

bool tcp_finished(const struct tcp_conn *c) {
    return c->state == TCP_STATE_FIN_WAIT_2 || c->state == TCP_STATE_TIME_WAIT || c->state == TCP_STATE_CLOSED;
}

bool tcp_unread(const struct tcp_conn *c) {
    return c->unread;
}

int tcp_push(struct tcp_conn *c, const struct inet_segment *data, bool more, uint64_t now) {
    c->stack->now = now;
    if (c->error) return c->error;
    if (c->state == TCP_STATE_SYN_SENT || c->state == TCP_STATE_SYN_RECEIVED) return -ENOTCONN;
    if (c->fin_queued || (c->state != TCP_STATE_ESTABLISHED && c->state != TCP_STATE_CLOSE_WAIT)) return -EPIPE;
    if (data->len == 0) return 0;
    uint32_t waiting = tcp_unacked(c);
    /* One push is always taken where nothing waits, so that a limit cannot stop the stream for good. */
    if (waiting > 0 && (waiting >= c->send_limit || data->len > c->send_limit - waiting)) {
        c->refused = true;
        if (c->snd_nxt == c->snd_end) conn_limited_by(c, TCP_LIMIT_BUFFER);
        return -EAGAIN;
    }
    if (c->refused) c->refused = false;
    if (data->len > INT32_MAX / 2) return -EINVAL;
    if (!transmit_state_allocate(c)) return -ENOMEM;
    struct tcp_chunk *chunk = fifo_add(&c->flight->chunks, sizeof *chunk, TCP_QUEUE_MAX);
    if (!chunk) return c->flight->chunks.count == TCP_QUEUE_MAX ? -EAGAIN : -ENOMEM;
    if (!heap_hold(data->base)) {
        c->flight->chunks.count--;
        return -EINVAL;
    }
    *chunk = (struct tcp_chunk){data->base, c->snd_end, data->len};
    c->snd_end += data->len;
    c->more = c->unmarked = more;
    if (c->ack_later) c->interactive = true;
    if (tcp_output_expected(c, data)) {
        conn_changed_shortly(c);
        return 0;
    }
    tcp_output(c);
    conn_changed(c);
    return 0;
}

/* The window becomes four times what was popped in a round trip, so that it never is what limits the peer. */
static void receive_grow(struct tcp_conn *c) {
    uint64_t wanted = 4ull * c->tune_popped, told = 65535u << c->receive_shift; /* the most that a segment can tell */
    if (wanted > told) wanted = told;
    if (wanted > c->receive_max) wanted = c->receive_max;
    if (wanted > c->receive_limit && !memory_is_short(c->stack, 0)) c->receive_limit = (uint32_t)wanted;
}

static inline void receive_tune(struct tcp_conn *c, uint32_t popped) {
    uint32_t round = c->rtt.srtt_us ? c->rtt.srtt_us : 100000, tick = (uint32_t)(c->stack->now >> 10);
    c->tune_popped += popped;
    if (tick - c->tune_tick < round) return;
    if (c->tune_popped > c->receive_limit / 4) receive_grow(c);
    c->tune_popped = 0;
    c->tune_tick = tick;
}

/* The window that the peer knows has become small against what there is: it is told (RFC 1122 section 4.2.3.3). */
static void window_update(struct tcp_conn *c) {
    uint32_t told = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
    if (c->state != TCP_STATE_ESTABLISHED && c->state != TCP_STATE_FIN_WAIT_1 && c->state != TCP_STATE_FIN_WAIT_2)
        return;
    if (told > c->receive_limit / 2) return;
    uint32_t window = conn_receive_window(c);
    if (window == told || window / 2 < told) return;
    c->ack_now = true;
    tcp_output(c);
}

int tcp_pop(struct tcp_conn *c, struct inet_slice *out, uint32_t limit, uint64_t now) {
    c->stack->now = now;
    if (c->slices.count == 0) {
        if (c->error) return c->error;
        if (!c->fin_received && c->state != TCP_STATE_CLOSED)
            return c->state < TCP_STATE_ESTABLISHED ? -ENOTCONN : -EAGAIN;
        *out = (struct inet_slice){NULL, 0};
        return 0;
    }
    struct tcp_slice *first = fifo_at(&c->slices, sizeof *first, c->slices.first);
    *out = (struct inet_slice){first->base, first->len};
    if (first->len > limit) {
        if (!heap_share(first->base)) return -ENOMEM;
        out->len = limit;
        first->base += limit;
        first->len -= limit;
    } else {
        memory_uncharge(c, first->charge);
        fifo_drop_first(&c->slices);
    }
    c->received -= out->len;
    receive_tune(c, out->len);
    window_update(c);
    if (c->slices.count == 0 && c->state != TCP_STATE_CLOSED) conn_idle(c);
    conn_changed_shortly(c);
    return 0;
}

int tcp_peek(const struct tcp_conn *c, uint32_t offset, struct inet_segment *out) {
    for (uint32_t i = 0; i < c->slices.count; i++) {
        const struct tcp_slice *slice = fifo_at(&c->slices, sizeof *slice, c->slices.first + i);
        if (offset < slice->len) {
            *out = (struct inet_segment){slice->base + offset, slice->len - offset};
            return 0;
        }
        offset -= slice->len;
    }
    return -EAGAIN;
}

uint32_t tcp_available(const struct tcp_conn *c) {
    return c->received - (c->ooo ? c->ooo->bytes : 0);
}

int tcp_shutdown(struct tcp_conn *c, uint64_t now) {
    c->stack->now = now;
    if (c->state != TCP_STATE_ESTABLISHED && c->state != TCP_STATE_CLOSE_WAIT) return c->fin_queued ? 0 : -ENOTCONN;
    c->state = c->state == TCP_STATE_ESTABLISHED ? TCP_STATE_FIN_WAIT_1 : TCP_STATE_LAST_ACK;
    c->fin_queued = true;
    c->more = false;
    tcp_output(c);
    conn_changed(c);
    return 0;
}

void tcp_abort(struct tcp_conn *c, uint64_t now) {
    struct inet *s = c->stack;
    s->now = now;
    c->orphan = true;
    socket_forget(&c->socket);
    if (c->state == TCP_STATE_CLOSED) {
        list_push_back(&s->tcp_dead, &c->link);
    } else {
        if (c->state != TCP_STATE_SYN_SENT && c->state != TCP_STATE_TIME_WAIT) tcp_send_reset(c);
        conn_end(c, -ECONNABORTED);
    }
    conn_reap(s);
}

void tcp_stop_reading(struct tcp_conn *c, bool unread) {
    c->deaf = true;
    c->unread |= unread || c->slices.count > 0 || c->ooo;
    reassembly_clear(c);
}

void tcp_close(struct tcp_conn *c, uint64_t now) {
    c->stack->now = now;
    tcp_stop_reading(c, false);
    /* What nobody has read must not seem read; but what was pushed is delivered first. */
    bool reset = c->unread && tcp_unacked(c) == 0;
    if (c->state < TCP_STATE_ESTABLISHED || reset || !conn_abandon(c)) {
        tcp_abort(c, now);
        return;
    }
    if (!c->unread) tcp_shutdown(c, now);
    if (c->state == TCP_STATE_FIN_WAIT_2)
        conn_deadline(c, TCP_TIMER_LIFE, now + timers_fin_wait_2_ns(&c->timers));
    else if (c->abandoned)
        conn_deadline(c, TCP_TIMER_LIFE, now + TCP_ORPHAN_NS);
    conn_reap(c->stack);
}

struct inet_endpoint tcp_local(const struct tcp_conn *c) {
    return (struct inet_endpoint){c->flow.local, c->flow.local_port};
}

struct inet_endpoint tcp_remote(const struct tcp_conn *c) {
    return (struct inet_endpoint){c->flow.remote, c->flow.remote_port};
}

static uint64_t limited_us(const struct tcp_conn *c, enum tcp_limit limit) {
    uint64_t ns = c->limit_ns[limit - 1];
    if (c->limit == limit) ns += c->stack->now - c->limit_since_ns;
    return ns / 1000;
}

void tcp_get_status(const struct tcp_conn *c, struct tcp_status *out) {
    bool fragment;
    *out = (struct tcp_status){
        .state = c->state,
        .recovery = c->recovery,
        .srtt_us = c->rtt.srtt_us,
        .rttvar_us = c->rtt.rttvar_us,
        .rto_us = c->rtt.rto_us,
        .reordering_segments = c->reordering_segments,
        .window_limited_us = limited_us(c, TCP_LIMIT_WINDOW),
        .buffer_limited_us = limited_us(c, TCP_LIMIT_BUFFER),
        .busy_us = limited_us(c, TCP_LIMIT_PATH) + limited_us(c, TCP_LIMIT_WINDOW) + limited_us(c, TCP_LIMIT_BUFFER),
        .min_rtt_us = rtt_min_us(&c->rtt),
        .cwnd = c->cc.cwnd,
        .ssthresh = c->cc.ssthresh,
        .mss = c->mss,
        .receive_mss = c->peer_mss,
        .path_mtu = path_mtu(c->stack, &c->flow.remote, &fragment),
        .advertised_mss = conn_mss_told(c),
        .send_window = c->snd_wnd,
        .receive_window = conn_receive_window(c),
        .in_flight = conn_in_flight(c),
        .unacked_segments = c->flight->sent.count,
        .sacked = c->flight->sacked_bytes,
        .lost = c->flight->lost_bytes,
        .again = c->flight->retransmitted_bytes,
        .not_sent = seq_lt(c->snd_nxt, c->snd_end) ? c->snd_end - c->snd_nxt : 0,
        .retransmits = c->retransmits,
        .segments_in = c->segments_in,
        .segments_out = c->segments_out,
        .bytes_acked = c->bytes_acked,
        .bytes_received = c->bytes_received,
        .sent_ns = c->sent_ns,
        .received_ns = c->timers.received_ns,
        .send_shift = c->send_shift,
        .receive_shift = c->receive_shift,
        .backoff = c->timers.backoff,
        .probes = c->timers.probes,
        .delayed_ack_ms = c->delayed_ack_ms,
        .timestamps = c->timestamps,
        .window_scale = c->window_scale,
        .sack = c->sack,
        .reordering = c->reordering,
        .congestion = c->cc.ops->name,
    };
}
