/* The names a script may use. */
#include "names.h"

#include <errno.h>
#include <stddef.h>

const uint8_t stack_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 1}, peer_mac[INET_MAC_BYTES] = {2, 0, 0, 0, 0, 2};

const struct name_ip *name_ip_find(const char *name) {
    static const struct name_ip all[] = {
        {"stack", STACK_IP}, {"peer", PEER_IP}, {"gateway", GATEWAY_IP}, {"all", UINT32_MAX}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) return &all[i];
    return NULL;
}

const struct name_mac *name_mac_find(const char *name) {
    static const struct name_mac all[] = {
        {"stack", {2, 0, 0, 0, 0, 1}}, {"peer", {2, 0, 0, 0, 0, 2}}, {"all", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) return &all[i];
    return NULL;
}

int name_errno(const char *name) {
    static const struct {
        const char *name;
        int error;
    } all[] = {
#define X(e) {#e, e},
        X(EAGAIN) X(EINPROGRESS) X(EPIPE) X(ENOTCONN) X(ECONNRESET) X(ECONNREFUSED) X(ECONNABORTED) X(ETIMEDOUT)
            X(EHOSTUNREACH) X(ENETUNREACH) X(EADDRINUSE) X(EADDRNOTAVAIL) X(EINVAL) X(EMSGSIZE) X(EDESTADDRREQ)
                X(ENOPROTOOPT) X(EBADF) X(EISCONN) X(EALREADY)
#undef X
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) return all[i].error;
    return 0;
}
