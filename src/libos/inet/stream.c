/* SPDX-License-Identifier: MIT */
/* TCP sockets: creation, names, options, and events of the stack. */
#include "libos/inet/stream.h"

#include "base/sys.h"
#include "libos/inet/linux_info.h"

#define CONGESTION_NAME_BYTES 16 /* Linux's TCP_CA_NAME_MAX */

void stream_ready(void *socket, uint32_t events, uint64_t now) {
    struct stream *s = socket;
    if (s->state == STREAM_LISTENING) {
        stream_serve_accepts(s);
        return;
    }
    if (s->state == STREAM_CONNECTING) {
        if (!(events & (INET_EVENT_CONNECTED | INET_EVENT_CLOSED))) return;
        stream_connected(s, now);
    }
    if (s->state != STREAM_CONNECTED) return;
    stream_send(s, now);
    if (s->closed)
        stream_linger(s, now);
    else
        stream_serve_pops(s, now);
}

void stream_lost(struct net *net, uint64_t now) {
    struct list *l, *tmp;
    list_for_each (&net->streams, l, tmp) {
        struct stream *s = list_entry(l, struct stream, link);
        ops_complete(s->q.rt, &s->waiters, -ENETDOWN);
        if (!list_empty(&s->pushes)) s->send_error = -ENETDOWN;
        stream_end_pushes(s, -ENETDOWN);
        if (s->connect_op) stream_connect_failed(s, -ENETDOWN, now);
        if (s->closed && s->state == STREAM_CONNECTED) stream_linger(s, now);
    }
    handover_lost(net);
}

void stream_fini(struct net *net) {
    for (struct list *l; (l = list_first(&net->streams));)
        stream_give_up(list_entry(l, struct stream, link), -ETIMEDOUT, clock_now_ns());
}

void stream_free(struct stream *s) {
    list_remove(&s->link);
    list_remove(&s->bound);
    sys_free(s);
}

/* A connect cannot be cancelled; pops and accepts can, because data and connections stay in the stack. */
static bool stream_cancel(struct queue *q, struct op *op) {
    if (op == to_stream(q)->connect_op) return false;
    list_remove(&op->link);
    return true;
}

static int stream_shutdown(struct queue *q, int how) {
    struct stream *s = to_stream(q);
    uint64_t now = clock_now_ns();
    if (s->state != STREAM_CONNECTED) return -ENOTCONN;
    s->shut_read |= how != SHUT_WR;
    s->shut_write |= how != SHUT_RD;
    stream_send(s, now);
    stream_serve_pops(s, now);
    net_settle(s->net, now);
    return 0;
}

static int stream_getsockname(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    struct stream *s = to_stream(q);
    struct inet_endpoint local = s->conn ? tcp_local(s->conn) : s->local;
    address_give(&local, addr, len);
    return 0;
}

static int stream_getpeername(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    struct stream *s = to_stream(q);
    if (s->state != STREAM_CONNECTED) return -ENOTCONN;
    struct inet_endpoint remote = tcp_remote(s->conn);
    address_give(&remote, addr, len);
    return 0;
}

static int set_linger(struct stream *s, const void *value, socklen_t len) {
    struct linger l;
    if (len < sizeof l) return -EINVAL;
    memcpy(&l, value, sizeof l);
    if (l.l_onoff && l.l_linger < 0) return -EINVAL;
    s->linger_s = l.l_onoff ? l.l_linger : -1;
    return 0;
}

static int set_number(struct stream *s, enum tcp_option option, uint32_t value) {
    uint64_t now = clock_now_ns();
    int r = tcp_option_check(option, value);
    if (r) return r;
    s->settings.values[option] = value;
    if (s->listener) tcp_listener_configure(s->listener, &s->settings);
    if (!s->conn) return 0;
    r = tcp_set_option(s->conn, option, value, now);
    net_settle(s->net, now);
    return r;
}

static int set_congestion(struct stream *s, const void *value, socklen_t len) {
    char name[CONGESTION_NAME_BYTES] = "";
    memcpy(name, value, len < sizeof name ? len : sizeof name - 1);
    int number = tcp_congestion_find(name);
    return number < 0 ? number : set_number(s, TCP_OPTION_CONGESTION, (uint32_t)number);
}

