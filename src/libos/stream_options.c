/* SPDX-License-Identifier: MIT */
/* Options of TCP sockets by the platform's names. */
#include "libos/stream_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define RECEIVE_LEAST 4096
#define RECEIVE_MOST  (65535 << 14) /* RFC 7323 section 2.3 */
#define SEND_MOST     (1 << 29)

static const struct {
    int level, name;
    enum tcp_option option;
    bool flag;       /* any value other than 0 becomes 1 */
    int least, most; /* limits to which a size is clamped; 0: not a size */
} options[] = {
    {IPPROTO_TCP, TCP_NODELAY, TCP_OPTION_NODELAY, true, 0, 0},
    {IPPROTO_TCP, TCP_CORK, TCP_OPTION_CORK, true, 0, 0},
    {IPPROTO_TCP, TCP_QUICKACK, TCP_OPTION_QUICKACK, true, 0, 0},
    {SOL_SOCKET, SO_KEEPALIVE, TCP_OPTION_KEEPALIVE, true, 0, 0},
    {IPPROTO_TCP, TCP_KEEPIDLE, TCP_OPTION_KEEP_IDLE_S, false, 0, 0},
    {IPPROTO_TCP, TCP_KEEPINTVL, TCP_OPTION_KEEP_INTERVAL_S, false, 0, 0},
    {IPPROTO_TCP, TCP_KEEPCNT, TCP_OPTION_KEEP_COUNT, false, 0, 0},
    {IPPROTO_TCP, TCP_SYNCNT, TCP_OPTION_SYN_COUNT, false, 0, 0},
    {IPPROTO_TCP, TCP_LINGER2, TCP_OPTION_FIN_WAIT_2_S, false, 0, 120},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_OPTION_USER_TIMEOUT_MS, false, 0, 0},
    {IPPROTO_TCP, TCP_MAXSEG, TCP_OPTION_MAXSEG, false, 0, 0},
    {IPPROTO_IP, IP_TOS, TCP_OPTION_TOS, false, 0, 0},
    {IPPROTO_IP, IP_TTL, TCP_OPTION_TTL, false, 0, 0},
    {SOL_SOCKET, SO_SNDBUF, TCP_OPTION_SEND_LIMIT, false, STREAM_SEND_LEAST, SEND_MOST},
    {SOL_SOCKET, SO_RCVBUF, TCP_OPTION_RECEIVE_LIMIT, false, RECEIVE_LEAST, RECEIVE_MOST},
};

int stream_option_find(int level, int name, int *value) {
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (options[i].level != level || options[i].name != name) continue;
        if (options[i].flag) *value = *value != 0;
        if (options[i].most && *value < options[i].least) *value = options[i].least;
        if (options[i].most && *value > options[i].most) *value = options[i].most;
        return (int)options[i].option;
    }
    return -1;
}

enum stream_named stream_option_named(int level, int name) {
    if (level == IPPROTO_TCP && name == TCP_CONGESTION) return STREAM_NAMED_CONGESTION;
    return level == IPPROTO_TCP && name == TCP_INFO ? STREAM_NAMED_INFO : STREAM_NAMED_NONE;
}
