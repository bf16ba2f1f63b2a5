/*
 * What stack and device count, for other processes to see: copied into the runtime's page now and then, so that
 * counting costs what it did.
 */
#include "libos/inet/group.h"
#include "libos/inet/net.h"

#include "base/counters.h"

#include <string.h>

#define STACK_PREFIX  "inet_"
#define DEVICE_PREFIX "inet_device_"

static const struct counter_name stack_names[] = {
#define X(name, text) {#name, text},
    INET_COUNTERS(X)
#undef X
};
static const struct counter_name device_names[] = {
#define X(name, text) {#name, text},
    NETDEV_STATS(X)
#undef X
};
#define DEVICE_COUNT (sizeof device_names / sizeof *device_names)
_Static_assert(sizeof(struct netdev_stats) == DEVICE_COUNT * sizeof(uint64_t), "copied as one");

#define X(name, text)                                                                                                  \
    _Static_assert(sizeof STACK_PREFIX #name <= COUNTERS_NAME_LEN && sizeof text <= COUNTERS_TEXT_LEN, #name);
INET_COUNTERS(X)
#undef X
#define X(name, text)                                                                                                  \
    _Static_assert(sizeof DEVICE_PREFIX #name <= COUNTERS_NAME_LEN && sizeof text <= COUNTERS_TEXT_LEN, #name);
NETDEV_STATS(X)
#undef X

void publish_init(struct net *net) {
    struct counters *page = &net->rt->counters;
    net->shown_stack = counters_extend(page, STACK_PREFIX, stack_names, INET_COUNTER_COUNT);
    net->shown_device = counters_extend(page, DEVICE_PREFIX, device_names, DEVICE_COUNT);
}

void publish(struct net *net, uint64_t now) {
    struct netdev_stats stats;
    net->publish_ns = now + PUBLISH_EVERY_NS;
    if (!net->shown_stack || !net->shown_device) return;
    if (net->group)
        group_stats(net, &stats);
    else
        stats = net->dev->stats;
    memcpy(net->shown_stack, inet_counters(net->stack), INET_COUNTER_COUNT * sizeof(uint64_t));
    memcpy(net->shown_device, &stats, sizeof stats);
}
