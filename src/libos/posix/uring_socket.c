/* SPDX-License-Identifier: MIT */
/* Socket requests in the ring: multishot receive and accept, readiness, zero-copy sends, and their completions. */
#include "libos/posix/uring.h"

#include "mem/heap.h"

#include <poll.h>
#include <unistd.h>

/* Missing in Debian 12's headers. */
#define CQE_F_BUF_MORE        (1u << 4)
#define SEND_ZC_REPORT_USAGE  (1u << 3)
#define NOTIF_USAGE_ZC_COPIED (1u << 31)
#define ZEROCOPY_NEVER        UINT16_MAX

static struct uring *ring_of(const struct sock *s) {
    return s->px->uring;
}

void uring_sock_init(struct sock *s) {
    list_init(&s->uring.todo);
}

static void request(struct sock *s, unsigned wanted) {
    wanted &= ~(unsigned)(s->uring.armed | s->uring.wanted);
    if (!wanted || s->uring.released) return;
    if (s->uring.wanted == 0) list_push_back(&ring_of(s)->todo, &s->uring.todo);
    s->uring.wanted |= (uint16_t)wanted;
}

int uring_want(struct sock *s, unsigned events) {
    if (events & SOCK_READ) s->engine_reads = true;
    request(s, (events & SOCK_READ ? REQUEST_READ : 0u) | (events & SOCK_WRITE ? REQUEST_WRITE : 0u));
    return 0;
}

int uring_receive(struct sock *s) {
    s->engine_reads = true;
    request(s, REQUEST_RECV);
    return 0;
}

int uring_accept(struct sock *s) {
    request(s, REQUEST_ACCEPT);
    return 0;
}

bool uring_stop_receiving(struct sock *s) {
    s->uring.wanted &= (uint16_t)~REQUEST_RECV;
    if (s->uring.wanted == 0) list_remove(&s->uring.todo);
    if (!(s->uring.armed & REQUEST_RECV)) return true;
    if (!s->uring.pausing) request(s, REQUEST_CANCEL_RECV);
    s->uring.pausing = true;
    return false;
}

static void prepare_recv(struct sock *s, struct io_uring_sqe *sqe) {
    io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    uring_tag(sqe, s, TAG_RECV);
}

static void prepare_accept(struct sock *s, struct io_uring_sqe *sqe) {
    io_uring_prep_multishot_accept(sqe, s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    uring_tag(sqe, s, TAG_ACCEPT);
}

static void prepare_read(struct sock *s, struct io_uring_sqe *sqe) {
    io_uring_prep_poll_add(sqe, s->fd, POLLIN);
    uring_tag(sqe, s, TAG_READ);
}

static void prepare_write(struct sock *s, struct io_uring_sqe *sqe) {
    io_uring_prep_poll_add(sqe, s->fd, POLLOUT);
    uring_tag(sqe, s, TAG_WRITE);
}

static void prepare_cancel(struct sock *s, struct io_uring_sqe *sqe, enum uring_tag tag) {
    io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)s | (uint64_t)tag, 0);
    uring_tag(sqe, NULL, TAG_NONE);
}

static void prepare_cancel_recv(struct sock *s, struct io_uring_sqe *sqe) {
    prepare_cancel(s, sqe, TAG_RECV);
}

static void prepare_cancel_accept(struct sock *s, struct io_uring_sqe *sqe) {
    prepare_cancel(s, sqe, TAG_ACCEPT);
}

static void prepare_cancel_all(struct sock *s, struct io_uring_sqe *sqe) {
    io_uring_prep_cancel_fd(sqe, s->fd, IORING_ASYNC_CANCEL_ALL);
    uring_tag(sqe, NULL, TAG_NONE);
}

