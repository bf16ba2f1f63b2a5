/* TCP sockets: made, named, configured; what the stack tells of them. */
#include "libos/inet/stream.h"

#include "base/sys.h"

static const enum tcp_option tcp_options[STREAM_SETTINGS] = {
    [STREAM_NODELAY] = TCP_OPTION_NODELAY,       [STREAM_KEEPALIVE] = TCP_OPTION_KEEPALIVE,
    [STREAM_KEEP_IDLE] = TCP_OPTION_KEEP_IDLE_S, [STREAM_KEEP_INTERVAL] = TCP_OPTION_KEEP_INTERVAL_S,
    [STREAM_KEEP_COUNT] = TCP_OPTION_KEEP_COUNT, [STREAM_USER_TIMEOUT] = TCP_OPTION_USER_TIMEOUT_MS,
    [STREAM_SEND_LIMIT] = TCP_OPTION_SEND_LIMIT, [STREAM_RECEIVE_LIMIT] = TCP_OPTION_RECEIVE_LIMIT,
};

void stream_apply(struct stream *s) {
    for (int i = 0; i < STREAM_SETTINGS; i++)
        if (s->values[i] != stream_option_default(i)) tcp_set_option(s->conn, tcp_options[i], (uint32_t)s->values[i]);
}

void stream_end_ops(struct stream *s, struct list *ops, int error) {
    for (struct list *l; (l = list_pop_front(ops));)
        op_complete(s->q.rt, list_entry(l, struct op, link), error);
}

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

void stream_lost(struct net *net) {
    struct list *l, *tmp;
    list_for_each (&net->streams, l, tmp) {
        struct stream *s = list_entry(l, struct stream, link);
        stream_end_ops(s, &s->waiters, -ENETDOWN);
        stream_end_pushes(s, -ENETDOWN);
    }
}

void stream_fini(struct net *net) {
    for (struct list *l; (l = list_first(&net->streams));)
        stream_finish(list_entry(l, struct stream, link), -ETIMEDOUT, clock_now_ns());
}

void stream_free(struct stream *s) {
    list_remove(&s->link);
    sys_free(s);
}

/* A connect cannot be taken back; pops and accepts can, because data and connections stay in the stack. */
static bool stream_cancel(struct queue *q, struct op *op) {
    if (op == to_stream(q)->connect_op) return false;
    list_remove(&op->link);
    return true;
}

static int stream_bind(struct queue *q, const struct sockaddr *addr, socklen_t len) {
    struct stream *s = to_stream(q);
    if (s->bound || s->state != STREAM_NEW) return -EINVAL;
    int r = address_take(&s->local, addr, len);
    if (!r) s->bound = true;
    return r;
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

static int stream_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len) {
    struct stream *s = to_stream(q);
    int number, setting = stream_option_find(level, name);
    if (level == SOL_SOCKET && name == SO_LINGER) return set_linger(s, value, len);
    if (setting < 0) return -ENOPROTOOPT;
    if (len < sizeof number) return -EINVAL;
    memcpy(&number, value, sizeof number);
    int r = stream_option_check(setting, &number);
    if (!r && s->conn) r = tcp_set_option(s->conn, tcp_options[setting], (uint32_t)number);
    if (!r) s->values[setting] = number;
    return r;
}

static int stream_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len) {
    struct stream *s = to_stream(q);
    const struct linger l = {.l_onoff = s->linger_s >= 0, .l_linger = s->linger_s >= 0 ? s->linger_s : 0};
    const struct {
        int name, value;
    } fixed[] = {{SO_TYPE, SOCK_STREAM},
                 {SO_DOMAIN, AF_INET},
                 {SO_PROTOCOL, IPPROTO_TCP},
                 {SO_ACCEPTCONN, s->state == STREAM_LISTENING}};
    int setting = stream_option_find(level, name);
    const void *from = setting >= 0 ? &s->values[setting] : NULL;
    size_t size = sizeof(int);
    for (size_t i = 0; level == SOL_SOCKET && i < sizeof fixed / sizeof *fixed; i++)
        if (fixed[i].name == name) from = &fixed[i].value;
    if (level == SOL_SOCKET && name == SO_LINGER) {
        from = &l;
        size = sizeof l;
    }
    if (!from) return -ENOPROTOOPT;
    if (*len > size) *len = (socklen_t)size;
    memcpy(value, from, *len);
    return 0;
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
    for (int i = 0; i < STREAM_SETTINGS; i++)
        s->values[i] = stream_option_default(i);
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
