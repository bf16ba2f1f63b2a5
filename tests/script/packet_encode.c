/* SPDX-License-Identifier: MIT */
/* What the peer sends, made into frames, with all the mistakes that a line asks for. */
#include "packet_wire.h"

#include "inet/wire/arp.h"
#include "inet/wire/icmp.h"
#include "inet/wire/ip4.h"
#include "inet/wire/tcp.h"
#include "inet/wire/udp.h"
#include "names.h"

#include <string.h>

#define TRANSPORT_MAX (FRAME_BYTES - ETH_HEADER_BYTES - 60)
#define PEER_CLOCK    1000u /* the peer's timestamps begin here */

struct flow *flow_of(struct flows *f, uint32_t peer_port) {
    for (uint32_t i = 0; i < f->count; i++)
        if (f->flow[i].peer_port == peer_port) return &f->flow[i];
    if (f->count == FLOWS_MAX) return NULL;
    struct flow *flow = &f->flow[f->count++];
    *flow = (struct flow){.peer_port = (uint16_t)peer_port, .stack_port = STACK_PORT, .window = 65535};
    return flow;
}

static uint32_t source_of(const struct script_packet *p) {
    return packet_or(p, FIELD_SRC, PEER_IP);
}
static uint32_t target_of(const struct script_packet *p) {
    return packet_or(p, FIELD_DST, STACK_IP);
}

static void fill(uint8_t *to, uint32_t from, uint32_t len) {
    for (uint32_t i = 0; i < len; i++)
        to[i] = packet_byte(from + i);
}

static void sum(const struct script_packet *p, uint8_t *t, uint32_t bytes, uint32_t offset, uint8_t protocol) {
    uint64_t pseudo = protocol == IP_ICMP ? 0 : ip4_pseudo_sum(source_of(p), target_of(p), protocol, bytes);
    wire_store16(t + offset, 0);
    uint16_t check = csum_finish(csum_add(pseudo, t, bytes));
    if (protocol == IP_UDP && check == 0) check = UINT16_MAX;
    wire_store16(t + offset, packet_has(p, FIELD_BAD_SUM) ? (uint16_t)(check ^ 0x0101) : check);
}

static void stamp_options(struct flow *flow, const struct script_packet *p, uint32_t now_ms, struct tcp_options *o) {
    if ((p->tcp_flags & TCP_SYN) && packet_has(p, FIELD_TS)) flow->stamps = true;
    if (packet_has(p, FIELD_NO_TS) || !(packet_has(p, FIELD_TS) || flow->stamps)) return;
    o->has_timestamp = true;
    o->ts_value = packet_or(p, FIELD_TS_VALUE, PEER_CLOCK + now_ms);
    o->ts_echo = packet_has(p, FIELD_TS_ECHO) ? packet_get(p, FIELD_TS_ECHO) + flow->stamp_base : flow->last_stamp;
}

static struct tcp_options options_of(struct flow *flow, const struct script_packet *p, uint32_t now_ms) {
    struct tcp_options o = {
        .mss = (uint16_t)packet_or(p, FIELD_MSS, 0),
        .has_window_shift = packet_has(p, FIELD_WS),
        .window_shift = (uint8_t)packet_or(p, FIELD_WS, 0),
        .sack_permitted = packet_has(p, FIELD_SACK_OK),
    };
    stamp_options(flow, p, now_ms, &o);
    o.sack_count = (uint8_t)(p->value[FIELD_SACKS].count / sizeof(struct tcp_range));
    memcpy(o.sack, p->value[FIELD_SACKS].bytes, p->value[FIELD_SACKS].count);
    for (uint32_t i = 0; i < o.sack_count; i++) {
        o.sack[i].start += flow->iss;
        o.sack[i].end += flow->iss;
    }
    return o;
}

