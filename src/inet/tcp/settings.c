/* SPDX-License-Identifier: MIT */
/* Options of connections: their bounds, and how they are kept. */
#include "inet/tcp/conn.h"
#include "inet/wire/ip4.h"
#include <assert.h>

#define MAXSEG_LEAST (TCP_MSS_MIN + TCP_OPTIONS_MAX)
#define MAXSEG_MOST  (INET_MTU_MAX - TCP_MSS_OVERHEAD)

/* name, value at first, least, most */
#define OPTIONS(X)                                                                                                     \
    X(NODELAY, 0, 0, 1)                                                                                                \
    X(CORK, 0, 0, 1)                                                                                                   \
    X(QUICKACK, 1, 0, 1)                                                                                               \
    X(KEEPALIVE, 0, 0, 1)                                                                                              \
    X(KEEP_IDLE_S, 7200, 1, 32767)                                                                                     \
    X(KEEP_INTERVAL_S, 75, 1, 32767)                                                                                   \
    X(KEEP_COUNT, 9, 1, 127)                                                                                           \
    X(SYN_COUNT, 6, 1, 127)                                                                                            \
    X(USER_TIMEOUT_MS, 0, 0, UINT32_MAX)                                                                               \
    X(SEND_LIMIT, TCP_SEND_MAX, 1, INT32_MAX / 2)                                                                      \
    X(RECEIVE_LIMIT, TCP_RECEIVE_MAX, 1, TCP_WINDOW_MAX)                                                               \
    X(DELAYED_ACK_MS, 40, 0, 500)                                                                                      \
    X(MAXSEG, 0, MAXSEG_LEAST, MAXSEG_MOST)                                                                            \
    X(TOS, 0, 0, 255)                                                                                                  \
    X(TTL, IP4_TTL, 1, 255)                                                                                            \
    X(PMTU_DISCOVER, 1, 0, 1)                                                                                          \
    X(FIN_WAIT_2_S, TCP_FIN_WAIT_2_S, 0, 120)                                                                          \
    X(CONGESTION, 0, 0, ALGORITHMS - 1)

static const struct tcp_cc_ops *const algorithms[] = {&cc_cubic, &cc_newreno};
#define ALGORITHMS (sizeof algorithms / sizeof *algorithms)

static const struct {
    uint32_t least, most;
} bounds[TCP_OPTION_COUNT] = {
#define X(name, first, least, most) [TCP_OPTION_##name] = {least, most},
    OPTIONS(X)
#undef X
};

const struct tcp_settings tcp_settings_default = {{
#define X(name, first, least, most) [TCP_OPTION_##name] = first,
    OPTIONS(X)
#undef X
}};

int tcp_congestion_find(const char *name) {
    for (uint32_t i = 0; i < ALGORITHMS; i++)
        if (strcmp(algorithms[i]->name, name) == 0) return (int)i;
    return -ENOENT;
}

const char *tcp_congestion_name(uint32_t number) {
    return number < ALGORITHMS ? algorithms[number]->name : NULL;
}

int tcp_option_check(enum tcp_option option, uint32_t value) {
    if (option >= TCP_OPTION_COUNT) return -EINVAL;
    if (option == TCP_OPTION_MAXSEG && value == 0) return 0;
    return value < bounds[option].least || value > bounds[option].most ? -EINVAL : 0;
}

static void set_congestion(struct tcp_conn *c, const struct tcp_cc_ops *ops) {
    if (c->cc.ops != ops) c->cc = (struct tcp_cc){.ops = ops, .cwnd = c->cc.cwnd, .ssthresh = c->cc.ssthresh};
}

