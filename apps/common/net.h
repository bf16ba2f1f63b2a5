/* SPDX-License-Identifier: MIT */
/* Addresses as text and processors to run on. */
#ifndef APPS_NET_H
#define APPS_NET_H

#include <netinet/in.h>
#include <stdint.h>

struct address {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
    socklen_t len;
};

#define ADDRESS_TEXT 72

/* A numeric or named host, IPv4 or IPv6, for sockets of `type`. 0, or -1 with the reason on stderr. */
int address_parse(struct address *a, const char *host, uint64_t port, int type);

/* "127.0.0.1:80", "[::1]:80". */
const char *address_format(const struct sockaddr *sa, char text[ADDRESS_TEXT]);

/*
 * Pins this thread to one processor; UINT64_MAX: does nothing. One thread at a time may call it. 0, or -1 with the
 * reason on stderr.
 */
int cpu_pin(uint64_t cpu);

/* Value of a processor option that is not set. */
#define CPU_ANY UINT64_MAX

#endif
