/* ARP packets in and out; what is learnt from them is the neighbour cache's. */
#include "inet/arp.h"

#include "inet/link.h"
#include "inet/neighbour.h"
#include "inet/route.h"
#include "inet/wire_arp.h"

#define ANNOUNCE_COUNT     2u /* RFC 5227 section 1.1, as the two below */
#define ANNOUNCE_NS        (2 * NS_PER_S)
#define DEFEND_INTERVAL_NS (10 * NS_PER_S)

static void arp_output(struct inet *s, const struct arp_packet *a, const uint8_t *to) {
    struct out o;
    out_init(&o);
    arp_emit(out_push(&o, ARP_BYTES), a);
    if (link_output(s, &o, to, ETH_TYPE_ARP)) inet_count(s, transmit_dropped);
}

static void arp_ask(struct inet *s, uint32_t from, uint32_t target, const uint8_t *to) {
    struct arp_packet a = {.operation = ARP_REQUEST, .sender_ip = from, .target_ip = target};
    memcpy(a.sender_mac, s->config.mac, INET_MAC_BYTES);
    inet_count(s, arp_requests_out);
    arp_output(s, &a, to);
}

void arp_request(struct inet *s, uint32_t ip, const uint8_t *to) {
    arp_ask(s, route_source(s, ip), ip, to);
}

static void announce(struct inet *s, uint32_t ip) {
    arp_ask(s, ip, ip, link_broadcast);
}

static void announce_fire(struct inet *s, struct inet_timer *t) {
    for (uint32_t i = 0; i < s->config.addr_count; i++)
        announce(s, inet_addr_to_ip4(&s->config.addrs[i].addr));
    if (++s->announcements < ANNOUNCE_COUNT) inet_timer_arm(s, t, s->now + ANNOUNCE_NS);
}

void arp_init(struct inet *s) {
    inet_timer_init(&s->announce, announce_fire);
    if (s->config.announce) inet_timer_arm(s, &s->announce, s->now);
}

static void arp_reply(struct inet *s, const struct arp_packet *request) {
    struct arp_packet a = {.operation = ARP_REPLY, .sender_ip = request->target_ip, .target_ip = request->sender_ip};
    memcpy(a.sender_mac, s->config.mac, INET_MAC_BYTES);
    memcpy(a.target_mac, request->sender_mac, INET_MAC_BYTES);
    inet_count(s, arp_replies_out);
    arp_output(s, &a, request->sender_mac);
}

/* Somebody else uses our address: say so once in a while, and go on (RFC 5227 section 2.4 (c)). */
static void arp_conflict(struct inet *s, uint32_t ip) {
    inet_count(s, arp_conflicts);
    if (s->arp_defended_ns != 0 && s->now - s->arp_defended_ns < DEFEND_INTERVAL_NS) return;
    s->arp_defended_ns = s->now;
    announce(s, ip);
}

void arp_input(struct inet *s, struct packet *p) {
    struct arp_packet a;
    if (!arp_parse(&a, p->at, p->len) || eth_is_group(a.sender_mac) ||
        (a.operation != ARP_REQUEST && a.operation != ARP_REPLY)) {
        inet_count(s, arp_bad);
        return;
    }
    bool copy = p->flags & INET_INPUT_COPY; /* whoever has the original answers it */
    if (route_is_own(s, a.sender_ip)) {
        if (!copy && memcmp(a.sender_mac, s->config.mac, INET_MAC_BYTES) != 0) arp_conflict(s, a.sender_ip);
        return;
    }
    bool for_us = route_is_own(s, a.target_ip), probe = a.sender_ip == 0;
    if (!probe && !route_is_on_link(s, a.sender_ip)) {
        inet_count(s, arp_off_link);
        return;
    }
    /* Only who asks for us is going to be answered; others are not worth an entry. */
    struct inet_addr sender = inet_addr_ip4(a.sender_ip);
    if (!probe) neighbour_learn(s, &sender, a.sender_mac, for_us && a.operation == ARP_REQUEST);
    if (a.operation != ARP_REQUEST || copy) return;
    if (for_us)
        arp_reply(s, &a);
    else
        inet_count(s, arp_not_for_us);
}
