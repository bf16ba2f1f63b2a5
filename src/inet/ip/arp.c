/* SPDX-License-Identifier: MIT */
/* ARP packets. What they say of neighbours is stored in the neighbour cache. */
#include "inet/ip/arp.h"

#include "inet/ip/link.h"
#include "inet/ip/neighbour.h"
#include "inet/ip/route.h"
#include "inet/wire/arp.h"

#define ANNOUNCE_COUNT     2u /* this and the next five: RFC 5227 section 1.1 */
#define ANNOUNCE_NS        (2 * NS_PER_S)
#define DEFEND_INTERVAL_NS (10 * NS_PER_S)
#define PROBE_COUNT        3u
#define PROBE_WAIT_NS      NS_PER_S
#define PROBE_MIN_NS       NS_PER_S
#define PROBE_MAX_NS       (2 * NS_PER_S)
#define ANNOUNCE_WAIT_NS   (2 * NS_PER_S)

static void arp_output(struct inet *s, const struct arp_packet *a, const uint8_t *to) {
    struct tx_packet o;
    tx_init(&o);
    arp_emit(tx_push(&o, ARP_BYTES), a);
    if (link_output(s, &o, to, ETH_TYPE_ARP)) inet_count(s, transmit_dropped);
}

static void arp_ask(struct inet *s, uint32_t from, uint32_t target, const uint8_t *to) {
    struct arp_packet a = {.operation = ARP_REQUEST, .sender_ip = from, .target_ip = target};
    memcpy(a.sender_mac, s->config.mac, INET_MAC_BYTES);
    inet_count(s, arp_requests_out);
    arp_output(s, &a, to);
}

/* The request is lost if the device has no room; the caller asks again. */
static void arp_request(struct inet *s, uint32_t ip, const uint8_t *to) {
    arp_ask(s, route_source(s, ip), ip, to);
}

static void announce(struct inet *s, uint32_t ip) {
    arp_ask(s, ip, ip, link_broadcast);
}

static uint32_t own_ip(const struct inet *s, uint32_t i) {
    return inet_addr_to_ip4(&s->config.addrs[i].addr);
}

/* Whether another host used our i-th address first. */
static bool is_taken(const struct inet *s, uint32_t i) {
    return s->arp.taken & 1u << i;
}

static void announce_fire(struct inet *s, struct inet_timer *t) {
    for (uint32_t i = 0; i < s->config.addr_count; i++)
        if (!is_taken(s, i)) announce(s, own_ip(s, i));
    if (++s->arp.announcements < ANNOUNCE_COUNT) inet_timer_arm(s, t, s->now + ANNOUNCE_NS);
}

/* RFC 5227 section 2.1.1, except that we use the addresses during the probe. */
static void probe_fire(struct inet *s, struct inet_timer *t) {
    if (s->arp.probes == PROBE_COUNT) {
        s->arp.probing = false;
        return;
    }
    for (uint32_t i = 0; i < s->config.addr_count; i++)
        if (!is_taken(s, i)) arp_ask(s, 0, own_ip(s, i), link_broadcast);
    uint64_t wait_ns = ANNOUNCE_WAIT_NS;
    if (++s->arp.probes < PROBE_COUNT) wait_ns = PROBE_MIN_NS + rng_below(&s->rng, PROBE_MAX_NS - PROBE_MIN_NS);
    inet_timer_arm(s, t, s->now + wait_ns);
}

static void arp_reply(struct inet *s, const struct arp_packet *request) {
    struct arp_packet a = {.operation = ARP_REPLY, .sender_ip = request->target_ip, .target_ip = request->sender_ip};
    memcpy(a.sender_mac, s->config.mac, INET_MAC_BYTES);
    memcpy(a.target_mac, request->sender_mac, INET_MAC_BYTES);
    inet_count(s, arp_replies_out);
    arp_output(s, &a, request->sender_mac);
}

/* True once per DEFEND_INTERVAL_NS. *last_ns is 0 at first. */
static bool is_due(const struct inet *s, uint64_t *last_ns) {
    if (*last_ns != 0 && s->now - *last_ns < DEFEND_INTERVAL_NS) return false;
    *last_ns = s->now;
    return true;
}

/*
 * Another host uses our i-th address. We go on using it in any case, and defend an address that was ours first (RFC
 * 5227 section 2.4 (c)). An address that a probe found in use is no longer announced, probed or defended.
 */
static void arp_conflict(struct inet *s, uint32_t i, const uint8_t *mac) {
    bool found = s->arp.probing && !is_taken(s, i);
    inet_count(s, arp_conflicts);
    if (found) s->arp.taken |= 1u << i;
    if (!is_taken(s, i) && is_due(s, &s->arp.defended_ns)) announce(s, own_ip(s, i));
    bool tells = is_due(s, &s->arp.told_ns) || found;
    if (tells && s->config.conflict) s->config.conflict(s->config.ctx, &s->config.addrs[i].addr, mac, s->arp.probing);
}

/* Index of our address; addr_count: it is not ours. */
static uint32_t find_own(const struct inet *s, uint32_t ip) {
    uint32_t i = 0;
    while (i < s->config.addr_count && own_ip(s, i) != ip)
        i++;
    return i;
}

static void arp_input(struct inet *s, struct rx_packet *p) {
    struct arp_packet a;
    if (!arp_parse(&a, p->data, p->len) || eth_is_group(a.sender_mac) ||
        (a.operation != ARP_REQUEST && a.operation != ARP_REPLY)) {
        inet_count(s, arp_bad);
        return;
    }
    bool copy = p->flags & INET_INPUT_COPY; /* the stack with the original answers it */
    bool ours = copy || memcmp(a.sender_mac, s->config.mac, INET_MAC_BYTES) == 0; /* or for another stack */
    uint32_t own = find_own(s, a.sender_ip), target = find_own(s, a.target_ip);
    if (own < s->config.addr_count) {
        if (!ours) arp_conflict(s, own, a.sender_mac);
        return;
    }
    bool for_us = target < s->config.addr_count, probe = a.sender_ip == 0;
    if (probe && for_us && !ours && s->arp.probing && a.operation == ARP_REQUEST) arp_conflict(s, target, a.sender_mac);
    if (!probe && !route_is_on_link(s, a.sender_ip)) {
        inet_count(s, arp_off_link);
        return;
    }
    /* Makes an entry only for a host that asks for us, because we are going to answer it. */
    struct inet_addr sender = inet_addr_ip4(a.sender_ip);
    if (!probe) neighbour_learn(s, &sender, a.sender_mac, for_us && a.operation == ARP_REQUEST);
    if (a.operation != ARP_REQUEST || copy) return;
    if (for_us)
        arp_reply(s, &a);
    else
        inet_count(s, arp_not_for_us);
}

static const struct link_protocol protocol = {.type = ETH_TYPE_ARP, .input = arp_input};

void arp_init(struct inet *s) {
    _Static_assert(INET_ADDRS_MAX <= 32, "bits in arp.taken");
    link_register(s, &protocol);
    s->neighbours.ask = arp_request;
    inet_timer_init(&s->arp.announce, announce_fire);
    inet_timer_init(&s->arp.probe, probe_fire);
    s->arp.probing = s->config.probe;
    if (s->config.announce) inet_timer_arm(s, &s->arp.announce, s->now);
    if (s->config.probe) inet_timer_arm(s, &s->arp.probe, s->now + rng_below(&s->rng, PROBE_WAIT_NS));
}
