/* SPDX-License-Identifier: MIT */
/*
 * UDP. One table finds sockets by local address (or the wildcard) and port. A connected socket drops datagrams of other
 * senders.
 */
#include "inet/udp/udp.h"

#include "inet/ip/icmp.h"
#include "inet/ip/ip4_output.h"
#include "inet/ip/protocol.h"
#include "inet/ip/route.h"
#include "inet/port.h"
#include "inet/udp/input.h"
#include "inet/udp/udp_socket.h"

#define UDP_SOCKETS_MAX (1u << 20)
#define RECEIVE_LIMIT   212992u /* Linux's */

static struct inet_flow key_of(const struct inet_endpoint *local) {
    struct inet_flow key = {.local_port = local->port};
    if (!inet_addr_is_any(&local->addr)) key.local = local->addr;
    return key;
}

static struct udp_socket *bound_to(const struct inet *s, const struct inet_addr *addr, uint16_t port) {
    struct inet_endpoint local = {.port = port};
    if (addr) local.addr = *addr;
    struct inet_flow key = key_of(&local);
    return hash_find(&s->udp_bound, &key);
}

static void udp_free(struct udp_socket *u) {
    struct udp_datagram d;
    u->error = 0;
    while (udp_receive(u, &d) == 0)
        if (d.payload.base) heap_free(d.payload.base);
    socket_forget(&u->socket);
    fifo_free(&u->queue);
    sys_free(u);
}

void udp_fini(struct inet *s) {
    struct udp_socket *u;
    uint64_t at = 0;
    while ((u = hash_next(&s->udp_bound, &at)))
        udp_free(u);
    hash_fini(&s->udp_bound);
}

int udp_open(struct inet *s, struct udp_socket **out, void *user) {
    struct udp_socket *u = sys_calloc(1, sizeof *u);
    if (!u) return -ENOMEM;
    socket_init(&u->socket, INET_UDP, user);
    u->stack = s;
    u->receive_limit = RECEIVE_LIMIT;
    u->ttl = IP4_TTL;
    *out = u;
    return 0;
}

static struct inet_endpoint bound_endpoint(const struct udp_socket *u) {
    return (struct inet_endpoint){u->bound_addr, u->local.port};
}

static struct inet_flow flow_of(const struct udp_socket *u) {
    return (struct inet_flow){u->local.addr, u->remote.addr, u->local.port, u->remote.port};
}

/* What it receives, as the stacks that share our addresses know it: one flow, or all that comes to its endpoint. */
static void receives_nothing(const struct udp_socket *u) {
    struct inet_endpoint local = bound_endpoint(u);
    struct inet_flow flow = flow_of(u);
    if (u->connected)
        inet_flow_used(u->stack, IP_UDP, &flow, INET_FLOW_ENDS);
    else
        inet_endpoint_used(u->stack, IP_UDP, &local, false);
}

static void unbind(struct udp_socket *u) {
    struct udp_socket **place = &u->stack->udp_ports[u->local.port % UDP_PORTS];
    if (!u->bound) return;
    receives_nothing(u);
    hash_remove(&u->stack->udp_bound, &u->key);
    inet_port_used(u->stack, IP_UDP, u->local.port, false);
    if (*place == u) *place = NULL;
    u->local.port = 0;
    u->bound = false;
}

void udp_close(struct udp_socket *u) {
    unbind(u);
    udp_free(u);
}

/* A wildcard socket uses the port on all addresses, so it excludes all others. */
static bool port_is_free(const struct inet *s, const struct inet_endpoint *local) {
    if (bound_to(s, NULL, local->port)) return false;
    if (!inet_addr_is_any(&local->addr)) return !bound_to(s, &local->addr, local->port);
    for (uint32_t i = 0; i < s->config.addr_count; i++)
        if (bound_to(s, &s->config.addrs[i].addr, local->port)) return false;
    return true;
}

static int port_choose(struct inet *s, struct inet_endpoint *local) {
    uint32_t start = (uint32_t)rng_below(&s->rng, PORT_EPHEMERAL_COUNT);
    for (uint32_t i = 0; i < PORT_EPHEMERAL_COUNT; i++) {
        local->port = port_candidate(start, i);
        if (port_is_free(s, local)) return 0;
    }
    return -EADDRNOTAVAIL;
}