static int stream_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len) {
    struct stream *s = to_stream(q);
    int number;
    if (level == SOL_SOCKET && name == SO_LINGER) return set_linger(s, value, len);
    if (stream_option_named(level, name) == STREAM_NAMED_CONGESTION) return set_congestion(s, value, len);
    if (level == SOL_SOCKET && (name == SO_REUSEADDR || name == SO_REUSEPORT)) return len < sizeof number ? -EINVAL : 0;
    bool whole = len >= sizeof number;
    memcpy(&number, value, whole ? sizeof number : 0);
    int option = stream_option_find(level, name, &number);
    if (option < 0) return -ENOPROTOOPT;
    return whole && number >= 0 ? set_number(s, (enum tcp_option)option, (uint32_t)number) : -EINVAL;
}

static int give(const void *from, size_t size, void *value, socklen_t *len) {
    if (*len > size) *len = (socklen_t)size;
    memcpy(value, from, *len);
    return 0;
}

static uint32_t option_value(const struct stream *s, enum tcp_option option) {
    uint32_t value = s->settings.values[option];
    struct tcp_status status;
    if (s->conn) tcp_get_option(s->conn, option, &value);
    if (s->conn && option == TCP_OPTION_MAXSEG) {
        tcp_get_status(s->conn, &status);
        value = status.mss;
    }
    return value;
}

static int get_named(const struct stream *s, enum stream_named named, void *value, socklen_t *len) {
    struct tcp_status status;
    if (named == STREAM_NAMED_CONGESTION) {
        char name[CONGESTION_NAME_BYTES] = "";
        strncpy(name, tcp_congestion_name(option_value(s, TCP_OPTION_CONGESTION)), sizeof name - 1);
        return give(name, sizeof name, value, len);
    }
    if (!s->conn) return -ENOTCONN;
    tcp_get_status(s->conn, &status);
    *len = (socklen_t)linux_tcp_info(&status, clock_now_ns(), value, *len);
    return 0;
}

static int stream_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len) {
    struct stream *s = to_stream(q);
    const struct linger l = {.l_onoff = s->linger_s >= 0, .l_linger = s->linger_s >= 0 ? s->linger_s : 0};
    const struct {
        int name, value;
    } fixed[] = {{SO_TYPE, SOCK_STREAM},
                 {SO_DOMAIN, AF_INET},
                 {SO_PROTOCOL, IPPROTO_TCP},
                 {SO_REUSEADDR, 1},
                 {SO_REUSEPORT, 1},
                 {SO_ERROR, s->conn ? -tcp_error(s->conn) : 0},
                 {SO_ACCEPTCONN, s->state == STREAM_LISTENING}};
    int number = 0, option = stream_option_find(level, name, &number);
    enum stream_named named = stream_option_named(level, name);
    if (named) return get_named(s, named, value, len);
    if (level == SOL_SOCKET && name == SO_LINGER) return give(&l, sizeof l, value, len);
    for (size_t i = 0; level == SOL_SOCKET && i < sizeof fixed / sizeof *fixed; i++)
        if (fixed[i].name == name) return give(&fixed[i].value, sizeof fixed[i].value, value, len);
    if (option < 0) return -ENOPROTOOPT;
    number = (int)option_value(s, (enum tcp_option)option);
    return give(&number, sizeof number, value, len);
}

static const struct queue_ops ops = {
    .backend = "inet/tcp",
    .socket = true,
    .stream = true,
    .push = stream_push,
    .pop = stream_pop,
    .accept = stream_accept,
    .connect = stream_connect,
    .cancel = stream_cancel,
    .close = stream_close,
    .transfer = stream_transfer,
    .bind = stream_bind,
    .listen = stream_listen,
    .shutdown = stream_shutdown,
    .getsockname = stream_getsockname,
    .getpeername = stream_getpeername,
    .setsockopt = stream_setsockopt,
    .getsockopt = stream_getsockopt,
};

int stream_make(struct net *net, struct stream **out) {
    struct stream *s = sys_calloc(1, sizeof *s);
    if (!s) return -ENOMEM;
    queue_init(&s->q, net->rt, &ops);
    s->net = net;
    s->linger_s = -1;
    s->settings = tcp_settings_default;
    list_init(&s->arrived);
    list_init(&s->bound);
    list_init(&s->waiters);
    list_init(&s->pushes);
    list_init(&s->sent);
    timer_init(&s->timer.timer);
    list_push_back(&net->streams, &s->link);
    *out = s;
    return 0;
}

int stream_new(struct net *net, struct queue **q_out) {
    struct stream *s;
    int r = stream_make(net, &s);
    if (!r) *q_out = &s->q;
    return r;
}
