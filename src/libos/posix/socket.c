/* SPDX-License-Identifier: MIT */
/* Sockets: creating and freeing, addresses, options, shutdown, and the table of queue operations. */
#include "libos/posix/posix.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* Largest UDP payload: 65,535 less the UDP header and, for IPv4, the IP header. */
#define UDP4_MAX_BYTES 65507
#define UDP6_MAX_BYTES 65527

static void sock_timer_fire(struct dmtr_runtime *rt, struct runtime_timer *t) {
    (void)rt;
    struct sock *s = list_entry(t, struct sock, timer);
    list_remove(&s->pausing);
    if (s->state == SOCK_LISTENING)
        sock_accept_ready(s);
    else if (s->closed)
        sock_linger(s);
    else
        sock_check_acked(s);
}

void sock_timer_start(struct sock *s, uint64_t first_ns) {
    s->timer_ns = first_ns;
    runtime_timer_arm(s->q.rt, &s->timer, clock_now_ns() + first_ns);
}

void sock_timer_next(struct sock *s, uint64_t max_ns) {
    uint64_t next_ns = s->timer_ns * 2;
    sock_timer_start(s, next_ns < max_ns ? next_ns : max_ns);
}

void sock_timer_stop(struct sock *s) {
    s->timer_ns = 0;
    list_remove(&s->pausing);
    runtime_timer_cancel(s->q.rt, &s->timer);
}

int sock_new(struct posix *px, int fd, bool stream, struct sock **s_out) {
    struct sock *s = sys_calloc(1, sizeof *s);
    if (!s) {
        close(fd);
        return -ENOMEM;
    }
    queue_init(&s->q, px->rt, stream ? &px->stream_ops : &px->datagram_ops);
    s->px = px;
    s->fd = fd;
    s->stream = stream;
    s->linger_s = LINGER_OFF;
    list_push_back(&px->socks, &s->link);
    list_init(&s->direct);
    list_init(&s->unsent);
    list_init(&s->waiters);
    list_init(&s->chunks);
    list_init(&s->pushes);
    list_init(&s->sent);
    list_init(&s->backlog);
    list_init(&s->pausing);
    list_init(&s->bound);
    timer_init(&s->timer.timer);
    s->timer.fire = sock_timer_fire;
    px->engine->sock_init(s);
    *s_out = s;
    return 0;
}

