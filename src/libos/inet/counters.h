/* SPDX-License-Identifier: MIT */
/* Counters of libos inet: a name and one sentence each. `dmtr ss` shows them with the prefix "inet_". */
#ifndef LIBOS_INET_COUNTERS_H
#define LIBOS_INET_COUNTERS_H

#define NET_COUNTERS(X)                                                                                                \
    X(group_forwards, "Frames put into the mailbox of the runtime that owns their flow")                               \
    X(group_unmatched, "Segments without a connection or listener here, forwarded to a runtime that listens")          \
    X(group_drops, "Frames between runtimes dropped because a mailbox was full or a socket had moved")                 \
    X(group_flow_limit, "Connections refused because the flow table of the device was full")                           \
    X(transfers_lost, "Transferred connections that the receiving runtime could not adopt")                            \
    X(push_waits, "Pushes that waited because the transmit queue was full")                                            \
    X(link_down_drops, "Frames dropped because the link was down and the transmit queue was full")                     \
    X(datagrams_truncated, "Datagrams truncated to the pop's count, over the library's own stack")

enum net_counter {
#define X(name, text) NET_COUNTER_##name,
    NET_COUNTERS(X)
#undef X
        NET_COUNTER_COUNT
};

/* `owner` is the structure of the libos, which has the values. */
#define net_count(owner, name)        net_count_add(owner, name, 1)
#define net_count_add(owner, name, n) ((owner)->counters[NET_COUNTER_##name] += (uint64_t)(n))

#endif
