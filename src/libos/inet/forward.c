/* SPDX-License-Identifier: MIT */
/* Frames between the members of a device group: steers them, puts them into mailboxes, takes them from its own. */
#include "libos/inet/device_group.h"
#include "libos/inet/stream.h"

#include "base/toeplitz.h"
#include "inet/wire/eth.h"
#include "inet/wire/icmp.h"
#include "inet/wire/ip4.h"
#include "mem/heap.h"

#define EVERYBODY UINT32_MAX

/* Flags of a frame in a mailbox, besides those of inet_input. */
#define FRAME_UNMATCHED 256u /* another member's stack did not match it; it must not go to a third stack */
#define FRAME_ASKED     512u /* that member is the home of the flow */

/* Offsets in a plain packet: TCP or UDP over IPv4, not fragmented, without IPv4 options. Most frames are plain. */
#define PLAIN_FRAGMENT 6u
#define PLAIN_FROM     12u
#define PLAIN_TO       16u
#define PLAIN_PORTS    IP4_HEADER_BYTES
#define PLAIN_BEGIN    0x45u /* version and header length */

enum parsed { PARSED_FLOW, PARSED_HERE, PARSED_ALL, PARSED_FRAGMENT };

struct flow_key group_key(uint8_t protocol, const struct inet_flow *flow) {
    return (struct flow_key){inet_addr_to_ip4(&flow->local), inet_addr_to_ip4(&flow->remote), flow->local_port,
                             flow->remote_port, protocol};
}

static inline bool is_plain(const uint8_t *ip, uint32_t bytes) {
    return bytes >= PLAIN_PORTS + 4 && ip[0] == PLAIN_BEGIN && (wire_get16(ip + PLAIN_FRAGMENT) & ~IP4_DF) == 0 &&
           (ip[IP4_PROTOCOL_OFFSET] == IP_TCP || ip[IP4_PROTOCOL_OFFSET] == IP_UDP);
}

static inline void parse_plain(const uint8_t *ip, struct flow_key *key) {
    *key = (struct flow_key){wire_load32(ip + PLAIN_TO), wire_load32(ip + PLAIN_FROM), wire_get16(ip + PLAIN_PORTS + 2),
                             wire_get16(ip + PLAIN_PORTS), ip[IP4_PROTOCOL_OFFSET]};
}

/* For a fragment, the key has only the addresses. */
static enum parsed parse_packet(const uint8_t *ip, uint32_t bytes, struct flow_key *key) {
    struct ip4_header h;
    if (is_plain(ip, bytes)) {
        parse_plain(ip, key);
        return PARSED_FLOW;
    }
    if (!ip4_parse(&h, ip, bytes)) return PARSED_HERE;
    const uint8_t *t = ip + h.header_bytes;
    *key = (struct flow_key){.local = h.to, .remote = h.from, .protocol = h.protocol};
    if ((h.fragment_flags & IP4_MF) || h.fragment_offset > 0) return PARSED_FRAGMENT;
    if (h.total_bytes < h.header_bytes + 4) return PARSED_HERE;
    if (h.protocol == IP_ICMP && t[0] != ICMP_ECHO_REQUEST) return PARSED_ALL;
    if (h.protocol != IP_TCP && h.protocol != IP_UDP) return PARSED_HERE;
    key->remote_port = wire_get16(t);
    key->local_port = wire_get16(t + 2);
    return PARSED_FLOW;
}

static __attribute__((noinline)) struct steered steer_other(const struct net *net, const uint8_t *p, uint32_t bytes) {
    struct eth_header eth;
    struct flow_key key;
    const struct steering *s = &net->group->steering;
    struct steered here = {net->member, false};
    if (!eth_parse(&eth, p, bytes)) return here;
    if (eth.type == ETH_TYPE_ARP) return (struct steered){EVERYBODY, false};
    if (eth.type != ETH_TYPE_IP4) return here;
    switch (parse_packet(p + ETH_HEADER_BYTES, bytes - ETH_HEADER_BYTES, &key)) {
    case PARSED_FLOW:
        return steering_steer(s, net->member, &key);
    case PARSED_ALL:
        return (struct steered){EVERYBODY, false};
    case PARSED_FRAGMENT: /* all fragments of a packet go to one member, which steers the reassembled packet */
        return (struct steered){steering_home(s, &key), false};
    default:
        return here;
    }
}