int sock_create(struct dmtr_runtime *rt, void *state, int domain, int type, int protocol, struct queue **q_out) {
    (void)rt;
    struct posix *px = state;
    bool stream = type == SOCK_STREAM;
    struct sock *s;
    int fd = SYS(socket, domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    posix_count(px, syscalls);
    if (fd < 0) {
        posix_log_shortage(px, fd);
        return fd;
    }
    int r = sock_new(px, fd, stream, &s);
    if (r) return r;
    if (!stream) s->q.message_limit_bytes = domain == AF_INET ? UDP4_MAX_BYTES : UDP6_MAX_BYTES;
    *q_out = &s->q;
    return 0;
}

void sock_free(struct sock *s) {
    struct dmtr_runtime *rt = s->q.rt;
    struct posix *px = s->px;
    int error = s->close_error ? s->close_error : -ECANCELED;
    sock_timer_stop(s);
    ops_complete(rt, &s->sent, error);
    ops_complete(rt, &s->pushes, error);
    if (s->close_op) op_complete(rt, s->close_op, s->close_error);
    sock_free_chunks(s);
    list_remove(&s->link);
    list_remove(&s->bound);
    list_remove(&s->unsent);
    if (s->closed) rt->lingering--;
    close(s->fd);
    sys_free(s);
    posix_descriptor_freed(px);
}

void sock_ready(struct sock *s, unsigned events) {
    if (s->state == SOCK_LISTENING) {
        if (events & SOCK_READ) sock_accept_ready(s);
        return;
    }
    if (s->state == SOCK_CONNECTING) {
        if (events & SOCK_WRITE) sock_connect_ready(s);
        return;
    }
    if (events & SOCK_READ) sock_receive(s, true);
    if (events & SOCK_WRITE) sock_send(s);
}

static int sock_listen(struct queue *q, int backlog) {
    struct sock *s = to_sock(q);
    if (s->state == SOCK_CONNECTING) return -EINVAL;
    if (s->state == SOCK_CONNECTED) return -EISCONN;
    int r = POSIX_SYS(s, listen, s->fd, backlog);
    if (r) return r;
    s->state = SOCK_LISTENING;
    return 0;
}

static int sock_shutdown(struct queue *q, int how) {
    struct sock *s = to_sock(q);
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return -EINVAL;
    if (s->state != SOCK_CONNECTED && s->state != SOCK_LISTENING) return -ENOTCONN;
    if (how != SHUT_WR) {
        int r = POSIX_SYS(s, shutdown, s->fd, SHUT_RD);
        if (r) return r;
        if (!s->stream) { /* the kernel would report it readable for ever */
            s->eof = true;
            sock_receive(s, false);
        }
    }
    if (how == SHUT_RD || s->shut_wr || s->state == SOCK_LISTENING) return 0;
    s->shut_wr = true;
    sock_send(s); /* sends the FIN after the queued pushes */
    return 0;
}

static int sock_getsockname(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    return POSIX_SYS(to_sock(q), getsockname, to_sock(q)->fd, addr, len);
}

static int sock_getpeername(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    return POSIX_SYS(to_sock(q), getpeername, to_sock(q)->fd, addr, len);
}

static bool level_known(int level) {
    static const int levels[] = {SOL_SOCKET, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IP, IPPROTO_IPV6};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (level == levels[i]) return true;
    return false;
}

/*
 * Passes SO_RCVTIMEO and SO_SNDTIMEO to the kernel like other options. They have no effect, because no call here
 * blocks.
 */
static int sock_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len) {
    struct sock *s = to_sock(q);
    bool linger = level == SOL_SOCKET && name == SO_LINGER;
    int linger_s = s->linger_s, r = linger ? linger_parse(&linger_s, value, len) : 0;
    if (!level_known(level)) return -ENOPROTOOPT;
    sock_send_unsent(s);
    if (!r) r = POSIX_SYS(s, setsockopt, s->fd, level, name, value, len);
    if (!r) s->linger_s = linger_s;
    if (r == 0 && level == SOL_SOCKET && name == SO_REUSEADDR) s->reuse_chosen = true;
    return r;
}

static int sock_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len) {
    if (!level_known(level)) return -ENOPROTOOPT;
    return POSIX_SYS(to_sock(q), getsockopt, to_sock(q)->fd, level, name, value, len);
}

/*
 * A connect cannot be cancelled. Pops and accepts can, because received data and accepted connections are stored
 * separately from the operations.
 */
static bool sock_cancel(struct queue *q, struct op *op) {
    struct sock *s = to_sock(q);
    if (op == s->connect_op) return false;
    if (op->opcode == DMTR_OPC_PUSH) return false;
    list_remove(&op->link);
    if (list_empty(&s->waiters)) sock_stop_waiting(s);
    return true;
}

#define SOCKET_OPS                                                                                                     \
    .socket = true, .push = sock_push, .pop = sock_pop, .connect = sock_connect, .cancel = sock_cancel,                \
    .close = sock_close, .bind = sock_bind, .shutdown = sock_shutdown, .getsockname = sock_getsockname,                \
    .getpeername = sock_getpeername, .setsockopt = sock_setsockopt, .getsockopt = sock_getsockopt

const struct queue_ops stream_ops = {.stream = true, .accept = sock_accept, .listen = sock_listen, SOCKET_OPS};
const struct queue_ops datagram_ops = {SOCKET_OPS};
