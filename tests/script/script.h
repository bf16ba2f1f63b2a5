/* SPDX-License-Identifier: MIT */
/* A script, read: statements in order, and settings. README.md is the language. */
#ifndef TESTS_SCRIPT_SCRIPT_H
#define TESTS_SCRIPT_SCRIPT_H

#include "packet.h"

#define NAME_BYTES 24u

/* "set" lines: number and what it is without one. */
#define SCRIPT_SETTINGS(X)                                                                                             \
    X(mtu, 1500)                                                                                                       \
    X(csum, 0)      /* 1: the device completes checksums */                                                            \
    X(tso, 0)       /* 1: and segments */                                                                              \
    X(neighbour, 1) /* 0: the peer's MAC address is not known */                                                       \
    X(announce, 0)                                                                                                     \
    X(neighbours, 0) /* bounds of the stack, as the following; 0: its own */                                           \
    X(neighbour_queue, 0)                                                                                              \
    X(fragment_bytes, 0)                                                                                               \
    X(icmp_per_second, 0)                                                                                              \
    X(seed, 1)

struct settings {
#define X(name, otherwise) uint32_t name;
    SCRIPT_SETTINGS(X)
#undef X
};

/* Word, arguments: n a socket's name, N a number, P a port, w a word, s a state; [name value] and [name] may be there.
 */
#define SCRIPT_VERBS(X)                                                                                                \
    X(LISTEN, "listen", "nPb")                                                                                         \
    X(ACCEPT, "accept", "na")                                                                                          \
    X(CONNECT, "connect", "nPtf")                                                                                      \
    X(CONNECTED, "connected", "n")                                                                                     \
    X(SEND, "send", "nNm")                                                                                             \
    X(RECV, "recv", "nNk")                                                                                             \
    X(SHUTDOWN, "shutdown", "n")                                                                                       \
    X(CLOSE, "close", "n")                                                                                             \
    X(ABORT, "abort", "n")                                                                                             \
    X(OPTION, "option", "nwN")                                                                                         \
    X(UDP, "udp", "nP")                                                                                                \
    X(UDP_CONNECT, "udp-connect", "nPt")                                                                               \
    X(SENDTO, "sendto", "nNPt")                                                                                        \
    X(RECVFROM, "recvfrom", "nN")                                                                                      \
    X(END, "end", "") /* the call that was begun must have ended */                                                    \
    X(COUNTER, "counter", "wN")                                                                                        \
    X(INFO, "info", "nwN")                                                                                             \
    X(STATE, "state", "ns")                                                                                            \
    X(REFUSE, "refuse", "N")    /* so many frames are refused by the device */                                         \
    X(UNALIKE, "unalike", "PQ") /* the initial numbers of the flows from port P to port Q */

enum verb {
#define X(symbol, word, arguments) VERB_##symbol,
    SCRIPT_VERBS(X)
#undef X
        VERB_COUNT
};

struct call {
    enum verb verb;
    char name[NAME_BYTES], other[NAME_BYTES]; /* sockets; other: the one that comes out of accept */
    char word[NAME_BYTES];                    /* option, counter, field */
    uint32_t number, port, from_port, backlog, ip;
    bool more, peek;
    int64_t expected; /* result, or a negative errno */
};

enum statement_kind { SAYS_SET, SAYS_IN, SAYS_OUT, SAYS_CALL, SAYS_BEGIN, SAYS_QUIET };

struct statement {
    struct statement *next;
    uint32_t line;
    char text[LINE_MAX_BYTES];
    enum statement_kind kind;
    bool any_time;
    uint64_t from_ns, to_ns; /* after the line before */
    struct script_packet packet;
    struct call call;
};

struct script {
    const char *file;
    struct settings settings;
    struct statement *first;
};

/* Reads a file; false: `error` says what is wrong and where. */
bool script_read(struct script *s, const char *file, char *error, size_t bytes);
void script_free(struct script *s);

#endif
