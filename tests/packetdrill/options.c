/* SPDX-License-Identifier: MIT */
/* Socket options by the platform's names, and what a connection shows of itself as Linux lays it out. */
#include "host.h"

#include "libos/inet/linux_info.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#define LINUX_LISTEN 10 /* a state, the first member */

enum { TWICE_THE_PAYLOAD = 1, HALF_IS_PAYLOAD = 2 };

/* Options that are one number in the stack too. */
static const struct {
    int level, name;
    enum tcp_option option;
    bool flag;         /* any value but 0 is 1 */
    uint32_t at_least; /* smaller ones are raised, as the platform does; those above the bounds are lowered */
    uint8_t twice;     /* a buffer's size counts double, which is told: twice the payload, or the payload and as much */
} numbers[] = {
    {IPPROTO_TCP, TCP_NODELAY, TCP_OPTION_NODELAY, true, 0, 0},
    {IPPROTO_TCP, TCP_CORK, TCP_OPTION_CORK, true, 0, 0},
    {IPPROTO_TCP, TCP_QUICKACK, TCP_OPTION_QUICKACK, true, 0, 0},
    {SOL_SOCKET, SO_KEEPALIVE, TCP_OPTION_KEEPALIVE, true, 0, 0},
    {IPPROTO_TCP, TCP_KEEPIDLE, TCP_OPTION_KEEP_IDLE_S, false, 0, 0},
    {IPPROTO_TCP, TCP_KEEPINTVL, TCP_OPTION_KEEP_INTERVAL_S, false, 0, 0},
    {IPPROTO_TCP, TCP_KEEPCNT, TCP_OPTION_KEEP_COUNT, false, 0, 0},
    {IPPROTO_TCP, TCP_SYNCNT, TCP_OPTION_SYN_COUNT, false, 0, 0},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_OPTION_USER_TIMEOUT_MS, false, 0, 0},
    {IPPROTO_TCP, TCP_MAXSEG, TCP_OPTION_MAXSEG, false, 0, 0},
    {SOL_SOCKET, SO_SNDBUF, TCP_OPTION_SEND_LIMIT, false, 4608, TWICE_THE_PAYLOAD},
    {SOL_SOCKET, SO_RCVBUF, TCP_OPTION_RECEIVE_LIMIT, false, 1152, HALF_IS_PAYLOAD},
    {IPPROTO_IP, IP_TOS, TCP_OPTION_TOS, false, 0, 0},
    {IPPROTO_IP, IP_TTL, TCP_OPTION_TTL, false, 0, 0},
};

static int set_number(struct host *h, struct file *f, enum tcp_option option, uint32_t value) {
    int error = tcp_option_check(option, value);
    if (error) return error;
    f->settings.values[option] = value;
    if (f->kind == FILE_LISTENER) tcp_listener_configure(f->listener, &f->settings);
    return f->kind == FILE_CONN ? tcp_set_option(f->conn, option, value, h->now_ns) : 0;
}

static uint32_t get_number(const struct file *f, enum tcp_option option) {
    uint32_t value = f->settings.values[option];
    if (f->kind == FILE_CONN) tcp_get_option(f->conn, option, &value);
    return value;
}

static int set_congestion(struct host *h, struct file *f, const char *value, socklen_t len) {
    char name[32] = "";
    if (len == 0 || len >= sizeof name) return -EINVAL;
    memcpy(name, value, len);
    int found = tcp_congestion_find(name);
    return found < 0 ? found : set_number(h, f, TCP_OPTION_CONGESTION, (uint32_t)found);
}

static int set_int(struct host *h, struct file *f, int level, int name, int value) {
    if (level == IPPROTO_IP && name == IP_MTU_DISCOVER)
        return set_number(h, f, TCP_OPTION_PMTU_DISCOVER, value != IP_PMTUDISC_DONT);
    if (level == SOL_SOCKET && (name == SO_REUSEADDR || name == SO_REUSEPORT)) {
        f->reuse = value != 0; /* kept to be read: the stack lets a listener come back at any time */
        return 0;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].level != level || numbers[i].name != name) continue;
        uint32_t x = (uint32_t)value;
        if (numbers[i].flag) x = value != 0;
        if (numbers[i].twice == TWICE_THE_PAYLOAD) x = x < UINT32_MAX / 2 ? 2 * x : UINT32_MAX;
        if (numbers[i].at_least > x) x = numbers[i].at_least;
        if (numbers[i].at_least && tcp_option_check(numbers[i].option, x))
            x = tcp_settings_default.values[numbers[i].option];
        return set_number(h, f, numbers[i].option, x);
    }
    return -ENOPROTOOPT;
}

