/* SPDX-License-Identifier: MIT */
/* ICMP in both directions (RFC 792, RFC 1122 section 3.2.2). */
#include "inet/ip/icmp.h"

#include "base/csum.h"
#include "inet/ip/ip4_output.h"
#include "inet/ip/protocol.h"

#define DESTINATION_SHARE 4u   /* one destination gets at most a quarter of all errors */
#define ERROR_PACKET_MAX  576u /* RFC 1812 section 4.3.2.3 */

static uint16_t out_checksum(const struct tx_packet *o) {
    size_t bytes = tx_header_bytes(o);
    uint64_t sum = csum_add(0, o->at, bytes);
    for (uint32_t i = 1; i < o->frame.count; bytes += o->frame.segments[i++].len)
        sum = csum_append(sum, bytes, csum_add(0, o->frame.segments[i].base, o->frame.segments[i].len));
    return csum_finish(sum);
}

static void icmp_output(struct inet *s, struct tx_packet *o, uint8_t *header, const struct rx_packet *about) {
    struct ip4_send send = {
        .from = inet_addr_to_ip4(&about->to),
        .to = inet_addr_to_ip4(&about->from),
        .protocol = IP_ICMP,
        .ttl = IP4_TTL,
    };
    o->answer = true;
    wire_store16(header + 2, out_checksum(o));
    if (ip4_output(s, o, &send)) inet_count(s, transmit_dropped);
}

/* The reply carries the request's payload without a copy. */
static void echo_reply(struct inet *s, const struct rx_packet *p) {
    struct tx_packet o;
    if (p->multicast) return; /* RFC 1122 section 3.2.2.6 */
    tx_init(&o);
    if (p->len > ICMP_HEADER_BYTES) tx_add(&o, p->data + ICMP_HEADER_BYTES, p->len - ICMP_HEADER_BYTES);
    uint8_t *header = tx_push(&o, ICMP_HEADER_BYTES);
    icmp_emit(header, ICMP_ECHO_REPLY, 0);
    memcpy(header + 4, p->data + 4, 4); /* identifier and sequence number */
    inet_count(s, icmp_echo_replies);
    icmp_output(s, &o, header, p);
}

static int unreachable_errno(uint8_t code) {
    static const int errors[] = {-ENETUNREACH, -EHOSTUNREACH, -ENOPROTOOPT, -ECONNREFUSED, -EMSGSIZE};
    return code < sizeof errors / sizeof *errors ? errors[code] : -EHOSTUNREACH;
}

static int error_of(const struct icmp_header *icmp) {
    if (icmp->type == ICMP_UNREACHABLE) return unreachable_errno(icmp->code);
    return icmp->type == ICMP_TIME_EXCEEDED ? -EHOSTUNREACH : -EPROTO;
}

/* Passes an error to the flow of the packet that it quotes, from its IP header on. */
static void icmp_about(struct inet *s, const uint8_t *ip, uint32_t len, const struct icmp_header *icmp) {
    struct ip4_header h;
    uint16_t total = len >= IP4_HEADER_BYTES ? wire_get16(ip + 2) : 0;
    /* The quote may be truncated, but not before the end of the eight bytes that name the flow. */
    if (total == 0 || !ip4_parse(&h, ip, total) || len < h.header_bytes + ICMP_QUOTE_MIN ||
        total < h.header_bytes + ICMP_QUOTE_MIN || h.fragment_offset > 0) {
        inet_count(s, icmp_bad);
        return;
    }
    const uint8_t *ports = ip + h.header_bytes;
    struct inet_flow flow = {
        .local = inet_addr_ip4(h.from),
        .remote = inet_addr_ip4(h.to),
        .local_port = wire_get16(ports),
        .remote_port = wire_get16(ports + 2),
    };
    uint32_t first = wire_get32(ports + 4); /* the sequence number in TCP */
    const struct ip_protocol *protocol = ip_protocol_find(s, h.protocol);
    bool matched = false;
    if (protocol && protocol->too_big && icmp->type == ICMP_UNREACHABLE && icmp->code == ICMP_FRAGMENTATION_NEEDED)
        matched = protocol->too_big(s, &flow, first, icmp->mtu, total);
    else if (protocol && protocol->error)
        matched = protocol->error(s, &flow, first, error_of(icmp));
    if (!matched) inet_count(s, icmp_unmatched);
}

/* The neighbour of an outgoing packet did not answer: its flow gets the error that a router would send. */
static void local_unreachable(struct inet *s, const uint8_t *ip, uint32_t len) {
    struct icmp_header icmp = {.type = ICMP_UNREACHABLE, .code = ICMP_HOST_UNREACHABLE};
    icmp_about(s, ip, len, &icmp);
}

static void icmp_input(struct inet *s, struct rx_packet *p) {
    struct icmp_header h;
    if (!icmp_parse(&h, p->data, p->len) || csum_fold(csum_add(0, p->data, p->len)) != 0xffff) {
        inet_count(s, icmp_bad);
        return;
    }
    switch (h.type) {
    case ICMP_ECHO_REQUEST:
        echo_reply(s, p);
        break;
    case ICMP_UNREACHABLE:
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETER_PROBLEM:
        icmp_about(s, p->data + ICMP_HEADER_BYTES, p->len - ICMP_HEADER_BYTES, &h);
        break;
    default:
        inet_count(s, icmp_unknown);
    }
}

/* Errors are not answered with errors; of ICMP messages, only an echo may cause one. */
static bool may_cause_error(const struct rx_packet *p) {
    struct ip4_header h;
    return !p->multicast && ip4_parse(&h, p->ip, IP4_PACKET_MAX) && h.fragment_offset == 0 &&
           (h.protocol != IP_ICMP ||
            (p->len > 0 && (p->data[0] == ICMP_ECHO_REQUEST || p->data[0] == ICMP_ECHO_REPLY)));
}

/* Checks the limit of the destination first, so that refused answers do not use up the common limit. */
static bool may_answer(struct inet *s, const struct rx_packet *p) {
    uint32_t all = s->config.limits.icmp_per_second, each = all / DESTINATION_SHARE ? all / DESTINATION_SHARE : 1;
    uint64_t place = siphash24(s->secret, &p->from, sizeof p->from) % ICMP_RATES;
    return rate_take(&s->icmp_rates[place], each, &s->rng, s->now) && rate_take(&s->icmp_rate, all, &s->rng, s->now);
}

void icmp_error(struct inet *s, const struct rx_packet *p, uint8_t type, uint8_t code) {
    struct tx_packet o;
    if (!may_cause_error(p)) return;
    if (!may_answer(s, p)) {
        inet_count(s, icmp_rate_limit);
        return;
    }
    uint32_t quoted = (uint32_t)(p->data - p->ip) + p->len,
             most = ERROR_PACKET_MAX - IP4_HEADER_BYTES - ICMP_HEADER_BYTES;
    tx_init(&o);
    tx_add(&o, p->ip, quoted < most ? quoted : most);
    uint8_t *header = tx_push(&o, ICMP_HEADER_BYTES);
    icmp_emit(header, type, code);
    inet_count(s, icmp_errors_out);
    icmp_output(s, &o, header, p);
}

static const struct ip_protocol protocol = {.number = IP_ICMP, .input = icmp_input};

void icmp_init(struct inet *s) {
    ip_register(s, &protocol);
    s->neighbours.failed = local_unreachable;
}
