/* SPDX-License-Identifier: MIT */
/* A UDP socket, and what the slow and the fast path share. */
#ifndef INET_UDP_UDP_SOCKET_H
#define INET_UDP_UDP_SOCKET_H

#include "inet/fifo.h"
#include "inet/socket_event.h"
#include "inet/udp/udp.h"
#include "inet/wire/ip4.h"
#include "inet/wire/udp.h"

#define UDP_QUEUE_MAX 4096u

struct udp_socket {
    struct inet_socket socket;
    struct inet *stack;
    struct inet_endpoint local, remote;
    struct inet_addr bound_addr; /* argument of udp_bind */
    struct inet_flow key;        /* in the stack's table: the same with the port, or zeros for the wildcard */
    bool bound, connected;
    bool port_given; /* the caller of udp_bind chose the port */
    uint8_t tos, ttl;
    int error;              /* a negative errno that is reported once */
    uint32_t receive_limit; /* bytes of heap memory */
    uint32_t received;      /* of those, in use now */
    struct fifo queue;      /* struct udp_waiting */
};

/* A received datagram in the queue. */
struct udp_waiting {
    struct udp_datagram datagram;
    uint32_t charge; /* bytes of heap memory it holds */
};

/* Queues a payload, which may be NULL. False: the queue is full, and the caller still owns the block. */
static inline bool udp_deliver(struct udp_socket *u, const struct inet_flow *flow, void *payload, uint32_t len) {
    uint32_t charge = (uint32_t)sizeof(struct udp_waiting) + (payload ? (uint32_t)heap_block_bytes(payload) : 0);
    struct udp_waiting *to = NULL;
    if (charge <= u->receive_limit - u->received) to = fifo_add(&u->queue, sizeof *to, UDP_QUEUE_MAX);
    if (!to) {
        inet_count(u->stack, udp_receive_limit);
        return false;
    }
    to->datagram = (struct udp_datagram){{flow->remote, flow->remote_port}, flow->local, {payload, len}};
    to->charge = charge;
    u->received += charge;
    u->stack->udp_received += charge;
    socket_event(u->stack, &u->socket, INET_EVENT_READABLE);
    return true;
}

static inline bool udp_checksum_ok(const struct inet_flow *flow, const uint8_t *t, uint32_t bytes) {
    uint64_t sum = ip4_pseudo_sum(inet_addr_to_ip4(&flow->remote), inet_addr_to_ip4(&flow->local), IP_UDP, bytes);
    return csum_fold(csum_add(sum, t, bytes)) == 0xffff;
}

/* udp_send without its fast path. */
int udp_send_slow(struct udp_socket *u, const struct inet_segment *segments, uint32_t count,
                  const struct inet_endpoint *to);

#endif
