/* SPDX-License-Identifier: MIT */
/* The life cycle of a connection: creation, negotiation, TIME_WAIT, detaching and attaching, its end. */
#include "inet/tcp/conn.h"
#include "inet/wire/ip4.h"

#include "inet/ip/neighbour.h"
#include "inet/ip/path.h"
#include "inet/ip/route.h"

#include <assert.h>

_Static_assert(sizeof(struct tcp_conn) <= 576, "a host has a million of them");

uint32_t conn_isn(const struct inet *s, const struct inet_flow *flow, uint32_t *ts_offset) {
    uint64_t h = siphash24(s->secret, flow, sizeof *flow);
    *ts_offset = (uint32_t)(h >> 32);
    return (uint32_t)(s->now / 4000) + (uint32_t)h; /* RFC 6528 section 3: a tick of 4 µs */
}

static uint16_t mss_of_path(const struct tcp_conn *c, bool *fragment) {
    return (uint16_t)(path_mtu(c->stack, &c->flow.remote, fragment) - TCP_MSS_OVERHEAD);
}

void conn_peer_mss(struct tcp_conn *c, uint32_t bytes) {
    uint16_t most = conn_mss_told(c);
    c->receive.mss = bytes < most ? (uint16_t)bytes : most; /* a device has merged segments (LRO) if there are more */
}

void conn_path_changed(struct tcp_conn *c) {
    calm_end(c);
    flight_forget_headers(c->recovery.flight);
    bool fragment, smaller = send_set_mss(&c->send, mss_of_path(c, &fragment));
    c->path.epoch = c->stack->path_epoch;
    c->path.dont_fragment = c->path.discover && !fragment;
    if (smaller) scoreboard_cut(&c->recovery.flight->scoreboard, c->send.mss);
    /* Both have room for a segment; a recovery ends with the window at ssthresh. */
    if (c->cc.cwnd < c->send.mss) c->cc.cwnd = c->send.mss;
    if (c->cc.ssthresh < c->send.mss) c->cc.ssthresh = c->send.mss;
}

static struct inet_flow_ip4 key_of(const struct inet_flow *flow) {
    struct inet_flow_ip4 key = {.remote = inet_addr_to_ip4(&flow->remote), .local = inet_addr_to_ip4(&flow->local)};
    wire_put16((uint8_t *)&key.remote_port, flow->remote_port);
    wire_put16((uint8_t *)&key.local_port, flow->local_port);
    return key;
}

struct tcp_conn *conn_find(struct inet *s, const struct inet_flow *flow) {
    const struct inet_flow_ip4 key = key_of(flow);
    return conn_find_ip4(s, &key);
}

static void conn_hide(struct inet *s, const struct tcp_conn *c) {
    hash_remove(&s->tcp_conns, &c->key);
    if (s->tcp_last == c) s->tcp_last = NULL;
}

/* From now on the stack finds the connection. */
static int conn_join(struct inet *s, struct tcp_conn *c, enum inet_flow_event event) {
    const struct inet_flow *flow = &c->flow;
    int error = hash_insert(&s->tcp_conns, c);
    if (error) return error;
    inet_port_used(s, IP_TCP, flow->local_port, true);
    error = inet_flow_used(s, IP_TCP, flow, event);
    if (!error) return 0;
    inet_port_used(s, IP_TCP, flow->local_port, false);
    conn_hide(s, c);
    return error;
}

int conn_new(struct inet *s, struct tcp_conn **out, const struct inet_flow *flow, const struct tcp_settings *settings,
             void *user) {
    assert(inet_addr_is_ip4(&flow->local) && inet_addr_is_ip4(&flow->remote)); /* key_of requires it */
    struct tcp_conn *c = sys_calloc_lines(sizeof *c);
    if (!c) return -ENOMEM;
    c->flow = *flow;
    c->key = key_of(flow);
    int error = conn_join(s, c, INET_FLOW_OPENS);
    if (error) {
        sys_free_lines(c);
        return error;
    }
    socket_init(&c->socket, INET_TCP, user);
    c->stack = s;
    list_init(&c->link);
    timers_init(&c->timers, tcp_timer_fire, s->now);
    rtt_init(&c->rtt, s->now);
    send_init(&c->send, conn_isn(s, flow, &c->ts.offset));
    receive_start_slices(&c->receive);
    c->receive.limit = TCP_RECEIVE_FIRST;
    c->send.mss = c->send.offered = TCP_MSS_DEFAULT;
    c->loopback = route_find(s, inet_addr_to_ip4(&flow->remote)).kind == ROUTE_LOOPBACK;
    c->path.dont_fragment = true;
    c->receive.mss = TCP_MSS_DEFAULT;
    recovery_init(&c->recovery);
    c->cc.ssthresh = UINT32_MAX;
    conn_configure(c, settings);
    c->receive.shift = receive_shift_for(c->receive.max);
    c->send.sent_ns = s->now;
    *out = c;
    return 0;
}

