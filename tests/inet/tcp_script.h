/* SPDX-License-Identifier: MIT */
/*
 * A conversation with one TCP: host 0 is the stack, the test is its peer at 10.0.0.2 port 2000 and sees sequence
 * numbers relative to both initial ones.
 */
#ifndef TESTS_INET_TCP_SCRIPT_H
#define TESTS_INET_TCP_SCRIPT_H

#include "inet/tcp/tcp.h"
#include "inet/wire/tcp.h"
#include "wire.h"

#define PEER_PORT  2000 /* at first */
#define STACK_PORT 80
#define PEER_ISN   0xfffffff0u /* wraps soon */

struct script {
    struct wire *w;
    struct host *h;
    struct tcp_listener *listener;
    struct tcp_conn *conn;
    uint32_t iss;  /* the stack's */
    uint16_t port; /* the stack's */
    uint16_t peer_port;
    uint32_t peer_ip; /* who the peer says it is, in network order; at first 10.0.0.2, where answers go */
    uint16_t window;  /* what the peer tells, unscaled */
    bool timestamps;
    uint32_t ts, ts_echo;
    uint32_t pushed, popped; /* bytes so far */
};

/* A segment to or from the stack; seq and ack are relative. */
struct seg {
    uint8_t flags;
    uint32_t seq, ack, len;
    uint16_t window;
    struct tcp_options options;
};

/* Starts the stack. */
struct script *script_new(void);
void script_delete(struct script *s);

/* The peer sends. Payload byte i of the stream is (uint8_t)i, counted from sequence number 1. */
void in(struct script *s, struct seg g);
/* The peer sends, with window and ACK bit set: data [seq, seq + len) and acknowledgement. */
void in_data(struct script *s, uint32_t seq, uint32_t len, uint32_t ack);
void in_ack(struct script *s, uint32_t ack);
/* The same with one SACK block. */
void in_sack(struct script *s, uint32_t ack, uint32_t from, uint32_t to);

/* The stack must have sent something: the next segment, its checksum and payload verified. */
struct seg out(struct script *s);
/* The next segment, which must have these flags, sequence numbers and length. */
struct seg expect(struct script *s, uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack);
void expect_nothing(struct script *s);
/* Throws away what the stack has sent; how many segments. */
uint32_t drain(struct script *s);

/* Handshakes: the peer connects, or is connected to. Peer's options as given; MSS 1000 where it is 0. */
void script_accept(struct script *s, struct tcp_options options);
void script_connect(struct script *s, struct tcp_options options);

/* The stack's application. */
int push(struct script *s, uint32_t bytes);
/* Pops all there is: bytes, verified; -1 at the end of the stream. */
int64_t pop(struct script *s);
void pass(struct script *s, uint64_t ns);

#endif
