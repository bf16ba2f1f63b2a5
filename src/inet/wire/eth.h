/* SPDX-License-Identifier: MIT */
/* Ethernet II. */
#ifndef INET_WIRE_ETH_H
#define INET_WIRE_ETH_H

#include "inet/addr.h"
#include "inet/wire/wire.h"

#include <stdbool.h>

#define ETH_HEADER_BYTES 14u

enum eth_type { ETH_TYPE_IP4 = 0x0800, ETH_TYPE_ARP = 0x0806 };

struct eth_header {
    const uint8_t *to, *from;
    uint16_t type;
};

/* Whether the address is multicast or broadcast. */
static inline bool eth_is_group(const uint8_t *mac) {
    return mac[0] & 1;
}

/* False: the frame is too short. */
static inline bool eth_parse(struct eth_header *h, const uint8_t *p, uint32_t len) {
    if (len < ETH_HEADER_BYTES) return false;
    *h = (struct eth_header){.to = p, .from = p + 6, .type = wire_get16(p + 12)};
    return true;
}

static inline void eth_emit(uint8_t *p, const uint8_t *to, const uint8_t *from, uint16_t type) {
    memcpy(p, to, INET_MAC_BYTES);
    memcpy(p + 6, from, INET_MAC_BYTES);
    wire_put16(p + 12, type);
}

#endif
