/* SPDX-License-Identifier: MIT */
/* What time brings: retransmission, probes, delayed ACKs, keepalive, the end of TIME_WAIT (RFC 6298, RFC 1122). */
#include "inet/ip/neighbour.h"
#include "inet/tcp/check.h"
#include "inet/tcp/recovery.h"

#define DOUBT_TRIES 2u /* after so many in vain the neighbour is doubted (RFC 1122 section 2.3.2.1) */

void tcp_rtt_sample(struct tcp_conn *c, uint64_t rtt_us) {
    uint32_t r = rtt_us < 60000000 ? (uint32_t)rtt_us : 60000000;
    uint32_t tick = (uint32_t)(c->stack->now >> 30);
    if (tick - c->min_rtt_since > TCP_MIN_RTT_SPAN) {
        c->min_rtt_before_us = c->min_rtt_us;
        c->min_rtt_us = UINT32_MAX;
        c->min_rtt_since = tick;
    }
    if (r < c->min_rtt_us) c->min_rtt_us = r;
    if (c->srtt_us == 0) {
        c->srtt_us = r;
        c->rttvar_us = r / 2;
    } else {
        uint32_t error = r > c->srtt_us ? r - c->srtt_us : c->srtt_us - r;
        c->rttvar_us = (uint32_t)((3ull * c->rttvar_us + error) / 4);
        c->srtt_us = (uint32_t)((7ull * c->srtt_us + r) / 8);
    }
    /* As Linux bounds the variance's part, not the sum: a long path keeps its margin. */
    uint32_t margin = 4 * c->rttvar_us, least = TCP_RTO_MIN_NS / 1000, most = TCP_RTO_MAX_NS / 1000;
    c->rto_us = c->srtt_us + (margin > least ? margin : least);
    if (c->rto_us > most) c->rto_us = most;
}

static uint64_t backed_off(const struct tcp_conn *c) {
    uint64_t rto = (uint64_t)c->rto_us * 1000 << (c->backoff < 16 ? c->backoff : 16);
    return rto < TCP_RTO_MAX_NS ? rto : TCP_RTO_MAX_NS;
}

/* UINT64_MAX: none. */
static uint64_t user_timeout_ns(const struct tcp_conn *c) {
    return c->user_timeout_ms > 0 ? c->progress_ns + c->user_timeout_ms * NS_PER_MS : UINT64_MAX;
}

static void arm(struct tcp_conn *c, enum tcp_send_timer kind, uint64_t after_ns) {
    uint64_t at = c->stack->now + after_ns, last = user_timeout_ns(c);
    c->send_timer = (uint8_t)kind;
    conn_deadline(c, TCP_TIMER_SEND, at < last ? at : last);
}

void tcp_user_timeout_changed(struct tcp_conn *c) {
    uint64_t last = user_timeout_ns(c);
    if (c->deadlines[TCP_TIMER_SEND] != UINT64_MAX && last < c->deadlines[TCP_TIMER_SEND])
        conn_deadline(c, TCP_TIMER_SEND, last);
}

/*
 * RFC 8985 section 7.2: after two round trips of silence, and a delayed ACK's time where one segment is out; in the
 * place of the retransmission timer where that were earlier.
 */
static bool arm_probe(struct tcp_conn *c) {
    if (!c->sack || c->probe_sent || c->srtt_us == 0 || c->recovery != TCP_OPEN || c->backoff > 0 ||
        c->flight->sacked_bytes > 0)
        return false;
    uint64_t wait = 2000ull * c->srtt_us + (c->flight->sent.count == 1 ? TCP_RTO_MIN_NS : 2 * NS_PER_MS);
    uint64_t rto = backed_off(c);
    arm(c, TCP_SEND_PROBE, wait < rto ? wait : rto);
    return true;
}

