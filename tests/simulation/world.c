/* SPDX-License-Identifier: MIT */
/* The simulated world: stacks, devices, the clock. */
#include "world.h"

#include "inet/state.h"
#include "inet/tcp/conn.h"
#include "inet/wire/eth.h"
#include "inet/wire/icmp.h"
#include "inet/wire/ip4.h"
#include "inet/wire/tcp.h"
#include "libos/link.h"

#include <stdlib.h>
#include <string.h>

#define BURST      32
#define FRAMES_MAX 8192u
#define HOST_QUEUE 1024u
#define EVENTS_MAX 20000000u /* of one run */
#define UNMATCHED  256u      /* flag of a frame that the other stack has had */

/* The timestamp option, which lies at an even place. */
#define STAMP_BYTES  10u
#define STAMP_BEGINS 0x080au
#define TWO_NOPS     0x0101u

static const uint8_t router_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 0xfe};

void world_fail(const struct world *w, const char *file, int line, const char *what) {
    fflush(stdout);
    fprintf(stderr, "%s:%d: at %.6f s: not so: %s\n", file, line, (double)(w->now - SEC) / 1e9, what);
    fprintf(stderr, "seed %llu; to repeat it alone: simulation %llu verbose\n", (unsigned long long)w->seed,
            (unsigned long long)w->seed);
    exit(1);
}

uint64_t world_log_below(struct world *w, uint64_t most) {
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(most | 1);
    uint64_t n = rng_below(&w->rng, 1ull << (1 + world_below(w, bits)));
    return n < most ? n : most;
}

/* Of a frame whose headers lie at p. */
void *world_alloc(const struct world *w, uint32_t bytes) {
    void *p = heap_alloc(bytes);
    if (!p && w->failing) p = heap_alloc(bytes);
    world_must(w, p);
    return p;
}

static void say_frame(const struct node *n, const char *what, const uint8_t *p, uint32_t len) {
    struct ip4_header ip;
    struct tcp_header h;
    uint32_t number = (uint32_t)(n - n->world->nodes);
    if (len < ETH_HEADER_BYTES || !ip4_parse(&ip, p + ETH_HEADER_BYTES, len - ETH_HEADER_BYTES)) {
        world_say(n->world, "node %u %s %u bytes", number, what, len);
        return;
    }
    const uint8_t *segment = p + ETH_HEADER_BYTES + IP4_HEADER_BYTES;
    uint32_t bytes = ip.total_bytes - IP4_HEADER_BYTES;
    if (ip.protocol != IP_TCP || ip.fragment_offset > 0 || !tcp_parse(&h, segment, bytes)) {
        world_say(n->world, "node %u %s IP protocol %u, %u bytes at %u", number, what, ip.protocol, bytes,
                  ip.fragment_offset);
        return;
    }
    world_say(n->world, "node %u %s %u > %u flags %02x seq %u len %u ack %u win %u sacks %u", number, what, h.from_port,
              h.to_port, h.flags, h.seq, bytes - h.header_bytes, h.ack, h.window, h.options.sack_count);
}

/* Where the path begins with a link whose MTU is smaller: RFC 1191 section 4. */
static void tell_too_big(struct node *n, const uint8_t *ip) {
    struct ip4_header h;
    uint32_t quoted = IP4_HEADER_BYTES + ICMP_QUOTE_MIN, bytes = ICMP_HEADER_BYTES + quoted;
    if (!ip4_parse(&h, ip, UINT16_MAX) || !(h.fragment_flags & IP4_DF) || h.to == h.from) return;
    struct ip4_header outer = {.from = h.to,
                               .to = h.from,
                               .ttl = 64,
                               .protocol = IP_ICMP,
                               .total_bytes = (uint16_t)(IP4_HEADER_BYTES + bytes)};
    uint8_t *p = n->too_big, *icmp = p + ETH_HEADER_BYTES + IP4_HEADER_BYTES;
    eth_emit(p, n->config.mac, router_mac, ETH_TYPE_IP4);
    ip4_emit(p + ETH_HEADER_BYTES, &outer);
    icmp_emit(icmp, ICMP_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED);
    wire_put16(icmp + 6, (uint16_t)n->dev->mtu);
    memcpy(icmp + ICMP_HEADER_BYTES, ip, quoted);
    wire_store16(icmp + 2, csum_finish(csum_add(0, icmp, bytes)));
    n->too_big_bytes = ETH_HEADER_BYTES + outer.total_bytes;
}

