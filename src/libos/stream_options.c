/* Options of TCP sockets by the platform's names. */
#include "libos/stream_options.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

static const struct {
    int level, name, def, least, most;
    bool flag; /* any value but 0 is 1 */
    bool size; /* brought within the bounds, as the platform does */
} options[STREAM_SETTINGS] = {
    [STREAM_NODELAY] = {IPPROTO_TCP, TCP_NODELAY, 0, 0, 1, true, false},
    [STREAM_KEEPALIVE] = {SOL_SOCKET, SO_KEEPALIVE, 0, 0, 1, true, false},
    [STREAM_KEEP_IDLE] = {IPPROTO_TCP, TCP_KEEPIDLE, 7200, 1, 32767, false, false},
    [STREAM_KEEP_INTERVAL] = {IPPROTO_TCP, TCP_KEEPINTVL, 75, 1, 32767, false, false},
    [STREAM_KEEP_COUNT] = {IPPROTO_TCP, TCP_KEEPCNT, 9, 1, 127, false, false},
    [STREAM_USER_TIMEOUT] = {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0, INT_MAX, false, false},
    [STREAM_SEND_LIMIT] = {SOL_SOCKET, SO_SNDBUF, 4 << 20, STREAM_SEND_LEAST, 1 << 30, false, true},
    [STREAM_RECEIVE_LIMIT] = {SOL_SOCKET, SO_RCVBUF, 6 << 20, 4096, 6 << 20, false, true},
};

int stream_option_find(int level, int name) {
    for (int i = 0; i < STREAM_SETTINGS; i++)
        if (options[i].level == level && options[i].name == name) return i;
    return -1;
}

int stream_option_default(enum stream_setting setting) {
    return options[setting].def;
}

int stream_option_check(enum stream_setting setting, int *value) {
    int least = options[setting].least, most = options[setting].most;
    if (options[setting].flag) *value = *value != 0;
    if (options[setting].size) *value = *value < least ? least : *value > most ? most : *value;
    return *value < least || *value > most ? -EINVAL : 0;
}
