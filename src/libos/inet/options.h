/* SPDX-License-Identifier: MIT */
/* Options of libos inet. */
#ifndef LIBOS_INET_OPTIONS_H
#define LIBOS_INET_OPTIONS_H

#include "libos/link_options.h"

#define INET_OPTIONS(UINT, ENUM, BOOL, STRING)                                                                         \
    LINK_OPTIONS(UINT, STRING, "inet", "Own IPv4 addresses with their prefixes, such as 10.0.0.1/24,10.0.1.1/16")      \
    UINT("inet.queues", queues, 1, 1, 64, "runtimes",                                                                  \
         "Runtimes (threads) of this process that use the device, each with a queue of it where it has so many")       \
    BOOL("inet.tso", tso, true, "Let the device cut long runs of TCP data into segments, where it can")                \
    BOOL("inet.probe", probe, true,                                                                                    \
         "Ask the link at the start whether another host has the addresses, and log it; not on a wire as shm is")      \
    UINT("inet.max_neighbours", max_neighbours, 1024, 16, 65536, "entries", "Most neighbours remembered")              \
    UINT("inet.neighbour_queue", neighbour_queue, 262144, 65536, 1073741824, "bytes",                                  \
         "Most memory held by packets that wait for the answer of one neighbour")                                      \
    UINT("inet.neighbour_memory", neighbour_memory, 4194304, 262144, 4294967295, "bytes",                              \
         "Most memory held by packets that wait for neighbours, answers to strangers at most half of it")              \
    UINT("inet.fragment_bytes", fragment_bytes, 4194304, 65536, 1073741824, "bytes",                                   \
         "Most memory held by packets of which fragments are missing")                                                 \
    UINT("inet.tcp_memory", tcp_memory, 1073741824, 1048576, 1099511627776, "bytes",                                   \
         "Most memory that received data of all TCP connections may pin")                                              \
    UINT("inet.tcp_orphans", tcp_orphans, 65536, 1, 4194304, "connections",                                            \
         "Most closed TCP connections whose data is not acknowledged yet; a further one is reset")                     \
    UINT("inet.tcp_time_wait", tcp_time_wait, 131072, 1, 4194304, "connections",                                       \
         "Most TCP connections in TIME_WAIT; a further one ends at once")                                              \
    UINT("inet.icmp_per_second", icmp_per_second, 1000, 1, 1000000, "messages", "Most ICMP errors sent in a second")

struct inet_options {
    CONFIG_FIELDS(INET_OPTIONS)
};

extern const struct config_group inet_options_group;

#endif
