/* SPDX-License-Identifier: MIT */
/* Expired timers: retransmission, probes, delayed ACKs, keepalive, the end of TIME_WAIT (RFC 6298, RFC 1122). */
#include "inet/ip/neighbour.h"
#include "inet/tcp/check.h"

#define DOUBT_TRIES 2u /* timeouts until the neighbour entry is checked (RFC 1122 section 2.3.2.1) */

static uint64_t timeout_ns(const struct tcp_conn *c) {
    return rtt_timeout_ns(&c->rtt, c->timers.backoff);
}

static void arm(struct tcp_conn *c, enum tcp_send_timer kind, uint64_t after_ns) {
    timers_arm_send(&c->timers, &c->stack->wheel, kind, c->stack->now + after_ns);
}

/* The loss probe replaces the retransmission timer, and expires no later. */
static bool arm_probe(struct tcp_conn *c) {
    if (c->rtt.srtt_us == 0 || c->timers.backoff > 0 || !recovery_may_probe(&c->recovery)) return false;
    uint64_t wait = recovery_probe_ns(&c->recovery, &c->rtt), rto = timeout_ns(c);
    arm(c, TCP_SEND_PROBE, wait < rto ? wait : rto);
    return true;
}

void tcp_arm_send(struct tcp_conn *c) {
    if (c->send.una != c->send.nxt) {
        if (!arm_probe(c)) arm(c, TCP_SEND_RTO, timeout_ns(c));
    } else if (conn_synchronized(c) && !c->send.fin_sent && (c->send.end != c->send.nxt || c->send.fin_queued)) {
        arm(c, TCP_SEND_PERSIST, timeout_ns(c));
    } else {
        timers_clear(&c->timers, TCP_TIMER_SEND);
    }
}

static void give_up(struct tcp_conn *c) {
    inet_count(c->stack, tcp_timeouts);
    conn_end(c, -ETIMEDOUT);
}

static void retransmission_fire(struct tcp_conn *c) {
    uint32_t tries = c->state == TCP_STATE_SYN_SENT       ? c->timers.syn_count
                     : c->state == TCP_STATE_SYN_RECEIVED ? TCP_SYN_ACK_TRIES
                     : c->orphan                          ? TCP_ORPHAN_TRIES
                                                          : TCP_DATA_TRIES;
    if (timers_tried(&c->timers, tries)) {
        give_up(c);
        return;
    }
    uint64_t sent_ns = c->send.sent_ns;
    if (conn_synchronized(c)) {
        tcp_all_lost(c);
        if (tcp_resend(c, c->recovery.flight->scoreboard.sent.first))
            timers_count_try(&c->timers); /* a try that the device refused does not count */
    } else {
        timers_count_try(&c->timers);
        tcp_send_syn(c);
    }
    arm(c, TCP_SEND_RTO, timeout_ns(c));
    if (c->timers.backoff >= DOUBT_TRIES) neighbour_doubt(c->stack, &c->flow.remote, sent_ns);
}

/* Window probes continue as long as the peer answers: tries counts from its last segment. */
static void persist_fire(struct tcp_conn *c) {
    if (timers_tried(&c->timers, c->orphan ? TCP_ORPHAN_TRIES : TCP_DATA_TRIES)) {
        give_up(c);
        return;
    }
    uint32_t before = c->send.nxt;
    if (c->send.wnd > 0 && tcp_send_forced(c)) {
        if (before != c->send.nxt) tcp_arm_send(c);
        return;
    }
    uint64_t sent_ns = c->stack->now - timeout_ns(c);
    timers_count_try(&c->timers);
    arm(c, TCP_SEND_PERSIST, timeout_ns(c));
    tcp_send_probe(c);
    if (c->timers.tries >= DOUBT_TRIES) neighbour_doubt(c->stack, &c->flow.remote, sent_ns);
}

/* The last segments may be lost, which no later segment can show (RFC 8985 section 7.3). */
static void probe_fire(struct tcp_conn *c) {
    const struct tcp_scoreboard *b = &c->recovery.flight->scoreboard;
    if (b->sent.count == 0) return;
    bool again = !tcp_send_one(c);
    arm(c, TCP_SEND_RTO, timeout_ns(c));
    if (again && !tcp_resend(c, scoreboard_end(b) - 1)) return;
    recovery_probed(&c->recovery, c->send.nxt, again);
    inet_count(c->stack, tcp_loss_probes);
}

static void reorder_fire(struct tcp_conn *c) {
    tcp_find_losses(c);
    if (!timers_pending(&c->timers, TCP_TIMER_SEND)) tcp_arm_send(c);
    tcp_output(c);
}

/* The interval doubles while the device stays full, so that many waiting connections do not busy the processor. */
static void room_fire(struct tcp_conn *c) {
    struct inet *s = c->stack;
    if (conn_synchronized(c))
        tcp_output(c);
    else
        tcp_send_syn(c);
    if (!timers_pending(&c->timers, TCP_TIMER_ROOM))
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
    if (c->stack->now >= timers_user_timeout_ns(&c->timers)) {
        give_up(c);
        return;
    }
    /* A segment that has become too large for the path is split before it is retransmitted. */
    if (c->path.epoch != c->stack->path_epoch && conn_synchronized(c)) conn_path_changed(c);
    fire[c->timers.send_timer](c);
}

static void delack_fire(struct tcp_conn *c) {
    if (!c->receive.ack_later) return;
    c->receive.ack_now = true;
    tcp_output(c);
}

static void keepalive_fire(struct tcp_conn *c) {
    uint64_t next_ns, now = c->stack->now;
    enum tcp_keepalive action = timers_keepalive(&c->timers, now, c->send.una != c->send.nxt, &next_ns);
    if (action == TCP_KEEPALIVE_END) {
        inet_count(c->stack, tcp_keepalive_ended);
        tcp_send_reset(c);
        conn_end(c, -ETIMEDOUT);
        return;
    }
    if (action == TCP_KEEPALIVE_PROBE) {
        tcp_send_probe(c);
        if (c->timers.probes >= DOUBT_TRIES) neighbour_doubt(c->stack, &c->flow.remote, now - (next_ns - now));
    }
    conn_deadline(c, TCP_TIMER_LIFE, next_ns);
}

static void orphan_fire(struct tcp_conn *c) {
    uint64_t due_ns = timers_orphan_ns(&c->timers);
    if (due_ns > c->stack->now) {
        conn_deadline(c, TCP_TIMER_LIFE, due_ns);
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
    else if (c->timers.keepalive && conn_synchronized(c))
        keepalive_fire(c);
}

void tcp_timer_fire(struct inet *s, struct inet_timer *t) {
    static void (*const fire[TCP_TIMER_COUNT])(struct tcp_conn *c) = {[TCP_TIMER_SEND] = send_fire,
                                                                      [TCP_TIMER_DELACK] = delack_fire,
                                                                      [TCP_TIMER_LIFE] = life_fire,
                                                                      [TCP_TIMER_TRIM] = conn_trim,
                                                                      [TCP_TIMER_ROOM] = room_fire};
    struct tcp_conn *c = list_entry(t, struct tcp_conn, timers.timer);
    calm_end(c);
    for (uint32_t i = 0; i < TCP_TIMER_COUNT && c->state != TCP_STATE_CLOSED; i++) {
        if (timers_expire(&c->timers, i, s->now)) fire[i](c);
    }
    if (c->state != TCP_STATE_CLOSED) timers_resume(&c->timers, &s->wheel);
    conn_changed(c);
    conn_reap(s);
}
