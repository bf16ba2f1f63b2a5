/* SPDX-License-Identifier: MIT */
/* The protocols above IP: each registers its functions, so that IP and ICMP include none of them. */
#ifndef INET_IP_PROTOCOL_H
#define INET_IP_PROTOCOL_H

#include "inet/state.h"

struct ip_protocol {
    uint8_t number;
    /* A whole packet: p->data is the protocol's header. */
    void (*input)(struct inet *s, struct rx_packet *p);
    /*
     * ICMP reports an error about a packet of this flow. `first` is the 32-bit word after the ports, in host order: the
     * sequence number in TCP; `error` is a negative errno. Returns whether a live flow has sent such a packet. NULL:
     * the protocol has no flows.
     */
    bool (*error)(struct inet *s, const struct inet_flow *flow, uint32_t first, int error);
    /*
     * A router could not forward a packet of `packet_bytes`; `mtu` is that of its next link, in bytes, or 0 if the
     * router does not say. Returns as `error`. NULL: reported through `error` as -EMSGSIZE.
     */
    bool (*too_big)(struct inet *s, const struct inet_flow *flow, uint32_t first, uint16_t mtu, uint16_t packet_bytes);
};

/* Has packets of this protocol delivered to it. It must live as long as the stack. */
void ip_register(struct inet *s, const struct ip_protocol *protocol);

/* NULL: no protocol has this number. */
const struct ip_protocol *ip_protocol_find(const struct inet *s, uint8_t number);

#endif
