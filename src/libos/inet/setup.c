/* SPDX-License-Identifier: MIT */
/* Opens the device and makes the stack, as configured. */
#include "libos/inet/device_group.h"
#include "libos/inet/net.h"

#include "base/clock.h"
#include "libos/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static void port_used(void *ctx, uint8_t protocol, uint16_t port, bool on) {
    struct net *net = ctx;
    int r = net_claim(net, protocol, port, on);
    if (r < 0)
        log_error(&net->rt->log, "inet: device %s cannot claim port %u: %s", net->options->device, port, strerror(-r));
    if (net->group) group_port_used(net, protocol, port, on);
}

static int endpoint_used(void *ctx, uint8_t protocol, const struct inet_endpoint *local, bool on) {
    return group_endpoint_used(ctx, protocol, local, on);
}

static int flow_used(void *ctx, uint8_t protocol, const struct inet_flow *flow, enum inet_flow_event event) {
    return group_flow_used(ctx, protocol, flow, event);
}

static bool flow_ours(void *ctx, const struct inet_flow *flow) {
    return group_flow_ours(ctx, flow);
}

static bool steer(void *ctx, void *frame, uint32_t len, uint32_t flags) {
    return group_steer(ctx, frame, len, flags);
}

static bool unmatched(void *ctx, void *frame, uint32_t len, uint32_t flags) {
    return group_unmatched(ctx, frame, len, flags);
}

static void conflict(void *ctx, const struct inet_addr *addr, const uint8_t *mac, bool probing) {
    struct net *net = ctx;
    const uint32_t ip4 = inet_addr_to_ip4(addr);
    char address[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &ip4, address, sizeof address);
    log_warn(
        &net->rt->log,
        "inet: another host, %02x:%02x:%02x:%02x:%02x:%02x, %s %s: the two reset each other's connections; give one "
        "of them another address",
        mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], probing ? "already has address" : "also uses address", address);
}

int net_setup(struct net *net) {
    const struct inet_options *o = net->options;
    const struct link_options link = {
        .log = &net->rt->log,
        .prefix = "inet",
        LINK_VALUES(o),
        .addresses_max = INET_ADDRS_MAX,
        .queues = (uint32_t)o->queues,
        .tso = o->tso,
    };
    struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX];
    struct inet_config c = {
        .limits = {.neighbours = (uint32_t)o->max_neighbours,
                   .neighbour_queue = (uint32_t)o->neighbour_queue,
                   .neighbour_memory = (uint32_t)o->neighbour_memory,
                   .fragment_bytes = (uint32_t)o->fragment_bytes,
                   .icmp_per_second = (uint32_t)o->icmp_per_second,
                   .tcp_orphans = (uint32_t)o->tcp_orphans,
                   .tcp_time_wait = (uint32_t)o->tcp_time_wait},
        .tcp_memory = o->tcp_memory,
        .announce = true,
        .transmit = transmit_frame,
        .port_used = port_used,
        .conflict = conflict,
        .ctx = net,
    };
    bool alone = o->queues == 1;
    int r = alone ? link_open(&link, &c, neighbours, &net->dev) : group_join(net, &link, &c, neighbours);
    if (r) return r;
    if (!alone) {
        c.endpoint_used = endpoint_used;
        c.flow_used = flow_used;
        c.flow_ours = flow_ours;
        c.steer = steer;
        c.unmatched = unmatched;
    }
    c.probe = o->probe && !net->dev->wire;
    net_turns_init(net);
    net->sockets.self = inet_addr_ip4(htonl(INADDR_LOOPBACK));
    net->mtu = c.mtu;
    net->mtu_followed = net_device_mtu(net);
    r = inet_new(&net->stack, &c, clock_now_ns());
    if (r == -EINVAL)
        log_error(&net->rt->log, "inet: address %s, gateway %s and MTU %u are not valid together", o->address,
                  o->gateway, c.mtu);
    else if (r)
        log_error(&net->rt->log, "inet: cannot make the stack: %s", strerror(-r));
    return r;
}
