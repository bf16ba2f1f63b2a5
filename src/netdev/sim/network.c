/* SPDX-License-Identifier: MIT */
/* The simulated network: nodes and links, frames in flight in a heap ordered by arrival time, learning switches. */
#include "netdev/sim/network.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define NODES_DEFAULT      64u
#define NODES_MAX          65535u
#define FRAMES_DEFAULT     65536u
#define FRAMES_MAX         (1u << 26)
#define HOST_QUEUE_DEFAULT 1024u

struct address_key {
    uint16_t node;
    uint8_t mac[NETDEV_MAC_BYTES];
};
_Static_assert(sizeof(struct address_key) == 8, "no padding in a key");

/* A switch has seen an address at a port. */
struct learned {
    struct address_key key;
    uint32_t port;
};

static bool earlier(const struct sim_flight *a, const struct sim_flight *b) {
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->number < b->number;
}

static void flight_add(struct sim *sim, struct sim_flight flight) {
    uint32_t at = sim->flights_count++;
    for (; at > 0 && earlier(&flight, &sim->flights[(at - 1) / 2]); at = (at - 1) / 2)
        sim->flights[at] = sim->flights[(at - 1) / 2];
    sim->flights[at] = flight;
}

static struct sim_flight flight_pop(struct sim *sim) {
    struct sim_flight first = sim->flights[0], last = sim->flights[--sim->flights_count];
    uint32_t at = 0, child;
    for (; (child = 2 * at + 1) < sim->flights_count; at = child) {
        if (child + 1 < sim->flights_count && earlier(&sim->flights[child + 1], &sim->flights[child])) child++;
        if (!earlier(&sim->flights[child], &last)) break;
        sim->flights[at] = sim->flights[child];
    }
    sim->flights[at] = last;
    return first;
}

static bool copy_frame(struct netdev_buffer *to, const struct netdev_buffer *from) {
    *to = *from;
    to->data = heap_alloc(from->bytes);
    if (!to->data) return false;
    memcpy(to->data, from->data, from->bytes);
    return true;
}

static void launch(struct sim *sim, struct sim_direction *d, uint64_t at_ns, uint32_t hops,
                   struct netdev_buffer frame) {
    if (sim->flights_count == sim->config.frames_max || hops > SIM_HOPS_MAX) {
        d->stats.limit++;
        heap_free(frame.data);
        return;
    }
    flight_add(sim, (struct sim_flight){at_ns, sim->next_number++, d, hops, frame});
}

