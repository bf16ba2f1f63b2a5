/* SPDX-License-Identifier: MIT */
/* Receives frames: by the fast path of their protocol, or layer by layer. */
#include "inet/ip/ip4_input.h"
#include "inet/ip/link.h"
#include "inet/tcp/fast_input.h"
#include "inet/udp/fast_input.h"
#include "inet/wire/eth.h"
#include "inet/wire/ip4.h"

#define PLAIN_IP4 0x08004500u /* EtherType, version and header length; the type of service does not matter */

/*
 * The fast path: accepts only what the layers of the slow path would accept in the same way, and leaves everything else
 * to them, which count it. False: nothing was done.
 */
static inline bool input_expected(struct inet *s, uint8_t *frame, uint32_t len, uint32_t flags) {
    uint8_t *ip = frame + ETH_HEADER_BYTES, *t = ip + IP4_HEADER_BYTES;
    if (len < ETH_HEADER_BYTES + IP4_HEADER_BYTES + 8 || memcmp(frame, s->config.mac, INET_MAC_BYTES) != 0 ||
        eth_is_group(frame + INET_MAC_BYTES) || (wire_get32(frame + 12) & 0xffffff00) != PLAIN_IP4 ||
        (wire_load16(ip + 6) & htobe16((uint16_t)~IP4_DF)) != 0)
        return false;
    uint32_t total = wire_get16(ip + 2);
    if (total < IP4_HEADER_BYTES + 8 || total > len - ETH_HEADER_BYTES || csum_fold(ip4_header_sum(ip)) != 0xffff)
        return false;
    uint32_t bytes = total - IP4_HEADER_BYTES;
    bool checked = flags & INET_INPUT_CSUM_OK;
    if (ip[9] == IP_TCP) return tcp_input_expected(s, t, bytes, checked);
    return ip[9] == IP_UDP && !(flags & INET_INPUT_OWN) && udp_input_expected(s, t, bytes, checked);
}

static __attribute__((noinline)) void input_slow(struct inet *s, void *buf, uint32_t len, uint32_t flags) {
    struct rx_packet p = {.data = buf, .len = len, .flags = flags};
    if (flags & INET_INPUT_LOOP) {
        p.loop = true;
        p.data += ETH_HEADER_BYTES;
        p.len -= ETH_HEADER_BYTES;
        ip4_input(s, &p);
    } else {
        link_input(s, &p);
    }
    if (!p.taken) heap_free(buf);
}

bool inet_input(struct inet *s, void *buf, uint32_t len, uint32_t flags, uint64_t now) {
    s->now = now;
    if ((flags & INET_INPUT_LOOP) || s->config.slow_only || !input_expected(s, buf, len, flags)) {
        if (flags & INET_INPUT_OWN) return false;
        input_slow(s, buf, len, flags);
    }
    inet_count(s, frames_in);
    return true;
}
