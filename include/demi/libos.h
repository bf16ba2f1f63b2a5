/* SPDX-License-Identifier: MIT */
/*
 * The C interface of Demikernel: starting, queues, and moving data through them. Every call returns 0 or a positive
 * errno and never exits or blocks. Errors common to all but demi_init, not repeated below:
 *   EINVAL   a pointer is NULL
 *   ENOSYS   demi_init was not called on this thread
 *   EBADF    the descriptor is not open on this thread
 *   ENOBUFS  a configured bound was reached
 *   ENOMEM   no memory
 * Threads: each thread that calls demi_init has a runtime of its own; descriptors and tokens are used on the thread
 * that got them.
 *
 * Socket addresses are struct sockaddr_in or sockaddr_in6, whole: EINVAL if size is another than theirs, ENOTSUP if
 * the family is another.
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
 * args  argc and argv are the program's own: `--dmtr-config FILE` and `--dmtr-set KEY=VALUE` are understood, all else
 *       is left alone. callback may be NULL; this library does not profile itself and never calls it. args may be NULL.
 *
 * Environment: LIBOS names the backend (catnap, catnip, catpowder, posix, inet, lwip; upper or lower case), absent or
 * empty for the configured one.
 * CONFIG_PATH names a YAML file; see demi(3) for its keys.
 *
 * EEXIST  this thread has a runtime already
 * EINVAL  argc is negative or argv missing; LIBOS names no backend of this build; a file, variable or option is wrong.
 *         Standard error says which.
 * ENOENT  a configuration file does not exist; other errors of open(2) and read(2) likewise
 */
ATTR_EXPORT int demi_init(const struct demi_args *args);

/* Pipes between processes. ENOTSUP: this build has no shared-memory backend. */
ATTR_EXPORT int demi_create_pipe(int *memqd_out, const char *name) ATTR_NONNULL(1, 2);
ATTR_EXPORT int demi_open_pipe(int *memqd_out, const char *name) ATTR_NONNULL(1, 2);

/* AF_INET or AF_INET6, SOCK_STREAM or SOCK_DGRAM, else ENOTSUP. protocol is ignored: the type decides. */
ATTR_EXPORT int demi_socket(int *sockqd_out, int domain, int type, int protocol) ATTR_NONNULL(1);

/*
 * demi_bind: with a port other than 0 the socket gets SO_REUSEADDR and SO_REUSEPORT, so that threads and processes of
 * one user share the address. EADDRINUSE also where a socket of this runtime has it.
 * demi_listen: EINVAL if backlog is below 1; EDESTADDRREQ: not bound; EADDRINUSE: listens already, or connects.
 */
ATTR_EXPORT int demi_bind(int sockqd, const struct sockaddr *addr, socklen_t size) ATTR_NONNULL(2);
ATTR_EXPORT int demi_listen(int sockqd, int backlog);

/* *addrlen: bytes at addr, then bytes stored. EINVAL: less than a struct sockaddr_in. ENOTCONN: there is no peer. */
ATTR_EXPORT int demi_getsockname(int qd, struct sockaddr *addr, socklen_t *addrlen) ATTR_NONNULL(2, 3);
ATTR_EXPORT int demi_getpeername(int qd, struct sockaddr *addr, socklen_t *addrlen) ATTR_NONNULL(2, 3);

/*
 * The platform's options at SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP and IPPROTO_IPV6; another level is ENOTSUP, an unknown
 * option ENOPROTOOPT, a value of the wrong size EINVAL.
 */
ATTR_EXPORT int demi_setsockopt(int qd, int level, int optname, const void *optval, socklen_t optlen) ATTR_NONNULL(4);
ATTR_EXPORT int demi_getsockopt(int qd, int level, int optname, void *optval, socklen_t *optlen) ATTR_NONNULL(4, 5);

/*
 * Each begins an operation and stores its token. The result comes out of a wait, an operation's failure too.
 * demi_accept gives a new descriptor. demi_connect: EINPROGRESS if the socket connects already.
 */
ATTR_EXPORT int demi_accept(demi_qtoken_t *qt_out, int sockqd) ATTR_NONNULL(1);
ATTR_EXPORT int demi_connect(demi_qtoken_t *qt_out, int sockqd, const struct sockaddr *addr, socklen_t size)
    ATTR_NONNULL(1, 3);

/* Closes at once: outstanding operations fail with ECANCELED, what was pushed is still delivered. */
ATTR_EXPORT int demi_close(int qd);

/*
 * Sends the one segment of sga, 1 ... 65535 bytes, else EINVAL. The memory belongs to the library until the token
 * completes; memory that came from the library may be freed as soon as the call has returned.
 */
ATTR_EXPORT int demi_push(demi_qtoken_t *qt_out, int qd, const demi_sgarray_t *sga) ATTR_NONNULL(1, 3);
ATTR_EXPORT int demi_pushto(demi_qtoken_t *qt_out, int sockqd, const demi_sgarray_t *sga,
                            const struct sockaddr *dest_addr, socklen_t size) ATTR_NONNULL(1, 3, 4);

/*
 * Receives one segment of at most 65535 bytes, to be released with demi_sgafree. Length 0 is the end of a stream, or
 * an empty datagram.
 */
ATTR_EXPORT int demi_pop(demi_qtoken_t *qt_out, int qd) ATTR_NONNULL(1);

#ifdef __cplusplus
}
#endif
#endif