static const struct {
    unsigned bit;
    bool has_completion; /* has a completion of its own that the socket must wait for */
    void (*prepare)(struct sock *s, struct io_uring_sqe *sqe);
} requests[] = {
    {REQUEST_RECV, true, prepare_recv},
    {REQUEST_ACCEPT, true, prepare_accept},
    {REQUEST_READ, true, prepare_read},
    {REQUEST_WRITE, true, prepare_write},
    {REQUEST_CANCEL_RECV, false, prepare_cancel_recv},
    {REQUEST_CANCEL_ACCEPT, false, prepare_cancel_accept},
    {REQUEST_CANCEL_ALL, false, prepare_cancel_all},
};

static bool flush_sock(struct uring *u, struct sock *s) {
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        if (!(s->uring.wanted & requests[i].bit)) continue;
        struct io_uring_sqe *sqe = uring_sqe(u);
        if (!sqe) return false;
        requests[i].prepare(s, sqe);
        s->uring.wanted &= (uint16_t)~requests[i].bit;
        if (!requests[i].has_completion) continue;
        s->uring.armed |= (uint16_t)requests[i].bit;
        s->uring.inflight++;
        u->inflight++;
    }
    return true;
}

void uring_flush(struct uring *u) {
    for (struct list *l; (l = list_first(&u->todo));) {
        struct sock *s = list_entry(l, struct sock, uring.todo);
        if (!flush_sock(u, s)) return; /* continues at the next poll */
        list_remove(l);
    }
}

/*
 * Requests keep the descriptor open. Ends them before returning if possible, so that the descriptor's number is free
 * again.
 */
void uring_release(struct sock *s) {
    struct uring *u = ring_of(s);
    list_remove(&s->uring.todo);
    s->uring.wanted = 0;
    if (s->uring.inflight == 0) {
        sock_free(s);
        return;
    }
    request(s, REQUEST_CANCEL_ALL);
    s->uring.released = true;
    if (u->busy || s->px->stopping) return;
    uring_flush(u);
    uring_enter(u, 0);
    uring_reap(u);
}

/* A request has had its last completion. Frees s with the last one after its release. */
static void request_done(struct uring *u, struct sock *s) {
    u->inflight--;
    s->uring.inflight--;
    if (!s->uring.released || s->uring.inflight) return;
    list_remove(&s->uring.todo);
    sock_free(s);
}

static void pause_recv(struct uring *u, struct sock *s) {
    if (s->held_bytes <= u->px->options->recv_ahead_bytes || !(s->uring.armed & REQUEST_RECV)) return;
    if (s->uring.pausing) return;
    s->uring.pausing = true;
    posix_count(u->px, recv_ahead_limit);
    request(s, REQUEST_CANCEL_RECV);
}

static void recv_ended(struct uring *u, struct sock *s, int res) {
    struct dmtr_runtime *rt = u->px->rt;
    if (res == -ENOBUFS) {
        posix_count(u->px, recv_buffers_empty);
        if (!uring_buffers_refill(u)) ops_complete(rt, &s->waiters, -ENOMEM);
    } else if (res != -ECANCELED && res != -EAGAIN && res != -EINTR) {
        sock_receive_ended(s, res);
    }
    sock_receive(s, false); /* rearms the receive if a pop waits */
}

static void on_recv(struct uring *u, struct sock *s, int res, uint32_t flags) {
    if (!(flags & IORING_CQE_F_MORE)) {
        s->uring.armed &= (uint16_t)~REQUEST_RECV;
        s->uring.pausing = s->engine_reads = false;
    }
    if (flags & IORING_CQE_F_BUFFER) {
        uint32_t charge, len = res > 0 ? (uint32_t)res : 0;
        char *data =
            uring_buffers_take(u, (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT), len, flags & CQE_F_BUF_MORE, &charge);
        if (len && !s->uring.released && !s->closed) {
            sock_received(s, data, len, charge);
            pause_recv(u, s);
            return;
        }
        s->unread |= len > 0;
        heap_free(data);
    }
    bool failed = res < 0 && res != -ECANCELED && res != -EAGAIN && res != -EINTR && res != -ENOBUFS;
    if (!s->closed)
        recv_ended(u, s, res);
    else if (failed && !s->send_error)
        s->send_error = res; /* the kernel reports it only once */
}

