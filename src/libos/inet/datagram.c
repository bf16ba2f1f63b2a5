/* SPDX-License-Identifier: MIT */
/* UDP sockets: pushes, pops, names, options, closing. */
#include "libos/inet/net.h"

#include "base/clock.h"
#include "base/sys.h"
#include "core/sga.h"
#include "inet/udp/udp.h"
#include "libos/address.h"
#include "mem/heap.h"

#include <string.h>

#define RECEIVE_LIMIT 212992 /* default limit on the memory of received datagrams, in bytes; as in Linux */

struct datagram {
    struct queue q;
    struct net *net;
    struct udp_socket *udp;
    struct list link;    /* net->sockets */
    struct list blocked; /* net->blocked, while `pushes` is not empty */
    struct list pushes;  /* pushes that wait for room in the transmit queue */
    struct list pops;
    struct op *close_op;
    int receive_limit; /* bytes */
    bool connected;
    bool shut_read, shut_write;
    bool closed;
};

static struct datagram *to_datagram(struct queue *q) {
    return list_entry(q, struct datagram, q);
}

/* Fills the pop with the datagram; the application then owns its memory. */
static void pop_give(struct datagram *d, struct op *op, const struct udp_datagram *got) {
    uint32_t len = got->payload.len;
    if (op->flags & OP_LIMITED && op->bytes < len) {
        len = (uint32_t)op->bytes;
        net_count(d->net, datagrams_truncated);
    }
    op->sga.sga_buf = got->payload.base;
    op->sga.sga_numsegs = 1;
    op->sga.sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = got->payload.base, .sgaseg_len = len};
    op->sga.sga_addr = address_make(&got->from);
    op->sga.sga_addrlen = sizeof op->sga.sga_addr;
}

static void serve_pops(struct datagram *d) {
    for (struct op *op; (op = op_first(&d->pops));) {
        struct udp_datagram got;
        int r = udp_receive(d->udp, &got);
        if (r == -EAGAIN && !d->shut_read) return;
        if (r == 0) pop_give(d, op, &got);
        list_remove(&op->link);
        op_complete(d->q.rt, op, r == -EAGAIN ? 0 : r);
    }
}

static int datagram_pop(struct queue *q, struct op *op) {
    struct datagram *d = to_datagram(q);
    list_push_back(&d->pops, &op->link);
    if (op_first(&d->pops) == op) serve_pops(d);
    if (!d->net->lost || op->state != OP_PENDING) return 0;
    list_remove(&op->link); /* all datagrams received before the loss were popped */
    return -ENETDOWN;
}

void datagram_ready(void *socket) {
    serve_pops(socket);
}

/*
 * The stack sends only heap memory. This copies other memory into the heap and holds the copy until the push is
 * complete, as core does with the heap's memory.
 */
static int copy_foreign(struct queue *q, struct op *op) {
    for (uint32_t i = 0; i < op->numsegs; i++) {
        dmtr_sgaseg_t *seg = &op->segs[i];
        if (seg->sgaseg_len == 0 || heap_owns(seg->sgaseg_buf)) continue;
        void *copy = heap_alloc(seg->sgaseg_len);
        if (!copy) return -ENOMEM;
        memcpy(copy, seg->sgaseg_buf, seg->sgaseg_len);
        heap_hold(copy);
        heap_free(copy);
        seg->sgaseg_buf = copy;
        op->flags |= OP_HELD;
        q->copies++;
        counter_add(&q->rt->counters, copied_bytes, seg->sgaseg_len);
    }
    return 0;
}

/* -EAGAIN: the transmit queue has no room. */
static int send_datagram(struct datagram *d, struct op *op, uint64_t now) {
    struct inet_segment segments[DMTR_SGARRAY_MAXSIZE];
    struct inet_endpoint to = {.port = 0};
    bool named = op->flags & OP_TO;
    if (!transmit_has_room(d->net, op->bytes)) return -EAGAIN;
    if (named) address_take(&to, (const struct sockaddr *)&op->sga.sga_addr, op->sga.sga_addrlen);
    for (uint32_t i = 0; i < op->numsegs; i++)
        segments[i] = (struct inet_segment){op->segs[i].sgaseg_buf, op->segs[i].sgaseg_len};
    return udp_send(d->udp, segments, op->numsegs, named ? &to : NULL, now);
}