void tcp_arm_send(struct tcp_conn *c) {
    if (c->snd_una != c->snd_nxt) {
        if (!arm_probe(c)) arm(c, TCP_SEND_RTO, backed_off(c));
    } else if (conn_synchronized(c) && !c->fin_sent && (c->snd_end != c->snd_nxt || c->fin_queued)) {
        arm(c, TCP_SEND_PERSIST, backed_off(c));
    } else {
        c->deadlines[TCP_TIMER_SEND] = UINT64_MAX;
    }
}

static void give_up(struct tcp_conn *c) {
    inet_count(c->stack, tcp_timeouts);
    conn_end(c, -ETIMEDOUT);
}

/* Where the user has set a timeout, it takes the place of the number of tries. */
static bool has_tried(const struct tcp_conn *c, uint32_t tries) {
    return c->tries >= tries && c->user_timeout_ms == 0;
}

static void count_try(struct tcp_conn *c) {
    if (c->tries < UINT8_MAX) c->tries++;
    if (c->backoff < 16) c->backoff++;
}

static void retransmission_fire(struct tcp_conn *c) {
    uint32_t tries = c->state == TCP_STATE_SYN_SENT       ? c->syn_count
                     : c->state == TCP_STATE_SYN_RECEIVED ? TCP_SYN_ACK_TRIES
                     : c->orphan                          ? TCP_ORPHAN_TRIES
                                                          : TCP_DATA_TRIES;
    if (has_tried(c, tries)) {
        give_up(c);
        return;
    }
    uint64_t sent_ns = c->sent_ns;
    if (conn_synchronized(c)) {
        recovery_timeout(c);
        if (tcp_resend(c, c->flight->sent.first)) count_try(c); /* else the peer had no chance to answer */
    } else {
        count_try(c);
        tcp_send_syn(c);
    }
    arm(c, TCP_SEND_RTO, backed_off(c));
    if (c->backoff >= DOUBT_TRIES) neighbour_doubt(c->stack, &c->flow.remote, sent_ns);
}

/* Goes on for as long as the peer answers: tries counts from its last sign of life. */
static void persist_fire(struct tcp_conn *c) {
    if (has_tried(c, c->orphan ? TCP_ORPHAN_TRIES : TCP_DATA_TRIES)) {
        give_up(c);
        return;
    }
    uint32_t before = c->snd_nxt;
    if (c->snd_wnd > 0 && tcp_send_forced(c)) {
        if (before != c->snd_nxt) tcp_arm_send(c);
        return;
    }
    uint64_t sent_ns = c->stack->now - backed_off(c);
    count_try(c);
    arm(c, TCP_SEND_PERSIST, backed_off(c));
    tcp_send_probe(c);
    if (c->tries >= DOUBT_TRIES) neighbour_doubt(c->stack, &c->flow.remote, sent_ns);
}

/* The tail may be lost without anything behind it to show it (RFC 8985 section 7.3). */
static void probe_fire(struct tcp_conn *c) {
    if (c->flight->sent.count == 0) return;
    c->probe_again = !tcp_send_one(c);
    arm(c, TCP_SEND_RTO, backed_off(c));
    if (c->probe_again && !tcp_resend(c, sent_end(c) - 1)) return;
    c->probe_sent = true;
    c->flight->probe_end = c->snd_nxt;
    inet_count(c->stack, tcp_loss_probes);
}

static void reorder_fire(struct tcp_conn *c) {
    struct tcp_delivery none = {0};
    recovery_detect(c, &none);
    if (c->deadlines[TCP_TIMER_SEND] == UINT64_MAX) tcp_arm_send(c);
    tcp_output(c);
}

/* A device that stays full is asked less and less often, whatever the number of connections that wait for it. */
static void room_fire(struct tcp_conn *c) {
    struct inet *s = c->stack;
    if (conn_synchronized(c))
        tcp_output(c);
    else
        tcp_send_syn(c);
    if (c->deadlines[TCP_TIMER_ROOM] == UINT64_MAX)
        s->room_retry_ns = TCP_ROOM_RETRY_NS;
    else if (s->room_retry_ns < TCP_ROOM_RETRY_MAX_NS)
        s->room_retry_ns *= 2;
}

