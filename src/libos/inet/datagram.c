/* SPDX-License-Identifier: MIT */
/* UDP sockets over the library's own stack: the calls of the stack. */
#include "libos/socket/datagram.h"

#include "base/sys.h"
#include "inet/udp/udp.h"
#include "libos/inet/net.h"

/* For the stack, `user` is its `datagram`. */
struct net_datagram {
    struct datagram datagram;
    struct net *net;
    struct udp_socket *udp;
};

static struct net_datagram *net_datagram_of(const struct datagram *d) {
    return list_entry(d, struct net_datagram, datagram);
}

static int stack_send(struct datagram *d, const struct op *op, const struct inet_endpoint *to, uint64_t now) {
    struct net_datagram *nd = net_datagram_of(d);
    struct inet_segment segments[DMTR_SGARRAY_MAXSIZE];
    if (!transmit_has_room(nd->net, op->bytes)) return -EAGAIN;
    for (uint32_t i = 0; i < op->numsegs; i++)
        segments[i] = (struct inet_segment){op->segs[i].sgaseg_buf, op->segs[i].sgaseg_len};
    const struct transmit_queue *tx = &nd->net->tx;
    uint32_t before = tx->count;
    int r = udp_send(nd->udp, segments, op->numsegs, to, now);
    d->set->queued_frames = tx->count > before ? tx->first + tx->count : tx->first;
    return r;
}

static void stack_waits(struct datagram *d) {
    net_count(net_datagram_of(d)->net, push_waits);
}

static int stack_receive(struct datagram *d, struct op *op) {
    struct net_datagram *nd = net_datagram_of(d);
    struct udp_datagram got;
    int r = udp_receive(nd->udp, &got);
    if (r) return r;
    if (datagram_set_popped(op, got.payload.base, got.payload.len, &got.from)) net_count(nd->net, datagrams_truncated);
    return 0;
}

static int stack_bind(struct datagram *d, const struct inet_endpoint *local) {
    return udp_bind(net_datagram_of(d)->udp, local);
}

static int stack_connect(struct datagram *d, const struct inet_endpoint *remote) {
    return udp_connect(net_datagram_of(d)->udp, remote);
}

static void stack_disconnect(struct datagram *d) {
    udp_disconnect(net_datagram_of(d)->udp);
}

static struct inet_endpoint stack_local(const struct datagram *d) {
    return udp_local(net_datagram_of(d)->udp);
}

static struct inet_endpoint stack_remote(const struct datagram *d) {
    return udp_remote(net_datagram_of(d)->udp);
}

static void stack_configure(struct datagram *d) {
    struct udp_socket *udp = net_datagram_of(d)->udp;
    udp_set_receive_limit(udp, (uint32_t)d->receive_limit);
    udp_set_tos(udp, (uint8_t)d->tos);
    udp_set_ttl(udp, (uint8_t)d->ttl);
}

static void stack_free(struct datagram *d) {
    udp_close(net_datagram_of(d)->udp);
    sys_free(net_datagram_of(d));
}

static const struct datagram_transport transport = {
    .send = stack_send,
    .waits = stack_waits,
    .receive = stack_receive,
    .bind = stack_bind,
    .connect = stack_connect,
    .disconnect = stack_disconnect,
    .local = stack_local,
    .remote = stack_remote,
    .configure = stack_configure,
    .free = stack_free,
};

static const struct queue_ops ops = {.backend = "inet/udp", DATAGRAM_OPS};

int net_datagram_new(struct net *net, struct queue **q_out) {
    struct net_datagram *nd = sys_calloc(1, sizeof *nd);
    if (!nd) return -ENOMEM;
    int r = udp_open(net->stack, &nd->udp, &nd->datagram);
    if (r) {
        sys_free(nd);
        return r;
    }
    nd->net = net;
    datagram_init(&nd->datagram, net->rt, &net->sockets, &ops, &transport, udp_ttl(nd->udp));
    stack_configure(&nd->datagram);
    *q_out = &nd->datagram.q;
    return 0;
}