static int node_transmit(void *ctx, const struct inet_frame *f) {
    struct node *n = ctx;
    struct netdev_seg segs[INET_FRAME_SEGMENTS];
    uint32_t longest = f->tso_bytes ? (uint32_t)f->header_bytes + f->tso_bytes : f->bytes;
    for (uint32_t i = 0; i < f->count; i++) /* the simulated device copies at once, so the header may lie anywhere */
        segs[i] = (struct netdev_seg){f->segments[i].base, f->segments[i].len};
    struct netdev_frame frame = link_frame(f, segs);
    if (n->world->trace) trace_frame(n->world->trace, n->world->now, (uint32_t)(n - n->world->nodes), f);
    if (n->world->refuse && world_below(n->world, SIM_CHANCE_ONE) < n->world->refuse) return -EAGAIN;
    if (n->world->verbose) say_frame(n, "sends", f->segments[0].base, f->bytes);
    int taken = netdev_tx(n->dev, &frame, 1, n->world->now);
    if (n->world->routers_tell && longest > n->dev->mtu + ETH_HEADER_BYTES)
        tell_too_big(n, (const uint8_t *)f->segments[0].base + ETH_HEADER_BYTES);
    return taken == 0 ? -EAGAIN : 0; /* with the link down it is lost */
}

/* Segments go where their connection is; those without one go to the first stack. */
static struct inet *stack_of(const struct node *n, const uint8_t *ip, uint32_t len) {
    struct ip4_header h;
    if (!n->second || len < IP4_HEADER_BYTES + 4 || !ip4_parse(&h, ip, len) || h.protocol != IP_TCP ||
        h.total_bytes < h.header_bytes + 4 || h.fragment_offset > 0 || (h.fragment_flags & IP4_MF))
        return n->stack;
    const uint8_t *t = ip + h.header_bytes;
    struct inet_flow flow = {inet_addr_ip4(h.to), inet_addr_ip4(h.from), wire_get16(t + 2), wire_get16(t)};
    return conn_find(n->second, &flow) ? n->second : n->stack;
}

static bool steer_from(struct node *n, const struct inet *here, void *frame, uint32_t len, uint32_t flags) {
    struct inet *to = stack_of(n, (uint8_t *)frame + ETH_HEADER_BYTES, len - ETH_HEADER_BYTES);
    if (to == here) return false;
    inet_input(to, frame, len, flags, n->world->now);
    return true;
}

static bool unmatched_at(struct node *n, const struct inet *here, void *frame, uint32_t len, uint32_t flags) {
    if (flags & UNMATCHED) return false;
    inet_input(here == n->stack ? n->second : n->stack, frame, len, flags | UNMATCHED, n->world->now);
    return true;
}

static bool first_steers(void *ctx, void *frame, uint32_t len, uint32_t flags) {
    struct node *n = ctx;
    return steer_from(n, n->stack, frame, len, flags);
}

static bool second_steers(void *ctx, void *frame, uint32_t len, uint32_t flags) {
    struct node *n = ctx;
    return steer_from(n, n->second, frame, len, flags);
}

static bool unmatched_at_first(void *ctx, void *frame, uint32_t len, uint32_t flags) {
    struct node *n = ctx;
    return unmatched_at(n, n->stack, frame, len, flags);
}

static bool unmatched_at_second(void *ctx, void *frame, uint32_t len, uint32_t flags) {
    struct node *n = ctx;
    return unmatched_at(n, n->second, frame, len, flags);
}

/* All connections begin in the first stack. */
static bool flow_is_free(void *ctx, const struct inet_flow *flow) {
    const struct node *n = ctx;
    return !conn_find(n->second, flow);
}

static void second_on(struct node *n) {
    struct inet_config config = n->config;
    config.steer = second_steers;
    config.unmatched = unmatched_at_second;
    config.seed[0] ^= 1;
    world_must(n->world, world_try(n->world, inet_new(&n->second, &config, n->world->now)) == 0);
}

void node_power_on(struct node *n) {
    struct world *w = n->world;
    for (uint32_t k = 0; k < INET_SEED_BYTES; k++)
        n->config.seed[k] = (uint8_t)rng_next(&w->rng);
    n->config.neighbours = w->known;
    sim_unplug(w->sim, n->host, false);
    world_must(w, world_try(w, inet_new(&n->stack, &n->config, w->now)) == 0);
    if (w->transfers) second_on(n);
}

