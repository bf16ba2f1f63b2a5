/* SPDX-License-Identifier: MIT */
/*
 * Closing. What was pushed is still delivered: the descriptor is kept until the peer has acknowledged everything,
 * because a close with unread data would make the kernel reset the connection and lose what is under way. A peer that
 * takes nothing for STALL_NS is given up; SO_LINGER sets another time, and 0 gives up at once.
 */
#include "libos/posix/posix.h"

#include <unistd.h>

#define STALL_NS        60000000000
#define LINGER_FIRST_NS 50000
#define LINGER_MOST_NS  20000000
/* Received data thrown away in one step. */
#define DRAIN_BYTES 1048576

void sock_disconnect(struct sock *s) {
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    POSIX_SYS(&s->q, connect, s->fd, &none, sizeof none);
}

void sock_destroy(struct sock *s, int error) {
    struct linger off = {0};
    s->close_error = error;
    sock_timer_stop(s);
    if (s->stream && (s->sending || !list_empty(&s->pushes) || !list_empty(&s->sent)))
        sock_disconnect(s);                   /* so that zero-copy sends let their memory go */
    else if (s->linger_on && s->linger_s > 0) /* or close(2) would block */
        POSIX_SYS(&s->q, setsockopt, s->fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
    s->px->engine->release(s);
}

/* Received data nobody wants: thrown away, so that the connection ends with FIN. -errno of a dead connection. */
static int drain(struct sock *s) {
    ssize_t n = POSIX_SYS(&s->q, recv, s->fd, NULL, DRAIN_BYTES, MSG_TRUNC | MSG_DONTWAIT);
    return n < 0 && n != -EAGAIN && n != -ENOMEM ? (int)n : 0;
}

/* 1: the peer has all; 0: not yet; a negative errno: it never will. */
static int delivered(struct sock *s) {
    bool progress;
    if (s->sending || !list_empty(&s->pushes)) return 0;
    if (!s->stream) return 1;
    sock_poll_acked(s, &progress);
    if (s->send_error) return s->send_error;
    int64_t outq = sock_outq(s);
    if (outq == 0 && list_empty(&s->sent) && (s->fin_sent || !s->close_op)) return 1;
    if (!s->fin_sent) {
        s->shut_wr = s->fin_sent = true;
        POSIX_SYS(&s->q, shutdown, s->fd, SHUT_WR);
    }
    int r = drain(s);
    if (!r) r = sock_connection_error(s);
    if (r) return r;
    outq = sock_outq(s);
    return outq == 0 && list_empty(&s->sent);
}

void sock_linger(struct sock *s) {
    int r = delivered(s);
    if (r == 0) {
        uint64_t now_ns = clock_now_ns(), left = s->outq;
        s->outq = s->sent_bytes;
        if (s->stream) s->outq -= (uint64_t)sock_outq(s);
        if (left != s->outq && !s->linger_on) s->linger_deadline_ns = now_ns + STALL_NS;
        if (now_ns < s->linger_deadline_ns) {
            if (!s->timer_ns)
                sock_timer_start(s, LINGER_FIRST_NS);
            else if (!s->timer.timer.armed)
                sock_timer_next(s, LINGER_MOST_NS);
            return;
        }
        r = -ETIMEDOUT;
    }
    sock_destroy(s, r < 0 ? r : 0);
}

static void close_backlog(struct sock *s) {
    for (struct list *l; (l = list_pop_front(&s->backlog));)
        sock_close(&list_entry(l, struct sock, backlog)->q, NULL);
}

void sock_close(struct queue *q, struct op *op) {
    struct sock *s = to_sock(q);
    struct dmtr_runtime *rt = q->rt;
    s->closed = true;
    s->close_op = op;
    list_remove(&s->bound);
    rt->lingering++;
    sock_timer_stop(s);
    sock_stop_waiting(s);
    ops_complete(rt, &s->waiters, -ECANCELED);
    if (s->connect_op) op_complete(rt, s->connect_op, -ECANCELED);
    s->connect_op = NULL;
    sock_free_chunks(s);
    if (s->state == SOCK_LISTENING) close_backlog(s);
    bool unsent = s->sending || !list_empty(&s->pushes) || !list_empty(&s->sent);
    bool abort = s->linger_on && s->linger_s == 0;
    bool connected = s->stream && s->state == SOCK_CONNECTED;
    if (abort || !(s->stream ? connected : unsent)) {
        sock_destroy(s, abort && unsent ? -ECONNRESET : 0);
        return;
    }
    s->linger_deadline_ns = clock_now_ns() + (s->linger_on ? (uint64_t)s->linger_s * 1000000000 : STALL_NS);
    sock_linger(s);
}
