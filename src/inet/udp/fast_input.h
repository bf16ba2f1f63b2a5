/* SPDX-License-Identifier: MIT */
/*
 * Fast path of input: a datagram goes to the socket that its port had last. It is a header because inet_input alone
 * uses it, and both need one stack frame then.
 */
#ifndef INET_UDP_FAST_INPUT_H
#define INET_UDP_FAST_INPUT_H

#include "inet/ip/dest.h"
#include "inet/udp/udp_socket.h"

/*
 * Whether the socket, which is at the port, receives datagrams from `remote`, d, to `local`. At the wildcard the
 * address must be the one that we send from to that host: of others the slow path knows whether they are ours.
 */
static inline bool udp_receives(const struct udp_socket *u, const struct dest *d, uint32_t local, uint32_t remote,
                                uint16_t remote_port) {
    uint32_t bound = inet_addr_to_ip4(&u->local.addr);
    if (bound ? bound != local : local == 0 || local != d->route.source) return false;
    return !u->connected || (u->remote.port == remote_port && inet_addr_to_ip4(&u->remote.addr) == remote);
}

/*
 * A datagram in `bytes` bytes, at least 8, behind an IPv4 header without options. checked: its checksum is known to be
 * right. Queues it for its socket, or drops it if the queue is full, and takes the block over. False: nothing was done.
 */
static inline bool udp_input_expected(struct inet *s, uint8_t *t, uint32_t bytes, bool checked) {
    struct udp_header h;
    uint32_t local = wire_load32(t - 4), remote = wire_load32(t - 8);
    if (!udp_parse(&h, t, bytes) || h.from_port == 0 || h.bytes == UDP_HEADER_BYTES) return false;
    struct udp_socket *u = s->udp_ports[h.to_port % UDP_PORTS];
    if (!u || u->local.port != h.to_port) return false;
    const struct dest *d = dest_find(s, remote);
    if (!d->may_be_source || !udp_receives(u, d, local, remote, h.from_port)) return false;
    const struct inet_flow flow = {inet_addr_ip4(local), inet_addr_ip4(remote), h.to_port, h.from_port};
    if (h.has_checksum && !checked && !udp_checksum_ok(&flow, t, h.bytes)) return false;
    if (!udp_deliver(u, &flow, t + UDP_HEADER_BYTES, h.bytes - UDP_HEADER_BYTES)) heap_free(t);
    return true;
}

#endif
