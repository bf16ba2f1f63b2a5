/* SPDX-License-Identifier: MIT */
/* Ethernet. Frames for other hosts are dropped here. */
#include "inet/ip/link.h"

#include "inet/wire/eth.h"

#include <assert.h>

const uint8_t link_broadcast[INET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

void link_register(struct inet *s, const struct link_protocol *protocol) {
    uint32_t i = 0;
    while (i < LINK_PROTOCOLS_MAX && s->protocols.link[i])
        i++;
    assert(i < LINK_PROTOCOLS_MAX);
    s->protocols.link[i] = protocol;
}

void link_input(struct inet *s, struct rx_packet *p) {
    struct eth_header eth;
    if (!eth_parse(&eth, p->data, p->len)) {
        inet_count(s, eth_short);
        return;
    }
    p->multicast = eth_is_group(eth.to);
    if (eth_is_group(eth.from)) {
        inet_count(s, eth_bad_source);
        return;
    }
    if (memcmp(eth.to, p->multicast ? link_broadcast : s->config.mac, INET_MAC_BYTES) != 0) {
        inet_count(s, eth_other_host);
        return;
    }
    p->data += ETH_HEADER_BYTES;
    p->len -= ETH_HEADER_BYTES;
    for (uint32_t i = 0; i < LINK_PROTOCOLS_MAX && s->protocols.link[i]; i++)
        if (s->protocols.link[i]->type == eth.type) {
            s->protocols.link[i]->input(s, p);
            return;
        }
    inet_count(s, eth_unknown_type);
}

int link_output_held(struct inet *s, struct held_frame *h, const uint8_t *to) {
    struct inet_frame *f = &h->frame;
    uint32_t head = f->bytes < INET_HEADER_MAX ? f->bytes : INET_HEADER_MAX;
    eth_emit(h->bytes, to, s->config.mac, ETH_TYPE_IP4);
    f->segments[0] = (struct inet_segment){h->bytes, head};
    f->segments[1] = (struct inet_segment){h->bytes + head, f->bytes - head};
    f->count = f->bytes > head ? 2 : 1;
    return link_transmit(s, f);
}
