/* SPDX-License-Identifier: MIT */
/* Conversion between socket addresses and the stack's endpoints. */
#ifndef LIBOS_ADDRESS_H
#define LIBOS_ADDRESS_H

#include "inet/addr.h"

#include <errno.h>
#include <netinet/in.h>

/* 0, -EINVAL: too short; -EAFNOSUPPORT: not IPv4. */
static inline int address_take(struct inet_endpoint *to, const struct sockaddr *from, socklen_t len) {
    struct sockaddr_in in;
    if (from->sa_family != AF_INET) return -EAFNOSUPPORT;
    if (len < sizeof in) return -EINVAL;
    memcpy(&in, from, sizeof in);
    *to = (struct inet_endpoint){inet_addr_ip4(in.sin_addr.s_addr), ntohs(in.sin_port)};
    return 0;
}

static inline struct sockaddr_in address_make(const struct inet_endpoint *e) {
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(e->port),
        .sin_addr.s_addr = inet_addr_to_ip4(&e->addr),
    };
}

/* Truncates the address to *len and sets *len to its full length. */
static inline void address_give(const struct inet_endpoint *e, struct sockaddr *to, socklen_t *len) {
    struct sockaddr_in in = address_make(e);
    memcpy(to, &in, *len < sizeof in ? *len : sizeof in);
    *len = sizeof in;
}

#endif
