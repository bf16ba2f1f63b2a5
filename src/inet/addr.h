/* SPDX-License-Identifier: MIT */
/*
 * Addresses of both families in one form: sixteen bytes, with IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). All
 * zeros is the wildcard. Endpoints and flows are made of addresses and ports.
 */
#ifndef INET_ADDR_H
#define INET_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define INET_MAC_BYTES 6

/* Words are in network order. */
struct inet_addr {
    uint32_t words[4];
};

/* An IPv4 address in network order. */
static inline struct inet_addr inet_addr_ip4(uint32_t ip4) {
    return (struct inet_addr){{0, 0, __builtin_bswap32(0xffff), ip4}};
}

static inline bool inet_addr_is_ip4(const struct inet_addr *a) {
    return a->words[0] == 0 && a->words[1] == 0 && a->words[2] == __builtin_bswap32(0xffff);
}

/* The IPv4 address in network order. The caller has checked inet_addr_is_ip4. */
static inline uint32_t inet_addr_to_ip4(const struct inet_addr *a) {
    return a->words[3];
}

static inline bool inet_addr_equal(const struct inet_addr *a, const struct inet_addr *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

/* Whether it is the wildcard; an IPv4 socket writes it as 0.0.0.0. */
static inline bool inet_addr_is_any(const struct inet_addr *a) {
    return (a->words[0] | a->words[1] | a->words[3]) == 0 && (a->words[2] == 0 || inet_addr_is_ip4(a));
}

/* One end of a flow; the port is in host order. */
struct inet_endpoint {
    struct inet_addr addr;
    uint16_t port;
};

/* Key of the flow tables. Ports are in host order. It has no padding, because keys are hashed as bytes. */
struct inet_flow {
    struct inet_addr local, remote;
    uint16_t local_port, remote_port;
};
_Static_assert(sizeof(struct inet_flow) == 36, "hashed as bytes");

/*
 * A flow over IPv4, in network order. A received packet without IP options contains these twelve bytes in this order.
 * The table of connections has it as its key.
 */
struct inet_flow_ip4 {
    uint32_t remote, local;
    uint16_t remote_port, local_port;
};
_Static_assert(sizeof(struct inet_flow_ip4) == 12, "hashed as bytes");

/* Whether two flows are equal. Compares the fields that differ most often first. */
static inline bool inet_flow_equal(const struct inet_flow *a, const struct inet_flow *b) {
    uint64_t x[4], y[4];
    uint32_t ports_x, ports_y;
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    memcpy(&ports_x, &a->local_port, sizeof ports_x);
    memcpy(&ports_y, &b->local_port, sizeof ports_y);
    return ports_x == ports_y && x[3] == y[3] && ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2])) == 0;
}

#endif