int udp_bind(struct udp_socket *u, const struct inet_endpoint *local) {
    struct inet *s = u->stack;
    struct inet_endpoint at = *local;
    if (u->bound) return -EINVAL;
    if (!inet_addr_is_any(&at.addr) && !(inet_addr_is_ip4(&at.addr) && route_is_own(s, inet_addr_to_ip4(&at.addr))))
        return -EADDRNOTAVAIL;
    if (at.port == 0) {
        int error = port_choose(s, &at);
        if (error) return error;
    } else if (!port_is_free(s, &at)) {
        return -EADDRINUSE;
    }
    u->key = key_of(&at);
    int error = hash_insert(&s->udp_bound, u);
    if (error) return error == -ENOMEM ? error : -EADDRNOTAVAIL;
    if ((error = inet_endpoint_used(s, IP_UDP, &at, true))) {
        hash_remove(&s->udp_bound, &u->key);
        return error;
    }
    inet_port_used(s, IP_UDP, at.port, true);
    u->local = at;
    u->bound_addr = at.addr;
    u->port_given = local->port != 0;
    u->bound = true;
    return 0;
}

static int bind_anywhere(struct udp_socket *u) {
    struct inet_endpoint any = {.addr = u->bound_addr};
    return u->bound ? 0 : udp_bind(u, &any);
}

int udp_connect(struct udp_socket *u, const struct inet_endpoint *remote) {
    if (!inet_addr_is_ip4(&remote->addr) || remote->port == 0) return -EINVAL;
    struct route r = route_find(u->stack, inet_addr_to_ip4(&remote->addr));
    if (r.kind == ROUTE_NONE) return -ENETUNREACH;
    int error = bind_anywhere(u);
    if (error) return error;
    struct inet_addr local = inet_addr_is_any(&u->bound_addr) ? inet_addr_ip4(r.source) : u->local.addr;
    struct inet_flow flow = {local, remote->addr, u->local.port, remote->port}, before = flow_of(u);
    if (u->connected && inet_flow_equal(&flow, &before)) return 0;
    if ((error = inet_flow_used(u->stack, IP_UDP, &flow, INET_FLOW_OPENS))) return error;
    receives_nothing(u);
    u->local.addr = local;
    u->remote = *remote;
    u->connected = true;
    return 0;
}

void udp_disconnect(struct udp_socket *u) {
    if (!u->connected) return;
    if (!u->port_given) {
        unbind(u);
    } else {
        struct inet_endpoint local = bound_endpoint(u);
        receives_nothing(u);
        inet_endpoint_used(u->stack, IP_UDP, &local, true); /* known before, so that this does not fail */
    }
    u->connected = false;
    u->remote = (struct inet_endpoint){.port = 0};
    u->local.addr = u->bound_addr;
}

static int take_error(struct udp_socket *u) {
    int error = u->error;
    u->error = 0;
    return error;
}

int udp_send_slow(struct udp_socket *u, const struct inet_segment *segments, uint32_t count,
                  const struct inet_endpoint *to) {
    struct inet *s = u->stack;
    struct tx_packet o;
    int error = take_error(u);
    if (error) return error;
    if (!to && !u->connected) return -EDESTADDRREQ;
    if (!to) to = &u->remote;
    if (!inet_addr_is_ip4(&to->addr) || to->port == 0) return -EINVAL;
    if ((error = bind_anywhere(u))) return error;
    tx_init(&o);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += segments[i].len;
        if (bytes > UDP_PAYLOAD_MAX) return -EMSGSIZE;
        if (segments[i].len > 0 && !tx_add(&o, segments[i].base, segments[i].len)) return -EINVAL;
    }
    struct udp_header h = {u->local.port, to->port, (uint16_t)(UDP_HEADER_BYTES + bytes), true};
    udp_emit(tx_push(&o, UDP_HEADER_BYTES), &h);
    struct ip4_send send = {
        .from = inet_addr_to_ip4(&u->local.addr),
        .to = inet_addr_to_ip4(&to->addr),
        .protocol = IP_UDP,
        .tos = u->tos,
        .ttl = u->ttl,
        .has_checksum = true,
        .checksum_offset = UDP_CHECKSUM_OFFSET,
    };
    return ip4_output(s, &o, &send);
}

