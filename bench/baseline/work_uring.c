/* SPDX-License-Identifier: MIT */
/* The client over io_uring: multishot receives into provided buffers, one send at a time per connection. */
#include "baseline.h"
#include "uring.h"

#include <errno.h>

#define BATCH   256
#define IS_SEND (1ull << 32) /* in user_data, above the connection's number */

static struct uring u;

/* A stream sends all buffered data, a datagram socket one datagram. Data appended meanwhile goes with the next send. */
static void send_next(struct workload *w, struct connection *conns, struct connection *c) {
    struct io_uring_sqe *sqe = uring_sqe(&u);
    size_t len = w->datagrams ? w->o.size : c->out_len - c->out_done;
    io_uring_prep_send(sqe, c->fd, c->out + c->out_done, len, MSG_NOSIGNAL);
    io_uring_sqe_set_data64(sqe, IS_SEND | (unsigned long long)(c - conns));
}

/* Fills the connection; begins a send unless out_len > 0, which means that one is in flight. */
static void fill(struct workload *w, struct connection *conns, struct connection *c, uint64_t now) {
    bool idle = c->out_len == 0;
    if (connection_fill(w, c, now) && idle) send_next(w, conns, c);
}

static int sent(struct workload *w, struct connection *conns, struct connection *c, int res) {
    if (res < 0) {
        errno = -res;
        return baseline_fail("send");
    }
    c->out_done += (size_t)res;
    if (c->out_done < c->out_len)
        send_next(w, conns, c);
    else
        c->out_done = c->out_len = 0;
    return 0;
}

static int received(struct workload *w, struct connection *conns, struct connection *c,
                    const struct io_uring_cqe *cqe) {
    uint64_t now = dmtr_now_ns();
    int r = 0;
    if (cqe->res < 0 && cqe->res != -ENOBUFS) {
        errno = -cqe->res;
        return baseline_fail("recv");
    }
    if (cqe->res == 0 && !w->datagrams) {
        fprintf(stderr, "the server closed the connection\n");
        return -1;
    }
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        r = workload_input(w, c->flow, uring_buffer(&u, buffer), (size_t)cqe->res, now);
        uring_give_back(&u, buffer);
    }
    if (!(cqe->flags & IORING_CQE_F_MORE)) uring_recv(&u, c->fd, (unsigned long long)(c - conns));
    if (r == 0) fill(w, conns, c, now);
    return r;
}

static int dispatch(struct workload *w, struct connection *conns, const struct io_uring_cqe *cqe) {
    struct connection *c = &conns[(uint32_t)cqe->user_data];
    return cqe->user_data & IS_SEND ? sent(w, conns, c, cqe->res) : received(w, conns, c, cqe);
}

static void fill_all(struct workload *w, struct connection *conns, uint64_t now) {
    for (uint64_t i = 0; i < w->o.connections; i++)
        fill(w, conns, &conns[i], now);
}

static void send_due(struct workload *w, struct connection *conns, uint64_t now) {
    struct connection *c;
    while ((c = connection_due(w, conns, now)))
        if (c->out_len == w->o.size) send_next(w, conns, c);
}

int work_uring(struct workload *w, struct connection *conns, bool spin) {
    struct io_uring_cqe *cqes[BATCH];
    uint64_t now = dmtr_now_ns();
    int r = uring_init(&u, w->datagrams);
    for (uint64_t i = 0; r == 0 && i < w->o.connections; i++)
        uring_recv(&u, conns[i].fd, i);
    if (r == 0) fill_all(w, conns, now);
    while (r == 0 && !stopped && !workload_finished(w, now)) {
        uint64_t wake = workload_wake_ns(w);
        unsigned n = uring_wait(&u, spin, wake > now ? wake - now : 0, cqes, BATCH);
        for (unsigned i = 0; r == 0 && i < n; i++)
            r = dispatch(w, conns, cqes[i]);
        io_uring_cq_advance(&u.ring, n);
        now = dmtr_now_ns();
        int lost = workload_check(w, now);
        if (lost < 0) r = -1;
        if (lost > 0) fill_all(w, conns, now);
        send_due(w, conns, now);
    }
    uring_fini(&u);
    return r;
}