void sim_send(struct sim *sim, uint32_t node, uint32_t port, uint32_t hops, struct netdev_buffer frame) {
    struct sim_direction *d = sim->nodes[node].out[port];
    struct sim_outcome outcome = sim_direction_pass(d, &sim->rng, frame.bytes, sim->now_ns);
    struct netdev_buffer duplicate;
    if (outcome.copies == 0) {
        heap_free(frame.data);
        return;
    }
    if (outcome.corrupt) {
        uint64_t bit = rng_below(&sim->rng, (uint64_t)frame.bytes * 8);
        ((uint8_t *)frame.data)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    if (outcome.copies == 2) {
        if (copy_frame(&duplicate, &frame))
            launch(sim, d, outcome.at_ns, hops, duplicate);
        else
            d->stats.limit++;
    }
    launch(sim, d, outcome.at_ns, hops, frame);
}

static struct address_key address_key(const struct sim *sim, const struct sim_node *node, const uint8_t *mac) {
    struct address_key key = {.node = (uint16_t)(node - sim->nodes)};
    memcpy(key.mac, mac, sizeof key.mac);
    return key;
}

/* A full table learns no more; frames to unknown addresses are flooded. */
static void switch_learn(struct sim *sim, const struct sim_node *node, uint32_t port, const uint8_t *mac) {
    struct address_key key = address_key(sim, node, mac);
    if (mac[0] & 1) return;
    struct learned *known = hash_find(&sim->learned, &key);
    if (!known) {
        if (!(known = sys_calloc(1, sizeof *known))) return;
        known->key = key;
        if (hash_insert(&sim->learned, known)) {
            sys_free(known);
            return;
        }
    }
    known->port = port;
}

static void switch_forward(struct sim *sim, struct sim_node *node, uint32_t port, uint32_t hops,
                           struct netdev_buffer frame) {
    const uint8_t *to = frame.data, *from = to + NETDEV_MAC_BYTES;
    struct address_key key = address_key(sim, node, to);
    const struct learned *known = to[0] & 1 ? NULL : hash_find(&sim->learned, &key);
    uint32_t out = known ? known->port : 0;
    uint32_t id = (uint32_t)(node - sim->nodes);
    switch_learn(sim, node, port, from);
    if (known && out != port) {
        sim_send(sim, id, out, hops, frame);
        return;
    }
    for (uint32_t i = 0; !known && i < node->ports; i++) {
        struct netdev_buffer copy;
        if (i == port) continue;
        if (copy_frame(&copy, &frame))
            sim_send(sim, id, i, hops, copy);
        else
            node->out[i]->stats.limit++;
    }
    heap_free(frame.data);
}

static void host_deliver(struct sim *sim, struct sim_node *host, struct sim_direction *over,
                         struct netdev_buffer frame) {
    uint32_t max = sim->config.host_queue_max;
    if (!host->dev || host->unplugged)
        over->stats.host_away++;
    else if (host->queued == max) {
        over->stats.host_full++;
        host->dev->stats.rx_overrun++;
    } else {
        host->queue[(host->head + host->queued++) % max] = frame;
        return;
    }
    heap_free(frame.data);
}

uint64_t sim_next_ns(const struct sim *sim) {
    return sim->flights_count ? sim->flights[0].at_ns : NETDEV_NEVER;
}

void sim_advance(struct sim *sim, uint64_t now_ns) {
    while (sim_next_ns(sim) <= now_ns && sim->flights_count) {
        struct sim_flight flight = flight_pop(sim);
        struct sim_node *node = &sim->nodes[flight.over->to_node];
        if (flight.at_ns > sim->now_ns) sim->now_ns = flight.at_ns;
        flight.over->stats.delivered++;
        if (node->is_switch)
            switch_forward(sim, node, flight.over->to_port, flight.hops + 1, flight.frame);
        else
            host_deliver(sim, node, flight.over, flight.frame);
    }
    if (now_ns > sim->now_ns) sim->now_ns = now_ns;
}

uint64_t sim_now_ns(const struct sim *sim) {
    return sim->now_ns;
}

static bool set_limits(struct sim_config *c) {
    if (!c->nodes_max) c->nodes_max = NODES_DEFAULT;
    if (!c->frames_max) c->frames_max = FRAMES_DEFAULT;
    if (!c->host_queue_max) c->host_queue_max = HOST_QUEUE_DEFAULT;
    return c->nodes_max <= NODES_MAX && c->frames_max <= FRAMES_MAX && c->host_queue_max <= FRAMES_MAX;
}

struct sim *sim_new(const struct sim_config *config) {
    struct sim *sim = sys_calloc(1, sizeof *sim);
    uint8_t seed[SIPHASH_KEY_BYTES];
    if (!sim) return NULL;
    sim->config = *config;
    sim->now_ns = config->start_ns;
    rng_init(&sim->rng, config->seed);
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)rng_next(&sim->rng);
    if (set_limits(&sim->config)) {
        sim->links_max = sim->config.nodes_max * 2;
        sim->nodes = sys_calloc(sim->config.nodes_max, sizeof *sim->nodes);
        sim->links = sys_calloc((size_t)sim->links_max * 2, sizeof(struct sim_direction *));
        sim->flights = sys_calloc(sim->config.frames_max, sizeof *sim->flights);
        if (sim->nodes && sim->links && sim->flights &&
            hash_init(&sim->learned, sizeof(struct address_key), offsetof(struct learned, key), SIM_ADDRESSES_MAX,
                      seed) == 0)
            return sim;
    }
    sim_free(sim);
    return NULL;
}

void sim_free(struct sim *sim) {
    if (!sim) return;
    for (uint32_t i = 0; i < sim->flights_count; i++)
        heap_free(sim->flights[i].frame.data);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        assert(!sim->nodes[i].dev);
        sys_free(sim->nodes[i].queue);
    }
    for (uint32_t i = 0; i < 2 * sim->links_count; i++)
        sys_free(sim->links[i]);
    struct learned *known;
    for (uint64_t at = 0; (known = hash_next(&sim->learned, &at));)
        sys_free(known);
    hash_fini(&sim->learned);
    sys_free(sim->flights);
    sys_free(sim->links);
    sys_free(sim->nodes);
    sys_free(sim);
}

static struct sim_node *find_node(struct sim *sim, const char *name) {
    for (uint32_t i = 0; i < sim->nodes_count; i++)
        if (strcmp(sim->nodes[i].name, name) == 0) return &sim->nodes[i];
    return NULL;
}