static inline struct steered steer_frame(const struct net *net, const uint8_t *p, uint32_t bytes) {
    const uint8_t *ip = p + ETH_HEADER_BYTES;
    struct flow_key key;
    if (bytes < ETH_HEADER_BYTES + PLAIN_PORTS + 4 || wire_get16(ip - 2) != ETH_TYPE_IP4 ||
        !is_plain(ip, bytes - ETH_HEADER_BYTES))
        return steer_other(net, p, bytes);
    parse_plain(ip, &key);
    return steering_steer(&net->group->steering, net->member, &key);
}

void group_note(struct net *net, uint32_t member) {
    net->noted |= 1ull << member;
}

static void enqueue(struct net *net, uint32_t to, const struct mail *mail) {
    if (steering_is_present(&net->group->steering, to) &&
        mailbox_put(&net->group->members[to].mailbox, net->member, mail)) {
        group_note(net, to);
        return;
    }
    net_count(net, group_drops);
    heap_free(mail->frame);
}

static void tell_others(struct net *net, const struct netdev_buffer *frame) {
    for (uint32_t i = 0; i < net->group->queues; i++) {
        if (i == net->member || !steering_is_present(&net->group->steering, i)) continue;
        void *copy = heap_alloc(frame->bytes);
        if (!copy) return; /* a lost ARP packet is sent again */
        memcpy(copy, frame->data, frame->bytes);
        enqueue(net, i, &(struct mail){copy, frame->bytes, INET_INPUT_COPY});
    }
}

static __attribute__((noinline)) bool pass_on(struct net *net, const struct mail *mail, uint32_t to) {
    if (!steering_is_present(&net->group->steering, to)) return false;
    net_count(net, group_forwards);
    enqueue(net, to, mail);
    return true;
}

/* If the flow table names this member, the connection may still wait among the migrations: attach it first. */
static inline void attach_first(struct net *net, struct steered to, uint64_t *now) {
    if (to.entered && mailbox_has_migrations(net->mailbox)) migrations_take(net, now);
}

bool group_forward(struct net *net, const struct netdev_buffer *frame, uint64_t *now) {
    struct steered to = steer_frame(net, frame->data, frame->bytes);
    if (to.member == net->member) {
        attach_first(net, to, now);
        return false;
    }
    if (to.member == EVERYBODY) {
        tell_others(net, frame);
        return false;
    }
    uint32_t flags = frame->flags & NETDEV_RX_CSUM_GOOD ? INET_INPUT_CSUM_OK : 0;
    return pass_on(net, &(struct mail){frame->data, frame->bytes, flags}, to.member);
}

void group_flush(struct net *net) {
    for (; net->noted; net->noted &= net->noted - 1)
        mailbox_tell(&net->group->members[__builtin_ctzll(net->noted)].mailbox, net->member);
}

/*
 * Steers a frame from this member's mailbox again, because the owner of its flow may have changed meanwhile. A frame
 * that another stack did not match follows only the flow table, so that it does not go back.
 */
static struct steered steer_again(const struct net *net, const struct mail *mail) {
    struct flow_key key;
    struct steered here = {net->member, false};
    const uint8_t *ip = (uint8_t *)mail->frame + ETH_HEADER_BYTES;
    /* A looped frame has no valid Ethernet header. */
    bool is_packet = mail->flags & INET_INPUT_LOOP || wire_get16(ip - 2) == ETH_TYPE_IP4;
    if (mail->flags & INET_INPUT_COPY || mail->bytes <= ETH_HEADER_BYTES || !is_packet ||
        parse_packet(ip, mail->bytes - ETH_HEADER_BYTES, &key) != PARSED_FLOW)
        return here;
    return mail->flags & FRAME_UNMATCHED ? steering_steer_entered(&net->group->steering, net->member, &key)
                                         : steering_steer(&net->group->steering, net->member, &key);
}

