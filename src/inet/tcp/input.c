/* SPDX-License-Identifier: MIT */
/* Processes received segments in the steps of RFC 9293 section 3.10.7, with the checks of RFC 5961 and RFC 7323. */
#include "inet/tcp/input.h"

#include "inet/ip/ip4_output.h"
#include "inet/ip/path.h"
#include "inet/ip/protocol.h"
#include "inet/tcp/check.h"
#include "inet/tcp/listen.h"

#define CHALLENGES_PER_SECOND 1000u
#define CHALLENGES_OF_ONE     20u /* per second, of one connection */

static bool segment_parse(struct inet *s, const struct rx_packet *p, struct tcp_segment *g) {
    if (p->multicast || !tcp_parse(&g->h, p->data, p->len) || g->h.from_port == 0 || g->h.to_port == 0) {
        inet_count(s, tcp_bad_header);
        return false;
    }
    if (!(p->flags & INET_INPUT_CSUM_OK)) {
        uint64_t sum = ip4_pseudo_sum(inet_addr_to_ip4(&p->from), inet_addr_to_ip4(&p->to), IP_TCP, p->len);
        if (csum_fold(csum_add(sum, p->data, p->len)) != 0xffff) {
            inet_count(s, tcp_bad_checksum);
            return false;
        }
    }
    g->seq = g->h.seq;
    g->len = p->len - g->h.header_bytes;
    g->fin = g->h.flags & TCP_FIN;
    g->end = g->seq + g->len + g->fin + ((g->h.flags & TCP_SYN) != 0);
    return true;
}

/* Sends a challenge ACK, whose rate is limited: an unverified sender causes it (RFC 5961 section 7). */
static void challenge(struct tcp_conn *c) {
    struct inet *s = c->stack;
    struct rate *own = &s->challenge_rates[c->ts.offset % CHALLENGE_RATES]; /* the offset is keyed by a secret */
    if (!rate_take(own, CHALLENGES_OF_ONE, &s->rng, s->now) ||
        !rate_take(&s->challenge_rate, CHALLENGES_PER_SECOND, &s->rng, s->now)) {
        inet_count(c->stack, tcp_challenge_limit);
        return;
    }
    inet_count(c->stack, tcp_challenges);
    tcp_send_ack(c);
}

/*
 * Answers an unacceptable segment with an ACK, so that the peer resynchronises. The rate of answers to empty segments
 * is limited: two ends that disagree would otherwise answer each other without end.
 */
static void answer_stale(struct tcp_conn *c, const struct tcp_segment *g) {
    if (g->len == 0 && !g->fin) {
        uint32_t now_ms = stack_clock_ms(c->stack) | 1; /* 0 means never */
        if (c->stale_ms != 0 && now_ms - c->stale_ms < TCP_STALE_MS) {
            inet_count(c->stack, tcp_challenge_limit);
            return;
        }
        c->stale_ms = now_ms;
    }
    c->receive.ack_now = true;
}

static void connected(struct tcp_conn *c) {
    conn_established(c);
    if (c->timers.keepalive) conn_deadline(c, TCP_TIMER_LIFE, c->stack->now + c->timers.keep_idle_s * NS_PER_S);
    if (!c->orphan) socket_event(c->stack, &c->socket, INET_EVENT_CONNECTED | INET_EVENT_WRITABLE);
}

/* Our SYN was acknowledged. */
static void syn_acked(struct tcp_conn *c, const struct tcp_segment *g) {
    c->send.una = g->h.ack;
    if (c->timers.tries == 0) rtt_sample(&c->rtt, c->stack->now, (c->stack->now - c->send.sent_ns) / 1000 + 1);
    connected(c);
}

/* Section 3.10.7.3. Returns whether the segment's text is processed. */
static bool syn_sent_input(struct tcp_conn *c, const struct rx_packet *p, const struct tcp_segment *g) {
    bool acks = g->h.flags & TCP_ACK;
    if (acks && g->h.ack != c->send.nxt) {
        tcp_reset_segment(c->stack, p, g);
        return false;
    }
    if (g->h.flags & TCP_RST) {
        if (acks)
            conn_end(c, -ECONNREFUSED);
        else
            inet_count(c->stack, tcp_bad_reset);
        return false;
    }
    if (!(g->h.flags & TCP_SYN)) {
        inet_count(c->stack, tcp_unacceptable);
        return false;
    }
    negotiate_options(c, &g->h);
    if (!acks) { /* simultaneous open */
        c->state = TCP_STATE_SYN_RECEIVED;
        tcp_send_syn(c);
        tcp_arm_send(c);
        return false;
    }
    syn_acked(c, g);
    c->receive.ack_now = true;
    return true;
}

