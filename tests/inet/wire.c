/* SPDX-License-Identifier: MIT */
/* The simulated wire for the tests of inet/. */
#include "wire.h"

#include <stdlib.h>

#define EVENTS_MAX 20000000u

const uint8_t mac_of[2][INET_MAC_BYTES] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
const uint8_t mac_all[INET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static bool chance(struct wire *w, uint32_t permille) {
    return permille > 0 && rng_below(&w->rng, 1000) < permille;
}

static void frame_add(struct host *h, const struct inet_frame *f) {
    struct wire *w = h->wire;
    assert_true(h->frame_count < FRAMES_MAX);
    struct wire_frame *to = &h->frames[h->frame_count++];
    *to = (struct wire_frame){.at_ns = w->now + w->delay_ns, .flags = f->flags};
    if (w->jitter_ns) to->at_ns += rng_below(&w->rng, w->jitter_ns);
    to->csum_start = f->csum_start;
    to->csum_offset = f->csum_offset;
    to->header_bytes = f->header_bytes;
    to->tso_bytes = f->tso_bytes;
    to->bytes = heap_alloc(f->bytes);
    for (uint32_t i = 0; i < f->count; to->len += f->segments[i++].len) {
        if (i > 0) assert_true(heap_owns(f->segments[i].base));
        memcpy(to->bytes + to->len, f->segments[i].base, f->segments[i].len);
    }
    assert_int_equal(to->len, f->bytes);
    h->digest = (h->digest ^ w->now) * 0x100000001b3;
    for (uint32_t i = 0; i < to->len; i++)
        h->digest = (h->digest ^ to->bytes[i]) * 0x100000001b3; /* FNV-1a */
}

/* Adds four bytes of no-op options to the IP header. */
static void take_detour(struct wire_frame *f) {
    uint8_t *ip = f->bytes + ETH_HEADER_BYTES;
    struct ip4_header h = {0};
    if (!ip4_parse(&h, ip, f->len - ETH_HEADER_BYTES) || h.header_bytes != IP4_HEADER_BYTES) return;
    uint32_t head = ETH_HEADER_BYTES + IP4_HEADER_BYTES;
    uint8_t *longer = heap_alloc(f->len + 4);
    memcpy(longer, f->bytes, head);
    memset(longer + head, 1, 4);
    memcpy(longer + head + 4, f->bytes + head, f->len - head);
    heap_free(f->bytes);
    f->bytes = longer;
    f->len += 4;
    ip = longer + ETH_HEADER_BYTES;
    ip[0] = 0x46;
    wire_put16(ip + 2, (uint16_t)(h.total_bytes + 4));
    wire_store16(ip + 10, 0);
    wire_store16(ip + 10, csum_finish(csum_add(0, ip, IP4_HEADER_BYTES + 4)));
}

static int wire_transmit(void *ctx, const struct inet_frame *f) {
    struct host *h = ctx;
    if (h->refuse > 0) {
        h->refuse--;
        return -EAGAIN;
    }
    h->sent++;
    h->bytes_sent += f->bytes;
    if (h->peer && chance(h->wire, h->wire->loss_permille)) return 0;
    frame_add(h, f);
    if (h->peer && chance(h->wire, h->wire->duplicate_permille)) frame_add(h, f);
    return 0;
}

struct wire *wire_new(uint64_t seed) {
    struct wire *w = calloc(1, sizeof *w);
    assert_non_null(w);
    rng_init(&w->rng, seed);
    w->now = SEC;
    for (uint32_t i = 0; i < 2; i++) {
        struct host *h = &w->hosts[i];
        h->wire = w;
        h->config = (struct inet_config){
            .mtu = 1500,
            .addrs = {{inet_addr_ip4(IP(10, 0, 0, i + 1)), 24}},
            .addr_count = 1,
            .gateway = inet_addr_ip4(IP(10, 0, 0, 254)),
            .transmit = wire_transmit,
            .ctx = h,
        };
        memcpy(h->config.mac, mac_of[i], INET_MAC_BYTES);
        for (uint32_t k = 0; k < INET_SEED_BYTES; k++)
            h->config.seed[k] = (uint8_t)rng_next(&w->rng);
    }
    return w;
}

void host_start(struct wire *w, uint32_t i) {
    assert_int_equal(inet_new(&w->hosts[i].stack, &w->hosts[i].config, w->now), 0);
}

void host_stop(struct wire *w, uint32_t i) {
    inet_delete(w->hosts[i].stack);
    w->hosts[i].stack = NULL;
}

void wire_join(struct wire *w) {
    w->hosts[0].peer = &w->hosts[1];
    w->hosts[1].peer = &w->hosts[0];
}

void wire_delete(struct wire *w) {
    for (uint32_t i = 0; i < 2; i++) {
        if (w->hosts[i].stack) inet_delete(w->hosts[i].stack);
        for (uint32_t k = 0; k < w->hosts[i].frame_count; k++)
            heap_free(w->hosts[i].frames[k].bytes);
    }
    struct heap_stats stats;
    heap_get_stats(&stats);
    assert_int_equal(stats.used_bytes + stats.large_bytes, 0);
    free(w);
}

static struct wire_frame frame_take(struct host *h, uint32_t i) {
    struct wire_frame f = h->frames[i];
    memmove(&h->frames[i], &h->frames[i + 1], (--h->frame_count - i) * sizeof f);
    return f;
}

/* Returns the arrival time of the frame that reaches h's peer first. */
static uint64_t next_arrival(const struct host *h, uint32_t *which) {
    uint64_t best = UINT64_MAX;
    for (uint32_t i = 0; h->peer && i < h->frame_count; i++)
        if (h->frames[i].at_ns < best) {
            best = h->frames[i].at_ns;
            *which = i;
        }
    return best;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

void wire_run(struct wire *w, uint64_t until) {
    for (uint32_t events = 0; events < EVENTS_MAX; events++) {
        uint64_t next = UINT64_MAX, arrival[2];
        uint32_t which[2] = {0, 0};
        for (uint32_t i = 0; i < 2; i++) {
            if (!w->hosts[i].stack) continue;
            arrival[i] = next_arrival(&w->hosts[i], &which[i]);
            next = earlier(next, earlier(arrival[i], inet_next_ns(w->hosts[i].stack)));
        }
        if (next > until) {
            if (w->now < until) w->now = until;
            return;
        }
        if (w->now < next) w->now = next;
        for (uint32_t i = 0; i < 2; i++) {
            if (!w->hosts[i].stack) continue;
            if (arrival[i] <= w->now) {
                struct wire_frame f = frame_take(&w->hosts[i], which[i]);
                if (w->detour) take_detour(&f);
                inet_input(w->hosts[i].peer->stack, f.bytes, f.len, 0, w->now);
            }
            if (inet_next_ns(w->hosts[i].stack) <= w->now) inet_timers(w->hosts[i].stack, w->now);
        }
    }
    fail_msg("too many events");
}

void host_receive(struct host *h, const void *frame, uint32_t len) {
    uint8_t *p = heap_alloc(len > h->block_bytes ? len : h->block_bytes);
    memcpy(p, frame, len);
    inet_input(h->stack, p, len, 0, h->wire->now);
    if (!h->burst) inet_flush(h->stack, h->wire->now);
}

const struct wire_frame *host_sent(struct host *h) {
    static struct wire_frame f;
    static uint8_t bytes[65536 + INET_HEADER_MAX];
    inet_flush(h->stack, h->wire->now);
    if (h->frame_count == 0) return NULL;
    f = frame_take(h, 0);
    memcpy(bytes, f.bytes, f.len);
    heap_free(f.bytes);
    f.bytes = bytes;
    return &f;
}

void host_expect_silence(struct host *h) {
    inet_flush(h->stack, h->wire->now);
    assert_int_equal(h->frame_count, 0);
}

uint64_t host_counter(const struct host *h, enum inet_counter c) {
    return inet_counters(h->stack)[c];
}

uint32_t frame_ip4(uint8_t *p, uint8_t protocol, uint32_t bytes) {
    struct ip4_header h = {
        .from = IP(10, 0, 0, 2),
        .to = IP(10, 0, 0, 1),
        .ttl = 64,
        .protocol = protocol,
        .total_bytes = (uint16_t)(IP4_HEADER_BYTES + bytes),
    };
    eth_emit(p, mac_of[0], mac_of[1], ETH_TYPE_IP4);
    ip4_emit(p + ETH_HEADER_BYTES, &h);
    return ETH_HEADER_BYTES + IP4_HEADER_BYTES + bytes;
}

struct wire *wire_new_scripted(void) {
    static struct inet_static_neighbour peer;
    struct wire *w = wire_new(1);
    peer.addr = inet_addr_ip4(IP(10, 0, 0, 2));
    memcpy(peer.mac, mac_of[1], INET_MAC_BYTES);
    w->hosts[0].config.neighbours = &peer;
    w->hosts[0].config.neighbour_count = 1;
    host_start(w, 0);
    return w;
}
