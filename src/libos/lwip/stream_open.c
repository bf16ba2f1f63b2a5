/* SPDX-License-Identifier: MIT */
/* TCP sockets over lwIP: bind, listen, accept, connect, and lwIP's callbacks. */
#include "libos/lwip/stream.h"

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
    s->error = err == ERR_RST && s->stream.state == STREAM_CONNECTING ? -ECONNREFUSED : lw_error(err);
    lw_stream_add_event(s);
}

/* Directs lwIP's callbacks for this connection to the stream. */
static void attach(struct lw_stream *s, struct tcp_pcb *pcb) {
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
    if (s->stream.state == STREAM_LISTENING) return pcb;
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
    s->stream.state = STREAM_CONNECTED;
    s->local = endpoint_of(&pcb->local_ip, pcb->local_port);
    s->remote = endpoint_of(&pcb->remote_ip, pcb->remote_port);
    s->listener = listener;
    attach(s, pcb);
    tcp_backlog_delayed(pcb);
    list_push_back(&listener->accepted, &s->stream.link);
    listener->accepted_count++;
    lw_stream_add_event(listener);
    return ERR_OK;
}

static ip_addr_t bound_ip(const struct inet_endpoint *local) {
    return (ip_addr_t){inet_addr_is_any(&local->addr) ? 0 : inet_addr_to_ip4(&local->addr)};
}

int lw_can_bind(const struct stream *s, const struct inet_endpoint *local) {
    return lw_net_local(lw_stream_of(s)->net, local);
}

static int need_pcb(struct lw_stream *s) {
    if (s->pcb) return 0;
    struct tcp_pcb *pcb = tcp_new();
    if (!pcb) return -ENOBUFS;
    attach(s, pcb);
    return 0;
}

int lw_bind(struct stream *s, const struct inet_endpoint *local, bool chosen) {
    struct lw_stream *ls = lw_stream_of(s);
    ip_addr_t ip = bound_ip(local);
    int r = need_pcb(ls);
    if (r) return r;
    if (chosen) ip_set_option(ls->pcb, SOF_REUSEADDR);
    return lw_error(tcp_bind(ls->pcb, &ip, local->port));
}

/* Makes a connection that is bound as the stream is: lwIP has freed the previous one if a connect has failed. */
static int need_bound_pcb(struct lw_stream *s) {
    int r = need_pcb(s);
    bool forgotten = !r && s->stream.local.port && !s->pcb->local_port;
    return forgotten ? lw_bind(&s->stream, &s->stream.local, true) : r;
}

int lw_listen(struct stream *s, uint32_t backlog) {
    struct lw_stream *ls = lw_stream_of(s);
    err_t err;
    ls->backlog = backlog < BACKLOG_MAX ? backlog : BACKLOG_MAX;
    if (s->state == STREAM_LISTENING) {
        tcp_backlog_set(ls->pcb, (uint8_t)ls->backlog);
        return 0;
    }
    int r = need_bound_pcb(ls);
    if (r) return r;
    struct tcp_pcb *pcb = tcp_listen_with_backlog_and_err(ls->pcb, (uint8_t)ls->backlog, &err);
    if (!pcb) return lw_error(err);
    ls->pcb = pcb; /* lwIP has freed the old one */
    tcp_arg(pcb, ls);
    tcp_accept(pcb, on_accept);
    return 0;
}

int lw_accept(struct stream *s, struct stream **out) {
    struct lw_stream *ls = lw_stream_of(s);
    struct list *l = list_pop_front(&ls->accepted);
    if (!l) {
        int error = ls->error ? ls->error : -EAGAIN;
        ls->error = 0;
        return error;
    }
    struct lw_stream *fresh = lw_stream_of(list_entry(l, struct stream, link));
    ls->accepted_count--;
    fresh->listener = NULL;
    list_push_back(&ls->net->sockets.streams, &fresh->stream.link);
    if (fresh->pcb) tcp_backlog_accepted(fresh->pcb);
    memcpy(fresh->values, ls->values, sizeof fresh->values);
    lw_stream_apply(fresh);
    *out = &fresh->stream;
    return 0;
}

int lw_connect(struct stream *s, const struct inet_endpoint *remote, uint64_t now) {
    struct lw_stream *ls = lw_stream_of(s);
    ip_addr_t ip = {inet_addr_to_ip4(&remote->addr)};
    (void)now;
    int r = need_bound_pcb(ls);
    if (r) return r;
    lw_stream_apply(ls);
    r = lw_error(tcp_connect(ls->pcb, &ip, remote->port, on_connected));
    if (r) return r;
    ls->local = endpoint_of(&ls->pcb->local_ip, ls->pcb->local_port);
    ls->remote = *remote;
    return 0;
}

bool lw_stream_process_event(struct lw_net *net, uint64_t now) {
    struct list *l = list_pop_front(&net->pending);
    if (!l) return false;
    struct lw_stream *s = list_entry(l, struct lw_stream, pending);
    if (s->listener) return true; /* the accept looks at it */
    if (s->stream.state == STREAM_CONNECTING && (s->established || s->ended))
        stream_connected(&s->stream, s->established ? 0 : s->error, now);
    if (!s->pcb && !s->error) s->acked_bytes = s->stream.written_bytes; /* the connection ended in order */
    lw_stream_release_held(s, s->pcb ? s->acked_bytes : UINT64_MAX);
    stream_ready(&s->stream, now);
    return true;
}

void lw_stream_retry(struct lw_net *net) {
    struct list *l, *tmp;
    list_for_each (&net->sockets.streams, l, tmp) {
        struct lw_stream *s = lw_stream_of(list_entry(l, struct stream, link));
        if (s->pcb && s->stream.state != STREAM_LISTENING) tcp_output(s->pcb);
    }
}