static int push_refused(const struct datagram *d, const struct op *op) {
    struct inet_endpoint to;
    if (d->shut_write) return -EPIPE;
    if (d->net->lost) return -ENETDOWN;
    if (!(op->flags & OP_TO)) return d->connected ? 0 : -EDESTADDRREQ;
    int r = address_take(&to, (const struct sockaddr *)&op->sga.sga_addr, op->sga.sga_addrlen);
    return r ? r : to.port == 0 ? -EINVAL : 0;
}

static int datagram_push(struct queue *q, struct op *op) {
    struct datagram *d = to_datagram(q);
    int r = push_refused(d, op);
    if (!r) r = copy_foreign(q, op);
    if (r) return r;
    uint64_t now = clock_now_ns();
    r = list_empty(&d->pushes) ? send_datagram(d, op, now) : -EAGAIN;
    if (r == -EAGAIN) {
        net_count(d->net, push_waits);
        if (list_empty(&d->pushes)) list_push_back(&d->net->blocked, &d->blocked);
        list_push_back(&d->pushes, &op->link);
    } else {
        op_complete(q->rt, op, r);
    }
    net_settle(d->net, now);
    return 0;
}

static void datagram_free(struct datagram *d) {
    struct dmtr_runtime *rt = d->q.rt;
    udp_close(d->udp);
    list_remove(&d->link);
    list_remove(&d->blocked);
    if (d->closed) rt->lingering--;
    sys_free(d);
}

/* Called when no push waits any more; the last one ended with `error`. */
static void pushes_ended(struct datagram *d, int error) {
    list_remove(&d->blocked);
    if (!d->closed) return;
    if (d->close_op) op_complete(d->q.rt, d->close_op, error);
    datagram_free(d);
}

/* False: the transmit queue has no room again. */
static bool send_waiting(struct datagram *d, uint64_t now) {
    int r = 0;
    for (struct op *op; (op = op_first(&d->pushes));) {
        r = send_datagram(d, op, now);
        if (r == -EAGAIN) return false;
        list_remove(&op->link);
        op_complete(d->q.rt, op, r);
    }
    pushes_ended(d, r);
    return true;
}

/* Sockets take turns: one that finds no room goes to the end of the list. */
void datagram_unblock(struct net *net, uint64_t now) {
    for (struct list *l; (l = list_pop_front(&net->blocked));) {
        struct datagram *d = list_entry(l, struct datagram, blocked);
        if (send_waiting(d, now)) continue;
        list_push_back(&net->blocked, &d->blocked);
        break;
    }
    transmit_flush(net, now);
}

static void end_pushes(struct datagram *d, int error) {
    if (list_empty(&d->pushes)) return;
    ops_complete(d->q.rt, &d->pushes, error);
    pushes_ended(d, error);
}

void datagram_lost(struct net *net) {
    struct list *l, *tmp;
    list_for_each (&net->sockets, l, tmp) {
        struct datagram *d = list_entry(l, struct datagram, link);
        serve_pops(d);
        ops_complete(d->q.rt, &d->pops, -ENETDOWN);
        end_pushes(d, -ENETDOWN);
    }
}

void datagram_fini(struct net *net) {
    for (struct list *l; (l = list_first(&net->sockets));)
        end_pushes(list_entry(l, struct datagram, link), -ETIMEDOUT);
}

static bool datagram_cancel(struct queue *q, struct op *op) {
    (void)q;
    list_remove(&op->link);
    return true;
}

static void datagram_close(struct queue *q, struct op *op) {
    struct datagram *d = to_datagram(q);
    d->closed = true;
    d->close_op = op;
    q->rt->lingering++;
    ops_complete(q->rt, &d->pops, -ECANCELED);
    if (list_empty(&d->pushes)) pushes_ended(d, 0);
}

static int datagram_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len) {
    struct datagram *d = to_datagram(q);
    struct inet_endpoint remote;
    bool undo = addr->sa_family == AF_UNSPEC;
    int r = undo ? 0 : address_take(&remote, addr, len);
    if (undo)
        udp_disconnect(d->udp);
    else if (!r)
        r = udp_connect(d->udp, &remote);
    if (!r) d->connected = !undo;
    op_complete(q->rt, op, r);
    return 0;
}

static int datagram_bind(struct queue *q, const struct sockaddr *addr, socklen_t len) {
    struct inet_endpoint local;
    int r = address_take(&local, addr, len);
    return r ? r : udp_bind(to_datagram(q)->udp, &local);
}

static int datagram_shutdown(struct queue *q, int how) {
    struct datagram *d = to_datagram(q);
    if (!d->connected) return -ENOTCONN;
    d->shut_read |= how != SHUT_WR;
    d->shut_write |= how != SHUT_RD;
    serve_pops(d);
    return 0;
}

