/* SPDX-License-Identifier: MIT */
/* Receiving: pops, the data held for them, and receiving directly from the kernel. */
#include "libos/posix/posix.h"

#include "mem/heap.h"

#include <string.h>

/* Room for the largest datagram. */
#define DATAGRAM_ROOM   65536u
#define CHUNKS_FREE_MAX 1024u

static struct chunk *chunk_new(struct posix *px) {
    struct list *l = list_pop_front(&px->chunks_free);
    if (!l) return sys_calloc(1, sizeof(struct chunk));
    px->chunks_free_len--;
    return list_entry(l, struct chunk, link);
}

static void chunk_free(struct sock *s, struct chunk *c) {
    struct posix *px = s->px;
    s->held_bytes -= c->charge;
    px->held_bytes -= c->charge;
    list_remove(&c->link);
    if (px->chunks_free_len == CHUNKS_FREE_MAX) {
        sys_free(c);
        return;
    }
    list_push_front(&px->chunks_free, &c->link);
    px->chunks_free_len++;
}

void posix_chunks_fini(struct posix *px) {
    for (struct list *l; (l = list_pop_front(&px->chunks_free));)
        sys_free(list_entry(l, struct chunk, link));
}

void sock_free_chunks(struct sock *s) {
    for (struct list *l; (l = list_first(&s->chunks));) {
        struct chunk *c = list_entry(l, struct chunk, link);
        heap_free(c->data);
        chunk_free(s, c);
    }
}

static uint64_t pop_limit(const struct op *op, uint64_t most) {
    return op->flags & OP_LIMITED && op->bytes < most ? op->bytes : most;
}

/* Completes a pop with `data`; the application becomes its owner. */
static void pop_complete(struct op *op, char *data, uint32_t len) {
    op_set_popped(op, data, len);
    list_remove(&op->link);
    op_complete(op->q->rt, op, 0);
}

static void pop_complete_chunk(struct sock *s, struct op *op) {
    struct chunk *c = list_entry(list_first(&s->chunks), struct chunk, link);
    char *data = c->data;
    uint32_t len = (uint32_t)pop_limit(op, c->len);
    if (len < c->len) {
        heap_share(data);
        c->data += len;
        c->len -= len;
    } else {
        chunk_free(s, c);
    }
    pop_complete(op, data, len);
}

bool sock_serve_pops(struct sock *s) {
    for (struct op *op; (op = op_first(&s->waiters));) {
        if (!list_empty(&s->chunks)) {
            pop_complete_chunk(s, op);
            continue;
        }
        if (!s->error && !s->eof) return true;
        list_remove(&op->link);
        op_complete(s->q.rt, op, s->error);
    }
    return false;
}

/* Whether the error says nothing about the connection. */
static bool is_transient(int error) {
    return error == -ENOMEM || error == -ENOBUFS;
}

void sock_receive_ended(struct sock *s, int error) {
    struct op *op = op_first(&s->waiters);
    if (error && (is_transient(error) || !s->stream)) {
        if (!op) return;
        list_remove(&op->link);
        op_complete(s->q.rt, op, error);
        return;
    }
    /* If a send has already reported a reset, the kernel shows it here as the end of the stream. */
    if (!error && !s->fin_sent && sock_is_dead(s)) error = -ECONNRESET;
    s->eof = true;
    s->error = error;
    if (error) sock_fail_pushes(s, error);
}

/* Receives once for the first pop. Returns 1 if that succeeded or ended the stream, 0 if there is no data. */
static int receive_stream(struct sock *s, struct op *op) {
    uint32_t room = (uint32_t)pop_limit(op, s->px->options->recv_buffer_bytes);
    char *buf = arena_room(&s->px->arena, room);
    ssize_t n = buf ? POSIX_SYS(s, recv, s->fd, buf, room, MSG_DONTWAIT) : -ENOMEM;
    if (n == -EAGAIN) return 0;
    if (n <= 0) {
        sock_receive_ended(s, (int)n);
        return 1;
    }
    s->more = (size_t)n == room;
    pop_complete(op, arena_commit(&s->px->arena, (uint32_t)n), (uint32_t)n);
    return 1;
}

