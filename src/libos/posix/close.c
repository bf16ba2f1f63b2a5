/* SPDX-License-Identifier: MIT */
/*
 * Closing. Pushed data is still delivered: the descriptor stays open until the peer has acknowledged the data and then
 * our FIN, because closing with unread data would make the kernel reset the connection and discard data in flight. If
 * received data was never popped, or arrives later, a reset replaces the FIN (RFC 1122 section 4.2.2.13). If the peer
 * acknowledges nothing for LINGER_STALL_NS, the connection is dropped; SO_LINGER sets another time, and 0 drops at
 * once.
 */
#include "libos/posix/posix.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINGER_FIRST_NS 50000
#define LINGER_MAX_NS   20000000

void sock_disconnect(struct sock *s) {
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    POSIX_SYS(s, connect, s->fd, &none, sizeof none);
}

void sock_destroy(struct sock *s, int error) {
    const struct linger off = linger_format(LINGER_OFF);
    s->close_error = error;
    sock_timer_stop(s);
    if (s->stream && (s->sending || !list_empty(&s->pushes) || !list_empty(&s->sent)))
        sock_disconnect(s);   /* so that zero-copy sends release their memory */
    else if (s->linger_s > 0) /* else close(2) would block */
        POSIX_SYS(s, setsockopt, s->fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
    s->px->engine->release(s);
}

/* Whether the kernel has received unread data. An end of stream does not count. */
static bool kernel_has_data(struct sock *s) {
    int bytes = 0;
    return POSIX_SYS(s, ioctl, s->fd, SIOCINQ, &bytes) == 0 && bytes > 0;
}

/* Returns the pushed bytes that are not acknowledged, or a negative errno. */
static int64_t undelivered(struct sock *s) {
    int64_t outq = sock_outq(s);
    return outq > 0 && s->fin_sent ? outq - 1 : outq;
}

/* Makes close(2) reset the connection: the kernel does not know about data that was read ahead. */
static void reset_at_close(struct sock *s) {
    const struct linger now = linger_format(0);
    POSIX_SYS(s, setsockopt, s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    s->linger_s = 0;
}

/*
 * Called when the peer has acknowledged all pushed data. Returns 1 if the descriptor can be closed: the connection is
 * to be reset, or our FIN is acknowledged, or nobody waits for that; 0: not yet.
 */
static int all_delivered(struct sock *s) {
    if (s->unread) {
        reset_at_close(s);
        return 1;
    }
    if (!s->close_op) return 1;
    if (!s->fin_sent) POSIX_SYS(s, shutdown, s->fd, SHUT_WR);
    s->shut_wr = s->fin_sent = true;
    return sock_outq(s) == 0;
}

/*
 * Returns 1 if there is nothing left to wait for, 0 if there is, or a negative errno if the peer will not receive
 * everything.
 */
static int delivered(struct sock *s) {
    bool progress;
    if (s->sending || !list_empty(&s->pushes)) return 0;
    if (!s->stream) return 1;
    sock_poll_acked(s, &progress);
    if (!s->send_error && !s->px->engine->stop_receiving(s)) return 0;
    s->unread |= kernel_has_data(s);
    bool complete = !s->push_failed && undelivered(s) == 0;
    int error = s->send_error ? s->send_error : sock_connection_error(s);
    if (error) return complete ? 1 : error;
    return complete && list_empty(&s->sent) ? all_delivered(s) : 0;
}

void sock_linger(struct sock *s) {
    int r = delivered(s);
    if (r == 0) {
        uint64_t now_ns = clock_now_ns(), left = s->outq;
        s->outq = s->sent_bytes;
        if (s->stream) s->outq -= (uint64_t)sock_outq(s);
        if (left != s->outq && s->linger_s < 0) s->linger_deadline_ns = now_ns + linger_wait_ns(s->linger_s);
        if (now_ns < s->linger_deadline_ns) {
            if (!s->timer_ns)
                sock_timer_start(s, LINGER_FIRST_NS);
            else if (!s->timer.timer.armed)
                sock_timer_next(s, LINGER_MAX_NS);
            return;
        }
        r = -ETIMEDOUT;
    }
    sock_destroy(s, r < 0 ? r : 0);
}

void sock_abort(struct sock *s) {
    bool in_kernel = s->stream && !s->push_failed && !s->sending && list_empty(&s->pushes);
    bool complete = in_kernel && s->state == SOCK_CONNECTED && undelivered(s) == 0;
    if (s->unread) reset_at_close(s);
    sock_destroy(s, complete ? 0 : -ETIMEDOUT);
}

static void close_backlog(struct sock *s) {
    for (struct list *l; (l = list_pop_front(&s->backlog));)
        sock_close(&list_entry(l, struct sock, backlog)->q, NULL);
}

void sock_close(struct queue *q, struct op *op) {
    struct sock *s = to_sock(q);
    struct dmtr_runtime *rt = q->rt;
    sock_send_unsent(s);
    s->closed = true;
    s->close_op = op;
    list_remove(&s->bound);
    rt->lingering++;
    sock_timer_stop(s);
    sock_stop_waiting(s);
    ops_complete(rt, &s->waiters, -ECANCELED);
    if (s->connect_op) op_complete(rt, s->connect_op, -ECANCELED);
    s->connect_op = NULL;
    s->unread |= q->unread || !list_empty(&s->chunks);
    sock_free_chunks(s);
    if (s->state == SOCK_LISTENING) close_backlog(s);
    bool unsent = s->sending || !list_empty(&s->pushes) || !list_empty(&s->sent);
    bool abort = s->linger_s == 0;
    bool connected = s->stream && s->state == SOCK_CONNECTED;
    if (abort || !(s->stream ? connected : unsent)) {
        sock_destroy(s, abort && unsent ? -ECONNRESET : 0);
        return;
    }
    s->linger_deadline_ns = clock_now_ns() + linger_wait_ns(s->linger_s);
    sock_linger(s);
}
