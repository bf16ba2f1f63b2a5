/* SPDX-License-Identifier: MIT */
/*
 * Fragments and IP options: each decision makes a fragment of one of a few packets, anywhere in it and of any length,
 * in any order, overlapping or not. A packet's byte at a place is always the same, so whatever is put together is
 * known.
 */
#include "stack.h"

#include "inet/wire/eth.h"
#include "inet/wire/ip4.h"
#include "inet/wire/udp.h"
#include "leaks.h"

#define PACKETS      4u
#define OPTIONS_MOST 40u

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    return 0;
}

/* Byte i of packet `id`, behind its IP header: a UDP header for a port nobody has or the socket's, then a pattern. */
static uint8_t byte_of(uint16_t id, uint32_t total, uint32_t i) {
    uint8_t header[UDP_HEADER_BYTES];
    struct udp_header h = {7, id & 1 ? UDP_PORT : 9, (uint16_t)total, false};
    if (i >= sizeof header) return (uint8_t)(id * 31 + i * 7);
    udp_emit(header, &h);
    return header[i];
}

static void fragment(struct stack *s, struct input *in) {
    static uint8_t p[FRAME_MOST];
    uint8_t how = take_byte(in);
    uint16_t id = how % PACKETS;
    uint32_t total = FRAGMENTED_LEAST + id * FRAGMENTED_STEP, at = take_16(in) % total & ~7u, len = take_byte(in) * 8u,
             options = 0;
    bool last = at + len >= total;
    if (last) len = total - at;
    if (how & 16) options = take_byte(in) % (OPTIONS_MOST / 4 + 1) * 4;
    uint32_t header = IP4_HEADER_BYTES + options;
    eth_emit(p, (const uint8_t[]){2, 0, 0, 0, 0, 1}, (const uint8_t[]){2, 0, 0, 0, 0, 2}, ETH_TYPE_IP4);
    uint8_t *ip = p + ETH_HEADER_BYTES;
    struct ip4_header h = {
        .from = htobe32(0x0a000002),
        .to = htobe32(0x0a000001),
        .ttl = 64,
        .protocol = how & 32 ? IP_ICMP : IP_UDP,
        .id = id,
        .total_bytes = (uint16_t)(header + len),
        .fragment_flags = last && !(how & 64) ? 0 : IP4_MF,
        .fragment_offset = at,
    };
    ip4_emit(ip, &h);
    ip[0] = (uint8_t)(0x40 | header / 4);
    for (uint32_t i = 0; i < options; i++)
        ip[IP4_HEADER_BYTES + i] = take_byte(in);
    wire_store16(ip + 10, 0);
    wire_store16(ip + 10, csum_finish(csum_add(0, ip, header)));
    for (uint32_t i = 0; i < len; i++)
        ip[header + i] = byte_of(id, total, at + i);
    stack_receive(s, p, ETH_HEADER_BYTES + header + len, 0);
    if (how & 128) stack_pass(s, take_byte(in) * 200000000ull);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {.data = data, .left = size};
    struct stack s;
    uint64_t used = heap_used();
    stack_begin(&s);
    s.datagram = byte_of;
    while (in.left)
        fragment(&s, &in);
    stack_end(&s);
    must(heap_used() == used);
    return 0;
}