static void send_queue_free(struct tcp_conn *c) {
    if (c->recovery.flight != &tcp_no_flight) send_queue_clear(&c->recovery.flight->queue);
    recovery_free(&c->recovery);
    c->send.una = c->send.nxt;
}

/* An established connection stays: it can still be accepted, and then reports how it ended. */
static void half_open_leave(struct tcp_conn *c) {
    if (!c->listener || c->state != TCP_STATE_SYN_RECEIVED) return;
    c->listener->half_open_count--;
    list_remove(&c->link);
    c->listener = NULL;
    c->orphan = true; /* no event has reported it */
}

/* The stack does not find the connection any more, and its timer does not run. */
static void conn_leave(struct tcp_conn *c) {
    struct inet *s = c->stack;
    conn_hide(s, c);
    timers_suspend(&c->timers, &s->wheel);
    assert(!c->abandoned || s->tcp_orphans > 0);
    assert(c->state != TCP_STATE_TIME_WAIT || s->tcp_time_waits > 0);
    if (c->abandoned) s->tcp_orphans--;
    c->abandoned = false;
    if (c->state == TCP_STATE_TIME_WAIT) s->tcp_time_waits--;
}

void conn_end(struct tcp_conn *c, int error) {
    struct inet *s = c->stack;
    if (c->state == TCP_STATE_CLOSED) return;
    calm_end(c);
    half_open_leave(c);
    conn_leave(c);
    inet_flow_used(s, IP_TCP, &c->flow, INET_FLOW_ENDS);
    inet_port_used(s, IP_TCP, c->flow.local_port, false);
    timers_stop(&c->timers, &s->wheel); /* a later call must not arm the timer again */
    c->undelivered = !send_queue_is_empty(&c->recovery.flight->queue);
    send_queue_free(c);
    c->error = error;
    c->state = TCP_STATE_CLOSED;
    if (c->listener) return;
    conn_unmark(c);
    if (c->orphan)
        list_push_back(&s->tcp_dead, &c->link);
    else
        socket_event(s, &c->socket, INET_EVENT_CLOSED | INET_EVENT_READABLE | INET_EVENT_WRITABLE);
}

int tcp_detach(struct tcp_conn *c) {
    if (c->state < TCP_STATE_ESTABLISHED || c->listener || c->orphan) return -EINVAL;
    if (c->marked) conn_flush(c);
    calm_end(c);
    socket_forget(&c->socket);
    conn_leave(c);
    reassembly_leave(&c->receive.reassembly);
    c->stack->tcp_memory.charged -= receive_charged(&c->receive);
    c->stack = NULL;
    return 0;
}

void tcp_detached(struct inet *s, uint16_t local_port) {
    inet_port_used(s, IP_TCP, local_port, false);
}

static void conn_free(struct tcp_conn *c) {
    receive_clear(&c->receive, conn_memory(c));
    socket_forget(&c->socket);
    sys_free_lines(c);
}

void tcp_discard(struct tcp_conn *c) {
    send_queue_free(c);
    conn_free(c);
}