struct sim_node *sim_find_host(struct sim *sim, const char *name) {
    struct sim_node *node = find_node(sim, name);
    return node && !node->is_switch ? node : NULL;
}

static bool mtu_fits(uint32_t mtu) {
    return mtu >= NETDEV_MTU_MIN && mtu <= NETDEV_MTU_MAX;
}

/* Prepares the next free node and names it. The caller adds it by increasing nodes_count. */
static int next_node(struct sim *sim, const char *name, struct sim_node **node) {
    size_t len = strlen(name);
    if (len == 0 || len >= SIM_NAME_MAX) return -EINVAL;
    if (find_node(sim, name)) return -EEXIST;
    if (sim->nodes_count == sim->config.nodes_max) return -ENOBUFS;
    *node = &sim->nodes[sim->nodes_count];
    memcpy((*node)->name, name, len + 1);
    return 0;
}

int sim_add_host(struct sim *sim, const char *name, const uint8_t mac[NETDEV_MAC_BYTES], uint32_t mtu) {
    struct sim_node *node;
    int r = next_node(sim, name, &node);
    if (r < 0) return r;
    if (!mtu_fits(mtu) || mac[0] & 1) return -EINVAL;
    node->queue = sys_calloc(sim->config.host_queue_max, sizeof *node->queue);
    if (!node->queue) return -ENOMEM;
    node->mtu = mtu;
    memcpy(node->mac, mac, sizeof node->mac);
    return (int)sim->nodes_count++;
}

int sim_add_switch(struct sim *sim, const char *name) {
    struct sim_node *node;
    int r = next_node(sim, name, &node);
    if (r < 0) return r;
    node->is_switch = true;
    return (int)sim->nodes_count++;
}

static int check_port(const struct sim *sim, int node) {
    if (node < 0 || (uint32_t)node >= sim->nodes_count) return -EINVAL;
    if (!sim->nodes[node].is_switch) return sim->nodes[node].ports ? -EBUSY : 0;
    return sim->nodes[node].ports == SIM_PORTS_MAX ? -ENOBUFS : 0;
}

static void attach(struct sim *sim, int from, int to, struct sim_direction *d, const struct sim_path *path) {
    if (path) d->path = *path;
    d->to_node = (uint32_t)to;
    d->to_port = sim->nodes[to].ports;
    sim->nodes[from].out[sim->nodes[from].ports] = d;
}

int sim_connect(struct sim *sim, int a, int b, const struct sim_path *a_to_b, const struct sim_path *b_to_a) {
    struct sim_direction *forward, *reverse;
    int r = check_port(sim, a);
    if (r == 0) r = a == b ? -EINVAL : check_port(sim, b);
    if (r < 0) return r;
    if (sim->links_count == sim->links_max) return -ENOBUFS;
    forward = sys_calloc(1, sizeof *forward);
    reverse = sys_calloc(1, sizeof *reverse);
    if (!forward || !reverse) {
        sys_free(forward);
        sys_free(reverse);
        return -ENOMEM;
    }
    attach(sim, a, b, forward, a_to_b);
    attach(sim, b, a, reverse, b_to_a);
    sim->nodes[a].ports++;
    sim->nodes[b].ports++;
    sim->links[2ul * sim->links_count] = forward;
    sim->links[2ul * sim->links_count + 1] = reverse;
    return (int)sim->links_count++;
}

static struct sim_direction *direction(const struct sim *sim, int link, bool from_a) {
    assert(link >= 0 && (uint32_t)link < sim->links_count);
    return sim->links[2 * link + !from_a];
}

void sim_set_path(struct sim *sim, int link, bool from_a, const struct sim_path *path) {
    direction(sim, link, from_a)->path = *path;
}

void sim_cut(struct sim *sim, int link, bool cut) {
    direction(sim, link, true)->cut = cut;
    direction(sim, link, false)->cut = cut;
}

static struct sim_node *host_at(struct sim *sim, int host) {
    assert(host >= 0 && (uint32_t)host < sim->nodes_count && !sim->nodes[host].is_switch);
    return &sim->nodes[host];
}

void sim_unplug(struct sim *sim, int host, bool unplugged) {
    host_at(sim, host)->unplugged = unplugged;
}

int sim_set_mtu(struct sim *sim, int host, uint32_t mtu) {
    if (!mtu_fits(mtu)) return -EINVAL;
    host_at(sim, host)->mtu = mtu;
    return 0;
}

struct sim_path_stats sim_get_stats(const struct sim *sim, int link, bool from_a) {
    return direction(sim, link, from_a)->stats;
}
