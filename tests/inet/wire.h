/* SPDX-License-Identifier: MIT */
/*
 * Shared by the tests of inet/: stacks on a wire with a virtual clock. If a host has a peer, its frames reach the peer
 * with delay, loss, duplication and reordering that a seed determines. If a host has no peer, the test plays it: the
 * test reads the host's frames one by one and sends its own.
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
    struct wire_frame frames[FRAMES_MAX]; /* sent frames that the peer has not received or the test has not read */
    uint32_t frame_count;
    int port_uses[3];     /* for a test's own port_used callback */
    uint32_t refuse;      /* number of frames that the device will refuse */
    bool burst;           /* the test's frames arrive together; else each is a burst of its own */
    uint32_t block_bytes; /* minimum size of the blocks that hold the test's frames */
    uint64_t sent;        /* frames that the device has accepted */
    uint64_t bytes_sent;
    uint64_t digest; /* over all sent frames and their times */
};

struct wire {
    uint64_t now;
    struct rng rng;
    uint64_t delay_ns, jitter_ns;
    uint32_t loss_permille, duplicate_permille;
    bool detour; /* add IP no-ops to each frame, so that the receiver takes the slow path */
    struct host hosts[2];
};

/* The hosts are 10.0.0.1 and 10.0.0.2 in 10.0.0.0/24, gateway 10.0.0.254, MTU 1500. */
struct wire *wire_new(uint64_t seed);
/* Starts the stack of host i with hosts[i].config. */
void host_start(struct wire *w, uint32_t i);
/* Deletes the stack of host i. host_start can start it again. */
void host_stop(struct wire *w, uint32_t i);
/* Makes the hosts each other's peer. */
void wire_join(struct wire *w);
void wire_delete(struct wire *w);

/* Processes events and advances the clock to `until`. Fails the test after too many events. */
void wire_run(struct wire *w, uint64_t until);

/* The host receives a frame from the test. */
void host_receive(struct host *h, const void *frame, uint32_t len);
/* Returns the next frame that the host has sent, or NULL. The frame is valid until the next call. */
const struct wire_frame *host_sent(struct host *h);
void host_expect_silence(struct host *h);

uint64_t host_counter(const struct host *h, enum inet_counter c);
#define counted(host, name) host_counter(host, INET_COUNTER_##name)

extern const uint8_t mac_of[2][INET_MAC_BYTES];
extern const uint8_t mac_all[INET_MAC_BYTES];

/* Writes the Ethernet and IPv4 headers of a packet from host 1 to host 0 with `bytes` of payload at p + 34. */
uint32_t frame_ip4(uint8_t *p, uint8_t protocol, uint32_t bytes);

/* Starts host 0 with host 1 as a static neighbour. The test plays host 1. */
struct wire *wire_new_scripted(void);

#endif