static uint32_t emit_tcp(struct flows *f, const struct script_packet *p, uint32_t now_ms, uint8_t *t) {
    struct flow *flow = flow_of(f, packet_get(p, FIELD_FROM));
    const struct field_value *raw = &p->value[FIELD_TCP_RAW];
    if (!flow) return 0;
    flow->last_ack = packet_or(p, FIELD_ACK, flow->last_ack);
    flow->window = packet_or(p, FIELD_WIN, flow->window);
    struct tcp_header h = {
        .from_port = flow->peer_port,
        .to_port = (uint16_t)packet_or(p, FIELD_AT, flow->stack_port),
        .seq = p->seq + PEER_ISN,
        .ack = p->tcp_flags & TCP_ACK ? flow->last_ack + flow->iss : 0,
        .flags = p->tcp_flags,
        .window = (uint16_t)flow->window,
        .options = options_of(flow, p, now_ms),
    };
    uint32_t options = tcp_options_bytes(&h.options), more = (raw->count + 3u) & ~3u;
    if (options + more > TCP_OPTIONS_MAX) return 0;
    h.header_bytes = (uint8_t)(TCP_HEADER_BYTES + options + more);
    tcp_emit(t, &h);
    memset(t + TCP_HEADER_BYTES + options, 0, more);
    memcpy(t + TCP_HEADER_BYTES + options, raw->bytes, raw->count);
    fill(t + h.header_bytes, p->seq - 1 + ((p->tcp_flags & TCP_SYN) != 0), p->end - p->seq);
    sum(p, t, h.header_bytes + p->end - p->seq, TCP_CHECKSUM_OFFSET, IP_TCP);
    return h.header_bytes + p->end - p->seq;
}

static uint32_t emit_udp(const struct script_packet *p, uint8_t *t) {
    uint32_t len = packet_or(p, FIELD_LEN, 0), bytes = UDP_HEADER_BYTES + len;
    if (bytes > TRANSPORT_MAX) return 0;
    struct udp_header h = {
        .from_port = (uint16_t)packet_get(p, FIELD_FROM),
        .to_port = (uint16_t)packet_or(p, FIELD_AT, STACK_PORT),
        .bytes = (uint16_t)packet_or(p, FIELD_UDP_LEN, bytes),
    };
    udp_emit(t, &h);
    fill(t + UDP_HEADER_BYTES, 0, len);
    if (!packet_has(p, FIELD_NO_SUM)) sum(p, t, bytes, UDP_CHECKSUM_OFFSET, IP_UDP);
    return bytes;
}

/* The first bytes of a packet of the stack's, as an ICMP error quotes them. */
static uint32_t emit_quote(struct flows *f, const struct script_packet *p, uint8_t *q) {
    bool tcp = packet_has(p, FIELD_ABOUT_TCP);
    uint32_t peer_port = packet_or(p, FIELD_FROM, PEER_PORT);
    struct flow *flow = tcp ? flow_of(f, peer_port) : NULL;
    struct ip4_header ip = {
        .from = target_of(p), /* the error's target */
        .to = PEER_IP,
        .ttl = IP4_TTL,
        .protocol = tcp ? IP_TCP : IP_UDP,
        .total_bytes = IP4_HEADER_BYTES + TCP_HEADER_BYTES,
    };
    ip4_emit(q, &ip);
    q += IP4_HEADER_BYTES;
    wire_put16(q, (uint16_t)packet_or(p, FIELD_AT, flow ? flow->stack_port : STACK_PORT));
    wire_put16(q + 2, (uint16_t)peer_port);
    wire_put32(q + 4, flow ? packet_get(p, FIELD_ABOUT_TCP) + flow->iss : 0);
    return IP4_HEADER_BYTES + ICMP_QUOTE_MIN;
}

static uint32_t emit_icmp(struct flows *f, const struct script_packet *p, uint8_t *t) {
    uint32_t len = packet_or(p, FIELD_LEN, 0);
    if (len > TRANSPORT_MAX - ICMP_HEADER_BYTES) return 0;
    icmp_emit(t, (uint8_t)packet_get(p, FIELD_ICMP_TYPE), (uint8_t)packet_get(p, FIELD_ICMP_CODE));
    wire_put16(t + 4, (uint16_t)packet_or(p, FIELD_ICMP_ID, 0));
    wire_put16(t + 6, (uint16_t)packet_or(p, FIELD_ICMP_SEQ, packet_or(p, FIELD_MTU, 0)));
    if (packet_has(p, FIELD_ABOUT_TCP) || packet_has(p, FIELD_ABOUT_UDP))
        len = emit_quote(f, p, t + ICMP_HEADER_BYTES);
    else
        fill(t + ICMP_HEADER_BYTES, 0, len);
    sum(p, t, ICMP_HEADER_BYTES + len, 2, IP_ICMP);
    return ICMP_HEADER_BYTES + len;
}

static uint32_t emit_transport(struct flows *f, const struct script_packet *p, uint32_t now_ms, uint8_t *t) {
    switch (p->kind) {
    case PACKET_TCP:
        return emit_tcp(f, p, now_ms, t);
    case PACKET_UDP:
        return emit_udp(p, t);
    case PACKET_ICMP:
        return emit_icmp(f, p, t);
    default:
        fill(t, 0, packet_or(p, FIELD_LEN, 0));
        return packet_or(p, FIELD_LEN, 0);
    }
}

