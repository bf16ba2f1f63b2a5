/* SPDX-License-Identifier: MIT */
/* Listeners: bounded half-open and waiting connections. */
#include "inet/tcp/listen.h"
#include "inet/wire/ip4.h"

#include "inet/ip/route.h"
#include "inet/tcp/cookies.h"

static struct inet_flow key_of(const struct inet_addr *addr, uint16_t port) {
    struct inet_flow key = {.local_port = port};
    if (addr && !inet_addr_is_any(addr)) key.local = *addr;
    return key;
}

struct tcp_listener *listener_find(const struct inet *s, const struct inet_addr *addr, uint16_t port) {
    if (hash_count(&s->tcp_listeners) == 0) return NULL;
    struct inet_flow key = key_of(addr, port);
    struct tcp_listener *l = hash_find(&s->tcp_listeners, &key);
    if (l || !addr) return l;
    key = key_of(NULL, port);
    return hash_find(&s->tcp_listeners, &key);
}

int tcp_can_listen(const struct inet *s, const struct inet_endpoint *local) {
    if (local->port == 0) return -EINVAL;
    bool any = inet_addr_is_any(&local->addr);
    if (!any && !(inet_addr_is_ip4(&local->addr) && route_is_own(s, inet_addr_to_ip4(&local->addr))))
        return -EADDRNOTAVAIL;
    struct inet_flow key = key_of(&local->addr, local->port);
    return hash_find(&s->tcp_listeners, &key) ? -EADDRINUSE : 0;
}

int tcp_listen(struct inet *s, struct tcp_listener **out, const struct inet_endpoint *local, uint32_t backlog,
               const struct tcp_settings *settings, void *user) {
    int error = tcp_can_listen(s, local);
    if (error) return error;
    struct tcp_listener *l = sys_calloc(1, sizeof *l);
    if (!l) return -ENOMEM;
    l->key = key_of(&local->addr, local->port);
    if ((error = hash_insert(&s->tcp_listeners, l))) {
        sys_free(l);
        return error;
    }
    inet_port_used(s, IP_TCP, local->port, true);
    if ((error = inet_endpoint_used(s, IP_TCP, local, true))) {
        inet_port_used(s, IP_TCP, local->port, false);
        hash_remove(&s->tcp_listeners, &l->key);
        sys_free(l);
        return error;
    }
    socket_init(&l->socket, INET_TCP_LISTENER, user);
    l->stack = s;
    l->local = *local;
    l->settings = settings ? *settings : tcp_settings_default;
    tcp_listener_set_backlog(l, backlog);
    list_init(&l->half_open);
    list_init(&l->waiting);
    *out = l;
    return 0;
}

void tcp_listener_set_backlog(struct tcp_listener *l, uint32_t backlog) {
    l->backlog = backlog == 0 ? 1 : backlog < TCP_HALF_OPEN_MAX ? backlog : TCP_HALF_OPEN_MAX;
}

void tcp_listener_configure(struct tcp_listener *l, const struct tcp_settings *settings) {
    l->settings = *settings;
}

void listener_free(struct tcp_listener *l) {
    hash_remove(&l->stack->tcp_listeners, &l->key);
    inet_endpoint_used(l->stack, IP_TCP, &l->local, false);
    inet_port_used(l->stack, IP_TCP, l->local.port, false);
    socket_forget(&l->socket);
    list_splice_back(&l->stack->tcp_dead, &l->waiting);
    sys_free(l);
}

/* Those that their peers have ended stay, and are freed with the listener. */
static void reset_all(struct list *conns) {
    struct list *node, *tmp;
    list_for_each (conns, node, tmp) {
        struct tcp_conn *c = list_entry(node, struct tcp_conn, link);
        if (c->state == TCP_STATE_CLOSED) continue;
        list_remove(&c->link);
        c->listener = NULL;
        tcp_send_reset(c);
        conn_end(c, -ECONNABORTED);
    }
}

void tcp_listener_close(struct tcp_listener *l, uint64_t now) {
    struct inet *s = l->stack;
    s->now = now;
    reset_all(&l->half_open);
    reset_all(&l->waiting);
    listener_free(l);
    conn_reap(s);
}

int tcp_accept(struct tcp_listener *l, struct tcp_conn **out, void *user) {
    struct list *node = list_pop_front(&l->waiting);
    if (!node) return -EAGAIN;
    struct tcp_conn *c = list_entry(node, struct tcp_conn, link);
    l->waiting_count--;
    c->listener = NULL;
    c->socket.user = user;
    c->orphan = false;
    if (c->receive.slices.count > 0 || c->receive.fin_received) socket_event(c->stack, &c->socket, INET_EVENT_READABLE);
    *out = c;
    return 0;
}

bool tcp_acceptable(const struct tcp_listener *l) {
    return l->waiting_count > 0;
}