static void on_accept(struct uring *u, struct sock *s, int res, uint32_t flags) {
    bool ended = !(flags & IORING_CQE_F_MORE);
    if (ended) s->uring.armed &= (uint16_t)~REQUEST_ACCEPT;
    if (s->closed) {
        if (res >= 0) close(res);
        return;
    }
    if (res >= 0 || (res != -ECANCELED && !sock_connection_gone(res))) sock_accepted(s, res);
    if (ended) {
        sock_accept_ready(s);
    } else if (s->backlog_len >= u->px->options->accept_ahead) {
        posix_count(u->px, accept_backlog_limit);
        request(s, REQUEST_CANCEL_ACCEPT);
    }
}

static void on_ready(struct sock *s, enum uring_tag tag) {
    if (tag == TAG_READ) {
        s->uring.armed &= (uint16_t)~REQUEST_READ;
        s->engine_reads = false;
        if (!s->uring.released) sock_ready(s, SOCK_READ);
    } else {
        s->uring.armed &= (uint16_t)~REQUEST_WRITE;
        if (!s->uring.released) sock_ready(s, SOCK_WRITE);
    }
}

void uring_sock_complete(struct uring *u, struct sock *s, enum uring_tag tag, int res, uint32_t flags) {
    if (tag == TAG_RECV)
        on_recv(u, s, res, flags);
    else if (tag == TAG_ACCEPT)
        on_accept(u, s, res, flags);
    else
        on_ready(s, tag);
    if (!(flags & IORING_CQE_F_MORE)) request_done(u, s);
}

bool uring_send_zerocopy(struct sock *s, struct op *op) {
    struct uring *u = ring_of(s);
    struct iovec iov[SEGS_MAX];
    struct io_uring_sqe *sqe = u->zerocopy ? uring_sqe(u) : NULL;
    if (!sqe) return false;
    push_iov(op, PUSH_SENT(op), iov);
    io_uring_prep_send_zc(sqe, s->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL | MSG_WAITALL,
                          u->zerocopy_reports ? SEND_ZC_REPORT_USAGE : 0);
    uring_tag(sqe, op, TAG_SEND);
    s->uring.inflight++;
    u->inflight++;
    return true;
}

/* The kernel has released the memory of a zero-copy send, and reports whether it copied the data. */
static void on_notification(struct uring *u, struct sock *s, struct op *op, uint32_t usage) {
    bool copied = u->zerocopy_reports && usage & NOTIF_USAGE_ZC_COPIED;
    if (copied) posix_count(u->px, send_zerocopy_copied);
    if (s->zerocopy_copied != ZEROCOPY_NEVER) s->zerocopy_copied = copied ? (uint16_t)(s->zerocopy_copied + 1) : 0;
    sock_zerocopy_notified(s, op);
}

void uring_send_complete(struct uring *u, struct op *op, int res, uint32_t flags) {
    struct sock *s = to_sock(op->q);
    bool last = !(flags & IORING_CQE_F_MORE);
    if (s->uring.released) { /* sock_free completes op */
        if (last) request_done(u, s);
        return;
    }
    if (flags & IORING_CQE_F_NOTIF) {
        on_notification(u, s, op, (uint32_t)res);
        request_done(u, s);
        return;
    }
    if (!last) PUSH_NOTIFIES(op)++;
    if (res == -EINVAL && u->zerocopy_reports) {
        u->zerocopy_reports = false; /* the kernel is older than Linux 6.2 */
        res = -EAGAIN;
    } else if (res == -EINVAL || res == -EOPNOTSUPP || res == -ENOMEM || res == -ENOBUFS) {
        s->zerocopy_copied = ZEROCOPY_NEVER;
        res = -EAGAIN;
    }
    sock_sent_zerocopy(s, op, res);
    if (last) request_done(u, s);
}
