/* SPDX-License-Identifier: MIT */
/* The calls on a connection (tcp.h). */
#include "inet/ip/path.h"
#include "inet/ip/route.h"
#include "inet/port.h"
#include "inet/tcp/check.h"
#include "inet/tcp/listen.h"

static int flow_try(struct inet *s, struct tcp_conn **out, const struct inet_flow *flow,
                    const struct tcp_settings *settings, void *user) {
    if (conn_find(s, flow) || listener_find(s, &flow->local, flow->local_port)) return -EADDRINUSE;
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
    return send_queue_is_empty(&c->recovery.flight->queue) ? 0 : send_unacked(&c->send);
}

bool tcp_delivered(const struct tcp_conn *c) {
    return send_queue_is_empty(&c->recovery.flight->queue) && !c->undelivered;
}

bool tcp_finished(const struct tcp_conn *c) {
    return c->state == TCP_STATE_FIN_WAIT_2 || c->state == TCP_STATE_TIME_WAIT || c->state == TCP_STATE_CLOSED;
}

bool tcp_unread(const struct tcp_conn *c) {
    return c->receive.unread;
}

/* Why the connection takes no data in its state; 0: it does. */
static int push_refused(const struct tcp_conn *c) {
    if (c->error) return c->error;
    if (c->state == TCP_STATE_SYN_SENT || c->state == TCP_STATE_SYN_RECEIVED) return -ENOTCONN;
    if (c->send.fin_queued || (c->state != TCP_STATE_ESTABLISHED && c->state != TCP_STATE_CLOSE_WAIT)) return -EPIPE;
    return 0;
}

static inline __attribute__((always_inline)) int push(struct tcp_conn *c, const struct inet_segment *data, bool more,
                                                      bool held, uint64_t now) {
    c->stack->now = now;
    int error = c->calm ? 0 : push_refused(c);
    if (error) return error;
    if (data->len == 0) return 0;
    if (send_is_full(&c->send, data->len)) {
        c->send.refused = true;
        if (c->send.nxt == c->send.end) conn_limited_by(c, TCP_LIMIT_BUFFER);
        return -EAGAIN;
    }
    if (c->send.refused) c->send.refused = false;
    if (data->len > INT32_MAX / 2) return -EINVAL;
    if (!recovery_allocate(&c->recovery, c->send.una)) return -ENOMEM;
    error = send_queue_add(&c->recovery.flight->queue, data, c->send.end, held);
    if (error) return error;
    send_pushed(&c->send, data->len, more);
    if (c->receive.ack_later) c->receive.interactive = true;
    conn_mark(c);
    if (data->len >= c->send.mss) c->stack->unsent_frames += data->len / c->send.mss;
    conn_changed_shortly(c);
    return 0;
}

int tcp_push(struct tcp_conn *c, const struct inet_segment *data, bool more, uint64_t now) {
    return push(c, data, more, false, now);
}

int tcp_push_held(struct tcp_conn *c, const struct inet_segment *data, bool more, uint64_t now) {
    return push(c, data, more, true, now);
}

/* Popping has opened the window: sends a window update if one is due. */
static void window_update(struct tcp_conn *c) {
    if (!receive_is_low(&c->receive)) return;
    if (c->state != TCP_STATE_ESTABLISHED && c->state != TCP_STATE_FIN_WAIT_1 && c->state != TCP_STATE_FIN_WAIT_2)
        return;
    if (!receive_update_due(&c->receive, conn_mss_told(c))) return;
    c->receive.ack_now = true;
    conn_mark(c);
}

bool tcp_readable(const struct tcp_conn *c) {
    return c->receive.slices.count > 0 || c->error || c->receive.fin_received || c->state == TCP_STATE_CLOSED;
}

/* There is nothing to pop: not yet, or at the end of the stream. */
static int pop_nothing(const struct tcp_conn *c, struct inet_slice *out) {
    if (c->error) return c->error;
    if (!c->receive.fin_received && c->state != TCP_STATE_CLOSED)
        return c->state < TCP_STATE_ESTABLISHED ? -ENOTCONN : -EAGAIN;
    *out = (struct inet_slice){NULL, 0};
    return 0;
}

/* Not inlined, so that a pop of nothing needs no stack frame. */
static __attribute__((noinline)) int pop_first(struct tcp_conn *c, struct inet_slice *out, uint32_t limit) {
    int error = receive_pop(&c->receive, &c->stack->tcp_memory, out, limit);
    if (error) return error;
    receive_tune(&c->receive, &c->stack->tcp_memory, out->len, c->stack->now, c->rtt.srtt_us);
    window_update(c);
    if (c->receive.slices.count == 0 && c->state != TCP_STATE_CLOSED) conn_idle(c);
    conn_changed_shortly(c);
    return 0;
}