/* RFC 7323 section 5.3: an old duplicate, by its timestamp. */
static bool paws_fails(const struct tcp_conn *c, const struct tcp_segment *g) {
    return c->send.timestamps && g->h.options.has_timestamp &&
           timestamps_old(&c->ts, g->h.options.ts_value, c->stack->now);
}

static void reset_input(struct tcp_conn *c, const struct tcp_segment *g) {
    if (g->seq == c->receive.nxt) {
        int error = c->state == TCP_STATE_SYN_RECEIVED ? -ECONNREFUSED : -ECONNRESET;
        inet_count(c->stack, tcp_resets_in);
        conn_end(c, c->state == TCP_STATE_TIME_WAIT ? 0 : error);
        return;
    }
    inet_count(c->stack, tcp_bad_reset);
    if (receive_reset_acceptable(&c->receive, g->seq, conn_mss_told(c))) challenge(c);
}

/* Steps 1 to 4: sequence number, RST, SYN. False: the segment needs no further step. */
static bool sequence_check(struct tcp_conn *c, const struct tcp_segment *g) {
    bool rst = g->h.flags & TCP_RST;
    if (paws_fails(c, g) && !rst) {
        inet_count(c->stack, tcp_paws);
        answer_stale(c, g);
        receive_note_old(&c->receive, g);
        return false;
    }
    if (c->state == TCP_STATE_SYN_RECEIVED && (g->h.flags & TCP_SYN) && !rst && g->seq == c->receive.irs) {
        if (g->h.flags & TCP_ACK) return true; /* the answer to our own SYN: a simultaneous open */
        tcp_send_syn(c);                       /* ours was lost */
        return false;
    }
    if (!receive_acceptable(&c->receive, g->seq, g->end)) {
        inet_count(c->stack, tcp_unacceptable);
        if (rst) return false;
        if (g->h.flags & TCP_SYN)
            challenge(c);
        else
            answer_stale(c, g);
        receive_note_old(&c->receive, g);
        return false;
    }
    if (rst) {
        reset_input(c, g);
        return false;
    }
    if (g->h.flags & TCP_SYN) { /* RFC 5961 section 4.2 */
        challenge(c);
        return false;
    }
    return true;
}

/* Releases what is acknowledged. */
static void chunks_acked(struct tcp_conn *c) {
    if (send_queue_acked(&c->recovery.flight->queue, c->send.una) && !c->orphan)
        socket_event(c->stack, &c->socket, INET_EVENT_WRITABLE);
    if (c->send.una != c->send.nxt) return;
    conn_idle(c);
    if (c->send.nxt == c->send.end) conn_limited_by(c, TCP_LIMIT_IDLE);
}

static void window_note(struct tcp_conn *c, uint32_t seq, uint32_t ack, uint16_t field) {
    if (!send_window_note(&c->send, seq, ack, field) || c->timers.send_timer != TCP_SEND_PERSIST) return;
    c->timers.backoff = 0;
    timers_clear(&c->timers, TCP_TIMER_SEND);
}

/* The peer has acknowledged our FIN. */
static void fin_acked(struct tcp_conn *c) {
    if (!c->orphan) socket_event(c->stack, &c->socket, INET_EVENT_WRITABLE);
    switch (c->state) {
    case TCP_STATE_FIN_WAIT_1:
        c->state = TCP_STATE_FIN_WAIT_2;
        if (c->orphan) conn_deadline(c, TCP_TIMER_LIFE, c->stack->now + timers_fin_wait_2_ns(&c->timers));
        break;
    case TCP_STATE_CLOSING:
        conn_time_wait(c);
        break;
    case TCP_STATE_LAST_ACK:
        conn_end(c, 0);
        break;
    default:
        break;
    }
}

