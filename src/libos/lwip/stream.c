/* SPDX-License-Identifier: MIT */
/* TCP sockets over lwIP: the table of the transport, creation, options. */
#include "libos/lwip/stream.h"

#include "base/sys.h"

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

/* Returns the index of an option's setting, or -1 if lwIP has none. */
static int find_setting(enum tcp_option option) {
    for (int i = 0; i < LW_SETTINGS; i++)
        if (settings[i].option == option) return i;
    return -1;
}

static int lw_set_option(struct stream *s, enum tcp_option option, uint32_t value, uint64_t now) {
    struct lw_stream *ls = lw_stream_of(s);
    (void)now;
    int i = find_setting(option), number = (int)value;
    if (i < 0) return -ENOPROTOOPT;
    if (number < settings[i].min || number > settings[i].max) return -EINVAL;
    ls->values[i] = number;
    if (ls->pcb && s->state != STREAM_LISTENING) settings[i].apply(ls->pcb, number);
    return 0;
}

static int lw_get_option(const struct stream *s, enum tcp_option option, uint32_t *value) {
    int i = find_setting(option);
    if (i < 0) return -ENOPROTOOPT;
    *value = (uint32_t)lw_stream_of(s)->values[i];
    return 0;
}

static uint64_t lw_unacked(const struct stream *s) {
    return s->written_bytes - lw_stream_of(s)->acked_bytes;
}

static bool lw_delivered(const struct stream *s) {
    return lw_unacked(s) == 0;
}

static int lw_stream_error(const struct stream *s) {
    return lw_stream_of(s)->error;
}

static bool lw_unread(const struct stream *s) {
    return lw_stream_of(s)->unread;
}

static struct inet_endpoint lw_local(const struct stream *s) {
    return s->state < STREAM_CONNECTING ? s->local : lw_stream_of(s)->local;
}

static struct inet_endpoint lw_remote(const struct stream *s) {
    return lw_stream_of(s)->remote;
}

static const struct stream_transport transport = {
    .write = lw_write,
    .flush = lw_flush,
    .readable = lw_readable,
    .pop = lw_pop,
    .unacked = lw_unacked,
    .delivered = lw_delivered,
    .error = lw_stream_error,
    .shutdown = lw_shutdown,
    .can_bind = lw_can_bind,
    .bind = lw_bind,
    .listen = lw_listen,
    .accept = lw_accept,
    .connect = lw_connect,
    .local = lw_local,
    .remote = lw_remote,
    .stop_reading = lw_stop_reading,
    .unread = lw_unread,
    .finished = lw_finished,
    .close = lw_close,
    .abort = lw_abort,
    .free = lw_free,
    .set_option = lw_set_option,
    .get_option = lw_get_option,
};

static const struct queue_ops ops = {
    .backend = "lwip/tcp",
    STREAM_OPS,
    .setsockopt = stream_setsockopt,
    .getsockopt = stream_getsockopt,
};

int lw_stream_make(struct lw_net *net, struct lw_stream **out) {
    struct lw_stream *s = sys_calloc(1, sizeof *s);
    if (!s) return -ENOMEM;
    stream_init(&s->stream, net->rt, &net->sockets, &ops, &transport);
    s->net = net;
    for (int i = 0; i < LW_SETTINGS; i++)
        s->values[i] = settings[i].def;
    list_init(&s->pending);
    list_init(&s->finishing);
    list_init(&s->held);
    list_init(&s->accepted);
    *out = s;
    return 0;
}

int lw_stream_new(struct lw_net *net, struct queue **q_out) {
    struct lw_stream *s;
    int r = lw_stream_make(net, &s);
    if (r) return r;
    list_push_back(&net->sockets.streams, &s->stream.link);
    *q_out = &s->stream.q;
    return 0;
}
