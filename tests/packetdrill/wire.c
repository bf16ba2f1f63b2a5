/* SPDX-License-Identifier: MIT */
/* The wire: IP packets of the caller in Ethernet frames of the stack. Everybody is behind one gateway. */
#include "host.h"

#include "base/csum.h"
#include "base/rng.h"
#include "base/sys.h"
#include "inet/wire/eth.h"
#include "mem/heap.h"

#include <errno.h>

#define RECEIVE_LIMIT_VIRTUAL (3600 * NS_PER_S) /* how long the next packet is waited for */
#define RECEIVE_LIMIT_REAL    (60 * NS_PER_S)
#define OWN_PREFIX_BITS       32 /* nobody else is on the link */

static const uint8_t own_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 1}, gateway_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 2};

int wire_start(struct host *h) {
    uint32_t gateway = h->flags.local ^ htobe32(1);
    struct inet_static_neighbour neighbour = {.addr = inet_addr_ip4(gateway)};
    struct inet_config config = {
        .mtu = h->flags.mtu,
        .addrs = {{inet_addr_ip4(h->flags.local), OWN_PREFIX_BITS}},
        .addr_count = 1,
        .gateway = inet_addr_ip4(gateway),
        .neighbours = &neighbour,
        .neighbour_count = 1,
        .offloads = h->flags.tso ? INET_OFFLOAD_CSUM | INET_OFFLOAD_TSO : 0,
        .transmit = wire_transmit,
        .ctx = h,
    };
    struct rng rng;
    memcpy(neighbour.mac, gateway_mac, INET_MAC_BYTES);
    memcpy(config.mac, own_mac, INET_MAC_BYTES);
    rng_init(&rng, 1); /* a run can be repeated */
    for (uint32_t i = 0; i < INET_SEED_BYTES; i++)
        config.seed[i] = (uint8_t)rng_next(&rng);
    return inet_new(&h->stack, &config, h->now_ns);
}

/* What the device would do: but a packet that is to be cut stays whole. */
static void checksum_complete(const struct inet_frame *frame, uint8_t *packet, uint32_t bytes) {
    uint32_t start = frame->csum_start - ETH_HEADER_BYTES;
    uint16_t sum = csum_finish(csum_add(0, packet + start, bytes - start));
    wire_store16(packet + start + frame->csum_offset, sum ? sum : UINT16_MAX);
}

int wire_transmit(void *ctx, const struct inet_frame *frame) {
    struct host *h = ctx;
    uint32_t bytes = frame->bytes - ETH_HEADER_BYTES, at = 0;
    if (h->packet_count == HOST_PACKETS) return -EAGAIN;
    uint8_t *data = sys_calloc(1, bytes);
    if (!data) return -EAGAIN;
    for (uint32_t i = 0, skip = ETH_HEADER_BYTES; i < frame->count; i++, skip = 0) {
        memcpy(data + at, (const uint8_t *)frame->segments[i].base + skip, frame->segments[i].len - skip);
        at += frame->segments[i].len - skip;
    }
    if (frame->flags & INET_FRAME_CSUM) checksum_complete(frame, data, bytes);
    h->packets[(h->packet_first + h->packet_count++) % HOST_PACKETS] =
        (struct out_packet){.at_ns = h->now_ns, .bytes = bytes, .data = data};
    h->changed = true;
    return 0;
}

int wire_send(struct host *h, const void *buf, size_t count) {
    if (count == 0 || count > HOST_PACKET_MAX) return -EMSGSIZE;
    uint8_t *frame = heap_alloc(ETH_HEADER_BYTES + count);
    if (!frame) return -ENOMEM;
    eth_emit(frame, own_mac, gateway_mac, ETH_TYPE_IP4);
    memcpy(frame + ETH_HEADER_BYTES, buf, count);
    inet_input(h->stack, frame, (uint32_t)(ETH_HEADER_BYTES + count), 0, h->now_ns);
    inet_timers(h->stack, h->now_ns);
    return 0;
}

int wire_receive(struct host *h, void *buf, size_t *count, long long *usec) {
    size_t room = *count;
    *count = 0;
    clock_pass(h, h->now_ns + (h->flags.real_time ? RECEIVE_LIMIT_REAL : RECEIVE_LIMIT_VIRTUAL), true);
    if (h->packet_count == 0) return 0;
    struct out_packet p = h->packets[h->packet_first++ % HOST_PACKETS];
    h->packet_count--;
    *count = p.bytes < room ? p.bytes : room;
    *usec = (long long)(p.at_ns / NS_PER_US);
    memcpy(buf, p.data, *count);
    sys_free(p.data);
    return 0;
}
