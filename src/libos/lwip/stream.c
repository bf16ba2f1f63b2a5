/* SPDX-License-Identifier: MIT */
/* TCP sockets over lwIP: creation, names, options. */
#include "libos/lwip/stream.h"

#include "base/sys.h"
#include "libos/stream_options.h"

#include "lwip/ip.h"
#include "lwip/tcp.h"

static void apply_nodelay(struct tcp_pcb *pcb, int value) {
    if (value)
        tcp_nagle_disable(pcb);
    else
        tcp_nagle_enable(pcb);
}

static void apply_keepalive(struct tcp_pcb *pcb, int value) {
    if (value)
        ip_set_option(pcb, SOF_KEEPALIVE);
    else
        ip_reset_option(pcb, SOF_KEEPALIVE);
}

static void apply_keep_idle(struct tcp_pcb *pcb, int value) {
    pcb->keep_idle = (uint32_t)value * 1000;
}

static void apply_keep_interval(struct tcp_pcb *pcb, int value) {
    pcb->keep_intvl = (uint32_t)value * 1000;
}

static void apply_keep_count(struct tcp_pcb *pcb, int value) {
    pcb->keep_cnt = (uint32_t)value;
}

static void apply_ttl(struct tcp_pcb *pcb, int value) {
    pcb->ttl = (uint8_t)value;
}

static void apply_tos(struct tcp_pcb *pcb, int value) {
    pcb->tos = (uint8_t)value;
}

static const struct setting {
    enum tcp_option option;
    int def, min, max;
    void (*apply)(struct tcp_pcb *pcb, int value);
} settings[LW_SETTINGS] = {
    {TCP_OPTION_NODELAY, 0, 0, 1, apply_nodelay},
    {TCP_OPTION_KEEPALIVE, 0, 0, 1, apply_keepalive},
    {TCP_OPTION_KEEP_IDLE_S, 7200, 1, 32767, apply_keep_idle},
    {TCP_OPTION_KEEP_INTERVAL_S, 75, 1, 32767, apply_keep_interval},
    {TCP_OPTION_KEEP_COUNT, 9, 1, 127, apply_keep_count},
    {TCP_OPTION_TTL, TCP_TTL, 1, 255, apply_ttl},
    {TCP_OPTION_TOS, 0, 0, 255, apply_tos},
};

void lw_stream_apply(struct lw_stream *s) {
    for (int i = 0; s->pcb && i < LW_SETTINGS; i++)
        settings[i].apply(s->pcb, s->values[i]);
}

/* Returns the index of an option's setting, or -1 if lwIP has none; `value` is converted as needed. */
static int find_setting(int level, int name, int *value) {
    int option = stream_option_find(level, name, value);
    for (int i = 0; i < LW_SETTINGS; i++)
        if ((int)settings[i].option == option) return i;
    return -1;
}

static int set_linger(struct lw_stream *s, const void *value, socklen_t len) {
    struct linger l;
    if (len < sizeof l) return -EINVAL;
    memcpy(&l, value, sizeof l);
    if (l.l_onoff && l.l_linger < 0) return -EINVAL;
    s->linger_s = l.l_onoff ? l.l_linger : -1;
    return 0;
}

static int stream_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len) {
    struct lw_stream *s = to_lw_stream(q);
    int number = 0;
    if (level == SOL_SOCKET && name == SO_LINGER) return set_linger(s, value, len);
    bool fits = len >= sizeof number;
    if (level == SOL_SOCKET && (name == SO_REUSEADDR || name == SO_REUSEPORT)) return fits ? 0 : -EINVAL;
    memcpy(&number, value, fits ? sizeof number : 0);
    int i = find_setting(level, name, &number);
    if (i < 0) return -ENOPROTOOPT;
    if (!fits || number < settings[i].min || number > settings[i].max) return -EINVAL;
    s->values[i] = number;
    if (s->pcb && s->state != LW_LISTENING) settings[i].apply(s->pcb, number);
    return 0;
}

static int stream_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len) {
    struct lw_stream *s = to_lw_stream(q);
    const struct linger l = {.l_onoff = s->linger_s >= 0, .l_linger = s->linger_s >= 0 ? s->linger_s : 0};
    const struct {
        int name, value;
    } fixed[] = {{SO_TYPE, SOCK_STREAM}, {SO_DOMAIN, AF_INET}, {SO_PROTOCOL, IPPROTO_TCP},
                 {SO_REUSEADDR, 1},      {SO_REUSEPORT, 1},    {SO_ACCEPTCONN, s->state == LW_LISTENING}};
    int ignored = 0, setting = find_setting(level, name, &ignored);
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

/* A connect cannot be cancelled. Pops and accepts can, because received data and connections are stored. */
static bool stream_cancel(struct queue *q, struct op *op) {
    if (op == to_lw_stream(q)->connect_op) return false;
    list_remove(&op->link);
    return true;
}

static int stream_getsockname(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    address_give(&to_lw_stream(q)->local, addr, len);
    return 0;
}

static int stream_getpeername(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    struct lw_stream *s = to_lw_stream(q);
    if (s->state != LW_CONNECTED) return -ENOTCONN;
    address_give(&s->remote, addr, len);
    return 0;
}

static const struct queue_ops ops = {
    .backend = "lwip/tcp",
    .socket = true,
    .stream = true,
    .push = lw_stream_push,
    .pop = lw_stream_pop,
    .accept = lw_stream_accept,
    .connect = lw_stream_connect,
    .cancel = stream_cancel,
    .close = lw_stream_close,
    .bind = lw_stream_bind,
    .listen = lw_stream_listen,
    .shutdown = lw_stream_shutdown,
    .getsockname = stream_getsockname,
    .getpeername = stream_getpeername,
    .setsockopt = stream_setsockopt,
    .getsockopt = stream_getsockopt,
};

int lw_stream_make(struct lw_net *net, struct lw_stream **out) {
    struct lw_stream *s = sys_calloc(1, sizeof *s);
    if (!s) return -ENOMEM;
    queue_init(&s->q, net->rt, &ops);
    s->net = net;
    s->linger_s = -1;
    for (int i = 0; i < LW_SETTINGS; i++)
        s->values[i] = settings[i].def;
    list_init(&s->link);
    list_init(&s->pending);
    list_init(&s->finishing);
    list_init(&s->waiters);
    list_init(&s->pushes);
    list_init(&s->sent);
    list_init(&s->held);
    list_init(&s->accepted);
    timer_init(&s->timer.timer);
    *out = s;
    return 0;
}

int lw_stream_new(struct lw_net *net, struct queue **q_out) {
    struct lw_stream *s;
    int r = lw_stream_make(net, &s);
    if (r) return r;
    list_push_back(&net->streams, &s->link);
    *q_out = &s->q;
    return 0;
}
