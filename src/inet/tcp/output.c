/* SPDX-License-Identifier: MIT */
/* Makes and sends segments (RFC 9293 section 3.8, RFC 1122 section 4.2.3.4). */
#include "inet/tcp/output.h"
#include "inet/ip/ip4_output.h"

#include "inet/tcp/fast_headers.h"

#include <assert.h>

#define SACK_LEAST_BYTES 12u /* one block, with padding */

static uint32_t gather(const struct tcp_conn *c, struct tx_packet *o, uint32_t seq, uint32_t len) {
    return send_queue_gather(&c->recovery.flight->queue, o, seq, len);
}

/* o has the TCP header already. c NULL: the segment belongs to no connection. */
static int ip_output(struct inet *s, struct tx_packet *o, const struct inet_flow *flow, const struct tcp_conn *c) {
    struct ip4_send send = {
        .from = inet_addr_to_ip4(&flow->local),
        .to = inet_addr_to_ip4(&flow->remote),
        .protocol = IP_TCP,
        .tos = c ? c->path.tos : 0,
        .ttl = c ? c->path.ttl : IP4_TTL,
        .dont_fragment = !c || c->path.dont_fragment,
        .has_checksum = true,
        .checksum_offset = TCP_CHECKSUM_OFFSET,
    };
    o->answer = !c || c->state == TCP_STATE_SYN_RECEIVED;
    return ip4_output(s, o, &send);
}

static void emit(struct tx_packet *o, struct tcp_header *h) {
    h->header_bytes = (uint8_t)(TCP_HEADER_BYTES + tcp_options_bytes(&h->options));
    tcp_emit(tx_push(o, h->header_bytes), h);
}

static int header_output(struct inet *s, struct tx_packet *o, const struct inet_flow *flow, struct tcp_header *h,
                         const struct tcp_conn *c) {
    h->from_port = flow->local_port;
    h->to_port = flow->remote_port;
    emit(o, h);
    return ip_output(s, o, flow, c);
}

/* The header of most segments: no options, or the timestamp alone. */
static void plain_header(const struct tcp_conn *c, struct tx_packet *o, uint32_t seq, uint8_t flags, uint16_t window) {
    uint32_t bytes = TCP_HEADER_BYTES + (c->send.timestamps ? TCP_TIMESTAMP_BYTES : 0);
    uint8_t *p = tx_push(o, bytes);
    tcp_emit_fixed(p, c->flow.local_port, c->flow.remote_port, seq, c->receive.nxt, bytes, flags, window);
    if (!c->send.timestamps) return;
    wire_put32(p + TCP_HEADER_BYTES, TCP_TIMESTAMP_ALONE);
    wire_put32(p + TCP_HEADER_BYTES + 4, conn_clock_ms(c));
    wire_put32(p + TCP_HEADER_BYTES + 8, c->ts.recent);
}

/* The header of a segment with as many SACK blocks as it has room for. */
static void sack_header(struct tcp_conn *c, struct tx_packet *o, uint32_t seq, uint8_t flags, uint16_t window) {
    struct tcp_header h = {
        .from_port = c->flow.local_port,
        .to_port = c->flow.remote_port,
        .seq = seq,
        .ack = c->receive.nxt,
        .flags = flags,
        .window = window,
        .options = {.has_timestamp = c->send.timestamps, .ts_value = conn_clock_ms(c), .ts_echo = c->ts.recent},
    };
    uint32_t fit = (c->send.mss - o->frame.bytes - SACK_LEAST_BYTES) / 8 + 1;
    reassembly_sack(&c->receive.reassembly, &h.options);
    if (h.options.sack_count > fit) h.options.sack_count = (uint8_t)fit;
    emit(o, &h);
}

