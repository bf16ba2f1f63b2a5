/* SPDX-License-Identifier: MIT */
/*
 * Sending. Pushes of a turn are sent together (core/turn.h), those of a stream in one call; what the kernel does not
 * accept is sent when it has room again. A push that the kernel has accepted completes unless its memory is still in
 * use (zero-copy) or an acknowledgement is required. Pushes complete in order.
 */
#include "libos/posix/posix.h"

#include "base/clock.h"
#include "core/turn.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#define ACK_POLL_FIRST_NS 20000
#define ACK_POLL_MAX_NS   10000000
/* After this many consecutive zero-copy sends that the kernel copied, the connection stops trying. */
#define ZEROCOPY_COPIED_MAX 8
/* The most buffers that one call sends. */
#define JOINED_SEGS 64
_Static_assert(JOINED_SEGS >= SEGS_MAX, "the first push always fits");

int push_iov(const struct op *op, uint64_t skip, struct iovec iov[SEGS_MAX]) {
    int n = 0;
    for (uint32_t i = 0; i < op->numsegs; i++) {
        uint64_t len = op->segs[i].sgaseg_len;
        if (skip >= len) {
            skip -= len;
            continue;
        }
        iov[n++] = (struct iovec){.iov_base = (char *)op->segs[i].sgaseg_buf + skip, .iov_len = len - skip};
        skip = 0;
    }
    return n;
}

static bool zerocopy_pays(const struct sock *s, const struct op *op) {
    uint64_t min_bytes = s->px->options->zerocopy_min_bytes, skip = PUSH_SENT(op);
    if (!s->px->engine->send_zerocopy || !s->stream || min_bytes == 0) return false;
    if (s->zerocopy_copied >= ZEROCOPY_COPIED_MAX || op->bytes - skip < min_bytes) return false;
    for (uint32_t i = 0; i < op->numsegs; i++) {
        uint64_t len = op->segs[i].sgaseg_len;
        if (skip < len) return len - skip >= min_bytes;
        skip -= len;
    }
    return false;
}

/* Adds the pushes of a stream that follow `op`, as far as they fit. Returns the number of entries. */
static int add_following(const struct sock *s, const struct op *op, struct iovec iov[JOINED_SEGS], int n,
                         uint32_t *offered) {
    for (const struct list *l = op->link.next; l != &s->pushes; l = l->next) {
        const struct op *next = list_entry(l, struct op, link);
        if (n + (int)next->numsegs > JOINED_SEGS || zerocopy_pays(s, next)) break;
        n += push_iov(next, 0, iov + n);
        ++*offered;
    }
    return n;
}

/* The calls for one buffer are cheaper than those for a list. Offers the first push, or several; returns how many. */
static int64_t send_some(struct sock *s, struct op *op, uint32_t *offered) {
    struct iovec iov[JOINED_SEGS];
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT, n = push_iov(op, PUSH_SENT(op), iov);
    struct sockaddr *to = op->flags & OP_TO ? (struct sockaddr *)&op->sga.sga_addr6 : NULL;
    socklen_t to_len = to ? op->sga.sga_addrlen : 0;
    *offered = 1;
    if (s->stream) n = add_following(s, op, iov, n, offered);
    if (s->stream && n == 0) return 0;
    if (n == 1) return POSIX_SYS(s, sendto, s->fd, iov[0].iov_base, iov[0].iov_len, flags, to, to_len);
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n, .msg_name = to, .msg_namelen = to_len};
    return POSIX_SYS(s, sendmsg, s->fd, &msg, flags);
}

static void complete_sent(struct sock *s, uint64_t acked) {
    for (struct op *op; (op = op_first(&s->sent));) {
        if (PUSH_NOTIFIES(op) || PUSH_END(op) > acked) return;
        list_remove(&op->link);
        op_complete(s->q.rt, op, s->send_error);
    }
}

/* Called when the kernel has accepted all of op. */
static void push_sent(struct sock *s, struct op *op) {
    bool acked = s->stream && s->q.push_acked;
    list_remove(&op->link);
    PUSH_END(op) = acked ? s->sent_bytes : 0;
    if (!acked && !PUSH_NOTIFIES(op) && list_empty(&s->sent)) {
        op_complete(s->q.rt, op, 0);
        return;
    }
    list_push_back(&s->sent, &op->link);
}

/* The kernel has accepted `bytes` more of the first push. Returns whether it has all of it. */
static bool push_advance(struct sock *s, struct op *op, uint64_t bytes) {
    PUSH_SENT(op) += bytes;
    s->sent_bytes += bytes;
    if (s->stream && PUSH_SENT(op) < op->bytes) return false;
    push_sent(s, op);
    return true;
}

/* The kernel has accepted `bytes` of the first pushes, of which it was offered some. Returns whether it has all. */
static bool pushes_advance(struct sock *s, uint32_t offered, uint64_t bytes) {
    bool all = true;
    for (; offered > 0 && all; offered--) {
        struct op *op = op_first(&s->pushes);
        uint64_t left = op->bytes - PUSH_SENT(op), n = s->stream && bytes > left ? left : bytes;
        bytes -= n;
        all = push_advance(s, op, n);
    }
    if (s->stream && s->q.push_acked && !list_empty(&s->sent)) sock_check_acked(s);
    return all;
}

/* Pushes whose memory a zero-copy send still uses stay in `sent` until the kernel releases it. */
void sock_fail_pushes(struct sock *s, int error) {
    if (!s->send_error) s->send_error = error;
    s->push_failed |= s->sending || !list_empty(&s->pushes);
    if (s->sending) return; /* sock_sent_zerocopy continues */
    for (struct op *op; (op = op_first(&s->pushes));) {
        list_remove(&op->link);
        PUSH_END(op) = 0;
        list_push_back(&s->sent, &op->link);
    }
    complete_sent(s, UINT64_MAX);
}

