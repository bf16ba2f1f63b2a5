/* The calls on a connection. */
#include "inet/route.h"
#include "inet/tcp_listen.h"
#include "inet/tcp_recovery.h"

static int flow_choose(struct inet *s, struct inet_flow *flow) {
    bool fixed = flow->local_port != 0;
    /* RFC 6056 section 3.3.3: an offset that depends on the flow, so that ports seen elsewhere tell nothing. */
    uint32_t start = (uint32_t)(siphash24(s->secret, flow, sizeof *flow) + rng_below(&s->rng, PORT_EPHEMERAL_COUNT));
    for (uint32_t i = 0; i < (fixed ? 1 : PORT_EPHEMERAL_COUNT); i++) {
        if (!fixed) flow->local_port = port_candidate(start % PORT_EPHEMERAL_COUNT, i);
        if (!hash_find(&s->tcp_conns, flow) && !listener_find(s, &flow->local, flow->local_port)) return 0;
    }
    return fixed ? -EADDRINUSE : -EADDRNOTAVAIL;
}

int tcp_connect(struct inet *s, struct tcp_conn **out, const struct inet_endpoint *remote,
                const struct inet_endpoint *local, void *user, uint64_t now) {
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
    int error = flow_choose(s, &flow);
    if (error) return error;
    struct tcp_conn *c = conn_new(s, &flow, user);
    if (!c) return -ENOMEM;
    c->state = TCP_SYN_SENT;
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

int tcp_push(struct tcp_conn *c, const struct inet_segment *data, bool more, uint64_t now) {
    c->stack->now = now;
    if (c->error) return c->error;
    if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED) return -ENOTCONN;
    if (c->fin_queued || (c->state != TCP_ESTABLISHED && c->state != TCP_CLOSE_WAIT)) return -EPIPE;
    if (data->len == 0) return 0;
    uint32_t waiting = tcp_unacked(c);
    /* One push is always taken where nothing waits, so that a limit cannot stop the stream for good. */
    if (waiting > 0 && (waiting >= c->send_limit || data->len > c->send_limit - waiting)) return -EAGAIN;
    if (data->len > INT32_MAX / 2) return -EINVAL;
    if (!conn_take_off(c)) return -ENOMEM;
    struct tcp_chunk *chunk = queue_add(&c->flight->chunks, sizeof *chunk, TCP_QUEUE_MAX);
    if (!chunk) return c->flight->chunks.count == TCP_QUEUE_MAX ? -EAGAIN : -ENOMEM;
    if (!heap_hold(data->base)) {
        c->flight->chunks.count--;
        return -EINVAL;
    }
    *chunk = (struct tcp_chunk){data->base, c->snd_end, data->len};
    c->snd_end += data->len;
    c->more = more;
    if (c->ack_later) c->interactive = true;
    tcp_output(c);
    return 0;
}

/* The window that the peer knows has become small against what there is: it is told (RFC 1122 section 4.2.3.3). */
static void window_update(struct tcp_conn *c) {
    uint32_t told = seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0;
    if (c->state != TCP_ESTABLISHED && c->state != TCP_FIN_WAIT_1 && c->state != TCP_FIN_WAIT_2) return;
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
        if (!c->fin_received && c->state != TCP_CLOSED) return c->state < TCP_ESTABLISHED ? -ENOTCONN : -EAGAIN;
        *out = (struct inet_slice){NULL, 0};
        return 0;
    }
    struct inet_slice *first = queue_at(&c->slices, sizeof *first, c->slices.first);
    *out = *first;
    if (first->len > limit) {
        if (!heap_share(first->base)) return -ENOMEM;
        out->len = limit;
        first->base = (uint8_t *)first->base + limit;
        first->len -= limit;
    } else {
        queue_drop_first(&c->slices);
    }
    c->received -= out->len;
    window_update(c);
    if (c->slices.count == 0 && c->state != TCP_CLOSED) conn_deadline(c, TCP_TIMER_TRIM, now + TCP_TRIM_NS);
    return 0;
}

int tcp_shutdown(struct tcp_conn *c, uint64_t now) {
    c->stack->now = now;
    if (c->state != TCP_ESTABLISHED && c->state != TCP_CLOSE_WAIT) return c->fin_queued ? 0 : -ENOTCONN;
    c->state = c->state == TCP_ESTABLISHED ? TCP_FIN_WAIT_1 : TCP_LAST_ACK;
    c->fin_queued = true;
    c->more = false;
    tcp_output(c);
    return 0;
}

void tcp_abort(struct tcp_conn *c, uint64_t now) {
    struct inet *s = c->stack;
    s->now = now;
    c->orphan = true;
    socket_forget(&c->socket);
    if (c->state == TCP_CLOSED) {
        list_push_back(&s->tcp_dead, &c->link);
    } else {
        if (c->state != TCP_SYN_SENT && c->state != TCP_TIME_WAIT) tcp_send_reset(c);
        conn_end(c, -ECONNABORTED);
    }
    conn_reap(s);
}

