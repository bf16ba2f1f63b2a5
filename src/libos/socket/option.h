/* SPDX-License-Identifier: MIT */
/* Values of socket options, and the options of which all sockets over a user-space stack have the same values. */
#ifndef LIBOS_SOCKET_OPTION_H
#define LIBOS_SOCKET_OPTION_H

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* Reads an int. 0; -EINVAL: too short, and *number is 0. */
static inline int option_take(const void *value, socklen_t len, int *number) {
    *number = 0;
    if (len < sizeof *number) return -EINVAL;
    memcpy(number, value, sizeof *number);
    return 0;
}

/* Writes `size` bytes, or the *len that fit. Returns 0. */
static inline int option_give(const void *from, size_t size, void *value, socklen_t *len) {
    if (*len > size) *len = (socklen_t)size;
    memcpy(value, from, *len);
    return 0;
}

/* Whether the option can be set without effect: a runtime binds an address once, and any number of runtimes may. */
static inline bool option_is_ignored(int level, int name) {
    return level == SOL_SOCKET && (name == SO_REUSEADDR || name == SO_REUSEPORT);
}

/* The value of an option that does not depend on the state of the socket. -ENOPROTOOPT: it is no such option. */
static inline int option_fixed(int level, int name, int type, int *number) {
    const struct {
        int name, value;
    } fixed[] = {{SO_TYPE, type},
                 {SO_DOMAIN, AF_INET},
                 {SO_PROTOCOL, type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP},
                 {SO_REUSEADDR, 1},
                 {SO_REUSEPORT, 1}};
    for (size_t i = 0; level == SOL_SOCKET && i < sizeof fixed / sizeof *fixed; i++) {
        if (fixed[i].name != name) continue;
        *number = fixed[i].value;
        return 0;
    }
    return -ENOPROTOOPT;
}

#endif