static uint8_t protocol_of(const struct script_packet *p) {
    return p->kind == PACKET_TCP    ? IP_TCP
           : p->kind == PACKET_UDP  ? IP_UDP
           : p->kind == PACKET_ICMP ? IP_ICMP
                                    : (uint8_t)packet_or(p, FIELD_PROTO, 255);
}

/* The IP header at `ip` before `bytes` bytes at *t, of which a fragment takes its part; the packet's length. */
static uint32_t emit_ip(const struct script_packet *p, uint8_t *ip, const uint8_t *t, uint32_t bytes) {
    const struct field_value *raw = &p->value[FIELD_IP_RAW];
    uint32_t head = IP4_HEADER_BYTES + ((raw->count + 3u) & ~3u), at = packet_or(p, FIELD_FRAG_AT, 0);
    uint32_t len = packet_or(p, FIELD_FRAG_LEN, bytes);
    if (at + len > bytes) return 0;
    struct ip4_header h = {
        .from = source_of(p),
        .to = target_of(p),
        .tos = (uint8_t)packet_or(p, FIELD_TOS, 0),
        .ttl = (uint8_t)packet_or(p, FIELD_TTL, IP4_TTL),
        .protocol = protocol_of(p),
        .id = (uint16_t)packet_or(p, FIELD_IP_ID, 1),
        .fragment_flags =
            (uint16_t)((packet_or(p, FIELD_FRAG_MORE, 0) ? IP4_MF : 0) | (packet_has(p, FIELD_DF) ? IP4_DF : 0)),
        .fragment_offset = at,
        .total_bytes = (uint16_t)packet_or(p, FIELD_IP_LEN, head + len),
    };
    memmove(ip + head, t + at, len);
    ip4_emit(ip, &h);
    memset(ip + IP4_HEADER_BYTES, 0, head - IP4_HEADER_BYTES);
    memcpy(ip + IP4_HEADER_BYTES, raw->bytes, raw->count);
    ip[0] = (uint8_t)(0x40 | packet_or(p, FIELD_IHL, head) / 4);
    wire_store16(ip + 10, 0);
    uint16_t check = csum_finish(csum_add(0, ip, head));
    wire_store16(ip + 10, packet_has(p, FIELD_BAD_IP_SUM) ? (uint16_t)(check ^ 0x0101) : check);
    return head + len;
}

static uint32_t emit_arp(const struct script_packet *p, uint8_t *at) {
    struct arp_packet a = {
        .operation = (uint16_t)packet_get(p, FIELD_ARP_OP),
        .sender_ip = packet_get(p, FIELD_ARP_SENDER),
        .target_ip = packet_get(p, FIELD_ARP_TARGET),
    };
    memcpy(a.sender_mac, packet_has(p, FIELD_ARP_MAC) ? p->value[FIELD_ARP_MAC].bytes : peer_mac, INET_MAC_BYTES);
    if (a.operation == ARP_REPLY) memcpy(a.target_mac, stack_mac, INET_MAC_BYTES);
    arp_emit(at, &a);
    return ARP_BYTES;
}

uint32_t packet_encode(struct flows *f, const struct script_packet *p, uint32_t now_ms, uint8_t frame[FRAME_BYTES]) {
    static _Thread_local uint8_t transport[FRAME_BYTES];
    uint8_t *at = frame + ETH_HEADER_BYTES;
    bool arp = p->kind == PACKET_ARP, asks = arp && packet_get(p, FIELD_ARP_OP) == ARP_REQUEST;
    uint32_t len = arp ? 0 : emit_transport(f, p, now_ms, transport);
    if (!arp && len == 0 && p->kind != PACKET_IP) return 0;
    len = arp ? emit_arp(p, at) : emit_ip(p, at, transport, len);
    if (len == 0) return 0;
    eth_emit(frame,
             packet_has(p, FIELD_ETH_TO) ? p->value[FIELD_ETH_TO].bytes
             : asks                      ? name_mac_find("all")->mac
                                         : stack_mac,
             packet_has(p, FIELD_ETH_FROM) ? p->value[FIELD_ETH_FROM].bytes : peer_mac,
             (uint16_t)packet_or(p, FIELD_ETH_TYPE, arp ? ETH_TYPE_ARP : ETH_TYPE_IP4));
    uint32_t pad = packet_or(p, FIELD_PAD, 0);
    len += ETH_HEADER_BYTES;
    if (len + pad > FRAME_BYTES) return 0;
    memset(frame + len, 0xaa, pad);
    return packet_has(p, FIELD_CUT) && packet_get(p, FIELD_CUT) < len ? packet_get(p, FIELD_CUT) : len + pad;
}
