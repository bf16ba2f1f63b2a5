/* SPDX-License-Identifier: MIT */
/* The client over plain sockets: blocking on one connection after the other, waiting with epoll, or spinning. */
#include "base/epoll.h"
#include "baseline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define EVENTS 256

static char in[BUFFER_BYTES];

struct sockets {
    struct workload *w;
    struct connection *conns;
    enum mode mode;
    int epoll_fd;
    uint64_t now, turn; /* turn: in blocking mode, the connection whose reply is next */
};

/* Sent bytes stay in the buffer until all are sent, so a slow socket may leave no room for a due request. */
static bool append(struct workload *w, struct connection *c, uint64_t now) {
    if (c->out_len == w->o.size * w->o.outstanding) return false;
    workload_begin(w, c->flow, now, c->out + c->out_len);
    c->out_len += w->o.size;
    return true;
}

bool connection_fill(struct workload *w, struct connection *c, uint64_t now) {
    while (!w->o.rate && workload_may_begin(w, c->flow, now) && append(w, c, now))
        ;
    return c->out_len > 0;
}

struct connection *connection_due(struct workload *w, struct connection *conns, uint64_t now) {
    struct flow *f = w->o.rate ? workload_pick(w, now) : NULL;
    if (!f) return NULL;
    struct connection *c = &conns[f - w->flows];
    return append(w, c, now) ? c : NULL;
}

static void watch(struct sockets *s, struct connection *c, int op) {
    struct epoll_event ev = {.events = EPOLLIN | (c->out_len ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(s->epoll_fd, op, c->fd, &ev);
}

/* Sends what is buffered; if the socket is full (not in blocking mode), the rest stays for later. */
static int flush(struct sockets *s, struct connection *c) {
    bool was_full = c->out_done > 0;
    while (c->out_done < c->out_len) {
        size_t most = s->w->datagrams ? s->w->o.size : c->out_len - c->out_done;
        ssize_t n = send(c->fd, c->out + c->out_done, most, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN && s->mode != MODE_BLOCKING) break;
        if (n < 0) return baseline_fail("send");
        c->out_done += (size_t)n;
    }
    if (c->out_done == c->out_len) c->out_done = c->out_len = 0;
    if (s->mode == MODE_EPOLL && (c->out_len > 0) != was_full) watch(s, c, EPOLL_CTL_MOD);
    return 0;
}

/* Receives once; refills. 1: received data; 0: none; -1: failed. */
static int receive(struct sockets *s, struct connection *c) {
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : baseline_fail("recv");
    if (n == 0 && !s->w->datagrams) {
        fprintf(stderr, "the server closed the connection\n");
        return -1;
    }
    s->now = dmtr_now_ns();
    if (workload_input(s->w, c->flow, in, (size_t)n, s->now) != 0) return -1;
    return connection_fill(s->w, c, s->now) && flush(s, c) != 0 ? -1 : 1;
}

static int round_spin(struct sockets *s) {
    for (uint64_t i = 0; i < s->w->o.connections; i++) {
        struct connection *c = &s->conns[i];
        if (c->out_len > 0 && flush(s, c) != 0) return -1;
        if (receive(s, c) < 0) return -1;
    }
    return 0;
}

static int round_epoll(struct sockets *s) {
    struct epoll_event events[EVENTS];
    uint64_t wake = workload_wake_ns(s->w), ns = wake > s->now ? wake - s->now : 0;
    struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    int n = epoll_pwait2(s->epoll_fd, events, EVENTS, &ts, NULL);
    for (int i = 0; i < n; i++) {
        struct connection *c = events[i].data.ptr;
        if (events[i].events & EPOLLOUT && flush(s, c) != 0) return -1;
        if (events[i].events & ~(uint32_t)EPOLLOUT && receive(s, c) < 0) return -1;
    }
    return 0;
}

/* Waits for the next connection in turn that expects a reply. */
static int round_blocking(struct sockets *s) {
    for (uint64_t i = 0; i < s->w->o.connections; i++) {
        struct connection *c = &s->conns[s->turn++ % s->w->o.connections];
        if (c->flow->inflight > 0) return receive(s, c) < 0 ? -1 : 0;
    }
    return 0;
}

static int prepare(struct sockets *s) {
    if (s->mode == MODE_EPOLL) s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->mode == MODE_EPOLL && s->epoll_fd < 0) return baseline_fail("epoll_create1");
    for (uint64_t i = 0; s->mode == MODE_EPOLL && i < s->w->o.connections; i++)
        watch(s, &s->conns[i], EPOLL_CTL_ADD);
    return 0;
}

static int fill_all(struct sockets *s) {
    for (uint64_t i = 0; i < s->w->o.connections; i++)
        if (connection_fill(s->w, &s->conns[i], s->now) && flush(s, &s->conns[i]) != 0) return -1;
    return 0;
}

int work_sockets(struct workload *w, struct connection *conns, enum mode mode) {
    static int (*const rounds[])(struct sockets *) = {
        [MODE_BLOCKING] = round_blocking, [MODE_EPOLL] = round_epoll, [MODE_SPIN] = round_spin};
    struct sockets s = {.w = w, .conns = conns, .mode = mode, .epoll_fd = -1, .now = dmtr_now_ns()};
    struct connection *due;
    int r = prepare(&s);
    if (r == 0) r = fill_all(&s);
    while (r == 0 && !stopped && !workload_finished(w, s.now)) {
        r = rounds[mode](&s);
        s.now = dmtr_now_ns();
        int lost = workload_check(w, s.now);
        if (lost < 0) r = -1;
        if (r == 0 && lost > 0) r = fill_all(&s);
        while (r == 0 && (due = connection_due(w, conns, s.now)))
            r = flush(&s, due);
    }
    if (s.epoll_fd >= 0) close(s.epoll_fd);
    return r;
}