int udp_receive(struct udp_socket *u, struct udp_datagram *out) {
    int error = take_error(u);
    if (error) return error;
    if (u->queue.count == 0) return -EAGAIN;
    const struct udp_waiting *first = fifo_at(&u->queue, sizeof *first, u->queue.first);
    *out = first->datagram;
    u->received -= first->charge;
    u->stack->udp_received -= first->charge;
    fifo_drop_first(&u->queue);
    return 0;
}

bool udp_readable(const struct udp_socket *u) {
    return u->error || u->queue.count > 0;
}

static bool receives_from(const struct udp_socket *u, const struct inet_addr *from, uint16_t port) {
    return !u->connected || (u->remote.port == port && inet_addr_equal(&u->remote.addr, from));
}

static bool is_at(const struct udp_socket *u, const struct inet_addr *to, uint16_t port) {
    return u->local.port == port && (inet_addr_is_any(&u->local.addr) || inet_addr_equal(&u->local.addr, to));
}

/* A port has either one wildcard socket or sockets bound to addresses, so at most one matches. */
static struct udp_socket *receiver(struct inet *s, const struct inet_addr *to, uint16_t port) {
    struct udp_socket **place = &s->udp_ports[port % UDP_PORTS], *u = *place;
    if (u && is_at(u, to, port)) return u;
    u = bound_to(s, to, port);
    if (!u) u = bound_to(s, NULL, port);
    if (!u || !is_at(u, to, port)) return NULL;
    *place = u;
    return u;
}

static void udp_input(struct inet *s, struct rx_packet *p) {
    struct udp_header h;
    if (!udp_parse(&h, p->data, p->len) || h.from_port == 0) {
        inet_count(s, udp_bad_header);
        return;
    }
    p->len = h.bytes;
    struct inet_flow flow = {p->to, p->from, h.to_port, h.from_port};
    if (h.has_checksum && !(p->flags & INET_INPUT_CSUM_OK) && !udp_checksum_ok(&flow, p->data, h.bytes)) {
        inet_count(s, udp_bad_checksum);
        return;
    }
    struct udp_socket *u = receiver(s, &p->to, h.to_port);
    if (!u || !receives_from(u, &p->from, h.from_port)) {
        inet_count(s, udp_no_port);
        icmp_error(s, p, ICMP_UNREACHABLE, ICMP_PORT_UNREACHABLE);
        return;
    }
    bool empty = p->len == UDP_HEADER_BYTES;
    if (udp_deliver(u, &flow, empty ? NULL : p->data + UDP_HEADER_BYTES, p->len - UDP_HEADER_BYTES) && !empty)
        rx_keep(p);
}

static bool udp_error(struct inet *s, const struct inet_flow *flow, uint32_t first, int error) {
    (void)first;
    struct udp_socket *u = receiver(s, &flow->local, flow->local_port);
    if (!u || !u->connected || !receives_from(u, &flow->remote, flow->remote_port)) return false;
    u->error = error;
    socket_event(s, &u->socket, INET_EVENT_READABLE);
    return true;
}

void udp_set_receive_limit(struct udp_socket *u, uint32_t bytes) {
    u->receive_limit = bytes > u->received ? bytes : u->received;
}

void udp_set_tos(struct udp_socket *u, uint8_t tos) {
    u->tos = tos;
}

void udp_set_ttl(struct udp_socket *u, uint8_t ttl) {
    u->ttl = ttl;
}

uint8_t udp_tos(const struct udp_socket *u) {
    return u->tos;
}

uint8_t udp_ttl(const struct udp_socket *u) {
    return u->ttl;
}

struct inet_endpoint udp_local(const struct udp_socket *u) {
    return u->local;
}

struct inet_endpoint udp_remote(const struct udp_socket *u) {
    return u->remote;
}

static const struct ip_protocol protocol = {.number = IP_UDP, .input = udp_input, .error = udp_error};

int udp_init(struct inet *s) {
    ip_register(s, &protocol);
    return hash_init(&s->udp_bound, sizeof(struct inet_flow), offsetof(struct udp_socket, key), UDP_SOCKETS_MAX,
                     s->hash_seed);
}