static void send_fire(struct tcp_conn *c) {
    static void (*const fire[])(struct tcp_conn *c) = {
        [TCP_SEND_RTO] = retransmission_fire,
        [TCP_SEND_PROBE] = probe_fire,
        [TCP_SEND_REORDER] = reorder_fire,
        [TCP_SEND_PERSIST] = persist_fire,
    };
    if (c->stack->now >= user_timeout_ns(c)) {
        give_up(c);
        return;
    }
    /* What the path does not carry any more must not be sent again as it is. */
    if (c->path_epoch != c->stack->path_epoch && conn_synchronized(c)) conn_path_changed(c);
    fire[c->send_timer](c);
}

static void delack_fire(struct tcp_conn *c) {
    if (!c->ack_later) return;
    c->ack_now = true;
    tcp_output(c);
}

static void keepalive_fire(struct tcp_conn *c) {
    uint64_t due = c->received_ns + c->keep_idle_s * NS_PER_S;
    if (due > c->stack->now || c->snd_una != c->snd_nxt) { /* data in flight is a question already */
        conn_deadline(c, TCP_TIMER_LIFE, due > c->stack->now ? due : c->stack->now + c->keep_interval_s * NS_PER_S);
        return;
    }
    if (c->probes >= c->keep_count) {
        inet_count(c->stack, tcp_keepalive_ended);
        tcp_send_reset(c);
        conn_end(c, -ETIMEDOUT);
        return;
    }
    uint64_t interval_ns = c->keep_interval_s * NS_PER_S;
    c->probes++;
    tcp_send_probe(c);
    if (c->probes >= DOUBT_TRIES) neighbour_doubt(c->stack, &c->flow.remote, c->stack->now - interval_ns);
    conn_deadline(c, TCP_TIMER_LIFE, c->stack->now + interval_ns);
}

/* Counts from the last ACK that acknowledged something new: a slow reader lives, one that only answers probes does not.
 */
static void orphan_fire(struct tcp_conn *c) {
    uint64_t due = c->progress_ns + TCP_ORPHAN_NS;
    if (due > c->stack->now) {
        conn_deadline(c, TCP_TIMER_LIFE, due);
        return;
    }
    inet_count(c->stack, tcp_orphans_ended);
    tcp_send_reset(c);
    conn_end(c, -ETIMEDOUT);
}

static void life_fire(struct tcp_conn *c) {
    if (c->state == TCP_STATE_TIME_WAIT || (c->state == TCP_STATE_FIN_WAIT_2 && c->orphan))
        conn_end(c, 0);
    else if (c->abandoned)
        orphan_fire(c);
    else if (c->keepalive && conn_synchronized(c))
        keepalive_fire(c);
}

void tcp_timer_fire(struct inet *s, struct inet_timer *t) {
    static void (*const fire[TCP_TIMER_COUNT])(struct tcp_conn *c) = {[TCP_TIMER_SEND] = send_fire,
                                                                      [TCP_TIMER_DELACK] = delack_fire,
                                                                      [TCP_TIMER_LIFE] = life_fire,
                                                                      [TCP_TIMER_TRIM] = conn_trim,
                                                                      [TCP_TIMER_ROOM] = room_fire};
    struct tcp_conn *c = list_entry(t, struct tcp_conn, timer);
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < TCP_TIMER_COUNT && c->state != TCP_STATE_CLOSED; i++) {
        if (c->deadlines[i] > s->now) continue;
        c->deadlines[i] = UINT64_MAX;
        fire[i](c);
    }
    for (uint32_t i = 0; i < TCP_TIMER_COUNT; i++)
        if (c->deadlines[i] < next) next = c->deadlines[i];
    if (c->state != TCP_STATE_CLOSED && next != UINT64_MAX) inet_timer_arm(s, &c->timer, next);
    conn_changed(c);
    conn_reap(s);
}
