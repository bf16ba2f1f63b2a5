/* SPDX-License-Identifier: MIT */
/* The table of protocols above IP. */
#include "inet/ip/protocol.h"

#include <assert.h>

void ip_register(struct inet *s, const struct ip_protocol *protocol) {
    uint32_t i = 0;
    while (i < IP_PROTOCOLS_MAX && s->protocols.ip[i])
        i++;
    assert(i < IP_PROTOCOLS_MAX);
    s->protocols.ip[i] = protocol;
}

const struct ip_protocol *ip_protocol_find(const struct inet *s, uint8_t number) {
    for (uint32_t i = 0; i < IP_PROTOCOLS_MAX && s->protocols.ip[i]; i++)
        if (s->protocols.ip[i]->number == number) return s->protocols.ip[i];
    return NULL;
}