int tcp_attach(struct inet *s, struct tcp_conn *c, void *user, uint64_t now) {
    int error = conn_join(s, c, INET_FLOW_ATTACHED);
    s->now = now;
    if (error) {
        tcp_discard(c);
        return error == -EEXIST ? -EADDRINUSE : error;
    }
    c->stack = s;
    if (c->state == TCP_STATE_TIME_WAIT) s->tcp_time_waits++;
    s->tcp_memory.charged += receive_charged(&c->receive);
    reassembly_join(&c->receive.reassembly, &s->tcp_memory);
    c->socket.user = user;
    c->path.epoch = (uint16_t)(s->path_epoch - 1); /* conn_path_changed: another path MTU, other headers */
    timers_resume(&c->timers, &s->wheel);
    socket_event(s, &c->socket, INET_EVENT_READABLE | INET_EVENT_WRITABLE);
    return 0;
}

void conn_reap(struct inet *s) {
    struct list *node;
    while ((node = list_pop_front(&s->tcp_dead)))
        conn_free(list_entry(node, struct tcp_conn, link));
}

void negotiate_options(struct tcp_conn *c, const struct tcp_header *syn) {
    const struct tcp_options *o = &syn->options;
    send_offered(&c->send, o->mss);
    c->receive.mss = 0;
    conn_peer_mss(c, TCP_MSS_DEFAULT); /* grows when larger segments come */
    c->send.timestamps = o->has_timestamp;
    conn_path_changed(c);
    timestamps_take(&c->ts, o->ts_value, c->stack->now);
    c->recovery.sack = c->receive.sack = o->sack_permitted;
    c->send.shift = o->window_shift;
    c->receive.window_scale = o->has_window_shift;
    if (!o->has_window_shift) {
        c->send.shift = c->receive.shift = 0;
        c->receive.max = TCP_RECEIVE_FIRST;
    }
    receive_start(&c->receive, syn->seq);
    send_window_start(&c->send, syn->seq, syn->ack, syn->window); /* never scaled in a SYN */
    c->cc.cwnd = tcp_cc_initial(c->send.mss);
}

void conn_established(struct tcp_conn *c) {
    c->state = TCP_STATE_ESTABLISHED;
    c->timers.backoff = c->timers.tries = 0;
    receive_tune_start(&c->receive, c->stack->now);
    conn_deadline(c, TCP_TIMER_SEND, UINT64_MAX);
    c->timers.progress_ns = c->stack->now;
    neighbour_progress(c->stack, &c->flow.remote); /* the peer acknowledges our SYN */
}

bool conn_abandon(struct tcp_conn *c) {
    struct inet *s = c->stack;
    calm_end(c);
    c->orphan = true;
    socket_forget(&c->socket);
    c->timers.keepalive = false;
    if (c->state == TCP_STATE_TIME_WAIT) return true;
    if (s->tcp_orphans >= s->config.limits.tcp_orphans) {
        inet_count(s, tcp_orphan_limit);
        return false;
    }
    s->tcp_orphans++;
    c->abandoned = true;
    return true;
}

uint32_t inet_closing(const struct inet *s) {
    return s->tcp_orphans;
}

void conn_time_wait(struct tcp_conn *c) {
    struct inet *s = c->stack;
    if (s->tcp_time_waits >= s->config.limits.tcp_time_wait) {
        inet_count(s, tcp_time_wait_limit);
        if (c->receive.ack_now) tcp_send_ack(c);
        conn_end(c, 0);
        return;
    }
    s->tcp_time_waits++;
    if (c->abandoned) s->tcp_orphans--;
    c->abandoned = false;
    c->state = TCP_STATE_TIME_WAIT;
    send_queue_free(c);
    conn_deadline(c, TCP_TIMER_SEND, UINT64_MAX);
    conn_deadline(c, TCP_TIMER_LIFE, c->stack->now + TCP_TIME_WAIT_NS);
}

void conn_trim(struct tcp_conn *c) {
    uint64_t last = c->send.sent_ns > c->timers.received_ns ? c->send.sent_ns : c->timers.received_ns;
    if (c->stack->now - last < TCP_TRIM_NS) {
        conn_deadline(c, TCP_TIMER_TRIM, last + TCP_TRIM_NS);
        return;
    }
    if (send_queue_is_empty(&c->recovery.flight->queue) && c->recovery.flight->scoreboard.sent.count == 0)
        recovery_free(&c->recovery);
    if (c->receive.slices.count > 0) return;
    fifo_free(&c->receive.slices);
    receive_start_slices(&c->receive);
}
