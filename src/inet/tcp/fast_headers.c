/* SPDX-License-Identifier: MIT */
/* Writes the header template of a connection. */
#include "inet/tcp/fast_headers.h"

/* Of the fields that stay equal; the others count as zero. */
static uint16_t tcp_sum(const struct tcp_conn *c, const struct tcp_template *t) {
    const uint8_t *p = t->headers + TCP_TEMPLATE_TCP;
    uint64_t sum = ip4_pseudo_sum(inet_addr_to_ip4(&c->flow.local), inet_addr_to_ip4(&c->flow.remote), IP_TCP, 0);
    if (!t->csum) sum += wire_load32(p); /* the ports */
    if (!t->csum && c->send.timestamps) sum += wire_load32(p + TCP_HEADER_BYTES);
    return csum_fold(sum);
}

bool template_write(const struct tcp_conn *c) {
    struct inet *s = c->stack;
    if (c->recovery.flight == &tcp_no_flight || !c->path.dont_fragment) return false;
    struct tcp_template *t = &c->recovery.flight->template;
    struct neighbour *n = dest_find(s, inet_addr_to_ip4(&c->flow.remote))->neighbour;
    if (!neighbour_is_known(n)) return false;
    uint32_t tcp_bytes = TCP_HEADER_BYTES + (c->send.timestamps ? TCP_TIMESTAMP_BYTES : 0);
    uint8_t *ip = t->headers + TCP_TEMPLATE_IP, *p = t->headers + TCP_TEMPLATE_TCP;
    const struct ip4_header h = {.from = inet_addr_to_ip4(&c->flow.local),
                                 .to = inet_addr_to_ip4(&c->flow.remote),
                                 .tos = c->path.tos,
                                 .ttl = c->path.ttl,
                                 .protocol = IP_TCP,
                                 .fragment_flags = IP4_DF};
    eth_emit(t->headers, n->mac, s->config.mac, ETH_TYPE_IP4);
    ip4_emit(ip, &h);
    wire_store16(ip + IP4_CHECKSUM_OFFSET, 0);
    tcp_emit_fixed(p, c->flow.local_port, c->flow.remote_port, 0, 0, tcp_bytes, 0, 0);
    if (c->send.timestamps) wire_put32(p + TCP_HEADER_BYTES, TCP_TIMESTAMP_ALONE);
    t->bytes = (uint8_t)(TCP_TEMPLATE_TCP + tcp_bytes);
    t->csum = s->config.offloads & INET_OFFLOAD_CSUM;
    t->ip_sum = csum_fold(ip4_header_sum(ip));
    t->tcp_sum = tcp_sum(c, t);
    t->payload = UINT32_MAX;
    t->neighbour = n;
    t->epoch = s->dest_epoch;
    return true;
}
