/* SPDX-License-Identifier: MIT */
/* The state of a stack, and what all protocols share: received packets, packets to be sent, and timers. */
#ifndef INET_STATE_H
#define INET_STATE_H

#include "base/hash.h"
#include "base/list.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "inet/inet.h"
#include "inet/rate.h"
#include "inet/tcp/memory.h"
#include "inet/wire/eth.h"
#include "mem/heap.h"

#include <errno.h>

#define LINK_PROTOCOLS_MAX 4u
#define IP_PROTOCOLS_MAX   4u

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

struct inet_timer {
    struct timer timer;
    void (*fire)(struct inet *s, struct inet_timer *t);
};

static inline void inet_timer_init(struct inet_timer *t, void (*fire)(struct inet *s, struct inet_timer *t)) {
    timer_init(&t->timer);
    t->fire = fire;
}

/* A received packet. Each layer moves `data` and `len` past its header. */
struct rx_packet {
    uint8_t *data;
    uint32_t len;
    uint32_t flags;    /* enum inet_input_flags */
    const uint8_t *ip; /* its IP header, followed by the whole packet; before it is room for a link header */
    struct inet_addr from, to;
    bool multicast; /* its MAC or IP destination is a group or broadcast address */
    bool loop;      /* from this host */
    bool taken;     /* somebody has become the owner of the block */
};

/* Makes the caller an owner of the packet's block. */
static inline void rx_keep(struct rx_packet *p) {
    if (p->taken) heap_share(p->data);
    p->taken = true;
}

/*
 * A packet to be sent. The payload is in frame.segments from 1 on; headers are written from the end of `room` to its
 * front.
 */
struct tx_packet {
    struct inet_frame frame;
    uint8_t *at; /* first byte of the headers so far */
    bool answer; /* to an unverified sender: fewer packets may wait, and fewer ARP requests are sent for it */
    uint8_t room[INET_HEADER_MAX];
};

static inline void tx_init(struct tx_packet *o) {
    o->frame.count = 1;
    o->frame.bytes = 0;
    o->frame.flags = 0;
    o->frame.csum_start = o->frame.csum_offset = o->frame.header_bytes = o->frame.tso_bytes = 0;
    o->answer = false;
    o->at = o->room + INET_HEADER_MAX;
}

/* Adds payload. False: the frame has no segment left. */
static inline bool tx_add(struct tx_packet *o, const void *base, uint32_t len) {
    if (o->frame.count == INET_FRAME_SEGMENTS) return false;
    o->frame.segments[o->frame.count++] = (struct inet_segment){base, len};
    o->frame.bytes += len;
    return true;
}

/* Makes room for a header in front. */
static inline uint8_t *tx_push(struct tx_packet *o, uint32_t bytes) {
    o->at -= bytes;
    o->frame.bytes += bytes;
    return o->at;
}

/* Bytes of the headers so far. */
static inline uint32_t tx_header_bytes(const struct tx_packet *o) {
    return (uint32_t)(o->room + INET_HEADER_MAX - o->at);
}

/* A frame that waits, copied into one heap block. */
struct held_frame {
    struct list link;
    struct inet_frame frame; /* its segments are set again before it is sent */
    uint8_t bytes[];
};

struct link_protocol;
struct ip_protocol;

/* The protocols that have registered with the link and with IP; see ip/link.h and ip/protocol.h. */
struct protocols {
    const struct link_protocol *link[LINK_PROTOCOLS_MAX];
    const struct ip_protocol *ip[IP_PROTOCOLS_MAX];
};

/* A neighbour on the link; see neighbour.h. */
struct neighbours {
    struct hash by_addr;
    struct list by_age;
    uint32_t datagrams;    /* of UDP, that wait for a neighbour */
    uint32_t probing;      /* entries in NEIGHBOUR_PROBING */
    uint64_t queued_bytes; /* heap memory that waiting packets pin */
    struct rate answers;   /* ARP requests caused by answers to unverified senders */
    /* Asks for the MAC address of ip (network order); `to` is the MAC address that is asked. Set by ARP. */
    void (*ask)(struct inet *s, uint32_t ip, const uint8_t *to);
    /* Reports an IP packet of `len` bytes whose neighbour did not answer. Set by ICMP. */
    void (*failed)(struct inet *s, const uint8_t *ip, uint32_t len);
};

struct fragments {
    struct hash by_id;
    struct list by_age;
    size_t bytes; /* heap memory held */
};

