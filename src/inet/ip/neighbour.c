/* SPDX-License-Identifier: MIT */
/* Neighbour cache. */
#include "inet/ip/neighbour.h"

#include "base/sys.h"
#include "inet/ip/link.h"
#include "inet/wire/eth.h"
#include "inet/wire/ip4.h"

#include <assert.h>

#define EVICTION_STEPS 16u /* entries visited to find one that is not in use */

static bool is_datagram(const struct held_frame *h) {
    return h->bytes[ETH_HEADER_BYTES + IP4_PROTOCOL_OFFSET] == IP_UDP;
}

/* The block of a frame is far smaller than 4 GiB. */
static uint32_t pinned(const struct held_frame *h) {
    return (uint32_t)heap_block_bytes(h);
}

static void state_set(struct inet *s, struct neighbour *n, enum neighbour_state state) {
    if (n->state == NEIGHBOUR_PROBING) s->neighbours.probing--;
    if (state == NEIGHBOUR_PROBING) s->neighbours.probing++;
    n->state = (uint8_t)state;
    if (state == NEIGHBOUR_INCOMPLETE) dests_forget(s); /* headers with its MAC address must not be used */
}

/* Takes the oldest waiting packet. NULL: none. */
static struct held_frame *queue_take(struct inet *s, struct neighbour *n) {
    struct list *node = list_pop_front(&n->queue);
    if (!node) return NULL;
    struct held_frame *h = list_entry(node, struct held_frame, link);
    n->queued_bytes -= pinned(h);
    s->neighbours.queued_bytes -= pinned(h);
    s->neighbours.datagrams -= is_datagram(h);
    return h;
}

static void queue_fail(struct inet *s, struct neighbour *n) {
    struct held_frame *h;
    while ((h = queue_take(s, n))) {
        inet_count(s, neighbour_failed);
        s->neighbours.failed(s, h->bytes + ETH_HEADER_BYTES, h->frame.bytes - ETH_HEADER_BYTES);
        heap_free(h);
    }
}

/* Sends the waiting packets. If the device has no room, the rest is offered again after NEIGHBOUR_ROOM_NS. */
static void queue_send(struct inet *s, struct neighbour *n) {
    struct list *node;
    while ((node = list_first(&n->queue))) {
        if (link_output_held(s, list_entry(node, struct held_frame, link), n->mac)) {
            inet_timer_arm(s, &n->room_timer, s->now + NEIGHBOUR_ROOM_NS);
            return;
        }
        heap_free(queue_take(s, n));
    }
}

static void room_fire(struct inet *s, struct inet_timer *t) {
    struct neighbour *n = list_entry(t, struct neighbour, room_timer);
    if (n->state != NEIGHBOUR_INCOMPLETE) queue_send(s, n);
}

static void neighbour_forget(struct inet *s, struct neighbour *n) {
    state_set(s, n, NEIGHBOUR_INCOMPLETE);
    inet_timer_cancel(s, &n->timer);
    inet_timer_cancel(s, &n->room_timer);
    hash_remove(&s->neighbours.by_addr, &n->addr);
    list_remove(&n->link);
    queue_fail(s, n);
    sys_free(n);
}

static void neighbour_ask(struct inet *s, struct neighbour *n) {
    n->tries++;
    s->neighbours.ask(s, inet_addr_to_ip4(&n->addr), n->state == NEIGHBOUR_PROBING ? n->mac : link_broadcast);
    inet_timer_arm(s, &n->timer, s->now + NEIGHBOUR_RETRY_NS);
}

static void neighbour_fire(struct inet *s, struct inet_timer *t) {
    struct neighbour *n = list_entry(t, struct neighbour, timer);
    bool more = n->tries < NEIGHBOUR_TRIES;
    if ((n->state == NEIGHBOUR_REACHABLE && !n->used) || (n->state == NEIGHBOUR_INCOMPLETE && !more)) {
        neighbour_forget(s, n);
        return;
    }
    if (n->state == NEIGHBOUR_REACHABLE || !more) {
        state_set(s, n, n->state == NEIGHBOUR_REACHABLE ? NEIGHBOUR_PROBING : NEIGHBOUR_INCOMPLETE);
        n->tries = 0;
    }
    neighbour_ask(s, n);
}

/*
 * Second chance: removes the oldest entry that was not used since eviction last visited it. False: all entries are
 * static.
 */
