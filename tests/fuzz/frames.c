/* SPDX-License-Identifier: MIT */
/*
 * Frames as they are, at a stack with a listener, a UDP socket and a connection in the middle of things. An input is a
 * run of records: what to repair, how many bytes, the bytes. Repaired are addresses, IP header and its checksum, so
 * that more than the first check is reached; the transport's checksum is taken as good.
 */
#include "stack.h"

#include "inet/wire/eth.h"
#include "inet/wire/ip4.h"
#include "leaks.h"

enum repair {
    REPAIR_ADDRESSES = 1,
    REPAIR_HEADER = 2,
    REPAIR_CHECKSUM = 4,
    TIME_PASSES = 8,
    CONNECTS = 16,
    PUSHES = 32
};

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    return 0;
}

static void repair(uint8_t *p, uint32_t len, uint8_t how) {
    static const uint8_t ends[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    if (len < ETH_IP_BYTES) return;
    uint8_t *ip = p + ETH_HEADER_BYTES;
    if (how & REPAIR_ADDRESSES) {
        memcpy(p, ends, sizeof ends);
        wire_store32(ip + 12, htobe32(0x0a000002));
        wire_store32(ip + 16, htobe32(0x0a000001));
    }
    if (how & REPAIR_HEADER) {
        wire_put16(p + 12, ETH_TYPE_IP4);
        ip[0] = 0x45;
        wire_put16(ip + 2, (uint16_t)(len - ETH_HEADER_BYTES));
    }
    if (how & REPAIR_CHECKSUM) {
        uint32_t header = (ip[0] & 15) * 4u;
        if (header < IP4_HEADER_BYTES || header > len - ETH_HEADER_BYTES) return;
        wire_store16(ip + 10, 0);
        wire_store16(ip + 10, csum_finish(csum_add(0, ip, header)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {.data = data, .left = size};
    struct stack s;
    uint64_t used = heap_used();
    stack_begin(&s);
    while (in.left) {
        static uint8_t frame[FRAME_MOST];
        uint8_t how = take_byte(&in);
        uint32_t len = take_16(&in) % 2048 + 1;
        if (len > in.left) len = (uint32_t)in.left;
        if (len == 0) break;
        for (uint32_t i = 0; i < len; i++)
            frame[i] = take_byte(&in);
        repair(frame, len, how);
        if (how & CONNECTS) stack_connect(&s, how & 3);
        if (how & PUSHES) stack_push(&s, how & 3, len, false);
        stack_receive(&s, frame, len, how & REPAIR_CHECKSUM ? INET_INPUT_CSUM_OK : 0);
        for (uint32_t k = 0; k < STACK_CONNS; k++) /* their payload is anything */
            if (s.conns[k].conn) stack_close(&s, k, tcp_available(s.conns[k].conn) > 0);
        if (how & TIME_PASSES) stack_pass(&s, (uint64_t)len * len * 1000);
    }
    stack_end(&s);
    must(heap_used() == used);
    return 0;
}