void tcp_close(struct tcp_conn *c, uint64_t now) {
    /* Data that nobody is going to read: the peer must not think it was read. */
    if (c->state < TCP_ESTABLISHED || c->slices.count > 0 || c->gap_count > 0) {
        tcp_abort(c, now);
        return;
    }
    c->orphan = true;
    socket_forget(&c->socket);
    c->keepalive = false;
    tcp_shutdown(c, now);
    if (c->state == TCP_FIN_WAIT_2) conn_deadline(c, TCP_TIMER_LIFE, now + TCP_FIN_WAIT_2_NS);
    conn_reap(c->stack);
}

struct inet_endpoint tcp_local(const struct tcp_conn *c) {
    return (struct inet_endpoint){c->flow.local, c->flow.local_port};
}

struct inet_endpoint tcp_remote(const struct tcp_conn *c) {
    return (struct inet_endpoint){c->flow.remote, c->flow.remote_port};
}

static bool option_in_range(enum tcp_option option, uint32_t value) {
    static const struct {
        uint32_t least, most;
    } ranges[] = {
        [TCP_OPTION_NODELAY] = {0, 1},
        [TCP_OPTION_KEEPALIVE] = {0, 1},
        [TCP_OPTION_KEEP_IDLE_S] = {1, 32767},
        [TCP_OPTION_KEEP_INTERVAL_S] = {1, 32767},
        [TCP_OPTION_KEEP_COUNT] = {1, 127},
        [TCP_OPTION_USER_TIMEOUT_MS] = {0, UINT32_MAX},
        [TCP_OPTION_SEND_LIMIT] = {1, INT32_MAX / 2},
        [TCP_OPTION_RECEIVE_LIMIT] = {1, TCP_RECEIVE_MAX},
    };
    return option < sizeof ranges / sizeof *ranges && value >= ranges[option].least && value <= ranges[option].most;
}

int tcp_set_option(struct tcp_conn *c, enum tcp_option option, uint32_t value) {
    if (!option_in_range(option, value)) return -EINVAL;
    switch (option) {
    case TCP_OPTION_NODELAY:
        c->nodelay = value;
        break;
    case TCP_OPTION_KEEPALIVE:
        c->keepalive = value;
        break;
    case TCP_OPTION_KEEP_IDLE_S:
        c->keep_idle_s = (uint16_t)value;
        break;
    case TCP_OPTION_KEEP_INTERVAL_S:
        c->keep_interval_s = (uint16_t)value;
        break;
    case TCP_OPTION_KEEP_COUNT:
        c->keep_count = (uint8_t)value;
        break;
    case TCP_OPTION_USER_TIMEOUT_MS:
        c->user_timeout_ms = value;
        break;
    case TCP_OPTION_SEND_LIMIT:
        c->send_limit = value;
        break;
    case TCP_OPTION_RECEIVE_LIMIT:
        c->receive_max = value;
        if (c->receive_limit > value) c->receive_limit = value;
        break;
    }
    if (c->keepalive && conn_synchronized(c) && c->state != TCP_TIME_WAIT)
        conn_deadline(c, TCP_TIMER_LIFE, c->received_ns + c->keep_idle_s * NS_PER_S);
    return 0;
}

int tcp_set_congestion(struct tcp_conn *c, const char *name) {
    const struct tcp_cc_ops *ops = tcp_cc_find(name);
    if (!ops) return -ENOENT;
    c->cc = (struct tcp_cc){.ops = ops, .cwnd = c->cc.cwnd, .ssthresh = c->cc.ssthresh};
    return 0;
}

void tcp_get_info(const struct tcp_conn *c, struct tcp_info *info) {
    static const char *const recoveries[] = {"open", "recovery", "loss"};
    *info = (struct tcp_info){
        .state = c->state,
        .srtt_us = c->srtt_us,
        .rttvar_us = c->rttvar_us,
        .rto_us = c->rto_us,
        .min_rtt_us = c->min_rtt_us,
        .cwnd = c->cc.cwnd,
        .ssthresh = c->cc.ssthresh,
        .mss = c->mss,
        .send_window = c->snd_wnd,
        .receive_window = conn_receive_window(c),
        .in_flight = conn_in_flight(c),
        .retransmits = c->retransmits,
        .send_shift = c->send_shift,
        .receive_shift = c->receive_shift,
        .backoff = c->backoff,
        .timestamps = c->timestamps,
        .sack = c->sack,
        .congestion = c->cc.ops->name,
        .recovery = recoveries[c->recovery],
    };
}
