/* SPDX-License-Identifier: MIT */
/* IPv4 headers (RFC 791). */
#ifndef INET_WIRE_IP4_H
#define INET_WIRE_IP4_H

#include "base/csum.h"
#include "inet/wire/wire.h"

#include <stdbool.h>

#define IP4_HEADER_BYTES    20u
#define IP4_PACKET_MAX      65535u
#define IP4_TTL             64u
#define IP4_PROTOCOL_OFFSET 9u
#define IP4_CHECKSUM_OFFSET 10u

enum ip_protocol_number { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17 };
enum ip4_flags { IP4_DF = 0x4000, IP4_MF = 0x2000 };

/* Addresses are in network order. */
struct ip4_header {
    uint32_t from, to;
    uint16_t header_bytes, total_bytes, id;
    uint16_t fragment_flags;  /* IP4_DF, IP4_MF */
    uint32_t fragment_offset; /* bytes */
    uint8_t tos, ttl, protocol;
};

/* False: not IPv4, or shorter than its header says. Bytes behind total_bytes are padding. */
static inline bool ip4_parse(struct ip4_header *h, const uint8_t *p, uint32_t len) {
    if (len < IP4_HEADER_BYTES || p[0] >> 4 != 4) return false;
    uint16_t fragment = wire_get16(p + 6);
    *h = (struct ip4_header){
        .header_bytes = (uint16_t)((p[0] & 15) * 4),
        .tos = p[1],
        .total_bytes = wire_get16(p + 2),
        .id = wire_get16(p + 4),
        .fragment_flags = fragment & (IP4_DF | IP4_MF),
        .fragment_offset = (fragment & 0x1fffu) * 8,
        .ttl = p[8],
        .protocol = p[9],
        .from = wire_load32(p + 12),
        .to = wire_load32(p + 16),
    };
    return h->header_bytes >= IP4_HEADER_BYTES && h->total_bytes >= h->header_bytes && h->total_bytes <= len;
}

/* Partial sum of a header without options. */
static inline uint64_t ip4_header_sum(const uint8_t *p) {
    uint64_t a, b;
    memcpy(&a, p, sizeof a);
    memcpy(&b, p + 8, sizeof b);
    return csum_join(csum_join(a, b), wire_load32(p + 16));
}

static inline bool ip4_checksum_ok(const uint8_t *p, uint32_t header_bytes) {
    uint64_t sum = ip4_header_sum(p);
    if (header_bytes > IP4_HEADER_BYTES) sum = csum_add(sum, p + IP4_HEADER_BYTES, header_bytes - IP4_HEADER_BYTES);
    return csum_fold(sum) == 0xffff;
}

/* Writes a header without options; ignores header_bytes. */
static inline void ip4_emit(uint8_t *p, const struct ip4_header *h) {
    uint32_t first = htobe32(0x45000000u | (uint32_t)h->tos << 16 | h->total_bytes);
    uint32_t second = htobe32((uint32_t)h->id << 16 | h->fragment_flags | h->fragment_offset / 8);
    uint32_t third = htobe32((uint32_t)h->ttl << 24 | (uint32_t)h->protocol << 16);
    wire_store32(p, first);
    wire_store32(p + 4, second);
    wire_store32(p + 8, third);
    wire_store16(p + IP4_CHECKSUM_OFFSET, csum_finish((uint64_t)first + second + third + h->from + h->to));
    wire_store32(p + 12, h->from);
    wire_store32(p + 16, h->to);
}

/*
 * Sets total length, identification and checksum of a header that was written with zeros there; `sum` is its folded
 * partial sum.
 */
static inline void ip4_patch(uint8_t *p, uint16_t sum, uint16_t total_bytes, uint16_t id) {
    total_bytes = htobe16(total_bytes);
    id = htobe16(id);
    wire_store16(p + 2, total_bytes);
    wire_store16(p + 4, id);
    wire_store16(p + IP4_CHECKSUM_OFFSET, csum_finish((uint64_t)sum + total_bytes + id));
}

/* Partial sum of the pseudo header of TCP and UDP. */
static inline uint64_t ip4_pseudo_sum(uint32_t from, uint32_t to, uint8_t protocol, uint32_t bytes) {
    return (uint64_t)from + to + htobe16(protocol) + htobe16((uint16_t)bytes);
}

#endif