/* An ACK while something is out; see tcp_ack. */
static void ack_advance(struct tcp_conn *c, uint32_t ack, const struct tcp_options *o, bool duplicate) {
    calm_end(c);
    c->statistics.bytes_acked += ack - c->send.una;
    tcp_ack(c, ack, o, duplicate);
    chunks_acked(c);
}

void tcp_ack_advance(struct tcp_conn *c, uint32_t ack) {
    static const struct tcp_options none;
    ack_advance(c, ack, &none, false);
}

/* Step 5. False: the segment needs no further step. */
static bool ack_input(struct tcp_conn *c, const struct rx_packet *p, const struct tcp_segment *g) {
    uint32_t ack = g->h.ack;
    if (!(g->h.flags & TCP_ACK)) {
        inet_count(c->stack, tcp_unacceptable);
        return false;
    }
    if (c->state == TCP_STATE_SYN_RECEIVED) {
        if (ack != c->send.nxt) {
            tcp_reset_segment(c->stack, p, g);
            return false;
        }
        if (c->listener && !listener_establish(c)) return false;
        syn_acked(c, g);
        uint8_t shift = g->h.flags & TCP_SYN ? 0 : c->send.shift;
        send_window_start(&c->send, g->seq, ack, (uint32_t)g->h.window << shift);
        return true;
    }
    if (!send_ack_acceptable(&c->send, ack)) {
        inet_count(c->stack, tcp_bad_ack);
        challenge(c);
        return false;
    }
    c->timers.tries = 0;
    if (seq_lt(ack, c->send.una)) { /* an old ACK, but the data and SACK blocks may be new */
        if (g->h.options.sack_count > 0 && c->recovery.flight->scoreboard.sent.count > 0)
            tcp_ack(c, c->send.una, &g->h.options, false);
        return true;
    }
    bool duplicate = ack == c->send.una && g->len == 0 && !g->fin && c->send.una != c->send.nxt &&
                     (uint32_t)g->h.window << c->send.shift == c->send.wnd;
    bool news = ack != c->send.una || duplicate || g->h.options.sack_count > 0;
    window_note(c, g->seq, ack, g->h.window);
    if (news && c->recovery.flight->scoreboard.sent.count > 0) {
        ack_advance(c, ack, &g->h.options, duplicate);
        if (c->send.fin_sent && c->send.una == c->send.nxt) fin_acked(c);
    } else if (g->h.options.sack_count > 0 && c->recovery.flight != &tcp_no_flight) {
        tcp_ack_idle(c, &g->h.options);
    }
    if (c->state != TCP_STATE_CLOSED) tcp_reset_if_unread(c);
    return c->state != TCP_STATE_CLOSED;
}

void ack_schedule(struct tcp_conn *c, uint32_t len) {
    if (len > c->receive.mss) conn_peer_mss(c, len);
    if (receive_ack_schedule(&c->receive))
        conn_deadline(c, TCP_TIMER_DELACK, c->stack->now + c->receive.delayed_ack_ms * NS_PER_MS);
}

/* The peer's FIN is in order. */
static void fin_input(struct tcp_conn *c) {
    reassembly_set_duplicate(&c->receive.reassembly, 0, 0); /* as in Linux: nothing depends on it any more */
    switch (c->state) {
    case TCP_STATE_ESTABLISHED:
        c->state = TCP_STATE_CLOSE_WAIT;
        c->receive.interactive = true; /* our own FIN is likely to follow, and to carry the ACK */
        if (c->statistics.bytes_received == 0 || conn_receive_window(c) == 0) c->receive.ack_now = true;
        return;
    case TCP_STATE_FIN_WAIT_1:
        c->state = TCP_STATE_CLOSING;
        break;
    case TCP_STATE_FIN_WAIT_2:
        c->receive.ack_now = true;
        conn_time_wait(c);
        return;
    default:
        break;
    }
    c->receive.ack_now = true;
}

/*
 * As in Linux, every segment except an empty one with the expected sequence number is answered: the peer may not have
 * received our last ACK. Only its FIN restarts the timer. Two ends in TIME_WAIT do not answer each other without end,
 * because their ACKs have the expected sequence numbers.
 */
