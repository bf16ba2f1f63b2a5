/* SPDX-License-Identifier: MIT */
/* TCP sockets over lwIP: bind, listen, accept, connect, and lwIP's callbacks. */
#include "core/accept.h"
#include "libos/lwip/stream.h"

#include "base/clock.h"
#include "libos/lwip/host.h"

#include "lwip/tcp.h"

#define BACKLOG_MAX 255 /* lwIP's limit */
#define POLL_EVERY  1   /* in lwIP's half seconds: interval of retries after a lack of memory */

void lw_stream_add_event(struct lw_stream *s) {
    if (list_empty(&s->pending)) list_push_back(&s->net->pending, &s->pending);
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err) {
    struct lw_stream *s = arg;
    (void)pcb;
    (void)err;
    if (p)
        lw_stream_received(s, p);
    else
        s->ended = true;
    lw_stream_add_event(s);
    return ERR_OK;
}

static err_t on_acked(void *arg, struct tcp_pcb *pcb, uint16_t bytes) {
    struct lw_stream *s = arg;
    (void)pcb;
    s->acked_bytes += bytes;
    lw_stream_add_event(s);
    return ERR_OK;
}

static err_t on_poll(void *arg, struct tcp_pcb *pcb) {
    (void)pcb;
    lw_stream_add_event(arg);
    return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err) {
    struct lw_stream *s = arg;
    (void)pcb;
    (void)err;
    s->established = true;
    lw_stream_add_event(s);
    return ERR_OK;
}

/* The connection has ended, and lwIP has freed it. */
static void on_end(void *arg, err_t err) {
    struct lw_stream *s = arg;
    s->pcb = NULL;
    s->ended = true; /* a stream that waits to be accepted stays and reports the error later */
    s->error = err == ERR_RST && s->state == LW_CONNECTING ? -ECONNREFUSED : lw_error(err);
    lw_stream_add_event(s);
}

void lw_stream_attach(struct lw_stream *s, struct tcp_pcb *pcb) {
    s->pcb = pcb;
    tcp_arg(pcb, s);
    tcp_recv(pcb, on_received);
    tcp_sent(pcb, on_acked);
    tcp_err(pcb, on_end);
    tcp_poll(pcb, on_poll, POLL_EVERY);
}

struct tcp_pcb *lw_stream_detach(struct lw_stream *s) {
    struct tcp_pcb *pcb = s->pcb;
    s->pcb = NULL;
    if (!pcb) return NULL;
    tcp_arg(pcb, NULL);
    if (s->state == LW_LISTENING) return pcb;
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_poll(pcb, NULL, POLL_EVERY);
    return pcb;
}

static struct inet_endpoint endpoint_of(const ip_addr_t *ip, uint16_t port) {
    return (struct inet_endpoint){inet_addr_ip4(ip->addr), port};
}

/*
 * The connection counts against lwIP's backlog until it is accepted. on_accept itself bounds connections that have
 * ended before that, too.
 */
