/* SPDX-License-Identifier: MIT */
/*
 * A packet script: host 0 is the stack under test; the test is its peer at 10.0.0.2 port 2000. The test uses sequence
 * numbers relative to the initial ones of both sides.
 */
#ifndef TESTS_INET_TCP_SCRIPT_H
#define TESTS_INET_TCP_SCRIPT_H

#include "inet/tcp/tcp.h"
#include "inet/wire/tcp.h"
#include "wire.h"

#define PEER_PORT  2000 /* initial value of peer_port */
#define STACK_PORT 80
#define PEER_ISN   0xfffffff0u /* the peer's initial sequence number, which wraps soon */

struct script {
    struct wire *w;
    struct host *h;
    struct tcp_listener *listener;
    struct tcp_conn *conn;
    uint32_t iss;  /* initial sequence number of the stack */
    uint16_t port; /* port of the stack */
    uint16_t peer_port;
    uint32_t peer_ip; /* source address of the peer's segments, in network order; 10.0.0.2 unless a test sets it */
    uint16_t window;  /* window field that the peer sends */
    bool timestamps;
    uint32_t ts, ts_echo;
    uint32_t pushed, popped; /* bytes until now */
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

/* The peer sends a segment. The byte with relative sequence number i has the value (uint8_t)i. */
void in(struct script *s, struct seg g);
/* The peer sends a segment with data [seq, seq + len), s->window and an acknowledgement. */
void in_data(struct script *s, uint32_t seq, uint32_t len, uint32_t ack);
void in_ack(struct script *s, uint32_t ack);
/* The peer sends an ACK with one SACK block. */
void in_sack(struct script *s, uint32_t ack, uint32_t from, uint32_t to);

/* Returns the next segment that the stack has sent and checks its checksum and payload. Fails if there is none. */
struct seg out(struct script *s);
/* Returns the next segment, which must have these flags, sequence numbers and this length. */
struct seg expect(struct script *s, uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack);
void expect_nothing(struct script *s);
/* Discards the segments that the stack has sent. Returns their number. */
uint32_t drain(struct script *s);

/* Completes a handshake that the peer or the stack begins. The peer offers `options`; if mss is 0, it offers 1000. */
void script_accept(struct script *s, struct tcp_options options);
void script_connect(struct script *s, struct tcp_options options);

/* The application of the stack pushes `bytes` bytes; push sends them, push_unsent leaves them to the next flush. */
int push(struct script *s, uint32_t bytes);
int push_unsent(struct script *s, uint32_t bytes);
/* Pops and checks all received data. Returns the number of bytes, or -1 at the end of the stream. */
int64_t pop(struct script *s);
/* Advances the virtual clock. */
void pass(struct script *s, uint64_t ns);

#endif