static void time_wait_input(struct tcp_conn *c, const struct tcp_segment *g) {
    if (g->len == 0 && !g->fin && g->seq == c->receive.nxt) return;
    answer_stale(c, g);
    if (g->fin && g->end == c->receive.nxt) conn_deadline(c, TCP_TIMER_LIFE, c->stack->now + TCP_TIME_WAIT_NS);
}

/* Payload came that nobody will read: a reset reports this to the peer, and replaces a FIN that is not sent yet. */
static void unread_input(struct tcp_conn *c) {
    inet_count(c->stack, tcp_data_after_close);
    c->receive.unread = true;
    if (c->send.fin_queued && !c->send.fin_sent) {
        c->send.fin_queued = false;
        c->state = c->state == TCP_STATE_LAST_ACK ? TCP_STATE_CLOSE_WAIT : TCP_STATE_ESTABLISHED;
    }
    if (!c->orphan) socket_event(c->stack, &c->socket, INET_EVENT_READABLE);
    tcp_reset_if_unread(c);
}

/* Steps 7 and 8. */
static void text_input(struct tcp_conn *c, struct rx_packet *p, struct tcp_segment *g) {
    if (c->state == TCP_STATE_TIME_WAIT) {
        time_wait_input(c, g);
        return;
    }
    if (g->len == 0 && !g->fin) return;
    if (c->receive.fin_received) {
        c->receive.ack_now = true;
        return;
    }
    if (c->receive.shut && g->len > 0 && seq_lt(c->receive.nxt, g->seq + g->len)) {
        unread_input(c);
        return;
    }
    if (!receive_trim(&c->receive, p, g)) inet_count(c->stack, tcp_beyond_window);
    if (g->len == 0 && !g->fin) return;
    bool gaps = c->receive.reassembly.ooo != NULL;
    uint32_t before = c->receive.nxt;
    bool moved = receive_add(&c->receive, &c->stack->tcp_memory, p, g);
    c->statistics.bytes_received += c->receive.nxt - before - c->receive.fin_received;
    if (gaps || !moved) c->receive.ack_now = true;
    if (c->receive.fin_received) fin_input(c);
    if (c->state == TCP_STATE_CLOSED) return;
    ack_schedule(c, g->len);
    if (moved && !c->orphan) socket_event(c->stack, &c->socket, INET_EVENT_READABLE);
}

