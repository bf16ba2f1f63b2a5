/* SPDX-License-Identifier: MIT */
/* Sends datagrams. On the fast path a datagram gets all its headers at once, from the template of its destination. */
#include "inet/ip/neighbour.h"
#include "inet/udp/udp_socket.h"

#define UDP_AT     (ETH_HEADER_BYTES + IP4_HEADER_BYTES)
#define HEADERS    (UDP_AT + UDP_HEADER_BYTES)
#define ALIGN_ROOM 2u /* so that IP addresses lie at multiples of four */

/* Writes the UDP header behind the others. Returns the flags of the frame. */
static inline uint16_t emit_udp(const struct inet *s, const struct dest *d, uint8_t *p, const struct udp_header *h,
                                const struct inet_segment *data) {
    uint64_t sum = (uint64_t)d->udp_sum + htobe16(h->bytes);
    udp_emit(p, h);
    if (s->config.offloads & INET_OFFLOAD_CSUM) {
        wire_store16(p + UDP_CHECKSUM_OFFSET, csum_fold(sum));
        return INET_FRAME_CSUM;
    }
    sum += (uint64_t)wire_load32(p) + wire_load16(p + 4);
    uint16_t check = csum_finish(csum_add(sum, data->base, data->len));
    wire_store16(p + UDP_CHECKSUM_OFFSET, check ? check : UINT16_MAX);
    return 0;
}

/* The socket has nothing to report, and sends with the usual type of service and time to live. */
static inline bool is_plain(const struct udp_socket *u) {
    return !u->error && u->bound && u->tos == 0 && u->ttl == IP4_TTL;
}

/* The destination, if datagrams from the socket may have its headers; NULL: they may not. */
static inline struct dest *dest_ready(const struct udp_socket *u, const struct inet_endpoint *to) {
    uint32_t from = inet_addr_to_ip4(&u->local.addr);
    if (!inet_addr_is_ip4(&to->addr) || to->port == 0) return NULL;
    struct dest *d = dest_find(u->stack, inet_addr_to_ip4(&to->addr));
    return (d->ready || neighbour_template(u->stack, d)) && (from == 0 || from == d->route.source) ? d : NULL;
}

/* The fast path: one segment, which fits in one packet, to a neighbour whose MAC address is known. */
int udp_send(struct udp_socket *u, const struct inet_segment *segments, uint32_t count, const struct inet_endpoint *to,
             uint64_t now) {
    struct inet *s = u->stack;
    const struct inet_endpoint *peer = to ? to : &u->remote;
    s->now = now;
    if (count != 1 || !is_plain(u) || segments->len - 1 >= s->config.mtu - IP4_HEADER_BYTES - UDP_HEADER_BYTES)
        return udp_send_slow(u, segments, count, to);
    struct dest *d = dest_ready(u, peer);
    if (!d) return udp_send_slow(u, segments, count, to);
    const struct udp_header h = {u->local.port, peer->port, (uint16_t)(UDP_HEADER_BYTES + segments->len), true};
    uint8_t room[ALIGN_ROOM + HEADERS], *headers = room + ALIGN_ROOM;
    memcpy(headers, d->headers, sizeof d->headers);
    ip4_patch(headers + ETH_HEADER_BYTES, d->ip_sum, (uint16_t)(IP4_HEADER_BYTES + h.bytes), (*d->ip_id)++);
    uint16_t flags = emit_udp(s, d, headers + UDP_AT, &h, segments);
    d->neighbour->used = true;
    return link_transmit_headers(s, headers, HEADERS, segments, flags, UDP_CHECKSUM_OFFSET);
}