static void counters_show(const struct node *n, const struct inet *s) {
    struct world *w = n->world;
    for (uint32_t i = 0; s && i < INET_COUNTER_COUNT; i++)
        if (s->counters[i])
            world_say(w, "node %u counted %s %llu", (unsigned)(n - w->nodes), inet_counter_name(i),
                      (unsigned long long)s->counters[i]);
    if (w->trace && s)
        trace_add(w->trace, w->now, (uint32_t)(n - w->nodes), TRACE_COUNTERS, s->counters, sizeof s->counters);
}

void node_power_off(struct node *n) {
    counters_show(n, n->stack);
    counters_show(n, n->second);
    inet_delete(n->stack);
    if (n->second) inet_delete(n->second);
    n->stack = n->second = NULL;
}

static void node_init(struct world *w, uint32_t i, int hub, const struct world_shape *shape) {
    struct node *n = &w->nodes[i];
    uint8_t mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, (uint8_t)(i + 1)};
    char name[16], options[64];
    snprintf(name, sizeof name, "h%u", i);
    snprintf(options, sizeof options, "host=%s,csum=%s,tso=%u", name, shape->tso_bytes ? "yes" : "no",
             shape->tso_bytes);
    n->world = w;
    n->addr = inet_addr_ip4(htobe32(0x0a000001 + i));
    n->config = (struct inet_config){
        .mtu = shape->mtu,
        .addrs = {{n->addr, 24}},
        .addr_count = 1,
        .neighbour_count = shape->neighbours_known ? shape->nodes : 0,
        .limits = shape->limits,
        .tcp_memory = shape->tcp_memory,
        .slow_only = shape->slow_only,
        .offloads = shape->tso_bytes ? INET_OFFLOAD_CSUM | INET_OFFLOAD_TSO : 0,
        .tso_frame_bytes = shape->tso_bytes,
        .transmit = node_transmit,
        .ctx = n,
    };
    if (shape->transfers) {
        n->config.steer = first_steers;
        n->config.unmatched = unmatched_at_first;
        n->config.flow_ours = flow_is_free;
    }
    memcpy(n->config.mac, mac, sizeof mac);
    w->known[i].addr = n->addr;
    memcpy(w->known[i].mac, mac, sizeof mac);
    n->host = sim_add_host(w->sim, name, mac, shape->mtu);
    n->link = sim_connect(w->sim, n->host, hub, NULL, NULL);
    world_must(w, n->host >= 0 && n->link >= 0);
    struct netdev_args args = {.options = options, .sim = w->sim};
    world_must(w, netdev_open("sim", &args, &n->dev) == 0);
}

struct world *world_new(uint64_t seed, const struct world_shape *shape, struct trace *trace, bool verbose) {
    struct world *w = calloc(1, sizeof *w);
    if (!w) abort();
    w->seed = seed;
    w->now = SEC;
    w->verbose = verbose;
    w->trace = trace;
    w->node_count = shape->nodes;
    w->no_stamps = shape->no_stamps;
    w->transfers = shape->transfers;
    w->block_bytes = shape->block_bytes;
    rng_init(&w->rng, seed);
    struct sim_config config = {.seed = rng_next(&w->rng),
                                .start_ns = w->now,
                                .nodes_max = WORLD_NODES_MAX + 1,
                                .frames_max = FRAMES_MAX,
                                .host_queue_max = HOST_QUEUE};
    w->sim = sim_new(&config);
    world_must(w, w->sim);
    int hub = sim_add_switch(w->sim, "hub");
    for (uint32_t i = 0; i < w->node_count; i++)
        node_init(w, i, hub, shape);
    for (uint32_t i = 0; i < w->node_count; i++)
        node_power_on(&w->nodes[i]);
    return w;
}

void world_delete(struct world *w) {
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].stack) node_power_off(&w->nodes[i]);
        netdev_close(w->nodes[i].dev);
    }
    sim_free(w->sim);
    free(w);
}

/* Overwrites the timestamp option of a SYN, if it has one, with options that mean nothing. */
static void take_stamp_out(uint8_t *p, uint32_t len) {
    struct ip4_header ip;
    uint8_t *t = p + ETH_HEADER_BYTES + IP4_HEADER_BYTES;
    if (len < ETH_HEADER_BYTES || !ip4_parse(&ip, p + ETH_HEADER_BYTES, len - ETH_HEADER_BYTES)) return;
    if (ip.protocol != IP_TCP || ip.header_bytes != IP4_HEADER_BYTES || ip.fragment_offset > 0 || !(t[13] & TCP_SYN))
        return;
    uint32_t end = (t[12] >> 4) * 4u;
    if (end > ip.total_bytes - IP4_HEADER_BYTES) return;
    for (uint32_t i = TCP_HEADER_BYTES; i + STAMP_BYTES <= end; i += 2) {
        if (wire_get16(t + i) != STAMP_BEGINS) continue;
        for (uint32_t k = 0; k < STAMP_BYTES; k += 2) {
            uint16_t check = wire_get16(t + TCP_CHECKSUM_OFFSET), old = wire_get16(t + i + k);
            wire_put16(t + i + k, TWO_NOPS);
            wire_put16(t + TCP_CHECKSUM_OFFSET, csum_update16(check, old, TWO_NOPS));
        }
        return;
    }
}