struct paths {
    struct hash by_addr;
    struct list by_age;
};

#define IP_ID_BUCKETS   64u
#define DESTS           256u /* entries of the caches in front of the tables; powers of two */
#define ICMP_RATES      256u /* buckets for destinations and connections, chosen by a keyed hash */
#define CHALLENGE_RATES 1024u
#define UDP_PORTS       256u

/* Our addresses on the link. */
struct arp {
    struct inet_timer announce, probe;
    uint32_t announcements, probes;
    bool probing;
    uint32_t taken; /* a bit for each of our addresses that another host used first */
    uint64_t defended_ns, told_ns;
};

struct inet {
    struct inet_config config;
    uint64_t now;
    uint64_t counters[INET_COUNTER_COUNT];
    struct rng rng;
    uint8_t hash_seed[SIPHASH_KEY_BYTES], secret[SIPHASH_KEY_BYTES];
    struct list loopback; /* struct held_frame, of IP packets */
    uint32_t loopback_count;
    struct protocols protocols;
    struct neighbours neighbours;
    struct fragments fragments;
    struct paths paths;
    uint16_t path_epoch;                                          /* changes when the MTU of any path changes */
    struct rate icmp_rate, icmp_rates[ICMP_RATES];                /* of all errors, and by destination */
    struct rate challenge_rate, challenge_rates[CHALLENGE_RATES]; /* of all challenge ACKs, and by connection */
    struct hash udp_bound, tcp_conns, tcp_listeners;
    struct tcp_conn *tcp_last; /* the connection that a lookup found last, which the next segment often is for, too */
    struct dest *dests;        /* [DESTS]; see dest.h */
    uint32_t dest_epoch;
    struct udp_socket *udp_ports[UDP_PORTS];
    uint64_t room_retry_ns;            /* how long a connection waits before it offers a refused frame again */
    _Atomic uint64_t cookies_until_ns; /* where the configuration has none */
    uint32_t tcp_orphans, tcp_time_waits;
    struct tcp_memory tcp_memory;
    struct list tcp_dead;   /* connections to be freed when the present call ends */
    struct list tcp_marked; /* connections whose output waits for inet_flush */
    uint32_t unsent_frames; /* frames that marked connections have to send, about */
    uint64_t udp_received;  /* heap memory that datagrams hold until they are received */
    struct list ready;      /* sockets with events */
    struct arp arp;
    uint16_t ip_ids[IP_ID_BUCKETS];
    struct wheel wheel;
};

#define inet_count(s, name) ((s)->counters[INET_COUNTER_##name]++)

static inline void inet_port_used(const struct inet *s, uint8_t protocol, uint16_t port, bool on) {
    if (s->config.port_used) s->config.port_used(s->config.ctx, protocol, port, on);
}

static inline int inet_flow_used(const struct inet *s, uint8_t protocol, const struct inet_flow *flow,
                                 enum inet_flow_event event) {
    return s->config.flow_used ? s->config.flow_used(s->config.ctx, protocol, flow, event) : 0;
}

static inline int inet_endpoint_used(const struct inet *s, uint8_t protocol, const struct inet_endpoint *local,
                                     bool on) {
    return s->config.endpoint_used ? s->config.endpoint_used(s->config.ctx, protocol, local, on) : 0;
}

/* Asks `steer` or `unmatched` of the configuration. True: another stack is given the packet. */
static inline bool rx_offer(struct inet *s, bool (*to)(void *ctx, void *frame, uint32_t len, uint32_t flags),
                            struct rx_packet *p) {
    if (!to || p->taken) return false;
    uint8_t *frame = (uint8_t *)(uintptr_t)p->ip - ETH_HEADER_BYTES;
    uint32_t flags = p->flags | (p->loop ? INET_INPUT_LOOP : 0);
    p->taken = to(s->config.ctx, frame, (uint32_t)(p->data + p->len - frame), flags);
    return p->taken;
}

static inline void inet_timer_arm(struct inet *s, struct inet_timer *t, uint64_t deadline_ns) {
    wheel_arm(&s->wheel, &t->timer, deadline_ns);
}

static inline void inet_timer_cancel(struct inet *s, struct inet_timer *t) {
    wheel_cancel(&s->wheel, &t->timer);
}

/* Copies the frame with its headers. NULL: no memory. The caller frees it with heap_free. */
struct held_frame *tx_hold(const struct tx_packet *o);

#endif
