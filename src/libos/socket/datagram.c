/* SPDX-License-Identifier: MIT */
/* Datagram sockets: creation, names, options. */
#include "libos/socket/datagram.h"
#include "libos/socket/option.h"

#include <limits.h>

#define RECEIVE_LIMIT 212992 /* default limit on the memory of received datagrams, in bytes; as in Linux */

void datagram_init(struct datagram *d, struct dmtr_runtime *rt, struct socket_set *set, const struct queue_ops *ops,
                   const struct datagram_transport *transport, int ttl) {
    queue_init(&d->q, rt, ops);
    d->q.message_limit_bytes = DATAGRAM_BYTES_MAX;
    d->transport = transport;
    d->set = set;
    d->receive_limit = RECEIVE_LIMIT;
    d->ttl = ttl;
    list_init(&d->blocked);
    list_init(&d->pushes);
    list_init(&d->pops);
    list_push_back(&set->datagrams, &d->link);
}

int datagram_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len) {
    struct datagram *d = datagram_of_queue(q);
    struct inet_endpoint remote;
    bool undo = addr->sa_family == AF_UNSPEC;
    int r = undo ? 0 : address_take(&remote, addr, len);
    if (undo)
        d->transport->disconnect(d);
    else if (!r)
        r = d->transport->connect(d, &remote);
    if (!r) d->connected = !undo;
    op_complete(q->rt, op, r);
    return 0;
}

int datagram_bind(struct queue *q, const struct sockaddr *addr, socklen_t len) {
    struct datagram *d = datagram_of_queue(q);
    struct inet_endpoint local;
    int r = address_take(&local, addr, len);
    return r ? r : d->transport->bind(d, &local);
}

int datagram_getsockname(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    struct datagram *d = datagram_of_queue(q);
    struct inet_endpoint local = d->transport->local(d);
    address_give(&local, addr, len);
    return 0;
}

int datagram_getpeername(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    struct datagram *d = datagram_of_queue(q);
    if (!d->connected) return -ENOTCONN;
    struct inet_endpoint remote = d->transport->remote(d);
    address_give(&remote, addr, len);
    return 0;
}

/* The options that a datagram socket stores, all of them int. */
static const struct setting {
    int level, name;
    size_t offset; /* of the value in struct datagram */
    int least, most;
} settings[] = {
    {SOL_SOCKET, SO_RCVBUF, offsetof(struct datagram, receive_limit), 1, INT_MAX},
    {IPPROTO_IP, IP_TOS, offsetof(struct datagram, tos), 0, UINT8_MAX},
    {IPPROTO_IP, IP_TTL, offsetof(struct datagram, ttl), 1, UINT8_MAX},
};

static const struct setting *setting_find(int level, int name) {
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (settings[i].level == level && settings[i].name == name) return &settings[i];
    return NULL;
}

static int *value_of(struct datagram *d, const struct setting *s) {
    return (int *)(void *)((char *)d + s->offset);
}

int datagram_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len) {
    struct datagram *d = datagram_of_queue(q);
    const struct setting *s = setting_find(level, name);
    int number, r = option_take(value, len, &number);
    if (option_is_ignored(level, name)) return r;
    if (!s) return -ENOPROTOOPT;
    if (r || number < s->least || number > s->most) return -EINVAL;
    *value_of(d, s) = number;
    d->transport->configure(d);
    return 0;
}

int datagram_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len) {
    struct datagram *d = datagram_of_queue(q);
    const struct setting *s = setting_find(level, name);
    int number = 0, r = 0;
    if (s)
        number = *value_of(d, s);
    else if (level != SOL_SOCKET || name != SO_ACCEPTCONN)
        r = option_fixed(level, name, SOCK_DGRAM, &number);
    return r ? r : option_give(&number, sizeof number, value, len);
}