int host_setsockopt(struct host *h, struct file *f, int level, int name, const void *value, socklen_t len) {
    int number;
    if (f->kind == FILE_EPOLL || f->kind == FILE_PIPE) return -ENOTSOCK;
    if (!value) return -EFAULT;
    if (level == IPPROTO_TCP && name == TCP_CONGESTION) return set_congestion(h, f, value, len);
    if (level == SOL_SOCKET && name == SO_LINGER) {
        if (len < sizeof f->linger) return -EINVAL;
        memcpy(&f->linger, value, sizeof f->linger);
        return 0;
    }
    if (level == IPPROTO_IP && len > 0 && len < sizeof number) { /* these may be a byte */
        number = *(const uint8_t *)value;
    } else if (len >= sizeof number) {
        memcpy(&number, value, sizeof number);
    } else {
        return -EINVAL;
    }
    return set_int(h, f, level, name, number);
}

static int give(void *to, socklen_t *len, const void *from, size_t bytes) {
    if (*len > bytes) *len = (socklen_t)bytes;
    memcpy(to, from, *len);
    return 0;
}

static int get_info(const struct host *h, const struct file *f, void *value, socklen_t *len) {
    struct tcp_status status = {.state = TCP_STATE_CLOSED};
    if (f->kind == FILE_CONN) tcp_get_status(f->conn, &status);
    *len = (socklen_t)linux_tcp_info(&status, h->now_ns, value, *len);
    if (f->kind == FILE_LISTENER && *len > 0) *(uint8_t *)value = LINUX_LISTEN;
    return 0;
}

static int get_congestion(const struct file *f, void *value, socklen_t *len) {
    char name[16] = "";
    const char *known = tcp_congestion_name(get_number(f, TCP_OPTION_CONGESTION));
    if (known) strncpy(name, known, sizeof name - 1);
    return give(value, len, name, sizeof name);
}

static int get_int(struct file *f, int level, int name, int *value) {
    if (level == IPPROTO_IP && name == IP_MTU_DISCOVER) {
        *value = get_number(f, TCP_OPTION_PMTU_DISCOVER) ? IP_PMTUDISC_WANT : IP_PMTUDISC_DONT;
        return 0;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].level == level && numbers[i].name == name) {
            struct tcp_status s;
            bool path = numbers[i].option == TCP_OPTION_MAXSEG && f->kind == FILE_CONN;
            if (path) tcp_get_status(f->conn, &s);
            uint32_t kept = get_number(f, numbers[i].option);
            *value = (int)(path ? s.mss : numbers[i].twice == HALF_IS_PAYLOAD ? 2 * kept : kept);
            return 0;
        }
    if (level != SOL_SOCKET) return -ENOPROTOOPT;
    switch (name) {
    case SO_ERROR:
        *value = f->kind == FILE_CONN ? -conn_failure(f) : 0;
        return 0;
    case SO_REUSEADDR:
    case SO_REUSEPORT:
        *value = f->reuse;
        return 0;
    case SO_TYPE:
        *value = f->kind == FILE_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;
        return 0;
    case SO_DOMAIN:
        *value = AF_INET;
        return 0;
    case SO_PROTOCOL:
        *value = f->kind == FILE_DATAGRAM ? IPPROTO_UDP : IPPROTO_TCP;
        return 0;
    case SO_ACCEPTCONN:
        *value = f->kind == FILE_LISTENER;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int host_getsockopt(const struct host *h, struct file *f, int level, int name, void *value, socklen_t *len) {
    int number;
    if (f->kind == FILE_EPOLL || f->kind == FILE_PIPE) return -ENOTSOCK;
    if (!value || !len) return -EFAULT;
    if (level == IPPROTO_TCP && name == TCP_INFO) return get_info(h, f, value, len);
    if (level == IPPROTO_TCP && name == TCP_CONGESTION) return get_congestion(f, value, len);
    if (level == SOL_SOCKET && name == SO_LINGER) return give(value, len, &f->linger, sizeof f->linger);
    int error = get_int(f, level, name, &number);
    return error ? error : give(value, len, &number, sizeof number);
}
