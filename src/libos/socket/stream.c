/* SPDX-License-Identifier: MIT */
/* Stream sockets: creation, names, options, and events of the stack. */
#include "libos/socket/stream.h"

#include "libos/address.h"
#include "libos/socket/linger.h"
#include "libos/socket/option.h"

void stream_init(struct stream *s, struct dmtr_runtime *rt, struct socket_set *set, const struct queue_ops *ops,
                 const struct stream_transport *transport) {
    queue_init(&s->q, rt, ops);
    s->set = set;
    s->transport = transport;
    s->linger_s = LINGER_OFF;
    list_init(&s->link);
    list_init(&s->bound);
    list_init(&s->waiters);
    list_init(&s->pushes);
    list_init(&s->sent);
    timer_init(&s->timer.timer);
}

void stream_ready(struct stream *s, uint64_t now) {
    if (unlikely(s->state != STREAM_CONNECTED)) {
        if (s->state == STREAM_LISTENING) stream_serve_accepts(s);
        return;
    }
    stream_send(s, now);
    if (s->closed)
        stream_linger(s, now);
    else
        stream_serve_pops(s, now);
}

/* A connect cannot be cancelled; pops and accepts can, because data and connections stay in the stack. */
bool stream_cancel(struct queue *q, struct op *op) {
    if (op == stream_of_queue(q)->connect_op) return false;
    list_remove(&op->link);
    return true;
}

int stream_getsockname(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    struct stream *s = stream_of_queue(q);
    struct inet_endpoint local = s->transport->local(s);
    address_give(&local, addr, len);
    return 0;
}

int stream_getpeername(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    struct stream *s = stream_of_queue(q);
    if (s->state != STREAM_CONNECTED) return -ENOTCONN;
    struct inet_endpoint remote = s->transport->remote(s);
    address_give(&remote, addr, len);
    return 0;
}

int stream_set_option(struct stream *s, enum tcp_option option, uint32_t value) {
    uint64_t now = socket_set_begin(s->set);
    int r = s->transport->set_option(s, option, value, now);
    s->set->settle(s->set, now);
    return r;
}

int stream_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len) {
    struct stream *s = stream_of_queue(q);
    int number;
    if (level == SOL_SOCKET && name == SO_LINGER) return linger_parse(&s->linger_s, value, len);
    int r = option_take(value, len, &number);
    if (option_is_ignored(level, name)) return r;
    int option = stream_option_find(level, name, &number);
    if (option < 0) return -ENOPROTOOPT;
    if (r || number < 0) return -EINVAL;
    return stream_set_option(s, (enum tcp_option)option, (uint32_t)number);
}

int stream_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len) {
    struct stream *s = stream_of_queue(q);
    const struct linger l = linger_format(s->linger_s);
    int number = 0, option = stream_option_find(level, name, &number), r = 0;
    uint32_t set;
    if (level == SOL_SOCKET && name == SO_LINGER) return option_give(&l, sizeof l, value, len);
    if (level == SOL_SOCKET && name == SO_ERROR) {
        number = s->state == STREAM_CONNECTED ? -s->transport->error(s) : 0;
    } else if (level == SOL_SOCKET && name == SO_ACCEPTCONN) {
        number = s->state == STREAM_LISTENING;
    } else if (option < 0) {
        r = option_fixed(level, name, SOCK_STREAM, &number);
    } else {
        r = s->transport->get_option(s, (enum tcp_option)option, &set);
        if (!r) number = (int)set;
    }
    return r ? r : option_give(&number, sizeof number, value, len);
}