int tcp_pop(struct tcp_conn *c, struct inet_slice *out, uint32_t limit, uint64_t now) {
    c->stack->now = now;
    return c->receive.slices.count > 0 ? pop_first(c, out, limit) : pop_nothing(c, out);
}

int tcp_peek(const struct tcp_conn *c, uint32_t offset, struct inet_segment *out) {
    return receive_peek(&c->receive, offset, out);
}

uint32_t tcp_available(const struct tcp_conn *c) {
    return receive_available(&c->receive);
}

int tcp_shutdown(struct tcp_conn *c, uint64_t now) {
    c->stack->now = now;
    if (c->state != TCP_STATE_ESTABLISHED && c->state != TCP_STATE_CLOSE_WAIT)
        return c->send.fin_queued ? 0 : -ENOTCONN;
    calm_end(c);
    c->state = c->state == TCP_STATE_ESTABLISHED ? TCP_STATE_FIN_WAIT_1 : TCP_STATE_LAST_ACK;
    c->send.fin_queued = true;
    c->send.more = false;
    conn_mark(c);
    conn_changed(c);
    return 0;
}

void tcp_abort(struct tcp_conn *c, uint64_t now) {
    struct inet *s = c->stack;
    s->now = now;
    calm_end(c);
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
    calm_end(c);
    c->receive.shut = true;
    c->receive.unread |= unread || receive_holds_data(&c->receive);
    receive_clear(&c->receive, &c->stack->tcp_memory);
}

void tcp_close(struct tcp_conn *c, uint64_t now) {
    c->stack->now = now;
    tcp_stop_reading(c, false);
    /* Unread data causes a reset, but pushed data is delivered first. */
    bool reset = c->receive.unread && tcp_unacked(c) == 0;
    if (c->state < TCP_STATE_ESTABLISHED || reset || !conn_abandon(c)) {
        tcp_abort(c, now);
        return;
    }
    if (!c->receive.unread) tcp_shutdown(c, now);
    if (c->marked) conn_flush(c);
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
    return statistics_limited_us(&c->statistics, limit, c->stack->now);
}

void tcp_get_status(const struct tcp_conn *c, struct tcp_status *out) {
    bool fragment;
    *out = (struct tcp_status){
        .state = c->state,
        .recovery = c->recovery.state,
        .srtt_us = c->rtt.srtt_us,
        .rttvar_us = c->rtt.rttvar_us,
        .rto_us = c->rtt.rto_us,
        .reordering_segments = c->recovery.reordering_segments,
        .window_limited_us = limited_us(c, TCP_LIMIT_WINDOW),
        .buffer_limited_us = limited_us(c, TCP_LIMIT_BUFFER),
        .busy_us = limited_us(c, TCP_LIMIT_PATH) + limited_us(c, TCP_LIMIT_WINDOW) + limited_us(c, TCP_LIMIT_BUFFER),
        .min_rtt_us = rtt_min_us(&c->rtt),
        .cwnd = c->cc.cwnd,
        .ssthresh = c->cc.ssthresh,
        .mss = c->send.mss,
        .receive_mss = c->receive.mss,
        .path_mtu = path_mtu(c->stack, &c->flow.remote, &fragment),
        .advertised_mss = conn_mss_told(c),
        .send_window = c->send.wnd,
        .receive_window = conn_receive_window(c),
        .in_flight = conn_in_flight(c),
        .unacked_segments = c->recovery.flight->scoreboard.sent.count,
        .sacked = c->recovery.flight->scoreboard.sacked_bytes,
        .lost = c->recovery.flight->scoreboard.lost_bytes,
        .again = c->recovery.flight->scoreboard.retransmitted_bytes,
        .not_sent = send_unsent(&c->send),
        .retransmits = c->statistics.retransmits,
        .segments_in = c->statistics.segments_in,
        .segments_out = c->statistics.segments_out,
        .bytes_acked = c->statistics.bytes_acked,
        .bytes_received = c->statistics.bytes_received,
        .sent_ns = c->send.sent_ns,
        .received_ns = c->timers.received_ns,
        .send_shift = c->send.shift,
        .receive_shift = c->receive.shift,
        .backoff = c->timers.backoff,
        .probes = c->timers.probes,
        .delayed_ack_ms = c->receive.delayed_ack_ms,
        .timestamps = c->send.timestamps,
        .window_scale = c->receive.window_scale,
        .sack = c->recovery.sack,
        .reordering = c->recovery.reordering,
        .congestion = c->cc.ops->name,
    };
}
