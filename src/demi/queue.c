/* SPDX-License-Identifier: MIT */
/* Sockets and their operations. Arguments are checked as in Demikernel; then dmtr does the work. */
#include "convert.h"
#include "init.h"

#include <demi/libos.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* 0, or the errno for an invalid socket address. */
static int address_error(const struct sockaddr *addr, socklen_t size) {
    if (!addr || size < sizeof addr->sa_family) return EINVAL;
    switch (addr->sa_family) {
    case AF_INET:
        return size == sizeof(struct sockaddr_in) ? 0 : EINVAL;
    case AF_INET6:
        return size == sizeof(struct sockaddr_in6) ? 0 : EINVAL;
    default:
        return ENOTSUP;
    }
}

static bool level_known(int level) {
    return level == SOL_SOCKET || level == IPPROTO_TCP || level == IPPROTO_IP || level == IPPROTO_IPV6;
}

static int pipe_unsupported(const int *memqd_out, const char *name) {
    dmtr_runtime_t running;
    if (!memqd_out || !name) return EINVAL;
    int r = dmtr_runtime_current(&running);
    return r ? r : ENOTSUP;
}

int demi_create_pipe(int *memqd_out, const char *name) {
    return pipe_unsupported(memqd_out, name);
}

int demi_open_pipe(int *memqd_out, const char *name) {
    return pipe_unsupported(memqd_out, name);
}

int demi_socket(int *sockqd_out, int domain, int type, int protocol) {
    (void)protocol;
    int qd;
    if (!sockqd_out) return EINVAL;
    int r = dmtr_socket(&qd, domain, type, 0);
    if (r == EAFNOSUPPORT || r == ESOCKTNOSUPPORT) return ENOTSUP;
    if (!r && type == SOCK_STREAM) {
        r = settings_apply(&init_settings, qd);
        if (r) dmtr_close(qd);
    }
    if (!r) *sockqd_out = qd;
    return r;
}

/* The value of an option of SOL_SOCKET; 0 if it cannot be read. */
static int socket_option(int sockqd, int name) {
    int value = 0;
    socklen_t len = sizeof value;
    return dmtr_getsockopt(sockqd, SOL_SOCKET, name, &value, &len) ? 0 : value;
}

static bool port_given(const struct sockaddr *addr, socklen_t size) {
    struct sockaddr_in in; /* its port has the same offset as in struct sockaddr_in6 */
    if (size < sizeof in) return false;
    memcpy(&in, addr, sizeof in);
    return in.sin_port != 0;
}

static bool is_bound(int sockqd) {
    struct sockaddr_in6 addr;
    socklen_t len = sizeof addr;
    return dmtr_getsockname(sockqd, (struct sockaddr *)&addr, &len) || port_given((struct sockaddr *)&addr, len);
}

/* Sets the options that let the user's other threads and processes bind the address too; resets them on failure. */
static int bind_reusing(int sockqd, const struct sockaddr *addr, socklen_t size) {
    static const int names[] = {SO_REUSEADDR, SO_REUSEPORT};
    const int before[] = {socket_option(sockqd, SO_REUSEADDR), socket_option(sockqd, SO_REUSEPORT)}, one = 1;
    int r = 0, set = 0;
    for (; !r && set < 2; set++)
        r = dmtr_setsockopt(sockqd, SOL_SOCKET, names[set], &one, sizeof one);
    if (!r) r = dmtr_bind(sockqd, addr, size);
    while (r && set-- > 0)
        dmtr_setsockopt(sockqd, SOL_SOCKET, names[set], &before[set], sizeof before[set]);
    return r;
}

int demi_bind(int sockqd, const struct sockaddr *addr, socklen_t size) {
    int r = address_error(addr, size);
    if (r) return r;
    return port_given(addr, size) ? bind_reusing(sockqd, addr, size) : dmtr_bind(sockqd, addr, size);
}

int demi_listen(int sockqd, int backlog) {
    if (backlog < 1) return EINVAL;
    bool stream = socket_option(sockqd, SO_TYPE) == SOCK_STREAM;
    if (stream && socket_option(sockqd, SO_ACCEPTCONN)) return EADDRINUSE;
    if (stream && !is_bound(sockqd)) return EDESTADDRREQ;
    int r = dmtr_listen(sockqd, backlog);
    return r == EINVAL ? EADDRINUSE : r; /* dmtr returns EINVAL while the socket connects */
}

int demi_getsockname(int qd, struct sockaddr *addr, socklen_t *addrlen) {
    if (!addr || !addrlen || *addrlen < sizeof(struct sockaddr_in)) return EINVAL;
    return dmtr_getsockname(qd, addr, addrlen);
}

int demi_getpeername(int qd, struct sockaddr *addr, socklen_t *addrlen) {
    if (!addr || !addrlen || *addrlen < sizeof(struct sockaddr_in)) return EINVAL;
    return dmtr_getpeername(qd, addr, addrlen);
}

int demi_setsockopt(int qd, int level, int optname, const void *optval, socklen_t optlen) {
    if (!level_known(level)) return ENOTSUP;
    if (level == SOL_SOCKET && optname == SO_LINGER && optlen != sizeof(struct linger)) return EINVAL;
    return dmtr_setsockopt(qd, level, optname, optval, optlen);
}

int demi_getsockopt(int qd, int level, int optname, void *optval, socklen_t *optlen) {
    if (!level_known(level)) return ENOTSUP;
    return dmtr_getsockopt(qd, level, optname, optval, optlen);
}

int demi_accept(demi_qtoken_t *qt_out, int sockqd) {
    return qt_out ? dmtr_accept(qt_out, sockqd) : EINVAL;
}

int demi_connect(demi_qtoken_t *qt_out, int sockqd, const struct sockaddr *addr, socklen_t size) {
    if (!qt_out) return EINVAL;
    int r = address_error(addr, size);
    if (!r) r = dmtr_connect(qt_out, sockqd, addr, size);
    return r == EALREADY ? EINPROGRESS : r;
}

int demi_close(int qd) {
    return dmtr_close(qd);
}

int demi_push(demi_qtoken_t *qt_out, int qd, const demi_sgarray_t *sga) {
    dmtr_sgarray_t whole;
    if (!qt_out || !sga || convert_sga_in(&whole, sga)) return EINVAL;
    return dmtr_push(qt_out, qd, &whole);
}

int demi_pushto(demi_qtoken_t *qt_out, int sockqd, const demi_sgarray_t *sga, const struct sockaddr *dest_addr,
                socklen_t size) {
    dmtr_sgarray_t whole;
    if (!qt_out || !sga || convert_sga_in(&whole, sga)) return EINVAL;
    int r = address_error(dest_addr, size);
    return r ? r : dmtr_pushto(qt_out, sockqd, &whole, dest_addr, size);
}

int demi_pop(demi_qtoken_t *qt_out, int qd) {
    return qt_out ? dmtr_pop2(qt_out, qd, DEMI_SGASEG_MAXLEN) : EINVAL;
}
