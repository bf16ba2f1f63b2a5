/* SPDX-License-Identifier: MIT */
/*
 * Fast paths of UDP. A datagram that is received goes to the socket that its port had last; a datagram that is sent
 * gets all its headers at once, from the template of its destination.
 */
#include "inet/ip/neighbour.h"
#include "inet/udp/input.h"
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

int udp_output_expected(struct udp_socket *u, const struct inet_segment *data, const struct inet_endpoint *to) {
    struct inet *s = u->stack;
    uint32_t from = inet_addr_to_ip4(&u->local.addr), most = s->config.mtu - IP4_HEADER_BYTES - UDP_HEADER_BYTES;
    if (u->error || !u->bound || u->tos != 0 || u->ttl != IP4_TTL || data->len - 1 >= most) return UDP_NOT_EXPECTED;
    if (!inet_addr_is_ip4(&to->addr) || to->port == 0) return UDP_NOT_EXPECTED;
    struct dest *d = dest_find(s, inet_addr_to_ip4(&to->addr));
    if ((!d->ready && !neighbour_template(s, d)) || (from != 0 && from != d->route.source)) return UDP_NOT_EXPECTED;
    const struct udp_header h = {u->local.port, to->port, (uint16_t)(UDP_HEADER_BYTES + data->len), true};
    uint8_t room[ALIGN_ROOM + HEADERS], *headers = room + ALIGN_ROOM;
    memcpy(headers, d->headers, sizeof d->headers);
    ip4_patch(headers + ETH_HEADER_BYTES, d->ip_sum, (uint16_t)(IP4_HEADER_BYTES + h.bytes), (*d->ip_id)++);
    uint16_t flags = emit_udp(s, d, headers + UDP_AT, &h, data);
    d->neighbour->used = true;
    return link_transmit_headers(s, headers, HEADERS, data, flags, UDP_CHECKSUM_OFFSET);
}

/* Whether the socket, which is at the port, receives datagrams of this flow. */
static inline bool receives(const struct udp_socket *u, uint32_t local, uint32_t remote, uint16_t remote_port) {
    if (!inet_addr_is_any(&u->local.addr) && inet_addr_to_ip4(&u->local.addr) != local) return false;
    return !u->connected || (u->remote.port == remote_port && inet_addr_to_ip4(&u->remote.addr) == remote);
}

bool udp_input_expected(struct inet *s, uint8_t *t, uint32_t bytes, bool checked) {
    struct udp_header h;
    uint32_t local = wire_load32(t - 4), remote = wire_load32(t - 8);
    if (!udp_parse(&h, t, bytes) || h.from_port == 0 || h.bytes == UDP_HEADER_BYTES) return false;
    struct udp_socket *u = s->udp_ports[h.to_port % UDP_PORTS];
    if (!u || u->local.port != h.to_port || !receives(u, local, remote, h.from_port)) return false;
    if (!dest_find(s, remote)->may_be_source) return false;
    const struct inet_flow flow = {inet_addr_ip4(local), inet_addr_ip4(remote), h.to_port, h.from_port};
    if (h.has_checksum && !checked && !udp_checksum_ok(&flow, t, h.bytes)) return false;
    if (!udp_deliver(u, &flow, t + UDP_HEADER_BYTES, h.bytes - UDP_HEADER_BYTES)) heap_free(t);
    return true;
}