bool listener_establish(struct tcp_conn *c) {
    struct tcp_listener *l = c->listener;
    if (l->waiting_count >= l->backlog) {
        inet_count(l->stack, tcp_accept_limit);
        return false;
    }
    list_remove(&c->link);
    l->half_open_count--;
    list_push_back(&l->waiting, &c->link);
    l->waiting_count++;
    socket_event(l->stack, &l->socket, INET_EVENT_ACCEPTABLE);
    return true;
}

/*
 * A connection of the listener's, half open; NULL: it cannot be made. Where a table is full the sender is refused. All
 * else passes, so the sender tries again: no memory, or a flow that another stack has just opened.
 */
static struct tcp_conn *half_open(struct tcp_listener *l, const struct rx_packet *p, const struct tcp_segment *g,
                                  const struct inet_flow *flow, const struct tcp_header *syn) {
    struct tcp_conn *c;
    int error = conn_new(l->stack, &c, flow, &l->settings, NULL);
    if (error == -ENOBUFS) tcp_reset_segment(l->stack, p, g);
    if (error && error != -EADDRINUSE) inet_count(l->stack, no_memory);
    if (error) return NULL;
    c->state = TCP_STATE_SYN_RECEIVED;
    c->orphan = true; /* until it is accepted */
    c->listener = l;
    list_push_back(&l->half_open, &c->link);
    l->half_open_count++;
    negotiate_options(c, syn);
    return c;
}

static void answer_with_cookie(struct tcp_listener *l, const struct tcp_segment *g, const struct inet_flow *flow) {
    struct inet *s = l->stack;
    const struct tcp_options *offered = &g->h.options;
    struct tcp_options options = {.mss = (uint16_t)(s->config.mtu - TCP_MSS_OVERHEAD)};
    uint32_t ts_offset;
    if (offered->has_timestamp) {
        conn_isn(s, flow, &ts_offset);
        options.has_timestamp = true;
        options.ts_value = cookie_stamp(stack_clock_ms(s) + ts_offset, offered);
        options.ts_echo = offered->ts_value;
        options.sack_permitted = offered->sack_permitted;
        options.has_window_shift = offered->has_window_shift;
        options.window_shift = receive_shift_for(l->settings.values[TCP_OPTION_RECEIVE_LIMIT]);
    }
    inet_count(s, tcp_cookies_out);
    cookies_sent(s);
    tcp_answer_syn(s, flow, g, cookie_make(s, flow, g->seq, offered->mss ? offered->mss : TCP_MSS_DEFAULT), &options);
}

static void syn_received(struct tcp_listener *l, const struct rx_packet *p, const struct tcp_segment *g,
                         const struct inet_flow *flow) {
    struct inet *s = l->stack;
    if (l->waiting_count >= l->backlog) {
        inet_count(s, tcp_syn_limit);
        return;
    }
    if (l->half_open_count >= l->backlog) {
        answer_with_cookie(l, g, flow);
        return;
    }
    struct tcp_conn *c = half_open(l, p, g, flow, &g->h);
    if (!c) return;
    tcp_send_syn(c);
    tcp_arm_send(c);
}

/* An ACK that may bring a cookie back: only while there are some about, so that at other times nobody can guess one. */
static struct tcp_conn *ack_received(struct tcp_listener *l, const struct rx_packet *p, const struct tcp_segment *g,
                                     const struct inet_flow *flow) {
    uint32_t irs = g->seq - 1, iss = g->h.ack - 1;
    uint16_t mss = cookies_may_come(l->stack) ? cookie_check(l->stack, flow, irs, iss) : 0;
    if (mss == 0) {
        tcp_reset_segment(l->stack, p, g);
        return NULL;
    }
    if (l->waiting_count >= l->backlog) { /* whoever has data to send will try again */
        inet_count(l->stack, tcp_accept_limit);
        return NULL;
    }
    struct tcp_header syn = {.seq = irs, .window = g->h.window, .options = {.mss = mss}};
    if (g->h.options.has_timestamp) {
        syn.options.has_timestamp = true;
        syn.options.ts_value = g->h.options.ts_value;
        cookie_options(g->h.options.ts_echo, &syn.options);
    }
    struct tcp_conn *c = half_open(l, p, g, flow, &syn);
    if (!c) return NULL;
    inet_count(l->stack, tcp_cookies_in);
    c->timers.tries = 1; /* nobody knows when the SYN was answered: no round trip to be measured */
    send_init(&c->send, iss);
    send_syn(&c->send);
    return c;
}

struct tcp_conn *listener_input(struct tcp_listener *l, const struct rx_packet *p, const struct tcp_segment *g) {
    struct inet_flow flow = {p->to, p->from, g->h.to_port, g->h.from_port};
    switch (g->h.flags & (TCP_RST | TCP_SYN | TCP_ACK)) {
    case TCP_ACK:
        return ack_received(l, p, g, &flow);
    case TCP_SYN | TCP_ACK:
        tcp_reset_segment(l->stack, p, g);
        return NULL;
    case TCP_SYN:
        syn_received(l, p, g, &flow);
        return NULL;
    default:
        inet_count(l->stack, tcp_unacceptable);
        return NULL;
    }
}
