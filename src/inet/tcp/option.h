/* SPDX-License-Identifier: MIT */
/* Options of TCP connections that are numbers: names, bounds and what they are at first. */
#ifndef INET_TCP_OPTION_H
#define INET_TCP_OPTION_H

#include <stdint.h>

enum tcp_option {
    TCP_OPTION_NODELAY,         /* 1: small segments do not wait (Nagle off) */
    TCP_OPTION_CORK,            /* 1: only full segments leave, others after a timeout; 0 sends what waits */
    TCP_OPTION_QUICKACK,        /* 1: ACKs leave at once for a while; 0: they wait for answers (1) */
    TCP_OPTION_KEEPALIVE,       /* 1: an idle peer is asked whether it lives */
    TCP_OPTION_KEEP_IDLE_S,     /* seconds of silence before (7200); 1 ... 32767, as the next */
    TCP_OPTION_KEEP_INTERVAL_S, /* seconds between (75) */
    TCP_OPTION_KEEP_COUNT,      /* questions without an answer that end the connection (9); 1 ... 127 */
    TCP_OPTION_SYN_COUNT,       /* SYNs sent again before connecting fails (6); 1 ... 127 */
    TCP_OPTION_USER_TIMEOUT_MS, /* unacknowledged data ends the connection after this (0: after 15 repetitions) */
    TCP_OPTION_SEND_LIMIT,      /* bytes that may wait to be acknowledged (4 MiB) */
    TCP_OPTION_RECEIVE_LIMIT,   /* bytes the window may open to (6 MiB); at most 65,535 << 14 */
    TCP_OPTION_DELAYED_ACK_MS,  /* how long an ACK may wait (40); 0: not at all; at most 500 (RFC 1122 4.2.3.2) */
    TCP_OPTION_MAXSEG,          /* payload of a segment and of the peer's at most, 88 ... 9176; 0: the path's */
    TCP_OPTION_TOS,             /* type of service of its packets (0) */
    TCP_OPTION_TTL,             /* hops its packets may go (64); 1 ... 255 */
    TCP_OPTION_PMTU_DISCOVER,   /* 1: packets may not be fragmented, and the path's limit is obeyed (1) */
    TCP_OPTION_FIN_WAIT_2_S,    /* seconds that a closed connection waits for the peer's FIN (60); 0 ... 120 */
    TCP_OPTION_CONGESTION,      /* which congestion control: see tcp_congestion_find (0, CUBIC) */
    TCP_OPTION_COUNT
};

/* Values for a connection to come, [enum tcp_option]. */
struct tcp_settings {
    uint32_t values[TCP_OPTION_COUNT];
};

/* What connections have at first. */
extern const struct tcp_settings tcp_settings_default;

/* -EINVAL: no such option, or a value out of range. */
int tcp_option_check(enum tcp_option option, uint32_t value);

/* The value of TCP_OPTION_CONGESTION that a name stands for, "cubic" or "reno"; -ENOENT: none of that name. */
int tcp_congestion_find(const char *name);
/* NULL: none of that number. */
const char *tcp_congestion_name(uint32_t number);

#endif