static bool neighbour_evict(struct inet *s) {
    struct list *node;
    for (uint32_t steps = 0; (node = list_first(&s->neighbours.by_age)); steps++) {
        struct neighbour *n = list_entry(node, struct neighbour, link);
        if (!n->used || steps == EVICTION_STEPS) {
            inet_count(s, neighbour_limit);
            neighbour_forget(s, n);
            return true;
        }
        n->used = false;
        list_remove(node);
        list_push_back(&s->neighbours.by_age, node);
    }
    return false;
}

static struct neighbour *neighbour_new(struct inet *s, const struct inet_addr *addr) {
    if (hash_count(&s->neighbours.by_addr) >= s->config.limits.neighbours && !neighbour_evict(s)) return NULL;
    struct neighbour *n = sys_calloc(1, sizeof *n);
    if (!n) return NULL;
    n->addr = *addr;
    list_init(&n->link);
    list_init(&n->queue);
    inet_timer_init(&n->timer, neighbour_fire);
    inet_timer_init(&n->room_timer, room_fire);
    if (hash_insert(&s->neighbours.by_addr, n)) {
        sys_free(n);
        return NULL;
    }
    return n;
}

int neighbours_init(struct inet *s) {
    list_init(&s->neighbours.by_age);
    int error = hash_init(&s->neighbours.by_addr, sizeof(struct inet_addr), offsetof(struct neighbour, addr),
                          s->config.limits.neighbours, s->hash_seed);
    if (error) return error;
    for (uint32_t i = 0; i < s->config.neighbour_count; i++) {
        const struct inet_static_neighbour *from = &s->config.neighbours[i];
        struct neighbour *n = neighbour_new(s, &from->addr);
        if (!n) {
            neighbours_fini(s);
            return -ENOMEM;
        }
        memcpy(n->mac, from->mac, INET_MAC_BYTES);
        n->state = NEIGHBOUR_STATIC; /* it is not in by_age, so it is never evicted */
    }
    s->config.neighbours = NULL;
    return 0;
}

void neighbours_fini(struct inet *s) {
    struct neighbour *n;
    uint64_t at = 0;
    while ((n = hash_next(&s->neighbours.by_addr, &at))) {
        struct held_frame *h;
        while ((h = queue_take(s, n)))
            heap_free(h);
        sys_free(n);
    }
    assert(s->neighbours.queued_bytes == 0 && s->neighbours.datagrams == 0);
    hash_fini(&s->neighbours.by_addr);
}

/* Answers to unverified senders may use half of the memory. */
static bool queue_has_room(const struct inet *s, const struct neighbour *n, uint32_t more, bool answer) {
    uint32_t all = s->config.limits.neighbour_memory;
    return (uint64_t)n->queued_bytes + more <= s->config.limits.neighbour_queue &&
           s->neighbours.queued_bytes + more <= (answer ? all / 2 : all);
}

/* Without room the oldest packet is dropped. A TCP segment is refused instead, because TCP offers it again. */
static int queue_add(struct inet *s, struct neighbour *n, struct tx_packet *o) {
    bool waits = !o->answer && o->at[IP4_PROTOCOL_OFFSET] == IP_TCP;
    tx_push(o, ETH_HEADER_BYTES); /* written when the MAC address is known */
    struct held_frame *h = tx_hold(o), *oldest = NULL;
    if (!h) {
        inet_count(s, no_memory);
        return -ENOMEM;
    }
    bool fits = queue_has_room(s, n, pinned(h), o->answer);
    if (!fits) inet_count(s, neighbour_queue_limit);
    while (!fits && !waits && (oldest = queue_take(s, n))) {
        heap_free(oldest);
        fits = queue_has_room(s, n, pinned(h), o->answer);
    }
    if (!fits) {
        heap_free(h);
        return waits ? -EAGAIN : 0;
    }
    list_push_back(&n->queue, &h->link);
    n->queued_bytes += pinned(h);
    s->neighbours.queued_bytes += pinned(h);
    s->neighbours.datagrams += is_datagram(h);
    return 0;
}

/* Finds the entry, or makes one and sends an ARP request. 0; -ENOBUFS: the cache is full; -EBUSY: too many requests. */
static int neighbour_at(struct inet *s, uint32_t ip, bool answer, struct neighbour **out) {
    struct inet_addr addr = inet_addr_ip4(ip);
    struct neighbour *n = hash_find(&s->neighbours.by_addr, &addr);
    *out = n;
    if (n) return 0;
    if (answer && !rate_take(&s->neighbours.answers, NEIGHBOUR_ANSWERS, &s->rng, s->now)) return -EBUSY;
    if (!(n = neighbour_new(s, &addr))) {
        inet_count(s, no_memory);
        return -ENOBUFS;
    }
    list_push_back(&s->neighbours.by_age, &n->link);
    n->state = NEIGHBOUR_INCOMPLETE;
    neighbour_ask(s, n);
    *out = n;
    return 0;
}

