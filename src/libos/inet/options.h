/* SPDX-License-Identifier: MIT */
/* Options of libos inet. */
#ifndef LIBOS_INET_OPTIONS_H
#define LIBOS_INET_OPTIONS_H

#include "libos/link_options.h"

#define INET_OPTIONS(UINT, ENUM, BOOL, STRING)                                                                         \
    LINK_OPTIONS(UINT, STRING, "inet",                                                                                 \
                 "IPv4 addresses of this host with prefix lengths, such as 10.0.0.1/24,10.0.1.1/16")                   \
    UINT("inet.queues", queues, 1, 1, 64, "runtimes",                                                                  \
         "Runtimes (threads) of this process that use the device; each gets its own queue if the device has enough")   \
    BOOL("inet.tso", tso, true, "Let the device segment TCP data, if it can")                                          \
    BOOL("inet.probe", probe, true,                                                                                    \
         "Probe the link at the start for another host with the addresses, and log it; not on null and shm")           \
    UINT("inet.max_neighbours", max_neighbours, 1024, 16, 65536, "entries", "Maximum entries in the ARP cache")        \
    UINT("inet.neighbour_queue", neighbour_queue, 262144, 65536, 1073741824, "bytes",                                  \
         "Maximum memory of packets that wait for ARP of one neighbour")                                               \
    UINT("inet.neighbour_memory", neighbour_memory, 4194304, 262144, 4294967295, "bytes",                              \
         "Maximum memory of packets that wait for ARP; answers to unverified senders may use half")                    \
    UINT("inet.fragment_bytes", fragment_bytes, 4194304, 65536, 1073741824, "bytes",                                   \
         "Maximum memory of packets with missing fragments")                                                           \
    UINT("inet.tcp_memory", tcp_memory, 1073741824, 1048576, 1099511627776, "bytes",                                   \
         "Maximum memory of received data of all TCP connections")                                                     \
    UINT("inet.tcp_orphans", tcp_orphans, 65536, 1, 4194304, "connections",                                            \
         "Maximum closed TCP connections with unacknowledged data; further ones are reset")                            \
    UINT("inet.tcp_time_wait", tcp_time_wait, 131072, 1, 4194304, "connections",                                       \
         "Maximum TCP connections in TIME_WAIT; further ones end at once")                                             \
    UINT("inet.icmp_per_second", icmp_per_second, 1000, 1, 1000000, "messages", "Maximum ICMP errors sent per second")

struct inet_options {
    CONFIG_FIELDS(INET_OPTIONS)
};

extern const struct config_group inet_options_group;

#endif
