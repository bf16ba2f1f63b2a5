/* SPDX-License-Identifier: MIT */
/*
 * Copies the counters of stack and device into the runtime's shared page at intervals, so that counting itself costs
 * nothing more. Logs the events that a user must know.
 */
#include "libos/inet/device_group.h"
#include "libos/inet/net.h"

#include "base/counters.h"

#include <string.h>

#define STACK_PREFIX  "inet_"
#define DEVICE_PREFIX "inet_device_"
#define OWN_PREFIX    "inet_port_"

static const struct counter_name stack_names[] = {INET_COUNTERS(COUNTER_ROW)};
static const struct counter_name device_names[] = {NETDEV_STATS(COUNTER_ROW)};
#define DEVICE_COUNT (sizeof device_names / sizeof *device_names)
_Static_assert(sizeof(struct netdev_stats) == DEVICE_COUNT * sizeof(uint64_t), "copied as one");

#define X(name, text) COUNTER_FITS(STACK_PREFIX #name, text)
_Static_assert(true INET_COUNTERS(X), "counters of the stack fit the page");
#undef X
#define X(name, text) COUNTER_FITS(DEVICE_PREFIX #name, text)
_Static_assert(true NETDEV_STATS(X), "counters of devices fit the page");
#undef X

static uint32_t read_own(struct net *net, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n) {
    return net->group ? group_own(net, names, values, n) : netdev_own(net->dev, names, values, n);
}

/* Adds the device's own counters. */
static void add_own(struct net *net) {
    char names[NETDEV_OWN_MAX][NETDEV_OWN_BYTES];
    struct counter_name counters[NETDEV_OWN_MAX];
    net->own_count = read_own(net, names, NULL, NETDEV_OWN_MAX);
    for (uint32_t i = 0; i < net->own_count; i++)
        counters[i] = (struct counter_name){names[i], "Counter of the device, under its name"};
    net->shown_own = counters_extend(&net->rt->counters, OWN_PREFIX, counters, net->own_count);
}

/* Reads the link's state and the count of its changes together, because another runtime may change them. */
static void read_device(struct net *net, struct netdev_stats *stats, bool *up) {
    if (net->group) {
        group_stats(net, stats, up);
    } else {
        *stats = net->dev->stats;
        *up = net->dev->link_up;
    }
}

static struct link_state link_state_of(const struct net *net, const struct netdev_stats *stats, bool up) {
    const uint64_t *stack = inet_counters(net->stack);
    return (struct link_state){.up = up,
                               .mtu = net_device_mtu(net),
                               .changes = stats->link_changes,
                               .too_long = net->shares && net->member > 0 ? 0 : stats->rx_too_long,
                               .bad_checksums =
                                   stack[INET_COUNTER_tcp_bad_checksum] + stack[INET_COUNTER_udp_bad_checksum]};
}

void publish_init(struct net *net) {
    struct counters *page = &net->rt->counters;
    struct netdev_stats stats;
    bool up;
    read_device(net, &stats, &up);
    struct link_state state = link_state_of(net, &stats, up);
    link_watch_begin(&net->watch, &net->rt->log, "inet", net->options->device, net->dev, &state);
    net->watch.others_tell = net->group && net->member > 0;
    net->shown_stack = counters_extend(page, STACK_PREFIX, stack_names, INET_COUNTER_COUNT);
    net->shown_device = counters_extend(page, DEVICE_PREFIX, device_names, DEVICE_COUNT);
    add_own(net);
}

void publish(struct net *net, uint64_t now) {
    struct netdev_stats stats;
    bool up;
    net->publish_ns = now + PUBLISH_EVERY_NS;
    read_device(net, &stats, &up);
    struct link_state state = link_state_of(net, &stats, up);
    link_watch(&net->watch, &state, now);
    if (!net->shown_stack || !net->shown_device) return;
    memcpy(net->shown_stack, inet_counters(net->stack), INET_COUNTER_COUNT * sizeof(uint64_t));
    memcpy(net->shown_device, &stats, sizeof stats);
    if (net->own_count == 0 || !net->shown_own || now < net->publish_own_ns) return;
    net->publish_own_ns = now + OWN_EVERY_NS;
    (void)read_own(net, NULL, net->shown_own, net->own_count);
}
