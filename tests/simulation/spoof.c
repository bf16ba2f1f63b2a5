/* SPDX-License-Identifier: MIT */
/* Forged segments. */
#include "spoof.h"

#include "base/csum.h"
#include "inet/state.h"
#include "inet/tcp/conn.h"
#include "inet/wire/eth.h"
#include "inet/wire/ip4.h"

#include <string.h>

#define SEGMENTS_MAX 200u
#define PAUSE_NS     (200 * MS)
#define PAYLOAD_MAX  100u
#define FAR          (1u << 29)

static const uint8_t forger_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 0xee};

void spoof_init(struct spoof *f, struct world *w, const struct streams *streams) {
    *f = (struct spoof){.w = w, .listen_port = streams->listen_port, .floods = !streams->gentle, .next_ns = UINT64_MAX};
    if (!world_chance(w, 30)) return;
    f->left = 1 + world_below(w, SEGMENTS_MAX);
    f->pause_most_ns = 1 + world_log_below(w, PAUSE_NS);
    f->next_ns = w->now + rng_below(&w->rng, SEC);
}

/* The stack of the node gets a segment from `from` with so much payload, which is wrong at every byte. */
static void inject(struct node *n, uint32_t from, struct tcp_header *h, uint32_t payload) {
    h->header_bytes = (uint8_t)(TCP_HEADER_BYTES + tcp_options_bytes(&h->options));
    uint32_t bytes = h->header_bytes + payload, to = inet_addr_to_ip4(&n->addr);
    uint8_t *p = world_alloc(n->world, ETH_HEADER_BYTES + IP4_HEADER_BYTES + bytes);
    uint8_t *t = p + ETH_HEADER_BYTES + IP4_HEADER_BYTES;
    struct ip4_header ip = {
        .from = from, .to = to, .ttl = 64, .protocol = IP_TCP, .total_bytes = (uint16_t)(IP4_HEADER_BYTES + bytes)};
    eth_emit(p, n->config.mac, forger_mac, ETH_TYPE_IP4);
    ip4_emit(p + ETH_HEADER_BYTES, &ip);
    memset(t + h->header_bytes, 0xa5, payload);
    tcp_emit(t, h);
    wire_store16(t + TCP_CHECKSUM_OFFSET, 0);
    uint64_t sum = ip4_pseudo_sum(from, to, IP_TCP, bytes);
    wire_store16(t + TCP_CHECKSUM_OFFSET, csum_finish(csum_add(sum, t, bytes)));
    world_say(n->world, "forged for node %u: %u > %u flags %02x seq %u len %u ack %u", (unsigned)(n - n->world->nodes),
              h->from_port, h->to_port, h->flags, h->seq, payload, h->ack);
    inet_input(n->stack, p, ETH_HEADER_BYTES + IP4_HEADER_BYTES + bytes, 0, n->world->now);
}

/* A connection of the node's; NULL: it has none that a forged segment must leave alone. */
static struct tcp_conn *draw_conn(struct node *n) {
    uint32_t count = (uint32_t)hash_count(&n->stack->tcp_conns);
    uint32_t skip = count ? world_below(n->world, count) : 0;
    struct tcp_conn *c;
    for (uint64_t at = 0; (c = hash_next(&n->stack->tcp_conns, &at));)
        if (skip-- == 0) break;
    return c && conn_synchronized(c) && c->state != TCP_STATE_TIME_WAIT && !c->loopback ? c : NULL;
}

/* A number that acknowledges what was never sent, or is long past. */
static uint32_t wrong_ack(struct world *w, const struct tcp_conn *c) {
    uint32_t by = 1 + world_below(w, FAR);
    return world_chance(w, 50) ? c->send.nxt + by : c->send.una - c->send.max_wnd - by;
}

static void forge(struct node *n) {
    struct world *w = n->world;
    struct tcp_conn *c = draw_conn(n);
    if (!c) return;
    uint32_t edge = receive_edge(&c->receive), payload = world_below(w, PAYLOAD_MAX);
    struct tcp_header h = {
        .from_port = c->flow.remote_port,
        .to_port = c->flow.local_port,
        .window = (uint16_t)rng_next(&w->rng),
        .flags = TCP_ACK,
        .options = {.has_timestamp = world_chance(w, 50), .ts_value = (uint32_t)rng_next(&w->rng)},
    };
    switch (world_below(w, 5)) {
    case 0: /* a reset within the window, but not at its beginning */
        h.flags = TCP_RST;
        h.seq = c->receive.nxt + 1 + world_below(w, edge - c->receive.nxt + 1);
        payload = 0;
        break;
    case 1:
        h.flags = TCP_SYN;
        h.seq = (uint32_t)rng_next(&w->rng);
        payload = 0;
        break;
    case 2: /* the next data, but for the ACK */
        h.seq = c->receive.nxt + world_below(w, edge - c->receive.nxt + 1);
        h.ack = wrong_ack(w, c);
        break;
    case 3: /* beyond the window, with the FIN */
        h.flags |= TCP_FIN;
        h.seq = edge + 1 + world_below(w, FAR);
        h.ack = c->send.una;
        break;
    default: /* old, with a window that is not the peer's */
        h.seq = c->receive.nxt - payload - 1 - world_below(w, FAR);
        h.ack = c->send.una;
    }
    inject(n, inet_addr_to_ip4(&c->flow.remote), &h, payload);
}

/* Of a host on the link that does not exist. */
static void forge_syn(struct spoof *f, struct node *n) {
    struct tcp_header h = {
        .from_port = (uint16_t)(1 + world_below(f->w, 65535)),
        .to_port = f->listen_port,
        .seq = (uint32_t)rng_next(&f->w->rng),
        .flags = TCP_SYN,
        .window = 65535,
        .options = {.mss = 1460},
    };
    inject(n, htobe32(0x0a000064 + world_below(f->w, 100)), &h, 0);
}

uint64_t spoof_act(struct spoof *f) {
    struct world *w = f->w;
    while (f->left > 0 && f->next_ns <= w->now) {
        struct node *n = &w->nodes[world_below(w, w->node_count)];
        f->left--;
        f->next_ns = w->now + 1 + rng_below(&w->rng, f->pause_most_ns);
        if (!n->stack) continue;
        if (f->floods && world_chance(w, 30))
            forge_syn(f, n);
        else
            forge(n);
    }
    return f->left > 0 ? f->next_ns : UINT64_MAX;
}