bool neighbour_template(const struct inet *s, struct dest *d) {
    if (s->config.slow_only || !neighbour_is_known(d->neighbour)) return false;
    const struct ip4_header h = {.from = d->route.source, .to = d->addr, .ttl = IP4_TTL, .protocol = IP_UDP};
    uint8_t *ip = d->headers + ETH_HEADER_BYTES;
    eth_emit(d->headers, d->neighbour->mac, s->config.mac, ETH_TYPE_IP4);
    ip4_emit(ip, &h);
    wire_store16(ip + IP4_CHECKSUM_OFFSET, 0);
    d->ip_sum = csum_fold(ip4_header_sum(ip));
    d->udp_sum = csum_fold(ip4_pseudo_sum(h.from, h.to, IP_UDP, 0));
    d->ready = true;
    return true;
}

int neighbour_output_unknown(struct inet *s, struct tx_packet *o, struct dest *d) {
    if (!d->neighbour) {
        struct neighbour *found;
        int error = neighbour_at(s, d->route.next_hop, o->answer, &found); /* this may evict another entry */
        if (error == -EBUSY) {
            inet_count(s, arp_rate_limit);
            return 0;
        }
        if (error) return error;
        d->neighbour = found;
        d->epoch = s->dest_epoch;
    }
    struct neighbour *n = d->neighbour;
    n->used = true;
    if (n->state == NEIGHBOUR_INCOMPLETE) return queue_add(s, n, o);
    return link_output(s, o, n->mac, ETH_TYPE_IP4);
}

/* Confirms the entry. */
static void neighbour_lives(struct inet *s, struct neighbour *n) {
    state_set(s, n, NEIGHBOUR_REACHABLE);
    n->tries = 0;
    n->used = false;
    n->alive_ns = s->now;
    inet_timer_arm(s, &n->timer, s->now + NEIGHBOUR_REACHABLE_NS / 2 + rng_below(&s->rng, NEIGHBOUR_REACHABLE_NS));
}

void neighbour_learn(struct inet *s, const struct inet_addr *addr, const uint8_t *mac, bool create) {
    struct neighbour *n = hash_find(&s->neighbours.by_addr, addr);
    if (!n) {
        if (!create || !(n = neighbour_new(s, addr))) return;
        list_push_back(&s->neighbours.by_age, &n->link);
    }
    if (n->state == NEIGHBOUR_STATIC) return;
    if (memcmp(n->mac, mac, INET_MAC_BYTES) != 0) dests_forget(s);
    memcpy(n->mac, mac, INET_MAC_BYTES);
    neighbour_lives(s, n);
    queue_send(s, n);
}

/* The entry of the next hop to an address. NULL: there is none in this state. */
static struct neighbour *next_hop_in(struct inet *s, const struct inet_addr *to, enum neighbour_state state) {
    struct dest *d = dest_find(s, inet_addr_to_ip4(to));
    if (d->route.kind != ROUTE_NEIGHBOUR) return NULL;
    struct inet_addr addr = inet_addr_ip4(d->route.next_hop);
    struct neighbour *n = hash_find(&s->neighbours.by_addr, &addr);
    return n && n->state == state ? n : NULL;
}

void neighbour_doubt(struct inet *s, const struct inet_addr *to, uint64_t sent_ns) {
    struct neighbour *n = next_hop_in(s, to, NEIGHBOUR_REACHABLE);
    if (!n || n->alive_ns > sent_ns || s->now - n->alive_ns < NEIGHBOUR_RETRY_NS) return;
    n->used = true;
    state_set(s, n, NEIGHBOUR_PROBING);
    n->tries = NEIGHBOUR_TRIES - 1; /* one unicast request, then broadcast */
    neighbour_ask(s, n);
}

void neighbour_confirm(struct inet *s, const struct inet_addr *to) {
    struct neighbour *n = next_hop_in(s, to, NEIGHBOUR_PROBING);
    if (n) neighbour_lives(s, n);
}

uint32_t inet_waiting(const struct inet *s) {
    return s->neighbours.datagrams;
}