/* The fast path of plain_header and ip_output, for a calm connection whose template is ready. */
static int template_output(struct tcp_conn *c, struct tx_packet *o, uint32_t seq, uint8_t flags, uint16_t window) {
    struct tcp_template *t = &c->recovery.flight->template;
    uint64_t sum = template_patch(c, t, seq, flags, window, o->frame.bytes);
    size_t bytes = 0;
    for (uint32_t i = 1; !t->csum && i < o->frame.count; bytes += o->frame.segments[i++].len)
        sum = csum_append(sum, bytes, csum_add(0, o->frame.segments[i].base, o->frame.segments[i].len));
    if (t->csum)
        o->frame.flags |= INET_FRAME_CSUM;
    else
        template_checksum(t, sum);
    o->frame.csum_start = TCP_TEMPLATE_TCP;
    o->frame.csum_offset = TCP_CHECKSUM_OFFSET;
    o->frame.segments[0] = (struct inet_segment){t->headers, t->bytes};
    o->frame.bytes += t->bytes;
    return link_transmit(c->stack, &o->frame);
}

/* Sends a segment of a connection, with ACK, window and timestamps. False: the device has no room. */
static bool segment_output(struct tcp_conn *c, struct tx_packet *o, uint32_t seq, uint8_t flags, bool sack) {
    uint32_t promise = conn_receive_window(c);
    uint16_t window = receive_window_field(&c->receive, promise);
    /* A segment that has no room for SACK blocks leaves the ACK with them to an empty one. */
    bool blocks = c->receive.sack && reassembly_has_blocks(&c->receive.reassembly);
    bool room = o->frame.bytes + SACK_LEAST_BYTES <= c->send.mss, told_later = c->receive.reassembly.ooo && !room;
    int error;
    if (c->calm && template_ready(c, &c->recovery.flight->template)) {
        error = template_output(c, o, seq, flags | TCP_ACK, window);
    } else {
        if (blocks && sack && room)
            sack_header(c, o, seq, flags | TCP_ACK, window);
        else
            plain_header(c, o, seq, flags | TCP_ACK, window);
        error = ip_output(c->stack, o, &c->flow, c);
    }
    if (error == -EAGAIN) {
        output_blocked(c);
        return false;
    }
    segment_left(c, promise);
    if (!told_later || !c->receive.ack_now) ack_done(c);
    return true;
}

static bool empty_output(struct tcp_conn *c, uint32_t seq, uint8_t flags) {
    struct tx_packet o;
    tx_init(&o);
    return segment_output(c, &o, seq, flags, !(flags & TCP_RST));
}

void tcp_send_ack(struct tcp_conn *c) {
    empty_output(c, c->send.nxt, 0);
}

void tcp_send_probe(struct tcp_conn *c) {
    empty_output(c, c->send.una - 1, 0); /* unacceptable: every peer answers with an ACK, which has its window */
}

void tcp_send_reset(struct tcp_conn *c) {
    empty_output(c, c->send.nxt, TCP_RST);
}

void tcp_reset_if_unread(struct tcp_conn *c) {
    if (!c->receive.unread || !c->orphan || tcp_unacked(c) > 0) return;
    tcp_send_reset(c);
    conn_end(c, -ECONNABORTED);
}

void tcp_send_syn(struct tcp_conn *c) {
    bool answer = c->state == TCP_STATE_SYN_RECEIVED;
    struct tx_packet o;
    struct tcp_header h = {
        .seq = c->send.iss,
        .ack = answer ? c->receive.nxt : 0,
        .flags = answer ? TCP_SYN | TCP_ACK : TCP_SYN,
        .window = (uint16_t)(c->receive.limit < 65535 ? c->receive.limit : 65535), /* never scaled */
        .options =
            {
                .mss = conn_mss_told(c),
                .has_window_shift = !answer || c->receive.window_scale,
                .window_shift = c->receive.shift,
                .sack_permitted = !answer || c->receive.sack,
                .has_timestamp = !answer || c->send.timestamps,
                .ts_value = conn_clock_ms(c),
                .ts_echo = c->ts.recent,
            },
    };
    tx_init(&o);
    int error = header_output(c->stack, &o, &c->flow, &h, c);
    timers_clear(&c->timers, TCP_TIMER_ROOM);
    if (error == -EAGAIN) output_blocked(c); /* the retransmission timer runs as if it was sent */
    if (error == 0 && answer) c->receive.adv = c->receive.nxt + h.window;
    send_syn(&c->send);
    c->send.sent_ns = c->stack->now;
}

