/* SPDX-License-Identifier: MIT */
/* IPv4 in both directions (RFC 791, RFC 1122 section 3). */
#include "inet/ip/ip4.h"

#include "inet/ip/icmp.h"
#include "inet/ip/ip4_fragment.h"
#include "inet/ip/link.h"
#include "inet/ip/neighbour.h"
#include "inet/tcp/input.h"
#include "inet/udp/input.h"
#include "inet/wire/eth.h"

enum ip4_option { IP4_OPTION_END = 0, IP4_OPTION_NOP = 1, IP4_OPTION_LSRR = 131, IP4_OPTION_SSRR = 137 };

/* Options are skipped, but for source routes, which would let a stranger choose our peer (RFC 7126). */
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

void ip4_input(struct inet *s, struct packet *p) {
    struct ip4_header h;
    if (!ip4_parse(&h, p->at, p->len)) {
        inet_count(s, ip_bad_header);
        return;
    }
    if (!p->loop && !ip4_checksum_ok(p->at, h.header_bytes)) {
        inet_count(s, ip_bad_checksum);
        return;
    }
    if (h.header_bytes > IP4_HEADER_BYTES && !options_ok(p->at + IP4_HEADER_BYTES, h.header_bytes - IP4_HEADER_BYTES)) {
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
    if (p->group && !broadcast) {
        inet_count(s, ip_link_broadcast);
        return;
    }
    p->group |= broadcast;
    p->ip = p->at;
    p->from = inet_addr_ip4(h.from);
    p->to = inet_addr_ip4(h.to);
    p->at += h.header_bytes;
    p->len = h.total_bytes - (uint32_t)h.header_bytes;
    if ((h.fragment_flags & IP4_MF) || h.fragment_offset > 0)
        ip4_reassemble(s, p, &h);
    else
        ip4_deliver(s, p, h.protocol);
}

void ip4_deliver(struct inet *s, struct packet *p, uint8_t protocol) {
    switch (protocol) {
    case IP_ICMP:
        icmp_input(s, p);
        break;
    case IP_TCP:
        tcp_input(s, p);
        break;
    case IP_UDP:
        udp_input(s, p);
        break;
    default:
        inet_count(s, ip_unknown_protocol);
        icmp_error(s, p, ICMP_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE);
    }
}

static int loopback_output(struct inet *s, const struct out *o) {
    if (s->loopback_count == s->config.limits.loopback) {
        inet_count(s, loopback_limit);
        return 0;
    }
    struct held_frame *h = out_hold(o);
    if (!h) {
        inet_count(s, no_memory);
        return -ENOMEM;
    }
    list_push_back(&s->loopback, &h->link);
    s->loopback_count++;
    return 0;
}

/*
 * The transport checksum: by the device where it can, which then needs the sum of the pseudo header and two offsets;
 * none at all on the way to ourselves.
 */
static void checksum_fill(struct inet *s, struct out *o, const struct ip4_send *send, uint32_t from,
                          const struct route *r) {
    uint8_t *check = o->at + send->checksum_offset;
    uint64_t sum = ip4_pseudo_sum(from, send->to, send->protocol, o->frame.bytes);
    wire_store16(check, 0);
    if (r->kind == ROUTE_LOOPBACK) return;
    if ((s->config.offloads & INET_OFFLOAD_CSUM) &&
        (o->frame.tso_bytes > 0 || o->frame.bytes + IP4_HEADER_BYTES <= s->config.mtu)) {
        o->frame.flags |= INET_FRAME_CSUM;
        o->frame.csum_start = ETH_HEADER_BYTES + IP4_HEADER_BYTES;
        o->frame.csum_offset = send->checksum_offset;
        wire_store16(check, csum_fold(sum));
        return;
    }
    size_t bytes = out_header_bytes(o);
    sum = csum_join(sum, csum_add(0, o->at, bytes));
    for (uint32_t i = 1; i < o->frame.count; bytes += o->frame.segments[i++].len)
        sum = csum_append(sum, bytes, csum_add(0, o->frame.segments[i].base, o->frame.segments[i].len));
    uint16_t result = csum_finish(sum);
    wire_store16(check, result == 0 && send->protocol == IP_UDP ? UINT16_MAX : result);
}

static int dest_output(struct inet *s, struct out *o, struct dest *d) {
    switch (d->route.kind) {
    case ROUTE_LOOPBACK:
        return loopback_output(s, o);
    case ROUTE_BROADCAST:
        return link_output(s, o, link_broadcast, ETH_TYPE_IP4);
    default:
        return neighbour_output(s, o, d);
    }
}

/* A packet in pieces. Once one is out the packet counts as sent: what is then refused is lost, as on the wire. */
static int fragments_output(struct inet *s, const struct out *o, struct ip4_header *h, struct dest *d) {
    uint32_t most = (s->config.mtu - IP4_HEADER_BYTES) / 8 * 8;
    for (uint32_t at = 0; at < o->frame.bytes; at += most) {
        struct out piece;
        uint32_t bytes = o->frame.bytes - at < most ? o->frame.bytes - at : most;
        out_init(&piece);
        piece.answer = o->answer;
        ip4_slice(o, at, bytes, &piece);
        h->total_bytes = (uint16_t)(bytes + IP4_HEADER_BYTES);
        h->fragment_offset = at;
        h->fragment_flags = at + bytes < o->frame.bytes ? IP4_MF : 0;
        ip4_emit(out_push(&piece, IP4_HEADER_BYTES), h);
        int error = dest_output(s, &piece, d);
        if (error && at == 0) return error;
        if (error) {
            inet_count(s, transmit_dropped);
            return 0;
        }
        inet_count(s, ip_fragments_out);
    }
    return 0;
}

int ip4_output(struct inet *s, struct out *o, const struct ip4_send *send) {
    struct dest *d = dest_find(s, send->to);
    if (d->route.kind == ROUTE_NONE) {
        inet_count(s, ip_no_route);
        return -ENETUNREACH;
    }
    uint32_t from = send->from ? send->from : d->route.source, total = o->frame.bytes + IP4_HEADER_BYTES;
    bool fits = total <= s->config.mtu || d->route.kind == ROUTE_LOOPBACK || o->frame.tso_bytes > 0;
    if (total > IP4_PACKET_MAX || (!fits && send->dont_fragment)) {
        inet_count(s, ip_too_big);
        return -EMSGSIZE;
    }
    if (send->has_checksum) checksum_fill(s, o, send, from, &d->route);
    struct ip4_header h = {
        .from = from,
        .to = send->to,
        .tos = send->tos,
        .ttl = send->ttl,
        .protocol = send->protocol,
        .total_bytes = (uint16_t)total,
        .fragment_flags = send->dont_fragment ? IP4_DF : 0,
        .id = send->dont_fragment ? 0 : (*d->ip_id)++, /* RFC 6864 section 4.1 */
    };
    if (!fits) return fragments_output(s, o, &h, d);
    ip4_emit(out_push(o, IP4_HEADER_BYTES), &h);
    return dest_output(s, o, d);
}