static void set(struct tcp_conn *c, enum tcp_option option, uint32_t value) {
    switch (option) {
    case TCP_OPTION_NODELAY:
        c->send.nodelay = value;
        break;
    case TCP_OPTION_CORK:
        c->send.cork = value;
        break;
    case TCP_OPTION_QUICKACK:
        c->receive.interactive = !value;
        if (value) c->receive.quick = TCP_QUICK_ACKS;
        break;
    case TCP_OPTION_KEEPALIVE:
        c->timers.keepalive = value;
        break;
    case TCP_OPTION_KEEP_IDLE_S:
        c->timers.keep_idle_s = (uint16_t)value;
        break;
    case TCP_OPTION_KEEP_INTERVAL_S:
        c->timers.keep_interval_s = (uint16_t)value;
        break;
    case TCP_OPTION_KEEP_COUNT:
        c->timers.keep_count = (uint8_t)value;
        break;
    case TCP_OPTION_SYN_COUNT:
        c->timers.syn_count = (uint8_t)value;
        break;
    case TCP_OPTION_USER_TIMEOUT_MS:
        c->timers.user_timeout_ms = value;
        timers_user_timeout_changed(&c->timers, &c->stack->wheel);
        break;
    case TCP_OPTION_SEND_LIMIT:
        c->send.limit = value;
        break;
    case TCP_OPTION_RECEIVE_LIMIT:
        receive_set_max(&c->receive, value);
        break;
    case TCP_OPTION_DELAYED_ACK_MS:
        c->receive.delayed_ack_ms = (uint16_t)value;
        break;
    case TCP_OPTION_MAXSEG:
        c->send.maxseg = (uint16_t)value;
        break;
    case TCP_OPTION_TOS:
        c->path.tos = (uint8_t)value;
        break;
    case TCP_OPTION_TTL:
        c->path.ttl = (uint8_t)value;
        break;
    case TCP_OPTION_PMTU_DISCOVER:
        c->path.discover = value;
        break;
    case TCP_OPTION_FIN_WAIT_2_S:
        c->timers.fin_wait_2_s = (uint8_t)value;
        break;
    case TCP_OPTION_CONGESTION:
        set_congestion(c, algorithms[value]);
        break;
    case TCP_OPTION_COUNT:
        break;
    }
}

void conn_configure(struct tcp_conn *c, const struct tcp_settings *settings) {
    for (uint32_t i = 0; i < TCP_OPTION_COUNT; i++)
        set(c, i, settings->values[i]);
}

int tcp_set_option(struct tcp_conn *c, enum tcp_option option, uint32_t value, uint64_t now) {
    c->stack->now = now;
    if (tcp_option_check(option, value)) return -EINVAL;
    calm_end(c);
    set(c, option, value);
    if (!conn_synchronized(c) || c->state == TCP_STATE_TIME_WAIT) return 0;
    conn_path_changed(c);
    if (c->timers.keepalive) conn_deadline(c, TCP_TIMER_LIFE, timers_keepalive_ns(&c->timers));
    if (option == TCP_OPTION_QUICKACK && value && c->receive.ack_later) c->receive.ack_now = true;
    bool cork = c->send.cork;
    if (option == TCP_OPTION_NODELAY && value)
        c->send.more = c->send.cork = false; /* what has come so far goes, as in Linux */
    tcp_output(c);                           /* what was held back may go */
    c->send.cork = cork;
    return 0;
}

static uint32_t congestion_of(const struct tcp_conn *c) {
    uint32_t i = 0;
    while (i < ALGORITHMS - 1 && algorithms[i] != c->cc.ops)
        i++;
    assert(algorithms[i] == c->cc.ops);
    return i;
}

int tcp_get_option(const struct tcp_conn *c, enum tcp_option option, uint32_t *value) {
    const uint32_t values[TCP_OPTION_COUNT] = {
        [TCP_OPTION_NODELAY] = c->send.nodelay,
        [TCP_OPTION_CORK] = c->send.cork,
        [TCP_OPTION_QUICKACK] = !c->receive.interactive,
        [TCP_OPTION_KEEPALIVE] = c->timers.keepalive,
        [TCP_OPTION_KEEP_IDLE_S] = c->timers.keep_idle_s,
        [TCP_OPTION_KEEP_INTERVAL_S] = c->timers.keep_interval_s,
        [TCP_OPTION_KEEP_COUNT] = c->timers.keep_count,
        [TCP_OPTION_SYN_COUNT] = c->timers.syn_count,
        [TCP_OPTION_USER_TIMEOUT_MS] = c->timers.user_timeout_ms,
        [TCP_OPTION_SEND_LIMIT] = c->send.limit,
        [TCP_OPTION_RECEIVE_LIMIT] = c->receive.max,
        [TCP_OPTION_DELAYED_ACK_MS] = c->receive.delayed_ack_ms,
        [TCP_OPTION_MAXSEG] = c->send.maxseg,
        [TCP_OPTION_TOS] = c->path.tos,
        [TCP_OPTION_TTL] = c->path.ttl,
        [TCP_OPTION_PMTU_DISCOVER] = c->path.discover,
        [TCP_OPTION_FIN_WAIT_2_S] = c->timers.fin_wait_2_s,
        [TCP_OPTION_CONGESTION] = congestion_of(c),
    };
    if (option >= TCP_OPTION_COUNT) return -EINVAL;
    *value = values[option];
    return 0;
}
