/* SPDX-License-Identifier: MIT */
/* ARP for IPv4 over Ethernet (RFC 826). */
#ifndef INET_WIRE_ARP_H
#define INET_WIRE_ARP_H

#include "inet/wire/eth.h"

#define ARP_BYTES 28u

enum arp_operation { ARP_REQUEST = 1, ARP_REPLY = 2 };

/* Addresses are in network order. */
struct arp_packet {
    uint16_t operation;
    uint8_t sender_mac[INET_MAC_BYTES], target_mac[INET_MAC_BYTES];
    uint32_t sender_ip, target_ip;
};

/* False: it is too short, or not for IPv4 over Ethernet. */
static inline bool arp_parse(struct arp_packet *a, const uint8_t *p, uint32_t len) {
    if (len < ARP_BYTES || wire_get16(p) != 1 || wire_get16(p + 2) != ETH_TYPE_IP4 || p[4] != INET_MAC_BYTES ||
        p[5] != 4)
        return false;
    a->operation = wire_get16(p + 6);
    memcpy(a->sender_mac, p + 8, INET_MAC_BYTES);
    a->sender_ip = wire_load32(p + 14);
    memcpy(a->target_mac, p + 18, INET_MAC_BYTES);
    a->target_ip = wire_load32(p + 24);
    return true;
}

static inline void arp_emit(uint8_t *p, const struct arp_packet *a) {
    wire_put16(p, 1);
    wire_put16(p + 2, ETH_TYPE_IP4);
    p[4] = INET_MAC_BYTES;
    p[5] = 4;
    wire_put16(p + 6, a->operation);
    memcpy(p + 8, a->sender_mac, INET_MAC_BYTES);
    wire_store32(p + 14, a->sender_ip);
    memcpy(p + 18, a->target_mac, INET_MAC_BYTES);
    wire_store32(p + 24, a->target_ip);
}

#endif