static int datagram_getsockname(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    struct inet_endpoint local = udp_local(to_datagram(q)->udp);
    address_give(&local, addr, len);
    return 0;
}

static int datagram_getpeername(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    struct datagram *d = to_datagram(q);
    struct inet_endpoint remote = udp_remote(d->udp);
    if (!d->connected) return -ENOTCONN;
    address_give(&remote, addr, len);
    return 0;
}

static int get_receive_limit(const struct datagram *d) {
    return d->receive_limit;
}

static int set_receive_limit(struct datagram *d, int value) {
    if (value <= 0) return -EINVAL;
    d->receive_limit = value;
    udp_set_receive_limit(d->udp, (uint32_t)value);
    return 0;
}

static int get_tos(const struct datagram *d) {
    return udp_tos(d->udp);
}

static int set_tos(struct datagram *d, int value) {
    if (value < 0 || value > UINT8_MAX) return -EINVAL;
    udp_set_tos(d->udp, (uint8_t)value);
    return 0;
}

static int get_ttl(const struct datagram *d) {
    return udp_ttl(d->udp);
}

static int set_ttl(struct datagram *d, int value) {
    if (value < 1 || value > UINT8_MAX) return -EINVAL;
    udp_set_ttl(d->udp, (uint8_t)value);
    return 0;
}

/* The value has no effect: one runtime binds an address once, and any number of runtimes may bind it. */
static int keep(struct datagram *d, int value) {
    (void)d;
    (void)value;
    return 0;
}

/* All values are int. get NULL: the option reads as `value`. set NULL: the option cannot be changed. */
static const struct option {
    int level, name, value;
    int (*get)(const struct datagram *d);
    int (*set)(struct datagram *d, int value);
} options[] = {
    {SOL_SOCKET, SO_RCVBUF, 0, get_receive_limit, set_receive_limit},
    {IPPROTO_IP, IP_TOS, 0, get_tos, set_tos},
    {IPPROTO_IP, IP_TTL, 0, get_ttl, set_ttl},
    {SOL_SOCKET, SO_REUSEADDR, 1, NULL, keep},
    {SOL_SOCKET, SO_REUSEPORT, 1, NULL, keep},
    {SOL_SOCKET, SO_TYPE, SOCK_DGRAM, NULL, NULL},
    {SOL_SOCKET, SO_DOMAIN, AF_INET, NULL, NULL},
    {SOL_SOCKET, SO_PROTOCOL, IPPROTO_UDP, NULL, NULL},
    {SOL_SOCKET, SO_ACCEPTCONN, 0, NULL, NULL},
};

static const struct option *option_find(int level, int name) {
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].level == level && options[i].name == name) return &options[i];
    return NULL;
}

static int datagram_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len) {
    const struct option *o = option_find(level, name);
    int number;
    if (!o || !o->set) return -ENOPROTOOPT;
    if (len < sizeof number) return -EINVAL;
    memcpy(&number, value, sizeof number);
    return o->set(to_datagram(q), number);
}

static int datagram_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len) {
    const struct option *o = option_find(level, name);
    if (!o) return -ENOPROTOOPT;
    int number = o->get ? o->get(to_datagram(q)) : o->value;
    if (*len > sizeof number) *len = sizeof number;
    memcpy(value, &number, *len);
    return 0;
}

static const struct queue_ops ops = {
    .backend = "inet/udp",
    .socket = true,
    .push = datagram_push,
    .pop = datagram_pop,
    .connect = datagram_connect,
    .cancel = datagram_cancel,
    .close = datagram_close,
    .bind = datagram_bind,
    .shutdown = datagram_shutdown,
    .getsockname = datagram_getsockname,
    .getpeername = datagram_getpeername,
    .setsockopt = datagram_setsockopt,
    .getsockopt = datagram_getsockopt,
};

int datagram_new(struct net *net, struct queue **q_out) {
    struct datagram *d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    int r = udp_open(net->stack, &d->udp, d);
    if (r) {
        sys_free(d);
        return r;
    }
    queue_init(&d->q, net->rt, &ops);
    d->q.message_limit_bytes = UDP_PAYLOAD_MAX;
    d->net = net;
    set_receive_limit(d, RECEIVE_LIMIT);
    list_init(&d->blocked);
    list_init(&d->pushes);
    list_init(&d->pops);
    list_push_back(&net->sockets, &d->link);
    *q_out = &d->q;
    return 0;
}
