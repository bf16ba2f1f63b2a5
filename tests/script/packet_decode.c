/* SPDX-License-Identifier: MIT */
/* What the stack has sent, checked and told in the words of a script. */
#include "packet_wire.h"

#include "inet/wire/arp.h"
#include "inet/wire/icmp.h"
#include "inet/wire/ip4.h"
#include "inet/wire/tcp.h"
#include "inet/wire/udp.h"
#include "names.h"

#include <string.h>

static void put_bytes(struct script_packet *p, enum field f, const void *bytes, size_t count) {
    packet_set(p, f, 0);
    p->value[f].count = (uint8_t)count;
    memcpy(p->value[f].bytes, bytes, count);
}

static void check_data(struct script_packet *p, const uint8_t *data, uint32_t from, uint32_t len) {
    for (uint32_t i = 0; i < len; i++)
        if (data[i] != packet_byte(from + i)) packet_set(p, FIELD_BAD_DATA, 1);
}

/* Bytes of the transport: whole, so that the checksum can be looked at. */
static void check_sum(struct script_packet *p, const struct wire_frame *f, const uint8_t *t, uint32_t bytes,
                      uint64_t pseudo, uint32_t offset) {
    if (!f->offloaded) {
        if (csum_fold(csum_add(pseudo, t, bytes)) != 0xffff) packet_set(p, FIELD_BAD_SUM, 1);
        return;
    }
    uint16_t there;
    memcpy(&there, t + offset, sizeof there);
    packet_set(p, FIELD_OFFLOADED, 1);
    if (f->bytes + f->csum_start != t || f->csum_offset != offset || there != csum_fold(pseudo))
        packet_set(p, FIELD_BAD_SUM, 1);
}

static void decode_order(struct script_packet *p, const uint8_t *t, uint32_t header_bytes) {
    uint8_t kinds[TCP_OPTIONS_MAX];
    uint32_t count = 0;
    for (uint32_t i = TCP_HEADER_BYTES; i < header_bytes && t[i] != 0; i += t[i] == 1 || t[i + 1] < 2 ? 1 : t[i + 1])
        if (t[i] != 1) kinds[count++] = t[i];
    put_bytes(p, FIELD_OPTS, kinds, count);
}

static void decode_options(struct script_packet *p, struct flow *flow, const struct tcp_options *o) {
    struct tcp_range sack[TCP_SACK_BLOCKS_MAX];
    if (o->mss) packet_set(p, FIELD_MSS, o->mss);
    if (o->sack_permitted) packet_set(p, FIELD_SACK_OK, 1);
    if (o->has_window_shift) packet_set(p, FIELD_WS, o->window_shift);
    if (o->has_timestamp) {
        flow->last_stamp = o->ts_value;
        packet_set(p, FIELD_TS, 0);
        packet_set(p, FIELD_TS_VALUE, o->ts_value - flow->stamp_base);
        packet_set(p, FIELD_TS_ECHO, o->ts_echo);
    }
    if (o->sack_count == 0) return;
    for (uint32_t i = 0; i < o->sack_count; i++)
        sack[i] = (struct tcp_range){o->sack[i].start - PEER_ISN, o->sack[i].end - PEER_ISN};
    put_bytes(p, FIELD_SACKS, sack, o->sack_count * sizeof *sack);
}

static void decode_tcp(struct flows *f, const struct wire_frame *frame, const struct ip4_header *ip, const uint8_t *t,
                       uint32_t bytes, struct script_packet *p) {
    struct tcp_header h;
    struct flow *flow;
    if (!tcp_parse(&h, t, bytes) || !(flow = flow_of(f, h.to_port))) return;
    p->kind = PACKET_TCP;
    if ((h.flags & TCP_SYN) && !(flow->known && flow->iss == h.seq)) {
        flow->known = true;
        flow->iss = h.seq;
        flow->stack_port = h.from_port;
        flow->stamp_base = h.options.ts_value;
    }
    p->tcp_flags = h.flags;
    p->seq = h.seq - flow->iss;
    p->end = p->seq + bytes - h.header_bytes;
    packet_set(p, FIELD_FROM, h.to_port);
    packet_set(p, FIELD_AT, h.from_port);
    if (h.flags & TCP_ACK) packet_set(p, FIELD_ACK, h.ack - PEER_ISN);
    packet_set(p, FIELD_WIN, h.window);
    if (!(h.flags & TCP_PSH)) packet_set(p, FIELD_NO_PUSH, 1);
    if (frame->tso_bytes) packet_set(p, FIELD_TSO, frame->tso_bytes);
    decode_order(p, t, h.header_bytes);
    decode_options(p, flow, &h.options);
    check_data(p, t + h.header_bytes, p->seq - 1 + ((h.flags & TCP_SYN) != 0), bytes - h.header_bytes);
    check_sum(p, frame, t, bytes, ip4_pseudo_sum(ip->from, ip->to, IP_TCP, bytes), TCP_CHECKSUM_OFFSET);
}

