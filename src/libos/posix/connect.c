/* SPDX-License-Identifier: MIT */
/* Connecting and accepting. */
#include "core/accept.h"
#include "libos/posix/posix.h"

#include <unistd.h>

/*
 * Accepting pauses this long when the kernel refuses for lack of descriptors or memory; the time doubles with each
 * refusal.
 */
#define RETRY_FIRST_NS 10000000
#define RETRY_MAX_NS   1000000000

int sock_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len) {
    struct sock *s = to_sock(q);
    if (s->state == SOCK_CONNECTING) return -EALREADY;
    if (s->stream && s->state == SOCK_CONNECTED) return -EISCONN;
    if (s->state == SOCK_LISTENING) return -EOPNOTSUPP;
    sock_send_unsent(s);
    /* POSIX_SYS repeats an interrupted connect. The repeated call reports the progress of the first. */
    int r = POSIX_SYS(s, connect, s->fd, addr, len);
    if (r == -EISCONN) r = 0;
    if (r == -EINPROGRESS || r == -EALREADY) {
        r = s->px->engine->want(s, SOCK_WRITE);
        if (r) return r;
        s->state = SOCK_CONNECTING;
        s->connect_op = op;
        return 0;
    }
    if (!r) s->state = s->stream || addr->sa_family != AF_UNSPEC ? SOCK_CONNECTED : SOCK_NEW;
    op_complete(q->rt, op, r);
    return 0;
}

void sock_connect_ready(struct sock *s) {
    int error = 0;
    socklen_t len = sizeof error;
    struct sockaddr_storage peer;
    struct op *op = s->connect_op;
    int r = POSIX_SYS(s, getsockopt, s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (!r) r = -error;
    if (!r) { /* the connection may still be undecided */
        len = sizeof peer;
        r = POSIX_SYS(s, getpeername, s->fd, (struct sockaddr *)&peer, &len);
        if (r == -ENOTCONN) {
            r = s->px->engine->want(s, SOCK_WRITE);
            if (!r) return;
        }
    }
    if (r) sock_disconnect(s); /* else the next connect would fail with ECONNABORTED */
    s->connect_op = NULL;
    s->state = r ? SOCK_NEW : SOCK_CONNECTED;
    op_complete(s->q.rt, op, r);
}

/*
 * The kernel refused an accept: fails the first waiting operation, and retries later or when a descriptor is closed, so
 * that the listener neither dies nor spins.
 */
static void accept_failed(struct sock *s, int error) {
    struct op *op = op_first(&s->waiters);
    posix_count(s->px, accept_errors);
    if (op) {
        list_remove(&op->link);
        op_complete(s->q.rt, op, error);
    }
    posix_log_shortage(s->px, error);
    list_remove(&s->pausing);
    list_push_back(&s->px->pausing, &s->pausing);
    if (s->timer_ns)
        sock_timer_next(s, RETRY_MAX_NS);
    else
        sock_timer_start(s, RETRY_FIRST_NS);
}

static void complete_accept(struct sock *s, struct sock *fresh, const struct sockaddr *addr, socklen_t len) {
    struct op *op = op_first(&s->waiters);
    list_remove(&op->link);
    queue_accepted(op, &fresh->q, addr, len);
}

static int sock_from_accept(struct sock *listener, int fd, struct sock **fresh) {
    int r = sock_new(listener->px, fd, true, fresh);
    if (r) return r;
    posix_count(listener->px, accepts);
    (*fresh)->state = SOCK_CONNECTED;
    (*fresh)->linger_s = listener->linger_s;
    return 0;
}

/*
 * Hands connections that the engine accepted ahead to waiting operations. Asks for a peer's address only here, when an
 * operation needs it.
 */
static void serve_backlog(struct sock *s) {
    while (!list_empty(&s->waiters) && !list_empty(&s->backlog)) {
        struct sock *fresh = list_entry(list_pop_front(&s->backlog), struct sock, backlog);
        struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof addr;
        s->backlog_len--;
        if (POSIX_SYS(s, getpeername, fresh->fd, (struct sockaddr *)&addr, &len)) len = 0; /* already disconnected */
        complete_accept(s, fresh, (struct sockaddr *)&addr, len);
    }
}

void sock_accepted(struct sock *s, int fd) {
    struct sock *fresh;
    int r = fd < 0 ? fd : sock_from_accept(s, fd, &fresh);
    if (r < 0) {
        accept_failed(s, r);
        return;
    }
    list_push_back(&s->backlog, &fresh->backlog);
    s->backlog_len++;
    s->timer_ns = 0;
    serve_backlog(s);
}

bool sock_connection_gone(int error) {
    return error == -ECONNABORTED || error == -EPROTO || error == -ENETDOWN || error == -ENETUNREACH ||
           error == -EHOSTDOWN || error == -EHOSTUNREACH;
}

/* Accepts one connection for a waiting operation. Returns false if there is none, or on failure. */
static bool accept_one(struct sock *s) {
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    struct sock *fresh;
    int fd = POSIX_SYS(s, accept4, s->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -EAGAIN) return false;
    if (sock_connection_gone(fd)) return true;
    int r = fd < 0 ? fd : sock_from_accept(s, fd, &fresh);
    if (r < 0) {
        accept_failed(s, r);
        return false;
    }
    s->timer_ns = 0;
    complete_accept(s, fresh, (struct sockaddr *)&addr, len);
    return true;
}

void sock_accept_ready(struct sock *s) {
    const struct engine *e = s->px->engine;
    if (sock_is_pausing(s)) return;
    serve_backlog(s);
    while (!e->fetches && !list_empty(&s->waiters) && accept_one(s))
        continue;
    if (list_empty(&s->waiters) || sock_is_pausing(s)) return;
    int r = e->accept(s);
    if (r) ops_complete(s->q.rt, &s->waiters, r);
}

int sock_accept(struct queue *q, struct op *op) {
    struct sock *s = to_sock(q);
    if (s->state != SOCK_LISTENING) return -EINVAL;
    bool first = list_empty(&s->waiters);
    list_push_back(&s->waiters, &op->link);
    if (first) sock_accept_ready(s);
    return 0;
}
