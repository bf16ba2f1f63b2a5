/* SPDX-License-Identifier: MIT */
/*
 * Closing a TCP socket over lwIP. The stream is kept until the peer has acknowledged the pushed data and then our FIN.
 * If received data was never popped, or arrives later, a reset replaces the FIN. If the peer acknowledges nothing for
 * STALL_NS, the connection is dropped; SO_LINGER sets another time, and 0 drops at once.
 */
#include "libos/lwip/stream.h"

#include "base/clock.h"
#include "base/sys.h"
#include "libos/lwip/host.h"

#include "lwip/tcp.h"

#define STALL_NS 60000000000u

void lw_stream_free(struct lw_stream *s) {
    lw_stream_discard_received(s);
    lw_stream_release_held(s, UINT64_MAX);
    list_remove(&s->link);
    list_remove(&s->pending);
    list_remove(&s->finishing);
    sys_free(s);
}

static void reset_unaccepted(struct lw_stream *listener) {
    for (struct list *l; (l = list_first(&listener->accepted));) {
        struct lw_stream *s = list_entry(l, struct lw_stream, link);
        struct tcp_pcb *pcb = lw_stream_detach(s);
        if (pcb) tcp_abort(pcb);
        lw_stream_free(s);
    }
}

static bool delivered(const struct lw_stream *s) {
    return list_empty(&s->pushes) && !s->push_failed && s->acked_bytes == s->sent_bytes;
}

/*
 * Called once everything is acknowledged, or to send a FIN: tcp_close would also reset by itself, but it frees
 * unacknowledged data.
 */
static void end_connection(struct lw_stream *s, bool reset) {
    bool listening = s->state == LW_LISTENING;
    struct tcp_pcb *pcb = lw_stream_detach(s);
    if (!pcb) return;
    if (reset && !listening)
        tcp_abort(pcb);
    else
        host_release(pcb);
}

static void finish(struct lw_stream *s, int error, bool reset) {
    struct dmtr_runtime *rt = s->q.rt;
    lw_stream_end_pushes(s, error ? error : -ECANCELED);
    reset_unaccepted(s);
    end_connection(s, reset);
    runtime_timer_cancel(rt, &s->timer);
    if (s->close_op) op_complete(rt, s->close_op, error);
    rt->lingering--;
    lw_stream_free(s);
}

void lw_stream_abort(struct lw_stream *s, int error) {
    finish(s, delivered(s) ? 0 : error, true);
}

/* Whether the peer has acknowledged our FIN, or lwIP has ended the connection. */
static bool finished(const struct lw_stream *s) {
    return !s->pcb || s->pcb->state == FIN_WAIT_2;
}

void lw_stream_linger(struct lw_stream *s) {
    bool complete = delivered(s);
    s->unread |= lw_stream_discard_received(s);
    if (s->error || !s->pcb || (complete && (s->unread || finished(s))))
        finish(s, complete ? 0 : s->error ? s->error : -ECONNRESET, s->unread);
}

void lw_stream_find_ended(struct lw_net *net) {
    struct list *l, *tmp;
    list_for_each (&net->finishing, l, tmp) {
        struct lw_stream *s = list_entry(l, struct lw_stream, finishing);
        if (s->pcb && s->pcb->state == TIME_WAIT) { /* lwIP frees it without a callback */
            lw_stream_detach(s);
            s->ended = true;
        }
        if (!finished(s)) continue;
        list_remove(l);
        lw_stream_add_event(s);
    }
}

static void arm(struct lw_stream *s, uint64_t now) {
    uint64_t ns = s->linger_s < 0 ? STALL_NS : (uint64_t)s->linger_s * 1000000000;
    s->left = s->sent_bytes - s->acked_bytes;
    runtime_timer_arm(s->q.rt, &s->timer, now + ns);
}

static void stalled(struct dmtr_runtime *rt, struct runtime_timer *t) {
    struct lw_stream *s = list_entry(t, struct lw_stream, timer);
    uint64_t now = clock_now_ns();
    (void)rt;
    host_set_time(now);
    if (s->linger_s < 0 && s->left != s->sent_bytes - s->acked_bytes)
        arm(s, now);
    else /* lwIP continues to send the FIN */
        finish(s, delivered(s) ? 0 : -ETIMEDOUT, !delivered(s));
}

int lw_stream_shutdown(struct queue *q, int how) {
    struct lw_stream *s = to_lw_stream(q);
    if (s->state != LW_CONNECTED) return -ENOTCONN;
    host_set_time(clock_now_ns());
    s->shut_read |= how != SHUT_WR;
    s->shut_write |= how != SHUT_RD;
    lw_stream_send(s);
    lw_stream_serve_pops(s);
    lw_net_process_events(s->net);
    return 0;
}

void lw_stream_close(struct queue *q, struct op *op) {
    struct lw_stream *s = to_lw_stream(q);
    struct lw_net *net = s->net;
    uint64_t now = clock_now_ns();
    host_set_time(now);
    s->closed = s->shut_write = true;
    s->close_op = op;
    q->rt->lingering++;
    ops_complete(s->q.rt, &s->waiters, -ECANCELED);
    if (s->connect_op) op_complete(q->rt, s->connect_op, -ECANCELED);
    s->connect_op = NULL;
    if (s->state != LW_CONNECTED) {
        finish(s, 0, false);
    } else if (s->linger_s == 0) {
        lw_stream_abort(s, -ECONNRESET);
    } else {
        s->timer.fire = stalled;
        arm(s, now);
        s->unread = lw_stream_discard_received(s) || q->unread;
        lw_stream_send(s);
        lw_stream_linger(s);
    }
    lw_net_process_events(net);
}

void lw_stream_fini(struct lw_net *net) {
    for (struct list *l; (l = list_first(&net->streams));)
        lw_stream_abort(list_entry(l, struct lw_stream, link), -ETIMEDOUT);
}
