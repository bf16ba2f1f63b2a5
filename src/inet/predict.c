/* SPDX-License-Identifier: MIT */
/*
 * Receive fast path. It accepts only what the layers of the slow path would accept in the same way. It leaves
 * everything else to them, and they count it.
 */
#include "inet/predict.h"

#include "inet/ip/dest.h"
#include "inet/tcp/input.h"
#include "inet/udp/input.h"
#include "inet/wire/eth.h"
#include "inet/wire/ip4.h"

#define PLAIN_IP4 0x08004500u /* EtherType, version and header length; the type of service does not matter */

bool predict_input(struct inet *s, uint8_t *frame, uint32_t len, uint32_t flags) {
    uint8_t *ip = frame + ETH_HEADER_BYTES, *t = ip + IP4_HEADER_BYTES;
    if (len < ETH_HEADER_BYTES + IP4_HEADER_BYTES + 8 || memcmp(frame, s->config.mac, INET_MAC_BYTES) != 0 ||
        (wire_get32(frame + 12) & 0xffffff00) != PLAIN_IP4 || (wire_get16(ip + 6) & ~IP4_DF) != 0)
        return false;
    uint32_t total = wire_get16(ip + 2), from = wire_load32(ip + 12);
    if (total < IP4_HEADER_BYTES + 8 || total > len - ETH_HEADER_BYTES || csum_fold(ip4_header_sum(ip)) != 0xffff)
        return false;
    uint32_t bytes = total - IP4_HEADER_BYTES;
    bool checked = flags & INET_INPUT_CSUM_OK;
    if (ip[9] == IP_TCP) return tcp_input_expected(s, t, bytes, checked);
    struct inet_flow flow = {inet_addr_ip4(wire_load32(ip + 16)), inet_addr_ip4(from), wire_get16(t + 2),
                             wire_get16(t)};
    return ip[9] == IP_UDP && dest_find(s, from)->may_be_source && udp_input_expected(s, t, bytes, &flow, checked);
}