/* The simulated device has blocks as long as the frames; others have one size for all. */
static void to_device_block(const struct world *w, struct netdev_buffer *frame) {
    if (w->block_bytes <= frame->bytes) return;
    void *p = world_alloc(w, w->block_bytes);
    memcpy(p, frame->data, frame->bytes);
    heap_free(frame->data);
    frame->data = p;
}

static void to_both(struct node *n, const uint8_t *p, uint32_t len) {
    if (!n->second) return;
    uint8_t *copy = world_alloc(n->world, len);
    memcpy(copy, p, len);
    inet_input(n->second, copy, len, INET_INPUT_COPY, n->world->now);
}

static void stack_receive(struct node *n, struct netdev_buffer *frame) {
    const uint8_t *p = frame->data;
    if (frame->bytes >= ETH_HEADER_BYTES && wire_get16(p + 12) == ETH_TYPE_ARP) to_both(n, p, frame->bytes);
    bool packet = frame->bytes >= ETH_HEADER_BYTES && wire_get16(p + 12) == ETH_TYPE_IP4;
    struct inet *to = packet ? stack_of(n, p + ETH_HEADER_BYTES, frame->bytes - ETH_HEADER_BYTES) : n->stack;
    inet_input(to, frame->data, frame->bytes, 0, n->world->now);
}

static void node_receive(struct node *n) {
    struct netdev_buffer frames[BURST];
    int count;
    while ((count = netdev_rx(n->dev, frames, BURST, n->world->now)) > 0) {
        for (int i = 0; i < count; i++) {
            if (n->world->verbose) say_frame(n, "gets", frames[i].data, frames[i].bytes);
            to_device_block(n->world, &frames[i]);
            if (n->world->no_stamps) take_stamp_out(frames[i].data, frames[i].bytes);
            if (n->stack)
                stack_receive(n, &frames[i]);
            else
                heap_free(frames[i].data);
        }
    }
    if (n->stack && n->too_big_bytes) {
        to_both(n, n->too_big, n->too_big_bytes);
        uint8_t *p = world_alloc(n->world, n->too_big_bytes);
        memcpy(p, n->too_big, n->too_big_bytes);
        inet_input(n->stack, p, n->too_big_bytes, 0, n->world->now);
    }
    n->too_big_bytes = 0;
}

static void tell(struct node *n, struct inet_socket *k, uint32_t events, world_event *event, void *ctx) {
    struct world *w = n->world;
    if (w->trace) trace_add(w->trace, w->now, (uint32_t)(n - w->nodes), TRACE_EVENT | events, &w->rng, sizeof w->rng);
    event(ctx, n, k, events);
}

bool world_step(struct world *w, uint64_t until, world_event *event, void *ctx) {
    uint64_t next = sim_next_ns(w->sim);
    for (uint32_t i = 0; i < w->node_count; i++) {
        uint64_t at = w->nodes[i].stack ? inet_next_ns(w->nodes[i].stack) : UINT64_MAX;
        if (at < next) next = at;
        at = w->nodes[i].second ? inet_next_ns(w->nodes[i].second) : UINT64_MAX;
        if (at < next) next = at;
    }
    bool found = next <= until;
    if (!found) next = until;
    if (next > w->now) w->now = next;
    world_must(w, w->events++ < EVENTS_MAX);
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct node *n = &w->nodes[i];
        struct inet_socket *k;
        uint32_t events;
        node_receive(n);
        if (n->stack && inet_next_ns(n->stack) <= w->now) inet_timers(n->stack, w->now);
        if (n->second && inet_next_ns(n->second) <= w->now) inet_timers(n->second, w->now);
        while (n->stack && (k = inet_next_event(n->stack, &events)))
            tell(n, k, events, event, ctx);
        while (n->second && (k = inet_next_event(n->second, &events)))
            tell(n, k, events, event, ctx);
    }
    return found;
}
