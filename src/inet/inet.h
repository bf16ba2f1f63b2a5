/* SPDX-License-Identifier: MIT */
/*
 * A network stack that does no I/O: frames, time and random numbers come in as arguments, frames leave through a
 * function. All state is in struct inet; a stack belongs to one thread. Times are nanoseconds of one monotonic clock
 * and never run backwards. Functions return 0 or a negative errno unless they say otherwise.
 */
#ifndef INET_INET_H
#define INET_INET_H

#include "inet/addr.h"
#include "inet/counters.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INET_ADDRS_MAX      16u
#define INET_MTU_MIN        68u /* RFC 791 */
#define INET_MTU_MAX        9216u
#define INET_HEADER_MAX     128u /* Ethernet, IP and TCP headers with all options */
#define INET_FRAME_SEGMENTS 18u
#define INET_SEED_BYTES     32u

struct inet;

/* Payload in heap memory. The receiver owns it and frees it with heap_free(base). */
struct inet_slice {
    void *base;
    uint32_t len;
};

/* Contiguous bytes of an outgoing frame. */
struct inet_segment {
    const void *base;
    uint32_t len;
};

enum inet_frame_flags {
    INET_FRAME_CSUM = 1, /* the device completes the checksum: csum_start and csum_offset say where */
    INET_FRAME_TSO = 2,  /* the device segments the payload into frames of tso_bytes; INET_FRAME_CSUM is set, too */
};

/*
 * An outgoing Ethernet frame. The first segment holds the headers, at most INET_HEADER_MAX bytes, and is valid until
 * transmit returns; a device that needs it longer copies it. The other segments are heap memory; a device that needs
 * them longer takes a heap_hold on each.
 */
struct inet_frame {
    struct inet_segment segments[INET_FRAME_SEGMENTS];
    uint32_t bytes; /* sum of the segments */
    uint16_t count;
    uint16_t flags;        /* enum inet_frame_flags */
    uint16_t csum_start;   /* from the start of the frame; sum from here to the end */
    uint16_t csum_offset;  /* from csum_start; holds the sum of the pseudo header (of the whole payload with TSO) */
    uint16_t header_bytes; /* all headers before the payload, for TSO */
    uint16_t tso_bytes;    /* payload of each frame except the last */
};

/*
 * 0: the device has accepted the frame. -EAGAIN: it has no room, and has not accepted the frame. Must not call the
 * stack.
 */
typedef int inet_transmit(void *ctx, const struct inet_frame *frame);

enum inet_offloads {
    INET_OFFLOAD_CSUM = 1, /* the device completes TCP and UDP checksums */
    INET_OFFLOAD_TSO = 2,  /* the device segments TCP over IPv4; requires INET_OFFLOAD_CSUM */
};

struct inet_prefix {
    struct inet_addr addr; /* one of ours */
    uint8_t bits;          /* of the IPv4 address */
};

struct inet_static_neighbour {
    struct inet_addr addr;
    uint8_t mac[INET_MAC_BYTES];
};

/* Limits; 0 means the default in brackets. */
struct inet_limits {
    uint32_t neighbours;       /* entries of the neighbour cache, static ones included (1024) */
    uint32_t neighbour_queue;  /* bytes of heap memory that packets waiting for one neighbour hold (256 KiB) ... */
    uint32_t neighbour_memory; /* ... and for all neighbours; answers to unverified senders get half of it (4 MiB) */
    uint32_t fragment_bytes;   /* bytes of heap memory that incomplete packets hold (4 MiB) */
    uint32_t loopback;         /* packets queued from this host to itself (1024) */
    uint32_t icmp_per_second;  /* ICMP errors sent, at most a quarter of them to one destination (1000) */
    uint32_t tcp_orphans;      /* closed connections with unacknowledged data (65,536) */
    uint32_t tcp_time_wait;    /* connections in TIME_WAIT (131,072) */
};

enum inet_flow_event {
    INET_FLOW_OPENS,
    INET_FLOW_ATTACHED, /* another stack had it before (tcp_attach) */
    INET_FLOW_ENDS,
};

