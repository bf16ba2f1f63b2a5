/* SPDX-License-Identifier: MIT */
/*
 * The C interface of Demikernel: initialisation, queues, and moving data through them. Every call returns 0 or a
 * positive errno and never exits or blocks. Errors common to all calls but demi_init, not repeated below:
 *   EINVAL   a pointer is NULL
 *   ENOSYS   demi_init was not called on this thread
 *   EBADF    the descriptor is not open on this thread
 *   ENOBUFS  a configured limit was reached
 *   ENOMEM   no memory
 * Threads: each thread that calls demi_init has its own runtime; only this thread may use its descriptors and tokens.
 *
 * Socket addresses are a complete struct sockaddr_in or sockaddr_in6: another size is EINVAL, another family ENOTSUP.
 */
#ifndef DEMI_LIBOS_H
#define DEMI_LIBOS_H

#include <demi/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Starts a runtime on this thread.
 *
 * args  argc and argv are the program's own. The library reads `--dmtr-config FILE` and `--dmtr-set KEY=VALUE` and
 *       ignores other arguments. callback may be NULL; this library does not profile itself and never calls it. args
 *       may be NULL.
 *
 * Environment: LIBOS is the backend (catnap, catnip, catpowder, posix, inet, lwip; upper or lower case); if it is
 * absent or empty, the configured one is used. CONFIG_PATH is a YAML file; see demi(3) for its keys.
 *
 * EEXIST  this thread already has a runtime
 * EINVAL  argc is negative or argv missing; LIBOS is not a backend of this build; a file, variable or option is wrong.
 *         Standard error says which.
 * ENOENT  a configuration file does not exist; other errors of open(2) and read(2) are returned, too
 */
ATTR_EXPORT int demi_init(const struct demi_args *args);

/* Pipes between processes. ENOTSUP: this build has no shared-memory backend. */
ATTR_EXPORT int demi_create_pipe(int *memqd_out, const char *name) ATTR_NONNULL(1, 2);
ATTR_EXPORT int demi_open_pipe(int *memqd_out, const char *name) ATTR_NONNULL(1, 2);

/*
 * domain is AF_INET or AF_INET6 and type SOCK_STREAM or SOCK_DGRAM, else ENOTSUP. protocol is ignored, because type
 * determines it.
 */
ATTR_EXPORT int demi_socket(int *sockqd_out, int domain, int type, int protocol) ATTR_NONNULL(1);

/*
 * demi_bind: a socket bound to a port other than 0 gets SO_REUSEADDR and SO_REUSEPORT, so that threads and processes of
 * one user can share the address. EADDRINUSE also: a socket of this runtime has the address.
 *
 * demi_listen: EINVAL: backlog is below 1; EDESTADDRREQ: not bound; EADDRINUSE: already listening, or connecting.
 */
ATTR_EXPORT int demi_bind(int sockqd, const struct sockaddr *addr, socklen_t size) ATTR_NONNULL(2);
ATTR_EXPORT int demi_listen(int sockqd, int backlog);

/*
 * *addrlen is the size of addr before the call, and the bytes stored after it. EINVAL: it is less than a struct
 * sockaddr_in. ENOTCONN: there is no peer.
 */
ATTR_EXPORT int demi_getsockname(int qd, struct sockaddr *addr, socklen_t *addrlen) ATTR_NONNULL(2, 3);
ATTR_EXPORT int demi_getpeername(int qd, struct sockaddr *addr, socklen_t *addrlen) ATTR_NONNULL(2, 3);

/*
 * The platform's options at SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP and IPPROTO_IPV6. ENOTSUP: another level; ENOPROTOOPT:
 * an unknown option; EINVAL: a value of the wrong size.
 */
ATTR_EXPORT int demi_setsockopt(int qd, int level, int optname, const void *optval, socklen_t optlen) ATTR_NONNULL(4);
ATTR_EXPORT int demi_getsockopt(int qd, int level, int optname, void *optval, socklen_t *optlen) ATTR_NONNULL(4, 5);

/*
 * Each starts an operation and stores its token. A wait returns the result, also if the operation fails. demi_accept
 * returns a new descriptor in the result. demi_connect: EINPROGRESS: the socket is already connecting.
 */
ATTR_EXPORT int demi_accept(demi_qtoken_t *qt_out, int sockqd) ATTR_NONNULL(1);
ATTR_EXPORT int demi_connect(demi_qtoken_t *qt_out, int sockqd, const struct sockaddr *addr, socklen_t size)
    ATTR_NONNULL(1, 3);

/* Closes the queue at once: outstanding operations fail with ECANCELED, but pushed data is still delivered. */
ATTR_EXPORT int demi_close(int qd);

/*
 * Sends the only segment of sga, which has 1 ... 65535 bytes, else EINVAL. The memory belongs to the library until the
 * token completes; memory from the library may be freed as soon as the call has returned.
 */
ATTR_EXPORT int demi_push(demi_qtoken_t *qt_out, int qd, const demi_sgarray_t *sga) ATTR_NONNULL(1, 3);
ATTR_EXPORT int demi_pushto(demi_qtoken_t *qt_out, int sockqd, const demi_sgarray_t *sga,
                            const struct sockaddr *dest_addr, socklen_t size) ATTR_NONNULL(1, 3, 4);

/*
 * Receives one segment of at most 65535 bytes; release it with demi_sgafree. Length 0 is the end of a stream, or an
 * empty datagram.
 */
ATTR_EXPORT int demi_pop(demi_qtoken_t *qt_out, int qd) ATTR_NONNULL(1);

#ifdef __cplusplus
}
#endif
#endif
