/* SPDX-License-Identifier: MIT */
/* Creates and deletes stacks, runs timers, and loops packets from this host back to it. */
#include "inet/inet.h"

#include "base/sys.h"
#include "inet/ip/arp.h"
#include "inet/ip/dest.h"
#include "inet/ip/icmp.h"
#include "inet/ip/ip4_fragment.h"
#include "inet/ip/ip4_input.h"
#include "inet/ip/link.h"
#include "inet/ip/neighbour.h"
#include "inet/ip/path.h"
#include "inet/socket_event.h"
#include "inet/tcp/input.h"
#include "inet/udp/input.h"
#include "inet/wire/eth.h"

#define TCP_MEMORY_DEFAULT (1ull << 30)
#define FRAME_MAX          (IP4_PACKET_MAX + ETH_HEADER_BYTES)

static const struct inet_limits limit_defaults = {
    .neighbours = 1024,
    .neighbour_queue = 256u << 10,
    .neighbour_memory = 4u << 20,
    .fragment_bytes = 4u << 20,
    .loopback = 1024,
    .icmp_per_second = 1000,
    .tcp_orphans = 65536,
    .tcp_time_wait = 131072,
};

static void limits_default(struct inet_limits *l) {
    uint32_t *value = (uint32_t *)l;
    const uint32_t *preset = (const uint32_t *)&limit_defaults;
    for (size_t i = 0; i < sizeof *l / sizeof *value; i++)
        if (value[i] == 0) value[i] = preset[i];
}

static bool config_ok(const struct inet_config *c) {
    if (c->mtu < INET_MTU_MIN || c->mtu > INET_MTU_MAX || c->addr_count > INET_ADDRS_MAX || !c->transmit ||
        eth_is_group(c->mac) || ((c->offloads & INET_OFFLOAD_TSO) && !(c->offloads & INET_OFFLOAD_CSUM)) ||
        (c->tso_frame_bytes > 0 && c->tso_frame_bytes < INET_HEADER_MAX))
        return false;
    for (uint32_t i = 0; i < c->addr_count; i++) {
        const struct inet_addr *addr = &c->addrs[i].addr;
        if (!inet_addr_is_ip4(addr) || c->addrs[i].bits > 32 || ip4_is_multicast(inet_addr_to_ip4(addr))) return false;
    }
    return inet_addr_is_any(&c->gateway) || inet_addr_is_ip4(&c->gateway);
}

/* In the order of initialisation; they end in reverse order. */
static const struct {
    int (*init)(struct inet *s);
    void (*fini)(struct inet *s);
} parts[] = {
    {dests_init, dests_fini},
    {neighbours_init, neighbours_fini},
    {fragments_init, fragments_fini},
    {paths_init, paths_fini},
    {udp_init, udp_fini},
    {tcp_init, tcp_fini},
};
#define PART_COUNT (sizeof parts / sizeof *parts)

static void parts_fini(struct inet *s, size_t begun) {
    while (begun-- > 0)
        parts[begun].fini(s);
}

static int parts_init(struct inet *s) {
    for (size_t i = 0; i < PART_COUNT; i++) {
        int error = parts[i].init(s);
        if (error) {
            parts_fini(s, i);
            return error;
        }
    }
    return 0;
}

int inet_new(struct inet **out, const struct inet_config *config, uint64_t now) {
    if (!config_ok(config)) return -EINVAL;
    struct inet *s = sys_calloc(1, sizeof *s);
    if (!s) return -ENOMEM;
    s->config = *config;
    s->now = now;
    limits_default(&s->config.limits);
    if (!s->config.cookies_until_ns) s->config.cookies_until_ns = &s->cookies_until_ns;
    if (s->config.tcp_memory == 0) s->config.tcp_memory = TCP_MEMORY_DEFAULT;
    if (config->tso_frame_bytes == 0 || config->tso_frame_bytes > FRAME_MAX) s->config.tso_frame_bytes = FRAME_MAX;
    memcpy(s->hash_seed, config->seed, sizeof s->hash_seed);
    memcpy(s->secret, config->seed + sizeof s->hash_seed, sizeof s->secret);
    /* Random numbers appear on the wire and must not reveal the keys, so the seed is a keyed hash of one of them. */
    rng_init(&s->rng, siphash24(s->secret, s->hash_seed, sizeof s->hash_seed));
    for (uint32_t i = 0; i < IP_ID_BUCKETS; i++)
        s->ip_ids[i] = (uint16_t)rng_next(&s->rng);
    list_init(&s->loopback);
    list_init(&s->ready);
    s->dest_epoch = 1;
    wheel_init(&s->wheel, now);
    int error = parts_init(s);
    if (error) {
        sys_free(s);
        return error;
    }
    ip4_init(s);
    icmp_init(s);
    arp_init(s);
    *out = s;
    return 0;
}

