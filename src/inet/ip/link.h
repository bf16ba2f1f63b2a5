/* SPDX-License-Identifier: MIT */
/* Ethernet: receives and sends frames. */
#ifndef INET_IP_LINK_H
#define INET_IP_LINK_H

#include "inet/state.h"
#include "inet/wire/ip4.h"

/* A protocol above Ethernet, by its EtherType. `input` gets p->data at the protocol's header. */
struct link_protocol {
    uint16_t type;
    void (*input)(struct inet *s, struct rx_packet *p);
};

/* Has frames of this type delivered to the protocol, which must live as long as the stack. */
void link_register(struct inet *s, const struct link_protocol *protocol);

extern const uint8_t link_broadcast[INET_MAC_BYTES];

void link_input(struct inet *s, struct rx_packet *p);

/* Hands a frame to the device, and counts it. */
static inline int link_transmit(struct inet *s, const struct inet_frame *frame) {
    int error = s->config.transmit(s->config.ctx, frame);
    if (error)
        inet_count(s, transmit_refused);
    else
        inet_count(s, frames_out);
    return error;
}

/* Hands a frame of `bytes` bytes of headers, from Ethernet to the transport, and one segment to the device. */
static inline __attribute__((always_inline)) int link_transmit_headers(struct inet *s, const uint8_t *headers,
                                                                       uint32_t bytes, const struct inet_segment *data,
                                                                       uint16_t flags, uint16_t csum_offset) {
    struct inet_frame frame;
    frame.segments[0] = (struct inet_segment){headers, bytes};
    frame.segments[1] = *data;
    frame.count = 2;
    frame.bytes = bytes + data->len;
    frame.flags = flags;
    frame.csum_start = ETH_HEADER_BYTES + IP4_HEADER_BYTES;
    frame.csum_offset = csum_offset;
    frame.header_bytes = frame.tso_bytes = 0;
    return link_transmit(s, &frame);
}

/* Writes the Ethernet header and hands the frame to the device. 0; -EAGAIN: the device has no room. */
static inline int link_output(struct inet *s, struct tx_packet *o, const uint8_t *to, uint16_t type) {
    eth_emit(tx_push(o, ETH_HEADER_BYTES), to, s->config.mac, type);
    o->frame.segments[0] = (struct inet_segment){o->at, tx_header_bytes(o)};
    return link_transmit(s, &o->frame);
}

/*
 * Sends a frame that waited; writes its Ethernet header. 0; -EAGAIN: the device has no room. The caller keeps the
 * frame.
 */
int link_output_held(struct inet *s, struct held_frame *h, const uint8_t *to);

#endif
