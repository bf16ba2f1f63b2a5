/* SPDX-License-Identifier: MIT */
/* ICMP (RFC 792): a header of eight bytes, whose second half depends on the type. */
#ifndef INET_WIRE_ICMP_H
#define INET_WIRE_ICMP_H

#include "inet/wire/wire.h"

#include <stdbool.h>

#define ICMP_HEADER_BYTES 8u
#define ICMP_QUOTE_MIN    8u /* quoted bytes that follow the IP header */

enum icmp_type {
    ICMP_ECHO_REPLY = 0,
    ICMP_UNREACHABLE = 3,
    ICMP_ECHO_REQUEST = 8,
    ICMP_TIME_EXCEEDED = 11,
    ICMP_PARAMETER_PROBLEM = 12,
};

enum icmp_unreachable_code {
    ICMP_NET_UNREACHABLE = 0,
    ICMP_HOST_UNREACHABLE = 1,
    ICMP_PROTOCOL_UNREACHABLE = 2,
    ICMP_PORT_UNREACHABLE = 3,
    ICMP_FRAGMENTATION_NEEDED = 4,
};

enum icmp_time_exceeded_code { ICMP_REASSEMBLY_TIMEOUT = 1 };

struct icmp_header {
    uint8_t type, code;
    uint16_t mtu; /* of the next hop, with ICMP_FRAGMENTATION_NEEDED (RFC 1191); 0: the router does not say */
};

/* False: the message is too short. The caller checks the checksum. */
static inline bool icmp_parse(struct icmp_header *h, const uint8_t *p, uint32_t len) {
    if (len < ICMP_HEADER_BYTES) return false;
    *h = (struct icmp_header){.type = p[0], .code = p[1], .mtu = wire_get16(p + 6)};
    return true;
}

/* Sets the checksum and the second half to zero. */
static inline void icmp_emit(uint8_t *p, uint8_t type, uint8_t code) {
    memset(p, 0, ICMP_HEADER_BYTES);
    p[0] = type;
    p[1] = code;
}

#endif