static void mail_arrived(struct net *net, const struct mail *mail, uint64_t *now) {
    struct steered to = steer_again(net, mail);
    if (to.member != net->member && pass_on(net, mail, to.member)) return;
    attach_first(net, to, now);
    net->asked = mail->flags & FRAME_ASKED;
    inet_input(net->stack, mail->frame, mail->bytes, mail->flags, *now);
    net->asked = false;
}

uint32_t group_take(struct net *net, uint64_t *now) {
    struct mail mails[MAILBOX_BURST];
    uint64_t senders = mailbox_senders(net->mailbox);
    uint32_t all = mailbox_has_migrations(net->mailbox) ? migrations_take(net, now) : 0;
    for (; senders; senders &= senders - 1) {
        uint32_t n = mailbox_take(net->mailbox, (uint32_t)__builtin_ctzll(senders), mails);
        for (uint32_t i = 0; i < n; i++)
            mail_arrived(net, &mails[i], now);
        all += n;
    }
    return all;
}

void group_port_used(struct net *net, uint8_t protocol, uint16_t port, bool on) {
    if (protocol == IP_TCP) steering_port(&net->group->steering, net->member, port, on);
}

int group_endpoint_used(struct net *net, uint8_t protocol, const struct inet_endpoint *local, bool on) {
    uint32_t addr = inet_addr_is_any(&local->addr) ? 0 : inet_addr_to_ip4(&local->addr);
    return steering_receive(&net->group->steering, net->member, protocol, addr, local->port, on);
}

int group_flow_used(struct net *net, uint8_t protocol, const struct inet_flow *flow, enum inet_flow_event event) {
    struct steering *s = &net->group->steering;
    struct flow_key key = group_key(protocol, flow);
    if (event == INET_FLOW_OPENS) {
        int r = steering_open(s, net->member, &key, net->asked);
        if (r == -ENOBUFS) net_count(net, group_flow_limit);
        return r;
    }
    if (event == INET_FLOW_ATTACHED)
        steering_attached(s, net->member, &key);
    else
        steering_end(s, net->member, &key);
    return 0;
}

bool group_flow_ours(const struct net *net, const struct inet_flow *flow) {
    struct flow_key key = group_key(IP_TCP, flow);
    return steering_home(&net->group->steering, &key) == net->member;
}

bool group_steer(struct net *net, void *frame, uint32_t len, uint32_t flags) {
    struct flow_key key;
    if (parse_packet((uint8_t *)frame + ETH_HEADER_BYTES, len - ETH_HEADER_BYTES, &key) != PARSED_FLOW) return false;
    struct steered to = steering_steer(&net->group->steering, net->member, &key);
    if (to.member != net->member) return pass_on(net, &(struct mail){frame, len, flags}, to.member);
    if (!to.entered || !mailbox_has_migrations(net->mailbox)) return false;
    /* Not now, because this runs inside the stack: group_take attaches the migration first. */
    enqueue(net, net->member, &(struct mail){frame, len, flags});
    return true;
}

bool group_unmatched(struct net *net, void *frame, uint32_t len, uint32_t flags) {
    const struct steering *s = &net->group->steering;
    struct flow_key key;
    if (parse_packet((uint8_t *)frame + ETH_HEADER_BYTES, len - ETH_HEADER_BYTES, &key) != PARSED_FLOW) return false;
    if (flags & FRAME_UNMATCHED) { /* a socket was closed or opened meanwhile: drop it, the peer retransmits */
        net_count(net, group_drops);
        heap_free(frame);
        return true;
    }
    bool home = steering_home(s, &key) == net->member;
    struct steered to = home ? steering_steer_on(s, net->member, &key) : steering_steer(s, net->member, &key);
    if (to.member == net->member || !steering_is_present(s, to.member)) return false;
    net_count(net, group_unmatched);
    enqueue(net, to.member, &(struct mail){frame, len, flags | FRAME_UNMATCHED | (home ? FRAME_ASKED : 0)});
    return true;
}
