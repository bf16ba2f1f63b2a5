/* SPDX-License-Identifier: MIT */
/* Patches the header template of a calm connection for its next segment. */
#ifndef INET_TCP_FAST_HEADERS_H
#define INET_TCP_FAST_HEADERS_H

#include "inet/ip/neighbour.h"
#include "inet/tcp/conn.h"

/*
 * Writes all fields. False: the connection has no flight, the next hop is not a known neighbour, or the packet needs an
 * IP identification.
 */
bool template_write(const struct tcp_conn *c);

/* Whether the template, which is c's, may be patched: it is written, and what it contains has not changed since. */
static inline bool template_ready(const struct tcp_conn *c, const struct tcp_template *t) {
    return __builtin_expect(t->epoch == c->stack->dest_epoch, 1) || template_write(c);
}

/* Sets the lengths, and the checksums that depend on nothing else. */
static inline void template_resize(struct tcp_template *t, uint32_t payload) {
    uint32_t tcp_bytes = t->bytes - TCP_TEMPLATE_TCP + payload;
    t->payload = payload;
    ip4_patch(t->headers + TCP_TEMPLATE_IP, t->ip_sum, (uint16_t)(IP4_HEADER_BYTES + tcp_bytes), 0);
    if (t->csum)
        wire_store16(t->headers + TCP_TEMPLATE_TCP + TCP_CHECKSUM_OFFSET,
                     csum_fold((uint64_t)t->tcp_sum + htobe16((uint16_t)tcp_bytes)));
}

/*
 * Patches the template for a segment that is about to leave. Returns the partial sum of the pseudo header and the TCP
 * header, for template_checksum; 0: the device completes the checksum.
 */
static inline uint64_t template_patch(const struct tcp_conn *c, struct tcp_template *t, uint32_t seq, uint8_t flags,
                                      uint16_t window, uint32_t payload) {
    uint8_t *p = t->headers + TCP_TEMPLATE_TCP;
    uint32_t be_seq = htobe32(seq), ack = htobe32(c->receive.nxt), value = 0, echo = 0;
    if (t->payload != payload) template_resize(t, payload);
    wire_store32(p + 4, be_seq);
    wire_store32(p + 8, ack);
    p[13] = flags;
    wire_put16(p + 14, window);
    if (c->send.timestamps) {
        value = htobe32(conn_clock_ms(c));
        echo = htobe32(c->ts.recent);
        wire_store32(p + TCP_HEADER_BYTES + 4, value);
        wire_store32(p + TCP_HEADER_BYTES + 8, echo);
    }
    t->neighbour->used = true;
    if (t->csum) return 0;
    return (uint64_t)t->tcp_sum + htobe16((uint16_t)(t->bytes - TCP_TEMPLATE_TCP + payload)) + be_seq + ack +
           wire_load16(p + 12) + htobe16(window) + value + echo;
}

/* sum: of the pseudo header, the TCP header and the payload. */
static inline void template_checksum(struct tcp_template *t, uint64_t sum) {
    wire_store16(t->headers + TCP_TEMPLATE_TCP + TCP_CHECKSUM_OFFSET, csum_finish(sum));
}

#endif