int inet_set_mtu(struct inet *s, uint16_t mtu) {
    if (mtu < INET_MTU_MIN || mtu > INET_MTU_MAX) return -EINVAL;
    s->config.mtu = mtu;
    s->path_epoch++;
    return 0;
}

void inet_delete(struct inet *s) {
    struct list *node;
    while ((node = list_pop_front(&s->loopback)))
        heap_free(list_entry(node, struct held_frame, link));
    parts_fini(s, PART_COUNT);
    sys_free(s);
}

/* Delivers only the packets queued now, so that two ends of one connection cannot keep the loop busy for ever. */
static void loopback_deliver(struct inet *s) {
    for (uint32_t n = s->loopback_count; n > 0; n--) {
        struct held_frame *h = list_entry(list_pop_front(&s->loopback), struct held_frame, link);
        s->loopback_count--;
        struct rx_packet p = {.data = h->bytes, .len = h->frame.bytes, .flags = INET_INPUT_CSUM_OK, .loop = true};
        p.ip = p.data;
        if (!rx_offer(s, s->config.steer, &p)) ip4_input(s, &p);
        if (!p.taken) heap_free(h);
    }
}

/* Not inlined, so that a call without a due timer needs no stack frame. */
static __attribute__((noinline)) void timers_run(struct inet *s) {
    struct timer *t;
    while (wheel_is_due(&s->wheel, s->now) && (t = wheel_expire(&s->wheel, s->now))) {
        struct inet_timer *due = list_entry(t, struct inet_timer, timer);
        due->fire(s, due);
    }
    if (s->loopback_count > 0) loopback_deliver(s);
}

void inet_flush(struct inet *s, uint64_t now) {
    s->now = now;
    if (!list_empty(&s->tcp_marked)) tcp_flush(s);
}

uint32_t inet_unsent(const struct inet *s) {
    return s->unsent_frames;
}

bool inet_lingers(const struct inet *s) {
    return s->neighbours.datagrams > 0 || s->tcp_orphans > 0;
}

bool inet_holds_data(const struct inet *s) {
    return s->tcp_memory.charged > 0 || s->udp_received > 0;
}

void inet_timers(struct inet *s, uint64_t now) {
    s->now = now;
    if (wheel_is_due(&s->wheel, now) || s->loopback_count > 0) timers_run(s);
    if (!list_empty(&s->tcp_marked)) tcp_flush(s);
}

uint64_t inet_next_ns(struct inet *s) {
    return s->loopback_count > 0 || !list_empty(&s->tcp_marked) ? s->now : wheel_next_ns(&s->wheel);
}

struct inet_socket *inet_next_event(struct inet *s, uint32_t *events) {
    struct list *node = list_first(&s->ready);
    if (!node) return NULL;
    struct inet_socket *k = list_entry(node, struct inet_socket, ready);
    *events = k->events;
    socket_forget(k);
    return k;
}

struct held_frame *tx_hold(const struct tx_packet *o) {
    struct held_frame *h = heap_alloc(sizeof *h + o->frame.bytes);
    if (!h) return NULL;
    h->frame = o->frame;
    uint32_t at = tx_header_bytes(o);
    memcpy(h->bytes, o->at, at);
    for (uint32_t i = 1; i < o->frame.count; at += o->frame.segments[i++].len)
        memcpy(h->bytes + at, o->frame.segments[i].base, o->frame.segments[i].len);
    return h;
}

const uint64_t *inet_counters(const struct inet *s) {
    return s->counters;
}

const char *inet_counter_name(enum inet_counter c) {
    static const char *const names[] = {
#define X(name, text) #name,
        INET_COUNTERS(X)
#undef X
    };
    return names[c];
}
