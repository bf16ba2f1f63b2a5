/* SPDX-License-Identifier: MIT */
/* UDP sockets (RFC 768, RFC 8085). Ports are in host order. */
#ifndef INET_UDP_UDP_H
#define INET_UDP_UDP_H

#include "inet/socket.h"

#define UDP_PAYLOAD_MAX 65507u

struct udp_socket;

/* A received datagram. The payload belongs to the receiver: heap_free(payload.base) where it is not NULL. */
struct udp_datagram {
    struct inet_endpoint from;
    struct inet_addr to; /* the address of ours it was sent to */
    struct inet_slice payload;
};

/* -ENOMEM. */
int udp_open(struct inet *s, struct udp_socket **out, void *user);

/* Also with datagrams that were not received. */
void udp_close(struct udp_socket *u);

/*
 * The wildcard receives on all addresses; port 0 stands for a random free one. -EINVAL: bound already; -EADDRINUSE;
 * -EADDRNOTAVAIL: not our address; -ENOMEM.
 */
int udp_bind(struct udp_socket *u, const struct inet_endpoint *local);

/*
 * From now on only datagrams of `remote` are received, and errors that come back from it are told. Binds where need
 * be. A socket bound to no address has the route's until it is disconnected. -EINVAL (not an IPv4 address, port 0),
 * -ENETUNREACH, -EADDRNOTAVAIL (no port free), -ENOMEM.
 */
int udp_connect(struct udp_socket *u, const struct inet_endpoint *remote);

/* Undoes udp_connect. An address that udp_connect has chosen goes, and so does a port that udp_bind was not given. */
void udp_disconnect(struct udp_socket *u);

/*
 * Sends one datagram made of `count` segments of heap memory, which the device holds as long as it needs them. `to`
 * NULL: to whom it is connected. Binds where need be. 0; -EAGAIN: the device has no room now; -EMSGSIZE;
 * -EDESTADDRREQ; -EINVAL (too many segments, port 0); what udp_connect says. A waiting error is returned first, once.
 */
int udp_send(struct udp_socket *u, const struct inet_segment *segments, uint32_t count, const struct inet_endpoint *to,
             uint64_t now);

/* The oldest datagram. 0; -EAGAIN: none; or the error that came back for one sent, once, such as -ECONNREFUSED. */
int udp_receive(struct udp_socket *u, struct udp_datagram *out);
/* Whether there is either. */
bool udp_readable(const struct udp_socket *u);

/* Bytes of heap memory that datagrams may hold before they are received; at first 208 KiB. */
void udp_set_receive_limit(struct udp_socket *u, uint32_t bytes);

/* Of the packets sent from now on: type of service, at first 0, and hops, at first 64, at least 1. */
void udp_set_tos(struct udp_socket *u, uint8_t tos);
void udp_set_ttl(struct udp_socket *u, uint8_t ttl);
uint8_t udp_tos(const struct udp_socket *u);
uint8_t udp_ttl(const struct udp_socket *u);

struct inet_endpoint udp_local(const struct udp_socket *u);
struct inet_endpoint udp_remote(const struct udp_socket *u); /* any: not connected */

#endif
