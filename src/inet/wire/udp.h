/* SPDX-License-Identifier: MIT */
/* UDP headers (RFC 768). */
#ifndef INET_WIRE_UDP_H
#define INET_WIRE_UDP_H

#include "inet/wire/wire.h"

#include <stdbool.h>

#define UDP_HEADER_BYTES    8u
#define UDP_CHECKSUM_OFFSET 6u

struct udp_header {
    uint16_t from_port, to_port;
    uint16_t bytes; /* header included */
    bool has_checksum;
};

/* False: it is shorter than its length field says, or that is less than a header. */
static inline bool udp_parse(struct udp_header *h, const uint8_t *p, uint32_t len) {
    if (len < UDP_HEADER_BYTES) return false;
    *h = (struct udp_header){
        .from_port = wire_get16(p),
        .to_port = wire_get16(p + 2),
        .bytes = wire_get16(p + 4),
        .has_checksum = wire_get16(p + UDP_CHECKSUM_OFFSET) != 0,
    };
    return h->bytes >= UDP_HEADER_BYTES && h->bytes <= len;
}

/* The checksum is zero. */
static inline void udp_emit(uint8_t *p, const struct udp_header *h) {
    wire_put16(p, h->from_port);
    wire_put16(p + 2, h->to_port);
    wire_put16(p + 4, h->bytes);
    wire_put16(p + UDP_CHECKSUM_OFFSET, 0);
}

#endif