void tcp_reset_segment(struct inet *s, const struct rx_packet *p, const struct tcp_segment *g) {
    struct tx_packet o;
    struct inet_flow flow = {p->to, p->from, g->h.to_port, g->h.from_port};
    bool acks = g->h.flags & TCP_ACK;
    struct tcp_header h = {
        .seq = acks ? g->h.ack : 0,
        .ack = acks ? 0 : g->end,
        .flags = acks ? TCP_RST : TCP_RST | TCP_ACK,
    };
    if (g->h.flags & TCP_RST) return;
    tx_init(&o);
    inet_count(s, tcp_resets_out);
    if (header_output(s, &o, &flow, &h, NULL)) inet_count(s, transmit_dropped);
}

void tcp_unknown(struct inet *s, struct rx_packet *p, const struct tcp_segment *g) {
    uint32_t kind = g->h.flags & (TCP_RST | TCP_SYN | TCP_ACK);
    if ((kind == TCP_SYN || kind == TCP_ACK) && rx_offer(s, s->config.unmatched, p)) return;
    inet_count(s, tcp_no_port);
    tcp_reset_segment(s, p, g);
}

void tcp_answer_syn(struct inet *s, const struct inet_flow *flow, const struct tcp_segment *g, uint32_t iss,
                    const struct tcp_options *options) {
    struct tx_packet o;
    struct tcp_header h = {
        .seq = iss,
        .ack = g->seq + 1,
        .flags = TCP_SYN | TCP_ACK,
        .window = TCP_RECEIVE_FIRST,
        .options = *options,
    };
    tx_init(&o);
    if (header_output(s, &o, flow, &h, NULL)) inet_count(s, transmit_dropped);
}

/*
 * Sends payload that was gathered, from seq on, and the FIN. push: sets PSH also if no push of the application ends
 * with the payload. False: the device has no room.
 */
static bool data_output(struct tcp_conn *c, struct tx_packet *o, uint32_t seq, bool fin, bool push) {
    uint32_t bytes = o->frame.bytes;
    bool ends = bytes > 0 && seq + bytes == c->send.end && !c->send.unmarked;
    uint8_t flags = (uint8_t)((ends || push ? TCP_PSH : 0) | (fin ? TCP_FIN : 0));
    if (!segment_output(c, o, seq, flags, c->receive.reassembly.ooo != NULL)) return false;
    c->send.sent_ns = c->stack->now;
    return true;
}

bool tcp_resend(struct tcp_conn *c, uint32_t position) {
    const struct tcp_sent *e = scoreboard_at(&c->recovery.flight->scoreboard, position);
    bool fin = e->flags & TCP_SENT_FIN;
    struct tx_packet o;
    tx_init(&o);
    gather(c, &o, e->seq, e->len - fin);
    if (!data_output(c, &o, e->seq, fin, false)) return false;
    recovery_resent(&c->recovery, c->stack->now, position, conn_clock_ms(c));
    c->statistics.retransmits++;
    inet_count(c->stack, tcp_retransmits);
    return true;
}

/* Adds a new segment, which is about to leave, to the scoreboard. False: no memory. */
static inline bool sent_add(struct tcp_conn *c, uint32_t len, bool fin) {
    struct tcp_recovery *r = &c->recovery;
    if (!recovery_allocate(r, c->send.una)) return false;
    if (!scoreboard_add(&r->flight->scoreboard, c->stack->now, c->send.nxt, len, fin)) return false;
    c->send.nxt += len;
    return true;
}

