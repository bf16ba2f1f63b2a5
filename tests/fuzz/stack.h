/* SPDX-License-Identifier: MIT */
/*
 * What the targets of the network stack share: one stack at 10.0.0.1 on a virtual clock, whose peer at 10.0.0.2 is the
 * input. What the stack sends is checked as it leaves: headers, checksums, and of TCP every byte of payload.
 */
#ifndef TESTS_FUZZ_STACK_H
#define TESTS_FUZZ_STACK_H

#include "fuzz.h"
#include "inet/tcp/tcp.h"
#include "inet/udp/udp.h"

#define STACK_CONNS  4u
#define LISTEN_PORT  80
#define UDP_PORT     53
#define PEER_PORT    1000 /* of the first connection; those after it follow */
#define ETH_IP_BYTES 34u
#define FRAME_MOST   9300u
#define STACK_MTU    1500

/* Packets that come in fragments have these lengths behind the IP header. */
#define FRAGMENTED_LEAST 64u
#define FRAGMENTED_STEP  700u

/* A connection as its peer sees it. Byte i of either stream is (uint8_t)i, counted from the first. */
struct peer_conn {
    struct tcp_conn *conn; /* NULL: closed, or not yet accepted */
    uint16_t port;         /* the stack's */
    uint32_t ts;           /* of what the stack sent last, if it had one */
    uint64_t pushed, popped;
    bool ended;
};

struct stack {
    struct inet *inet;
    uint64_t now;
    uint32_t refuse; /* frames that find no room */
    struct tcp_listener *listener;
    struct udp_socket *udp;
    struct peer_conn conns[STACK_CONNS];
    /* Byte i of the datagrams that the UDP socket gets, which are `bytes` long with their header; NULL: anything */
    uint8_t (*datagram)(uint16_t id, uint32_t bytes, uint32_t i);
};

void stack_begin(struct stack *s);
/* Closes all, lets time pass, and checks that nothing is left. */
void stack_end(struct stack *s);

/* A frame whose bytes from 34 on are there: Ethernet and IPv4 headers are written in front, and it is received. */
void stack_receive_ip(struct stack *s, uint8_t *frame, uint8_t protocol, uint32_t bytes);
/* A frame as it is. */
void stack_receive(struct stack *s, const uint8_t *frame, uint32_t len, uint32_t flags);

/* Lets time pass, tells events, and checks what must hold. */
void stack_pass(struct stack *s, uint64_t ns);

/* The application on connection k. */
void stack_push(struct stack *s, uint32_t k, uint32_t bytes, bool more);
void stack_pop(struct stack *s, uint32_t k, uint32_t limit);
void stack_connect(struct stack *s, uint32_t k);
/* By reset if `abort`. */
void stack_close(struct stack *s, uint32_t k, bool abort);

static inline uint16_t take_16(struct input *in) {
    uint8_t high = take_byte(in);
    return (uint16_t)(high << 8 | take_byte(in));
}
static inline uint32_t take_32(struct input *in) {
    uint32_t high = take_16(in);
    return high << 16 | take_16(in);
}

#endif
