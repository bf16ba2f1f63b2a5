/* SPDX-License-Identifier: MIT */
/* Who takes part in a script: the stack under test and its peer, which the script plays; and how errors are called. */
#ifndef TESTS_SCRIPT_NAMES_H
#define TESTS_SCRIPT_NAMES_H

#include "inet/addr.h"
#include "inet/tcp/tcp.h"

#define IP(a, b, c, d) __builtin_bswap32((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define STACK_IP       IP(10, 0, 0, 1)
#define PEER_IP        IP(10, 0, 0, 2)
#define GATEWAY_IP     IP(10, 0, 0, 254)
#define PREFIX_BITS    24
#define PEER_PORT      2000 /* where a line does not say */
#define STACK_PORT     80

struct name_ip {
    const char *name;
    uint32_t ip; /* network order */
};
struct name_mac {
    const char *name;
    uint8_t mac[INET_MAC_BYTES];
};

/* An option of a connection: the stack's name of it, and the platform's; level -1: that has none. */
struct name_option {
    const char *name;
    enum tcp_option option;
    int level, platform;
};

extern const uint8_t stack_mac[INET_MAC_BYTES], peer_mac[INET_MAC_BYTES];

/* Of a state of TCP: the stack's number, and the platform's. */
struct name_state {
    const char *name;
    enum tcp_state state;
    uint8_t platform;
};

/* By name; NULL: none is called so. */
const struct name_ip *name_ip_find(const char *name);
const struct name_mac *name_mac_find(const char *name);
const struct name_option *name_option_find(const char *name);
const struct name_state *name_state_find(const char *name);
const struct name_state *name_state_of(uint8_t platform);
/* The positive errno of that name; 0: none. */
int name_errno(const char *name);

#endif
