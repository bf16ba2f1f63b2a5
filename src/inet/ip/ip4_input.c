/* SPDX-License-Identifier: MIT */
/* Received IPv4 packets (RFC 791, RFC 1122 section 3.2.1). */
#include "inet/ip/ip4_input.h"

#include "inet/ip/dest.h"
#include "inet/ip/icmp.h"
#include "inet/ip/ip4_fragment.h"
#include "inet/ip/link.h"
#include "inet/ip/protocol.h"
#include "inet/wire/eth.h"
#include "inet/wire/ip4.h"

enum ip4_option { IP4_OPTION_END = 0, IP4_OPTION_NOP = 1, IP4_OPTION_LSRR = 131, IP4_OPTION_SSRR = 137 };

/* Skips options, but refuses source routes, which would let a sender choose where our answers go (RFC 7126). */
static bool options_ok(const uint8_t *p, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes && p[i] != IP4_OPTION_END;) {
        if (p[i] == IP4_OPTION_NOP) {
            i++;
            continue;
        }
        if (p[i] == IP4_OPTION_LSRR || p[i] == IP4_OPTION_SSRR) return false;
        if (i + 1 >= bytes || p[i + 1] < 2 || p[i + 1] > bytes - i) return false;
        i += p[i + 1];
    }
    return true;
}

static void deliver(struct inet *s, struct rx_packet *p, uint8_t number) {
    const struct ip_protocol *protocol = ip_protocol_find(s, number);
    if (protocol) {
        protocol->input(s, p);
        return;
    }
    inet_count(s, ip_unknown_protocol);
    icmp_error(s, p, ICMP_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE);
}

static void fragment_input(struct inet *s, struct rx_packet *p, const struct ip4_header *h) {
    struct rx_packet whole;
    if (!ip4_reassemble(s, p, h, &whole)) return;
    if (!rx_offer(s, s->config.steer, &whole)) deliver(s, &whole, h->protocol);
    if (!whole.taken) heap_free(heap_block(whole.data));
}

void ip4_input(struct inet *s, struct rx_packet *p) {
    struct ip4_header h;
    if (!ip4_parse(&h, p->data, p->len)) {
        inet_count(s, ip_bad_header);
        return;
    }
    if (!p->loop && !ip4_checksum_ok(p->data, h.header_bytes)) {
        inet_count(s, ip_bad_checksum);
        return;
    }
    if (h.header_bytes > IP4_HEADER_BYTES &&
        !options_ok(p->data + IP4_HEADER_BYTES, h.header_bytes - IP4_HEADER_BYTES)) {
        inet_count(s, ip_bad_options);
        return;
    }
    if (!p->loop && !dest_find(s, h.from)->may_be_source) {
        inet_count(s, ip_bad_source);
        return;
    }
    bool own = route_is_own(s, h.to), broadcast = !own && route_is_broadcast(s, h.to);
    if (!own && !broadcast && !(p->loop && ip4_is_loopback(h.to))) {
        inet_count(s, ip_other_host);
        return;
    }
    if (p->multicast && !broadcast) {
        inet_count(s, ip_link_broadcast);
        return;
    }
    p->multicast |= broadcast;
    p->ip = p->data;
    p->from = inet_addr_ip4(h.from);
    p->to = inet_addr_ip4(h.to);
    p->data += h.header_bytes;
    p->len = h.total_bytes - (uint32_t)h.header_bytes;
    if ((h.fragment_flags & IP4_MF) || h.fragment_offset > 0)
        fragment_input(s, p, &h);
    else
        deliver(s, p, h.protocol);
}

static const struct link_protocol protocol = {.type = ETH_TYPE_IP4, .input = ip4_input};

void ip4_init(struct inet *s) {
    link_register(s, &protocol);
}
