/* SPDX-License-Identifier: MIT */
/* IPv4 packets to be sent (RFC 791, RFC 1122 section 3.3). */
#include "inet/ip/ip4_output.h"

#include "inet/ip/link.h"
#include "inet/ip/neighbour.h"
#include "inet/wire/eth.h"

static int loopback_output(struct inet *s, const struct tx_packet *o) {
    if (s->loopback_count == s->config.limits.loopback) {
        inet_count(s, loopback_limit);
        return 0;
    }
    struct held_frame *h = tx_hold(o);
    if (!h) {
        inet_count(s, no_memory);
        return -ENOMEM;
    }
    list_push_back(&s->loopback, &h->link);
    s->loopback_count++;
    return 0;
}

/*
 * Sets the transport checksum. A device that completes it needs the sum of the pseudo header and two offsets. Packets
 * to this host carry none.
 */
static void checksum_fill(struct inet *s, struct tx_packet *o, const struct ip4_send *send, uint32_t from,
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
    size_t bytes = tx_header_bytes(o);
    sum = csum_join(sum, csum_add(0, o->at, bytes));
    for (uint32_t i = 1; i < o->frame.count; bytes += o->frame.segments[i++].len)
        sum = csum_append(sum, bytes, csum_add(0, o->frame.segments[i].base, o->frame.segments[i].len));
    uint16_t result = csum_finish(sum);
    wire_store16(check, result == 0 && send->protocol == IP_UDP ? UINT16_MAX : result);
}

static int dest_output(struct inet *s, struct tx_packet *o, struct dest *d) {
    switch (d->route.kind) {
    case ROUTE_LOOPBACK:
        return loopback_output(s, o);
    case ROUTE_BROADCAST:
        return link_output(s, o, link_broadcast, ETH_TYPE_IP4);
    default:
        return neighbour_output(s, o, d);
    }
}

/*
 * Adds `bytes` bytes of the packet in o, headers and payload as one sequence, from offset `at` on to an empty `piece`.
 */
static void slice(const struct tx_packet *o, uint32_t at, uint32_t bytes, struct tx_packet *piece) {
    uint32_t head = tx_header_bytes(o), from = head;
    if (at < head) { /* headers are copied, because they are not in the heap */
        uint32_t n = head - at < bytes ? head - at : bytes;
        memcpy(tx_push(piece, n), o->at + at, n);
        at += n;
        bytes -= n;
    }
    for (uint32_t i = 1; i < o->frame.count && bytes > 0; from += o->frame.segments[i++].len) {
        const struct inet_segment *seg = &o->frame.segments[i];
        if (at >= from + seg->len) continue;
        uint32_t skip = at - from, n = seg->len - skip < bytes ? seg->len - skip : bytes;
        tx_add(piece, (const uint8_t *)seg->base + skip, n);
        at += n;
        bytes -= n;
    }
}

/*
 * Sends a packet in fragments. Once one is sent the packet counts as sent: fragments that the device refuses then are
 * lost.
 */
static int fragments_output(struct inet *s, const struct tx_packet *o, struct ip4_header *h, struct dest *d) {
    uint32_t most = (s->config.mtu - IP4_HEADER_BYTES) / 8 * 8;
    for (uint32_t at = 0; at < o->frame.bytes; at += most) {
        struct tx_packet piece;
        uint32_t bytes = o->frame.bytes - at < most ? o->frame.bytes - at : most;
        tx_init(&piece);
        piece.answer = o->answer;
        slice(o, at, bytes, &piece);
        h->total_bytes = (uint16_t)(bytes + IP4_HEADER_BYTES);
        h->fragment_offset = at;
        h->fragment_flags = at + bytes < o->frame.bytes ? IP4_MF : 0;
        ip4_emit(tx_push(&piece, IP4_HEADER_BYTES), h);
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

int ip4_output(struct inet *s, struct tx_packet *o, const struct ip4_send *send) {
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
    ip4_emit(tx_push(o, IP4_HEADER_BYTES), &h);
    return dest_output(s, o, d);
}
