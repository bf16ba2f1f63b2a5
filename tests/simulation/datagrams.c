/* SPDX-License-Identifier: MIT */
/* Datagrams: number and size in front, then a pattern. */
#include "datagrams.h"

#include "mem/heap.h"

#include <string.h>

#define PORT        53
#define HEADERS     28u
#define BYTES_LEAST 8u
#define BYTES_MOST  20000u
#define FRAGMENTS   60u /* of a datagram, about, at most */
#define COPIES_MOST 4u  /* each of two links may duplicate */

void datagrams_init(struct datagrams *d, struct world *w, uint64_t spread_ns) {
    *d = (struct datagrams){.w = w, .count = world_chance(w, 50) ? world_below(w, DATAGRAMS_MAX) : 0};
    d->fragmented = world_chance(w, 50);
    d->every_ns = spread_ns / (d->count + 1) + 1;
    d->next_ns = d->count ? w->now : UINT64_MAX;
    for (uint32_t i = 0; i < w->node_count; i++)
        datagrams_open(d, &w->nodes[i]);
}

void datagrams_open(struct datagrams *d, struct node *n) {
    struct udp_socket **u = &d->sockets[n - d->w->nodes];
    struct inet_endpoint any = {.port = PORT};
    world_must(d->w, world_try(d->w, udp_open(n->stack, u, NULL)) == 0);
    world_must(d->w, world_try(d->w, udp_bind(*u, &any)) == 0);
}

static uint8_t byte_at(uint32_t number, uint32_t i) {
    return (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

void datagrams_event(struct datagrams *d, struct node *n) {
    struct udp_datagram got;
    while (udp_receive(d->sockets[n - d->w->nodes], &got) == 0) {
        const uint8_t *p = got.payload.base;
        uint32_t number, bytes;
        world_must(d->w, got.payload.len >= BYTES_LEAST);
        memcpy(&number, p, sizeof number);
        memcpy(&bytes, p + sizeof number, sizeof bytes);
        world_must(d->w, number < d->sent && d->all[number].taken && bytes == d->all[number].bytes);
        world_must(d->w, got.payload.len == bytes && got.from.port == PORT);
        for (uint32_t i = BYTES_LEAST; i < bytes; i++)
            world_must(d->w, p[i] == byte_at(number, i));
        world_must(d->w, ++d->all[number].received <= COPIES_MOST);
        heap_free(got.payload.base);
    }
}

static void send_one(struct datagrams *d) {
    struct world *w = d->w;
    struct node *from = &w->nodes[world_below(w, w->node_count)], *to = &w->nodes[world_below(w, w->node_count)];
    uint32_t frame = w->nodes[0].config.mtu - HEADERS - BYTES_LEAST, most = d->fragmented ? frame * FRAGMENTS : frame;
    if (most > BYTES_MOST) most = BYTES_MOST;
    uint32_t number = d->sent++, bytes = BYTES_LEAST + (uint32_t)world_log_below(w, most);
    if (!from->stack) return;
    uint8_t *p = world_alloc(w, bytes);
    memcpy(p, &number, sizeof number);
    memcpy(p + sizeof number, &bytes, sizeof bytes);
    for (uint32_t i = BYTES_LEAST; i < bytes; i++)
        p[i] = byte_at(number, i);
    struct inet_segment data = {p, bytes};
    struct inet_endpoint there = {to->addr, PORT};
    d->all[number].bytes = bytes;
    d->all[number].taken = true; /* also where only some fragments found room: they must not make a datagram */
    int error = udp_send(d->sockets[from - w->nodes], &data, 1, &there, w->now);
    world_say(w, "datagram %u of %u bytes: %d", number, bytes, error);
    heap_free(p);
}

uint64_t datagrams_act(struct datagrams *d) {
    while (d->next_ns <= d->w->now) {
        send_one(d);
        d->next_ns = d->sent < d->count ? d->next_ns + d->every_ns : UINT64_MAX;
    }
    return d->next_ns;
}

void datagrams_forget_node(struct datagrams *d, struct node *n) {
    struct udp_socket **u = &d->sockets[n - d->w->nodes];
    udp_close(*u);
    *u = NULL;
}

void datagrams_check(const struct datagrams *d, bool ideal) {
    for (uint32_t i = 0; ideal && i < d->count; i++)
        world_must(d->w, d->all[i].received == 1);
}