struct inet_config {
    uint8_t mac[INET_MAC_BYTES];
    uint16_t mtu; /* of the IP packet: INET_MTU_MIN ... INET_MTU_MAX */
    struct inet_prefix addrs[INET_ADDRS_MAX];
    uint32_t addr_count;
    struct inet_addr gateway;                       /* any: none */
    const struct inet_static_neighbour *neighbours; /* read during inet_new only */
    uint32_t neighbour_count;
    struct inet_limits limits;
    uint64_t tcp_memory;      /* bytes of heap memory that received data of all TCP connections may pin; 0: 1 GiB */
    uint32_t offloads;        /* enum inet_offloads */
    uint32_t tso_frame_bytes; /* longest frame that the device segments; 0: no limit */
    bool announce;            /* announce our addresses at the start (RFC 5227 section 2.3) */
    bool slow_only;           /* for tests: take no fast path; what the stack does is the same */
    bool probe;               /* probe at the start whether other hosts use them (RFC 5227 section 2.1) */
    /*
     * Random and secret, and different for each stack unless a run is to be repeated. Stacks that share addresses have
     * the second half in common: from it they make initial sequence numbers, timestamps and SYN cookies, which any of
     * them may be sent back.
     */
    uint8_t seed[INET_SEED_BYTES];
    /* May be NULL. Stacks that share addresses have it in common: until then SYN cookies may come back. */
    _Atomic uint64_t *cookies_until_ns;
    inet_transmit *transmit;
    /*
     * May be NULL. A socket or connection begins (on) or ends (off) to use a local port, in host order, of IP protocol
     * 6 or 17. A port is in use while more users have begun than ended. Must not call the stack.
     */
    void (*port_used)(void *ctx, uint8_t protocol, uint16_t port, bool on);
    /*
     * May be NULL. Another host, at `mac`, uses one of our addresses; a probe at the start has found it, or a later
     * packet. Called for each address at the start, and later at most once in ten seconds. Must not call the stack.
     */
    void (*conflict)(void *ctx, const struct inet_addr *addr, const uint8_t *mac, bool probing);
    /*
     * The next five are for several stacks that share addresses, each with some of the flows; else NULL. None may call
     * the stack.
     *
     * flow_used: a TCP connection, in any state, or a connected UDP socket has come to have this flow, or has it no
     * more. 0, or a negative errno, with which the opening fails; -EADDRINUSE: another stack has the flow.
     *
     * endpoint_used: a TCP listener or a UDP socket that is not connected receives at this address, which may be the
     * wildcard, and port (on), or does so no more. On: 0, or a negative errno, with which the opening fails.
     *
     * flow_ours: whether a flow with a port of the stack's choice may be opened here: frames of it arrive here, and no
     * other stack has it.
     *
     * steer: a packet that was not given to inet_input as it is: to ourselves, or put together of fragments. True: it
     * is another stack's, which is given it; the block is taken over.
     *
     * unmatched: a TCP segment that belongs to no connection, asks for one or may complete a handshake, and finds no
     * listener in this stack. True as for steer; false: it is refused.
     *
     * Of the last two, `flags` are to be given to inet_input there: those the frame came with, or INET_INPUT_LOOP.
     */
    int (*flow_used)(void *ctx, uint8_t protocol, const struct inet_flow *flow, enum inet_flow_event event);
    int (*endpoint_used)(void *ctx, uint8_t protocol, const struct inet_endpoint *local, bool on);
    bool (*flow_ours)(void *ctx, const struct inet_flow *flow);
    bool (*steer)(void *ctx, void *frame, uint32_t len, uint32_t flags);
    bool (*unmatched)(void *ctx, void *frame, uint32_t len, uint32_t flags);
    void *ctx; /* of all of these */
};

/* Makes a stack; `now` starts its clock. -EINVAL: the configuration is wrong; -ENOMEM. */
int inet_new(struct inet **out, const struct inet_config *config, uint64_t now);
/*
 * The caller has closed all sockets. Connections that are left, such as those in TIME_WAIT, end without sending a
 * segment.
 */
void inet_delete(struct inet *s);

/* Sets the link's MTU. Connections use it for the segments they send next. -EINVAL: outside the limits. */
int inet_set_mtu(struct inet *s, uint16_t mtu);

enum inet_input_flags {
    INET_INPUT_CSUM_OK = 1, /* the device has checked the TCP or UDP checksum, or the frame never left memory */
    INET_INPUT_COPY =
        2, /* another stack with our addresses has the frame, too, and answers it: this stack only learns from it */
    INET_INPUT_LOOP = 4, /* a stack with our addresses sent it to one of them: it was never on a link */
    /*
     * Take the frame only if it is the TCP segment that a connection of this stack expects next, so that it need not be
     * steered. Result false: nothing was done.
     */
    INET_INPUT_OWN = 8,
    /* Bits from 8 on mean nothing to the stack, and are given to `steer` and `unmatched`. */
};

/*
 * Processes a received frame: `len` bytes at buf, in a heap block. The stack becomes the owner of the block, unless the
 * result is false, which only INET_INPUT_OWN allows.
 */
bool inet_input(struct inet *s, void *buf, uint32_t len, uint32_t flags, uint64_t now);

/*
 * Runs the timers that are due at `now`, and inet_flush. Call it after a burst of inet_input, and when inet_next_ns has
 * passed.
 */
void inet_timers(struct inet *s, uint64_t now);

/*
 * Sends what was left to be sent together: pushed data, FINs of tcp_shutdown, window updates, ACKs of data that was
 * received in order, and data that ACKs have allowed. Call it when calls of the application are to take effect.
 */
void inet_flush(struct inet *s, uint64_t now);

/* Number of frames that inet_flush has to send: at least one for each connection, and one for each segment pushed. */
uint32_t inet_unsent(const struct inet *s);

/* Whether a socket holds data that was received and not popped. */
bool inet_holds_data(const struct inet *s);

/* Number of UDP datagrams that wait for an ARP reply. They are sent soon, or dropped within seconds. */
uint32_t inet_waiting(const struct inet *s);

/* Number of closed connections of which one FIN has not been received or not been acknowledged. */
uint32_t inet_closing(const struct inet *s);

/* Whether inet_waiting or inet_closing returns more than 0. */
bool inet_lingers(const struct inet *s);

/* When inet_timers must be called next: at once if inet_flush would send something; UINT64_MAX: no timer runs. */
uint64_t inet_next_ns(struct inet *s);

enum inet_counter {
#define X(name, text) INET_COUNTER_##name,
    INET_COUNTERS(X)
#undef X
        INET_COUNTER_COUNT
};

/* The counters, [INET_COUNTER_COUNT]; valid as long as the stack. */
const uint64_t *inet_counters(const struct inet *s);
const char *inet_counter_name(enum inet_counter c);

#endif