/* RFC 6191 section 2: a SYN that can only open a new connection replaces a connection in TIME_WAIT. */
static bool time_wait_reused(struct tcp_conn *c, const struct tcp_segment *g) {
    if (c->state != TCP_STATE_TIME_WAIT || (g->h.flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_SYN) return false;
    bool newer = c->send.timestamps && g->h.options.has_timestamp ? seq_lt(c->ts.recent, g->h.options.ts_value)
                                                                  : seq_lt(c->receive.nxt, g->seq);
    if (newer) conn_end(c, 0);
    return newer;
}

/*
 * Whether what the segment causes to be sent may wait for the end of the burst: it is the next one of a connection in
 * which nothing is lost or out of order, such as all that the fast path takes. An ACK that is due to another segment is
 * a signal to the peer, and is sent at once.
 */
static bool may_wait(const struct tcp_conn *c, const struct tcp_segment *g) {
    const struct tcp_receive *r = &c->receive;
    return c->state == TCP_STATE_ESTABLISHED && !c->orphan && c->recovery.state == TCP_OPEN &&
           (g->h.flags & ~TCP_PSH) == TCP_ACK && g->seq == r->nxt && !r->shut && !r->fin_received &&
           !reassembly_has_blocks(&r->reassembly) && c->path.epoch == c->stack->path_epoch;
}

static void conn_input(struct tcp_conn *c, struct rx_packet *p, struct tcp_segment *g) {
    bool waits = may_wait(c, g);
    /* The ACK of earlier data goes first, so that a peer without SACK sees each duplicate ACK that this one causes. */
    if (!waits && c->marked && c->receive.ack_now) conn_flush(c);
    calm_end(c);
    c->timers.received_ns = c->stack->now;
    c->timers.probes = 0;
    c->statistics.segments_in++;
    if (c->state == TCP_STATE_SYN_SENT) {
        if (!syn_sent_input(c, p, g)) return;
        g->seq++; /* what follows the SYN */
    } else {
        if (!sequence_check(c, g)) {
            waits = false;
            goto out;
        }
        if (g->h.flags & TCP_SYN) g->seq++;
        if (!ack_input(c, p, g)) goto out;
        if (c->send.timestamps && g->h.options.has_timestamp)
            timestamps_note(&c->ts, g->h.options.ts_value, g->seq, c->receive.last_ack, c->stack->now);
    }
    text_input(c, p, g);
out:
    if (waits && c->state == TCP_STATE_ESTABLISHED && c->recovery.state == TCP_OPEN)
        conn_mark_due(c);
    else if (c->state != TCP_STATE_CLOSED)
        tcp_output(c);
    conn_changed(c);
}

static void tcp_input(struct inet *s, struct rx_packet *p) {
    struct tcp_segment g;
    if (!segment_parse(s, p, &g)) return;
    struct inet_flow flow = {p->to, p->from, g.h.to_port, g.h.from_port};
    struct tcp_conn *c = conn_find(s, &flow);
    struct tcp_listener *l;
    if (c && !time_wait_reused(c, &g)) {
        conn_input(c, p, &g);
    } else if ((l = listener_find(s, &p->to, g.h.to_port))) {
        if ((c = listener_input(l, p, &g))) conn_input(c, p, &g);
    } else {
        tcp_unknown(s, p, &g);
    }
    conn_reap(s);
}

/* The connection an ICMP error speaks of. RFC 5927 section 4.1: only who sees our segments knows what is in flight. */
static struct tcp_conn *conn_in_error(struct inet *s, const struct inet_flow *flow, uint32_t seq) {
    struct tcp_conn *c = conn_find(s, flow);
    return !c || seq_lt(seq, c->send.una) || !seq_lt(seq, c->send.nxt) ? NULL : c;
}

static bool tcp_too_big(struct inet *s, const struct inet_flow *flow, uint32_t seq, uint16_t mtu,
                        uint16_t packet_bytes) {
    struct tcp_conn *c = conn_in_error(s, flow, seq);
    if (!c) return false;
    if (c->path.discover && path_learn(s, &flow->remote, mtu, packet_bytes)) tcp_output(c);
    return true;
}

static bool tcp_icmp_error(struct inet *s, const struct inet_flow *flow, uint32_t seq, int error) {
    struct tcp_conn *c = conn_in_error(s, flow, seq);
    if (!c) return false;
    /* Section 5.2: an established connection survives; its timers find out. */
    if (c->state == TCP_STATE_SYN_SENT) {
        conn_end(c, error);
        conn_reap(s);
    }
    return true;
}

static const struct ip_protocol protocol = {
    .number = IP_TCP, .input = tcp_input, .error = tcp_icmp_error, .too_big = tcp_too_big};

int tcp_init(struct inet *s) {
    ip_register(s, &protocol);
    list_init(&s->tcp_dead);
    list_init(&s->tcp_marked);
    memory_init(&s->tcp_memory, s->config.tcp_memory, s->counters, &s->rng);
    s->room_retry_ns = TCP_ROOM_RETRY_NS;
    int error = hash_init(&s->tcp_conns, sizeof(struct inet_flow_ip4), offsetof(struct tcp_conn, key), TCP_CONNS_MAX,
                          s->hash_seed);
    if (error) return error;
    error = hash_init(&s->tcp_listeners, sizeof(struct inet_flow), offsetof(struct tcp_listener, key), TCP_CONNS_MAX,
                      s->hash_seed);
    if (error) hash_fini(&s->tcp_conns);
    return error;
}

void tcp_fini(struct inet *s) {
    struct tcp_conn *c;
    struct tcp_listener *l;
    struct list all, *node;
    uint64_t at = 0;
    list_init(&all);
    while ((c = hash_next(&s->tcp_conns, &at))) { /* the table must not change meanwhile */
        list_remove(&c->link);
        list_push_back(&all, &c->link);
        c->listener = NULL;
        c->orphan = true;
    }
    while ((node = list_pop_front(&all)))
        conn_end(list_entry(node, struct tcp_conn, link), -ECONNABORTED);
    for (at = 0; (l = hash_next(&s->tcp_listeners, &at)); at = 0)
        listener_free(l);
    conn_reap(s);
    hash_fini(&s->tcp_conns);
    hash_fini(&s->tcp_listeners);
}