void sent_take_back(struct tcp_conn *c) {
    c->send.nxt -= scoreboard_take_back(&c->recovery.flight->scoreboard);
}

/* The next new segment, as send_next. False also if the congestion window does not allow it, which sets *limited. */
static bool next_allowed(const struct tcp_conn *c, uint32_t *len, bool *fin, bool *limited) {
    uint32_t out = conn_pipe(c);
    bool any = send_next(&c->send, len, fin);
    *limited = any && out > 0 && out + *len > c->cc.cwnd;
    return any && !*limited;
}

/* The last of many segments that are sent together has PSH, as in Linux: the next one may take a while. */
static bool ends_burst(const struct tcp_conn *c, uint32_t began) {
    uint32_t len;
    bool fin, limited;
    return c->send.nxt - began > c->send.mss && !next_allowed(c, &len, &fin, &limited);
}

/*
 * Sends a segment with len bytes of new data, and the FIN. began: send.nxt before the first segment that is sent
 * together with it. False: the device has no room, or there is no memory.
 */
static bool new_output(struct tcp_conn *c, uint32_t len, bool fin, uint32_t began) {
    struct tx_packet o;
    uint32_t seq = c->send.nxt;
    bool first = c->send.una == seq;
    tx_init(&o);
    uint32_t whole = gather(c, &o, seq, len); /* many small pushes may exceed a frame's segments */
    if (whole < len) fin = false;
    if (!sent_add(c, whole + fin, fin)) {
        output_blocked(c);
        return false;
    }
    if (!data_output(c, &o, seq, fin, whole == c->send.mss && ends_burst(c, began))) {
        sent_take_back(c);
        return false;
    }
    new_left(c, first, whole);
    c->send.fin_sent |= fin;
    c->recovery.flight->prr.out += whole + fin;
    return true;
}

/* All headers of a segment with data that is too long for SACK blocks. */
static uint32_t plain_header_bytes(const struct tcp_conn *c) {
    return ETH_HEADER_BYTES + IP4_HEADER_BYTES + TCP_HEADER_BYTES + (c->send.timestamps ? TCP_TIMESTAMP_BYTES : 0);
}

/*
 * How many full segments may be sent as one frame, which the device segments; the caller knows that one may be sent.
 * out: bytes in flight. A segment that routers may fragment is sent alone: it needs its own IP identification.
 */
static uint32_t segments_together(const struct tcp_conn *c, uint32_t out) {
    const struct inet_config *config = &c->stack->config;
    if (!(config->offloads & INET_OFFLOAD_TSO) || !c->path.dont_fragment) return 1;
    uint32_t allowed = c->cc.cwnd > out ? c->cc.cwnd - out : UINT32_MAX;
    return send_together(&c->send, config->tso_frame_bytes - plain_header_bytes(c), allowed);
}

/* Sends n full segments, or as many as fit, in one frame. False as new_output. */
static bool frame_output(struct tcp_conn *c, uint32_t n) {
    struct tx_packet o;
    uint32_t seq = c->send.nxt, added = 0;
    bool first = c->send.una == seq;
    tx_init(&o);
    uint32_t whole = gather(c, &o, seq, n * c->send.mss);
    if (whole < n * c->send.mss) { /* many small pushes */
        n = whole / c->send.mss;
        if (n < 2) return new_output(c, c->send.mss, false, seq);
        tx_init(&o);
        gather(c, &o, seq, n * c->send.mss);
    }
    o.frame.flags = INET_FRAME_TSO;
    o.frame.tso_bytes = c->send.mss;
    o.frame.header_bytes = (uint16_t)plain_header_bytes(c);
    while (added < n && sent_add(c, c->send.mss, false))
        added++;
    if (added < n || !data_output(c, &o, seq, false, true)) {
        output_blocked(c);
        for (; added > 0; added--)
            sent_take_back(c);
        return false;
    }
    new_left(c, first, c->send.mss);
    c->statistics.segments_out += n - 1;
    c->recovery.flight->prr.out += n * c->send.mss;
    inet_count(c->stack, tcp_tso_frames);
    return true;
}