/* With MSG_TRUNC the kernel returns the datagram's full length even if it was truncated. */
static int receive_datagram(struct sock *s, struct op *op) {
    uint32_t room = (uint32_t)pop_limit(op, DATAGRAM_ROOM);
    char *buf = arena_room(&s->px->arena, room);
    socklen_t addrlen = sizeof op->sga.sga_addr6;
    struct sockaddr *addr = (struct sockaddr *)&op->sga.sga_addr6;
    ssize_t n = buf ? POSIX_SYS(s, recvfrom, s->fd, buf, room, MSG_DONTWAIT | MSG_TRUNC, addr, &addrlen) : -ENOMEM;
    if (n == -EAGAIN) return 0;
    if (n < 0) {
        sock_receive_ended(s, (int)n);
        return 1;
    }
    uint32_t len = n < room ? (uint32_t)n : room;
    if (n > room) posix_count(s->px, datagrams_truncated);
    op->sga.sga_addrlen = addrlen;
    pop_complete(op, arena_commit(&s->px->arena, len), len);
    return 1;
}

void sock_stop_waiting(struct sock *s) {
    if (!s->waits) return;
    s->waits = false;
    s->px->waiting--;
    list_remove(&s->direct);
}

static void engine_receive(struct sock *s) {
    const struct engine *e = s->px->engine;
    int r = s->stream ? e->receive(s) : e->want(s, SOCK_READ);
    if (!r) return;
    sock_stop_waiting(s);
    ops_complete(s->q.rt, &s->waiters, r);
}

void posix_direct_end(struct posix *px) {
    if (px->polling) return;
    for (struct list *l; (l = list_pop_front(&px->direct));)
        engine_receive(list_entry(l, struct sock, direct));
}

static void start_waiting(struct sock *s) {
    struct posix *px = s->px;
    if (!s->waits) {
        s->waits = true;
        px->waiting++;
    }
    if (!list_empty(&s->direct)) return;
    if (px->waiting > DIRECT_MAX) posix_direct_end(px);
    if (px->direct_allowed && px->waiting <= DIRECT_MAX && !s->engine_reads)
        list_push_back(&px->direct, &s->direct);
    else
        engine_receive(s);
}

void sock_receive(struct sock *s, bool try_first) {
    if (s->stream && s->engine_reads && s->px->engine->fetches) try_first = false;
    bool waiting = sock_serve_pops(s);
    while (waiting && try_first) {
        struct op *op = op_first(&s->waiters);
        s->more = false;
        if (!(s->stream ? receive_stream(s, op) : receive_datagram(s, op))) break;
        if (s->stream && !s->eof && !s->more) try_first = false;
        waiting = sock_serve_pops(s);
    }
    if (waiting)
        start_waiting(s);
    else
        sock_stop_waiting(s);
}

uint32_t posix_direct_poll(struct posix *px) {
    uint32_t got = 0;
    struct list *l, *tmp;
    px->polling = true;
    list_for_each (&px->direct, l, tmp) {
        struct sock *s = list_entry(l, struct sock, direct);
        sock_receive(s, true);
        got += !s->waits;
    }
    px->polling = false;
    return got;
}

void sock_received(struct sock *s, char *data, uint32_t len, uint32_t charge) {
    struct op *op = op_first(&s->waiters);
    if (op && list_empty(&s->chunks) && pop_limit(op, len) == len) {
        pop_complete(op, data, len);
    } else {
        struct chunk *c = chunk_new(s->px);
        if (c) {
            *c = (struct chunk){.data = data, .len = len, .charge = charge};
            list_push_back(&s->chunks, &c->link);
            s->held_bytes += charge;
            s->px->held_bytes += charge;
        } else { /* the lost data is a gap in the stream, so the stream ends */
            heap_free(data);
            s->eof = s->unread = true;
            s->error = -ENOMEM;
        }
    }
    sock_receive(s, false);
}

int sock_pop(struct queue *q, struct op *op) {
    struct sock *s = to_sock(q);
    if (s->stream && s->state != SOCK_CONNECTED) return -ENOTCONN;
    bool first = list_empty(&s->waiters);
    list_push_back(&s->waiters, &op->link);
    if (first) sock_receive(s, s->more);
    return 0;
}