/*
 * A datagram fails alone, and so does a push of which nothing was sent for lack of memory. Any other failure ends the
 * stream.
 */
static void push_failed(struct sock *s, struct op *op, int error) {
    if (error == -EPIPE) error = -ECONNRESET; /* the connection was reset, and another operation has reported that */
    if (s->stream && !((error == -ENOMEM || error == -ENOBUFS) && PUSH_SENT(op) == 0)) {
        sock_fail_pushes(s, error);
        return;
    }
    list_remove(&op->link);
    op_complete(s->q.rt, op, error);
}

/* Sends the FIN: the application will push no more, and the kernel has all pushed data. */
static void send_fin(struct sock *s) {
    if (s->fin_sent || !s->stream) return;
    s->fin_sent = true;
    POSIX_SYS(s, shutdown, s->fd, SHUT_WR); /* fails only if the connection has already ended */
}

void sock_send(struct sock *s) {
    uint32_t offered;
    list_remove(&s->unsent);
    for (struct op *op; !s->sending && (op = op_first(&s->pushes));) {
        if (zerocopy_pays(s, op) && s->px->engine->send_zerocopy(s, op)) {
            s->sending = true;
            return;
        }
        int64_t r = send_some(s, op, &offered);
        if (r >= 0 && pushes_advance(s, offered, (uint64_t)r)) continue;
        if (r >= 0 || r == -EAGAIN) {
            r = s->px->engine->want(s, SOCK_WRITE);
            if (!r) return;
        }
        push_failed(s, op, (int)r);
    }
    if (s->sending) return;
    if (s->shut_wr) send_fin(s);
    if (s->closed) sock_linger(s);
}

void sock_sent_zerocopy(struct sock *s, struct op *op, int64_t result) {
    s->sending = false;
    if (result > 0) {
        posix_count(s->px, send_zerocopy);
        pushes_advance(s, 1, (uint64_t)result);
    } else if (result != -EAGAIN && result != -EINTR) {
        push_failed(s, op, result ? (int)result : -EIO);
    }
    if (s->send_error) sock_fail_pushes(s, s->send_error);
    sock_send(s);
}

void sock_zerocopy_notified(struct sock *s, struct op *op) {
    PUSH_NOTIFIES(op)--;
    if (!list_empty(&s->sent)) sock_check_acked(s);
    if (s->closed) sock_linger(s);
}

int64_t sock_outq(struct sock *s) {
    int outq = 0;
    int r = POSIX_SYS(s, ioctl, s->fd, SIOCOUTQ, &outq);
    return r ? r : outq;
}

bool sock_is_dead(struct sock *s) {
    struct tcp_info info;
    socklen_t len = sizeof info;
    return POSIX_SYS(s, getsockopt, s->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state == TCP_CLOSE;
}

int sock_connection_error(struct sock *s) {
    int error = 0;
    socklen_t len = sizeof error;
    if (!sock_is_dead(s)) return 0;
    POSIX_SYS(s, getsockopt, s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return -error;
}

bool sock_poll_acked(struct sock *s, bool *progress) {
    complete_sent(s, s->send_error ? UINT64_MAX : 0);
    struct op *op = op_first(&s->sent);
    *progress = false;
    if (!op || PUSH_NOTIFIES(op)) return false; /* sock_zerocopy_notified continues */
    int64_t outq = sock_outq(s);
    if (outq > 0 && s->fin_sent) outq--;
    if (outq >= 0) complete_sent(s, s->sent_bytes - (uint64_t)outq);
    *progress = op != op_first(&s->sent);
    if (!*progress) {
        int error = sock_connection_error(s);
        if (error) sock_fail_pushes(s, error);
    }
    op = op_first(&s->sent);
    return op && !PUSH_NOTIFIES(op);
}

void sock_check_acked(struct sock *s) {
    bool progress;
    if (!sock_poll_acked(s, &progress))
        sock_timer_stop(s);
    else if (progress || !s->timer_ns)
        sock_timer_start(s, ACK_POLL_FIRST_NS);
    else if (!s->timer.timer.armed)
        sock_timer_next(s, ACK_POLL_MAX_NS);
}

void sock_send_unsent(struct sock *s) {
    if (!list_empty(&s->unsent)) sock_send(s);
}

/* A push was appended. Others before it wait for the kernel or for the end of the turn, too. */
static void push_queued(struct sock *s, const struct op *op) {
    struct posix *px = s->px;
    bool first = op_first(&s->pushes) == op && !s->sending;
    if (first) list_push_back(&px->unsent, &s->unsent);
    if (!list_empty(&s->unsent)) turn_pushed(px->rt, first || !s->stream, px->held_bytes > 0, clock_now_ns());
}

int sock_push(struct queue *q, struct op *op) {
    struct sock *s = to_sock(q);
    if (s->shut_wr) return -EPIPE;
    if (s->stream && s->state != SOCK_CONNECTED) return -ENOTCONN;
    if (s->stream && op->flags & OP_TO) return -EISCONN;
    if (!s->stream && !(op->flags & OP_TO) && s->state != SOCK_CONNECTED) return -EDESTADDRREQ;
    PUSH_SENT(op) = PUSH_NOTIFIES(op) = PUSH_END(op) = 0;
    if (s->send_error) {
        op_complete(q->rt, op, s->send_error);
        return 0;
    }
    list_push_back(&s->pushes, &op->link);
    push_queued(s, op);
    return 0;
}