static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err) {
    struct lw_stream *listener = arg, *s;
    if (!pcb || err != ERR_OK) return ERR_VAL;
    bool room = listener && listener->accepted_count < listener->backlog;
    int r = room ? lw_stream_make(listener->net, &s) : -ECONNABORTED;
    if (r && room) {
        listener->error = r; /* for the next accept */
        lw_stream_add_event(listener);
    }
    if (r) {
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    s->state = LW_CONNECTED;
    s->local = endpoint_of(&pcb->local_ip, pcb->local_port);
    s->remote = endpoint_of(&pcb->remote_ip, pcb->remote_port);
    s->listener = listener;
    lw_stream_attach(s, pcb);
    tcp_backlog_delayed(pcb);
    list_push_back(&listener->accepted, &s->link);
    listener->accepted_count++;
    lw_stream_add_event(listener);
    return ERR_OK;
}

static int need_pcb(struct lw_stream *s) {
    if (s->pcb) return 0;
    struct tcp_pcb *pcb = tcp_new();
    if (!pcb) return -ENOBUFS;
    lw_stream_attach(s, pcb);
    return 0;
}

/*
 * Whether a stream has bound the address. An address can be bound once; lwIP does not check that if both have
 * SOF_REUSEADDR.
 */
static bool in_use(const struct lw_net *net, const struct inet_endpoint *local) {
    struct list *l, *tmp;
    list_for_each (&net->streams, l, tmp) {
        const struct lw_stream *other = list_entry(l, struct lw_stream, link);
        if (other->bound && !other->closed && other->local.port == local->port &&
            (inet_addr_is_any(&other->local.addr) || inet_addr_is_any(&local->addr) ||
             inet_addr_equal(&other->local.addr, &local->addr)))
            return true;
    }
    return false;
}

static int bind_to(struct lw_stream *s, const struct inet_endpoint *local) {
    ip_addr_t ip = {inet_addr_is_any(&local->addr) ? 0 : inet_addr_to_ip4(&local->addr)};
    if (local->port && in_use(s->net, local)) return -EADDRINUSE;
    int r = need_pcb(s);
    if (!r && local->port) ip_set_option(s->pcb, SOF_REUSEADDR);
    if (!r) r = lw_error(tcp_bind(s->pcb, &ip, local->port));
    if (r) return r;
    s->bound = true;
    s->local = endpoint_of(&s->pcb->local_ip, s->pcb->local_port);
    return 0;
}

int lw_stream_bind(struct queue *q, const struct sockaddr *addr, socklen_t len) {
    struct lw_stream *s = to_lw_stream(q);
    struct inet_endpoint local;
    if (s->bound || s->state != LW_NEW) return -EINVAL;
    int r = address_take(&local, addr, len);
    if (!r) r = lw_net_local(s->net, &local);
    return r ? r : bind_to(s, &local);
}

int lw_stream_listen(struct queue *q, int backlog) {
    struct lw_stream *s = to_lw_stream(q);
    err_t err;
    uint8_t bounded = (uint8_t)(backlog < 1 ? 1 : backlog > BACKLOG_MAX ? BACKLOG_MAX : backlog);
    if (s->state == LW_LISTENING) {
        tcp_backlog_set(s->pcb, bounded);
        s->backlog = bounded;
        return 0;
    }
    if (s->state != LW_NEW) return s->state == LW_CONNECTING ? -EINVAL : -EISCONN;
    if (s->net->lost) return -ENETDOWN;
    int r = s->bound ? 0 : bind_to(s, &(struct inet_endpoint){.port = 0});
    if (r) return r;
    struct tcp_pcb *pcb = tcp_listen_with_backlog_and_err(s->pcb, bounded, &err);
    if (!pcb) return lw_error(err);
    s->pcb = pcb; /* lwIP has freed the old one */
    s->backlog = bounded;
    s->state = LW_LISTENING;
    tcp_arg(pcb, s);
    tcp_accept(pcb, on_accept);
    return 0;
}

static void serve_accepts(struct lw_stream *s) {
    for (struct op *op; (op = op_first(&s->waiters));) {
        struct list *l = list_pop_front(&s->accepted);
        if (!l && !s->error) return;
        if (!l) {
            list_remove(&op->link);
            op_complete(s->q.rt, op, s->error);
            s->error = 0;
            continue;
        }
        struct lw_stream *fresh = list_entry(l, struct lw_stream, link);
        s->accepted_count--;
        fresh->listener = NULL;
        list_push_back(&s->net->streams, &fresh->link);
        if (fresh->pcb) tcp_backlog_accepted(fresh->pcb);
        memcpy(fresh->values, s->values, sizeof fresh->values);
        fresh->linger_s = s->linger_s;
        lw_stream_apply(fresh);
        list_remove(&op->link);
        struct sockaddr_in addr = address_make(&fresh->remote);
        queue_accepted(op, &fresh->q, (struct sockaddr *)&addr, sizeof addr);
    }
}

int lw_stream_accept(struct queue *q, struct op *op) {
    struct lw_stream *s = to_lw_stream(q);
    if (s->state != LW_LISTENING) return -EINVAL;
    if (s->net->lost) return -ENETDOWN;
    list_push_back(&s->waiters, &op->link);
    serve_accepts(s);
    return 0;
}

int lw_stream_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len) {
    static const int refused[] = {[LW_CONNECTING] = -EALREADY, [LW_CONNECTED] = -EISCONN, [LW_LISTENING] = -EOPNOTSUPP};
    struct lw_stream *s = to_lw_stream(q);
    struct inet_endpoint remote;
    if (s->state != LW_NEW) return refused[s->state];
    if (s->net->lost) return -ENETDOWN;
    int r = address_take(&remote, addr, len);
    if (!r && inet_addr_is_any(&remote.addr)) remote.addr = s->net->address;
    if (!r) r = address_of_peer(&remote);
    if (!r) r = need_pcb(s);
    if (!r) {
        ip_addr_t ip = {inet_addr_to_ip4(&remote.addr)};
        host_set_time(clock_now_ns());
        lw_stream_apply(s);
        r = lw_error(tcp_connect(s->pcb, &ip, remote.port, on_connected));
    }
    if (r) {
        op_complete(q->rt, op, r);
        return 0;
    }
    s->local = endpoint_of(&s->pcb->local_ip, s->pcb->local_port);
    s->remote = remote;
    s->state = LW_CONNECTING;
    s->connect_op = op;
    return 0;
}

static void connected(struct lw_stream *s) {
    struct op *op = s->connect_op;
    s->connect_op = NULL;
    s->state = s->established ? LW_CONNECTED : LW_NEW;
    op_complete(s->q.rt, op, s->established ? 0 : s->error);
    if (s->established) return;
    s->ended = s->bound = false; /* the application may try again */
    s->error = 0;
}

bool lw_stream_process_event(struct lw_net *net) {
    struct list *l = list_pop_front(&net->pending);
    if (!l) return false;
    struct lw_stream *s = list_entry(l, struct lw_stream, pending);
    if (s->state == LW_LISTENING) serve_accepts(s);
    if (s->connect_op && (s->established || s->ended)) connected(s);
    if (s->state != LW_CONNECTED || s->listener) return true;
    lw_stream_send(s);
    if (s->closed)
        lw_stream_linger(s);
    else
        lw_stream_serve_pops(s);
    return true;
}

void lw_stream_retry(struct lw_net *net) {
    struct list *l, *tmp;
    list_for_each (&net->streams, l, tmp) {
        struct lw_stream *s = list_entry(l, struct lw_stream, link);
        if (s->pcb && s->state != LW_LISTENING) tcp_output(s->pcb);
    }
}

void lw_stream_lost(struct lw_net *net) {
    struct list *l, *tmp;
    list_for_each (&net->streams, l, tmp) {
        struct lw_stream *s = list_entry(l, struct lw_stream, link);
        if (s->closed) {
            lw_stream_abort(s, -ENETDOWN);
            continue;
        }
        ops_complete(s->q.rt, &s->waiters, -ENETDOWN);
        s->push_failed |= !list_empty(&s->pushes);
        lw_stream_end_pushes(s, -ENETDOWN);
        if (s->connect_op) op_complete(s->q.rt, s->connect_op, -ENETDOWN);
        s->connect_op = NULL;
    }
}