bool tcp_send_one(struct tcp_conn *c) {
    uint32_t len;
    bool fin;
    return send_next(&c->send, &len, &fin) && new_output(c, len, fin, c->send.nxt);
}

bool tcp_send_forced(struct tcp_conn *c) {
    uint32_t len = send_forced(&c->send);
    c->send.unmarked = false; /* the data that was to follow has not come */
    return len > 0 && new_output(c, len, false, c->send.nxt);
}

static bool lost_output(struct tcp_conn *c) {
    uint32_t at;
    while ((at = scoreboard_first_lost(&c->recovery.flight->scoreboard)) != TCP_SENT_NONE) {
        uint32_t out = conn_pipe(c);
        if (out > 0 && out + scoreboard_at(&c->recovery.flight->scoreboard, at)->len > c->cc.cwnd) return true;
        if (!tcp_resend(c, at)) return false;
    }
    return true;
}

static bool unsent_output(struct tcp_conn *c) {
    uint32_t len, before = c->send.nxt;
    bool fin, limited = false, room = true;
    while (room && next_allowed(c, &len, &fin, &limited)) {
        uint32_t n = len == c->send.mss && !fin ? segments_together(c, conn_pipe(c)) : 1;
        room = n > 1 ? frame_output(c, n) : new_output(c, len, fin, before);
    }
    if (before != c->send.nxt || limited)
        recovery_window_used(&c->recovery, c->send.una, c->send.nxt, limited || conn_pipe(c) >= c->cc.cwnd);
    return room;
}

/* Sends lost segments, then new ones. In F-RTO new ones are sent instead, if there are any. */
static bool all_output(struct tcp_conn *c) {
    if (c->recovery.state == TCP_LOSS && c->recovery.flight->frto == TCP_FRTO_NEW) {
        if (!unsent_output(c)) return false;
        if (seq_lt(c->recovery.flight->scoreboard.recover, c->send.nxt)) return true;
        c->recovery.flight->frto = TCP_FRTO_NONE;
    }
    return lost_output(c) && unsent_output(c);
}

/* After a pause the congestion window does not describe the path any more (RFC 5681 section 4.1). */
static void restart_after_idle(struct tcp_conn *c) {
    uint64_t idle = c->stack->now - c->send.sent_ns, rto = rtt_timeout_ns(&c->rtt, 0);
    uint32_t restart = tcp_cc_initial(c->send.mss);
    if (c->send.una != c->send.nxt || c->send.nxt == c->send.end || idle <= rto) return;
    if (c->cc.ops->idle) c->cc.ops->idle(&c->cc, idle);
    for (; idle > rto && c->cc.cwnd > restart; idle -= rto)
        c->cc.cwnd = c->cc.cwnd / 2 > restart ? c->cc.cwnd / 2 : restart;
}

void output_ended(struct tcp_conn *c, uint32_t before, bool room) {
    conn_limited_by(c, send_limited_by(&c->send));
    if (before != c->send.nxt)
        tcp_arm_new(c);
    else if (!timers_pending(&c->timers, TCP_TIMER_SEND) && (room || c->send.una != c->send.nxt))
        tcp_arm_send(c);
}

void tcp_output(struct tcp_conn *c) {
    conn_unmark(c);
    if (conn_synchronized(c) && c->state != TCP_STATE_TIME_WAIT) {
        uint32_t before = c->send.nxt;
        if (c->path.epoch != c->stack->path_epoch) conn_path_changed(c);
        restart_after_idle(c);
        bool room = all_output(c);
        output_ended(c, before, room);
        if (!room) return; /* TCP_TIMER_ROOM comes back here */
    }
    if (c->receive.ack_now && c->state != TCP_STATE_CLOSED) tcp_send_ack(c);
}