static void decode_udp(const struct wire_frame *frame, const struct ip4_header *ip, const uint8_t *t, uint32_t bytes,
                       bool whole, struct script_packet *p) {
    struct udp_header h;
    if (bytes < UDP_HEADER_BYTES || (whole && !udp_parse(&h, t, bytes))) return;
    p->kind = PACKET_UDP;
    packet_set(p, FIELD_AT, wire_get16(t));
    packet_set(p, FIELD_FROM, wire_get16(t + 2));
    packet_set(p, FIELD_LEN, wire_get16(t + 4) - UDP_HEADER_BYTES);
    check_data(p, t + UDP_HEADER_BYTES, 0, bytes - UDP_HEADER_BYTES);
    if (wire_get16(t + UDP_CHECKSUM_OFFSET) == 0)
        packet_set(p, FIELD_NO_SUM, 1);
    else if (whole)
        check_sum(p, frame, t, bytes, ip4_pseudo_sum(ip->from, ip->to, IP_UDP, bytes), UDP_CHECKSUM_OFFSET);
}

static void decode_icmp(const struct wire_frame *frame, const uint8_t *t, uint32_t bytes, bool whole,
                        struct script_packet *p) {
    struct icmp_header h;
    if (!icmp_parse(&h, t, bytes)) return;
    bool echo = h.type == ICMP_ECHO_REQUEST || h.type == ICMP_ECHO_REPLY;
    p->kind = PACKET_ICMP;
    packet_set(p, FIELD_ICMP_TYPE, h.type);
    packet_set(p, FIELD_ICMP_CODE, h.code);
    if (echo) {
        packet_set(p, FIELD_ICMP_ID, wire_get16(t + 4));
        packet_set(p, FIELD_ICMP_SEQ, wire_get16(t + 6));
        check_data(p, t + ICMP_HEADER_BYTES, 0, bytes - ICMP_HEADER_BYTES);
    }
    packet_set(p, FIELD_LEN, bytes - ICMP_HEADER_BYTES);
    if (whole) check_sum(p, frame, t, bytes, 0, 2);
}

/* A fragment behind the first has payload only; of all protocols here it begins eight bytes into it. */
static void decode_later(uint8_t protocol, const struct ip4_header *ip, const uint8_t *t, uint32_t bytes,
                         struct script_packet *p) {
    p->kind = protocol == IP_UDP ? PACKET_UDP : protocol == IP_ICMP ? PACKET_ICMP : PACKET_IP;
    check_data(p, t, ip->fragment_offset - UDP_HEADER_BYTES, bytes);
}

static void decode_ip(struct flows *f, const struct wire_frame *frame, const uint8_t *at, uint32_t len,
                      struct script_packet *p) {
    struct ip4_header h;
    if (!ip4_parse(&h, at, len) || h.total_bytes != len) return;
    const uint8_t *t = at + h.header_bytes;
    uint32_t bytes = len - h.header_bytes;
    bool more = h.fragment_flags & IP4_MF, whole = !more && h.fragment_offset == 0;
    p->kind = PACKET_IP;
    packet_set(p, FIELD_PROTO, h.protocol);
    if (h.fragment_offset > 0)
        decode_later(h.protocol, &h, t, bytes, p);
    else if (h.protocol == IP_TCP)
        decode_tcp(f, frame, &h, t, bytes, p);
    else if (h.protocol == IP_UDP)
        decode_udp(frame, &h, t, bytes, whole, p);
    else if (h.protocol == IP_ICMP)
        decode_icmp(frame, t, bytes, whole, p);
    packet_set(p, FIELD_SRC, h.from);
    packet_set(p, FIELD_DST, h.to);
    packet_set(p, FIELD_TTL, h.ttl);
    packet_set(p, FIELD_TOS, h.tos);
    packet_set(p, FIELD_IP_ID, h.id);
    if (h.fragment_flags & IP4_DF) packet_set(p, FIELD_DF, 1);
    if (!ip4_checksum_ok(at, h.header_bytes)) packet_set(p, FIELD_BAD_IP_SUM, 1);
    if (whole) return;
    packet_set(p, FIELD_FRAG, 0);
    packet_set(p, FIELD_FRAG_AT, h.fragment_offset);
    packet_set(p, FIELD_FRAG_LEN, bytes);
    packet_set(p, FIELD_FRAG_MORE, more);
}

static void decode_arp(const uint8_t *at, uint32_t len, struct script_packet *p) {
    struct arp_packet a;
    if (!arp_parse(&a, at, len)) return;
    p->kind = PACKET_ARP;
    packet_set(p, FIELD_ARP_OP, a.operation);
    packet_set(p, FIELD_ARP_SENDER, a.sender_ip);
    packet_set(p, FIELD_ARP_TARGET, a.target_ip);
    put_bytes(p, FIELD_ARP_MAC, a.sender_mac, sizeof a.sender_mac);
}

void packet_decode(struct flows *f, const struct wire_frame *frame, struct script_packet *p) {
    struct eth_header eth;
    memset(p, 0, sizeof *p);
    p->kind = PACKET_RAW;
    if (frame->no_link) {
        decode_ip(f, frame, frame->bytes, frame->len, p);
        return;
    }
    if (!eth_parse(&eth, frame->bytes, frame->len)) return;
    const uint8_t *at = frame->bytes + ETH_HEADER_BYTES;
    if (eth.type == ETH_TYPE_ARP) decode_arp(at, frame->len - ETH_HEADER_BYTES, p);
    if (eth.type == ETH_TYPE_IP4) decode_ip(f, frame, at, frame->len - ETH_HEADER_BYTES, p);
    put_bytes(p, FIELD_ETH_TO, eth.to, INET_MAC_BYTES);
    put_bytes(p, FIELD_ETH_FROM, eth.from, INET_MAC_BYTES);
}
