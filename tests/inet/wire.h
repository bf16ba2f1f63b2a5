/* SPDX-License-Identifier: MIT */
/*
 * What the tests of inet/ share: stacks on a wire with a virtual clock. A host either has a peer, to which its frames
 * travel with delay, loss, duplication and reordering drawn from a seed; or none, and then the test reads its frames
 * one by one and sends it its own, as in a conversation.
 */
#ifndef TESTS_INET_WIRE_H
#define TESTS_INET_WIRE_H

#include "../base/test.h"
#include "inet/inet.h"
#include "inet/wire/arp.h"
#include "inet/wire/icmp.h"
#include "inet/wire/ip4.h"
#include "mem/heap.h"

#include <errno.h>

#define MS             1000000ull
#define SEC            1000000000ull
#define FRAMES_MAX     8192u
#define IP(a, b, c, d) htobe32((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

struct wire_frame {
    uint64_t at_ns;
    uint32_t len;
    uint32_t flags;
    uint16_t csum_start, csum_offset, header_bytes, tso_bytes;
    uint8_t *bytes; /* heap memory */
};

struct host {
    struct inet *stack;
    struct host *peer;
    struct wire *wire;
    struct inet_config config;
    struct wire_frame frames[FRAMES_MAX]; /* sent; on their way to the peer or not yet read by the test */
    uint32_t frame_count;
    int port_uses[3];     /* a test's, of its own port_used */
    uint32_t refuse;      /* frames the device is going to refuse */
    bool burst;           /* the test's frames arrive together; else each is a burst of its own */
    uint32_t block_bytes; /* least size of the blocks that the test's frames arrive in */
    uint64_t sent;        /* frames taken */
    uint64_t bytes_sent;
    uint64_t digest; /* of all frames sent, and of when */
};

struct wire {
    uint64_t now;
    struct rng rng;
    uint64_t delay_ns, jitter_ns;
    uint32_t loss_permille, duplicate_permille;
    bool detour; /* frames get IP options on the way, which mean nothing but keep them from the stack's short way in */
    struct host hosts[2];
};

/* The hosts are 10.0.0.1 and 10.0.0.2 in 10.0.0.0/24, gateway 10.0.0.254, MTU 1500. */
struct wire *wire_new(uint64_t seed);
/* Starts the stack of host i with its configuration as the test has left it. */
void host_start(struct wire *w, uint32_t i);
/* Ends the stack of host i, which may be started again. */
void host_stop(struct wire *w, uint32_t i);
/* Each host is the other's peer. */
void wire_join(struct wire *w);
void wire_delete(struct wire *w);

/* Lets time pass up to `until`, event by event. Fails the test after too many events. */
void wire_run(struct wire *w, uint64_t until);

/* Sends the host a frame of the test's. */
void host_receive(struct host *h, const void *frame, uint32_t len);
/* The next frame the host has sent, in a buffer that lasts until the next call; NULL: none. */
const struct wire_frame *host_sent(struct host *h);
void host_expect_silence(struct host *h);

uint64_t host_counter(const struct host *h, enum inet_counter c);
#define counted(host, name) host_counter(host, INET_COUNTER_##name)

extern const uint8_t mac_of[2][INET_MAC_BYTES];
extern const uint8_t mac_all[INET_MAC_BYTES];

/* Writes Ethernet and IPv4 headers from host 1 to host 0 in front of `bytes` bytes of payload at p + 34. */
uint32_t frame_ip4(uint8_t *p, uint8_t protocol, uint32_t bytes);

/* Host 0 with host 1 as a static neighbour, read and written by the test. */
struct wire *conversation(void);

#endif
