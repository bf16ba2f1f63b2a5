/* SPDX-License-Identifier: MIT */
/* UDP sockets (RFC 768, RFC 8085). Ports are in host order. */
#ifndef INET_UDP_UDP_H
#define INET_UDP_UDP_H

#include "inet/socket.h"

#define UDP_PAYLOAD_MAX 65507u

struct udp_socket;

/* A received datagram. The receiver owns the payload and calls heap_free(payload.base) if it is not NULL. */
struct udp_datagram {
    struct inet_endpoint from;
    struct inet_addr to; /* our address that it was sent to */
    struct inet_slice payload;
};

/* -ENOMEM. */
int udp_open(struct inet *s, struct udp_socket **out, void *user);

/* Also frees datagrams that were not received. */
void udp_close(struct udp_socket *u);

/*
 * A wildcard address receives on all addresses; port 0 chooses a random free port. -EINVAL: the socket is bound
 * already; -EADDRINUSE; -EADDRNOTAVAIL: not our address; -ENOMEM.
 */
int udp_bind(struct udp_socket *u, const struct inet_endpoint *local);

/*
 * The socket then receives only datagrams of `remote`, and reports errors that come back from it. Binds the socket if
 * it is not bound; a socket without an address uses the route's until it is disconnected. -EINVAL (not an IPv4 address,
 * port 0), -ENETUNREACH, -EADDRNOTAVAIL (no port free), -ENOMEM.
 */
int udp_connect(struct udp_socket *u, const struct inet_endpoint *remote);

/* Undoes udp_connect, and forgets the address and port that the caller did not choose. */
void udp_disconnect(struct udp_socket *u);

/*
 * Sends one datagram of `count` segments of heap memory; the device takes holds as long as it needs them. `to` NULL: to
 * the connected peer. Binds the socket if it is not bound. 0; -EAGAIN: the device has no room; -EMSGSIZE;
 * -EDESTADDRREQ; -EINVAL (too many segments, port 0); the errors of udp_connect. A pending error is returned first,
 * once.
 */
int udp_send(struct udp_socket *u, const struct inet_segment *segments, uint32_t count, const struct inet_endpoint *to,
             uint64_t now);

/*
 * Takes the oldest datagram. 0; -EAGAIN: none; or, once, the error that came back for a sent datagram, such as
 * -ECONNREFUSED.
 */
int udp_receive(struct udp_socket *u, struct udp_datagram *out);
/* Whether udp_receive would return a datagram or an error. */
bool udp_readable(const struct udp_socket *u);

/* Limit of the heap memory that unreceived datagrams hold, in bytes; 208 KiB at first. */
void udp_set_receive_limit(struct udp_socket *u, uint32_t bytes);

/* Set the type of service (0 at first) and the time to live (64 at first, at least 1) of packets sent from now on. */
void udp_set_tos(struct udp_socket *u, uint8_t tos);
void udp_set_ttl(struct udp_socket *u, uint8_t ttl);
uint8_t udp_tos(const struct udp_socket *u);
uint8_t udp_ttl(const struct udp_socket *u);

struct inet_endpoint udp_local(const struct udp_socket *u);
struct inet_endpoint udp_remote(const struct udp_socket *u); /* any: not connected */

#endif
