/* SPDX-License-Identifier: MIT */
/* The names a script may use. */
#include "names.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>

const uint8_t stack_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 1}, peer_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 2};

const struct name_ip *name_ip_find(const char *name) {
    static const struct name_ip all[] = {
        {"stack", STACK_IP}, {"peer", PEER_IP}, {"gateway", GATEWAY_IP}, {"all", UINT32_MAX}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) return &all[i];
    return NULL;
}

const struct name_mac *name_mac_find(const char *name) {
    static const struct name_mac all[] = {
        {"stack", {2, 0, 0, 0, 0, 1}}, {"peer", {2, 0, 0, 0, 0, 2}}, {"all", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) return &all[i];
    return NULL;
}

const struct name_option *name_option_find(const char *name) {
    static const struct name_option all[] = {
        {"nodelay", TCP_OPTION_NODELAY, IPPROTO_TCP, TCP_NODELAY},
        {"cork", TCP_OPTION_CORK, IPPROTO_TCP, TCP_CORK},
        {"quickack", TCP_OPTION_QUICKACK, IPPROTO_TCP, TCP_QUICKACK},
        {"keepalive", TCP_OPTION_KEEPALIVE, SOL_SOCKET, SO_KEEPALIVE},
        {"keepidle", TCP_OPTION_KEEP_IDLE_S, IPPROTO_TCP, TCP_KEEPIDLE},
        {"keepintvl", TCP_OPTION_KEEP_INTERVAL_S, IPPROTO_TCP, TCP_KEEPINTVL},
        {"keepcnt", TCP_OPTION_KEEP_COUNT, IPPROTO_TCP, TCP_KEEPCNT},
        {"syncnt", TCP_OPTION_SYN_COUNT, IPPROTO_TCP, TCP_SYNCNT},
        {"user-timeout", TCP_OPTION_USER_TIMEOUT_MS, IPPROTO_TCP, TCP_USER_TIMEOUT},
        {"linger2", TCP_OPTION_FIN_WAIT_2_S, IPPROTO_TCP, TCP_LINGER2},
        {"sndbuf", TCP_OPTION_SEND_LIMIT, SOL_SOCKET, SO_SNDBUF},
        {"rcvbuf", TCP_OPTION_RECEIVE_LIMIT, SOL_SOCKET, SO_RCVBUF},
        {"delayed-ack", TCP_OPTION_DELAYED_ACK_MS, -1, 0},
        {"maxseg", TCP_OPTION_MAXSEG, IPPROTO_TCP, TCP_MAXSEG},
        {"tos", TCP_OPTION_TOS, IPPROTO_IP, IP_TOS},
        {"ttl", TCP_OPTION_TTL, IPPROTO_IP, IP_TTL},
        {"pmtu-discover", TCP_OPTION_PMTU_DISCOVER, IPPROTO_IP, IP_MTU_DISCOVER},
        {"newreno", TCP_OPTION_CONGESTION, IPPROTO_TCP, TCP_CONGESTION},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) return &all[i];
    return NULL;
}

static const struct name_state states[] = {
    {"closed", TCP_STATE_CLOSED, TCP_CLOSE},
    {"syn-sent", TCP_STATE_SYN_SENT, TCP_SYN_SENT},
    {"syn-received", TCP_STATE_SYN_RECEIVED, TCP_SYN_RECV},
    {"established", TCP_STATE_ESTABLISHED, TCP_ESTABLISHED},
    {"fin-wait-1", TCP_STATE_FIN_WAIT_1, TCP_FIN_WAIT1},
    {"fin-wait-2", TCP_STATE_FIN_WAIT_2, TCP_FIN_WAIT2},
    {"close-wait", TCP_STATE_CLOSE_WAIT, TCP_CLOSE_WAIT},
    {"closing", TCP_STATE_CLOSING, TCP_CLOSING},
    {"last-ack", TCP_STATE_LAST_ACK, TCP_LAST_ACK},
    {"time-wait", TCP_STATE_TIME_WAIT, TCP_TIME_WAIT},
};

const struct name_state *name_state_find(const char *name) {
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i].name, name) == 0) return &states[i];
    return NULL;
}

const struct name_state *name_state_of(uint8_t platform) {
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (states[i].platform == platform) return &states[i];
    return NULL;
}

int name_errno(const char *name) {
    static const struct {
        const char *name;
        int error;
    } all[] = {
#define X(e) {#e, e},
        X(EAGAIN) X(EINPROGRESS) X(EPIPE) X(ENOTCONN) X(ECONNRESET) X(ECONNREFUSED) X(ECONNABORTED) X(ETIMEDOUT)
            X(EHOSTUNREACH) X(ENETUNREACH) X(EADDRINUSE) X(EADDRNOTAVAIL) X(EINVAL) X(EMSGSIZE) X(EDESTADDRREQ)
                X(ENOPROTOOPT) X(EBADF) X(EISCONN) X(EALREADY)
#undef X
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) return all[i].error;
    return 0;
}
