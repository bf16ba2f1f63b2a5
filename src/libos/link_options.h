/* SPDX-License-Identifier: MIT */
/* The options of all stacks over a network device; `prefix` is the first part of their keys, such as "inet". */
#ifndef LIBOS_LINK_OPTIONS_H
#define LIBOS_LINK_OPTIONS_H

#include "core/option.h"

#define LINK_OPTIONS(UINT, STRING, prefix, address_text)                                                               \
    STRING(prefix ".device", device, "none", "Network device, by its kind: shm, and others of this build")             \
    STRING(prefix ".device_options", device_options, "none",                                                           \
           "Options of that device, as KEY=VALUE,KEY=VALUE; dmtr_device(7)")                                           \
    STRING(prefix ".wrappers", wrappers, "none",                                                                       \
           "Wrappers of the device, innermost first, as KIND:KEY=VALUE,KEY=VALUE;KIND: fault, pcap, trace")            \
    STRING(prefix ".mac", mac, "none", "MAC address to use instead of the device's own")                               \
    STRING(prefix ".address", address, "none", address_text)                                                           \
    STRING(prefix ".gateway", gateway, "none", "IPv4 address of the router to all other networks")                     \
    UINT(prefix ".mtu", mtu, 9216, 68, 9216, "bytes", "Largest IP packet, unless the device's own limit is lower")     \
    STRING(prefix ".neighbours", neighbours, "none",                                                                   \
           "Neighbours with fixed MAC addresses, such as 10.0.0.2=02:00:00:00:00:02, separated by commas")

/* The values of those options in `o`, a structure with a member for each, as initialisers of struct link_options. */
#define LINK_VALUES(o)                                                                                                 \
    .device = (o)->device, .device_options = (o)->device_options, .wrappers = (o)->wrappers, .mac = (o)->mac,          \
    .address = (o)->address, .gateway = (o)->gateway, .mtu = (o)->mtu, .neighbours = (o)->neighbours

#endif
