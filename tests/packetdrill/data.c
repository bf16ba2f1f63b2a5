/* SPDX-License-Identifier: MIT */
/* Bytes in and out of sockets. What cannot be done now is waited for, unless the call or the descriptor says not to. */
#include "host.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <errno.h>
#include <string.h>

#define PIECE_BYTES 65536u /* of a large send */

static size_t iov_bytes(const struct iovec *iov, size_t count) {
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += iov[i].iov_len;
    return sum;
}

static bool iov_is_bad(const struct msghdr *msg) {
    for (size_t i = 0; i < msg->msg_iovlen; i++)
        if (!msg->msg_iov[i].iov_base && msg->msg_iov[i].iov_len > 0) return true;
    return false;
}

/* Copies between `bytes` bytes of the vector, from `at` on, and a buffer. */
static void iov_copy(const struct iovec *iov, size_t at, void *buffer, size_t bytes, bool into_vector) {
    uint8_t *other = buffer;
    for (; bytes > 0; iov++) {
        if (at >= iov->iov_len) {
            at -= iov->iov_len;
            continue;
        }
        size_t n = iov->iov_len - at < bytes ? iov->iov_len - at : bytes;
        uint8_t *here = (uint8_t *)iov->iov_base + at;
        memcpy(into_vector ? here : other, into_vector ? other : here, n);
        other += n;
        bytes -= n;
        at = 0;
    }
}

int conn_failure(struct file *f) {
    int error = f->error_told ? 0 : tcp_error(f->conn);
    f->error_told |= error != 0;
    return error;
}

/* What is there, at most `most` bytes; 0: the end; -EAGAIN: nothing yet. */
static int64_t conn_take(struct host *h, struct file *f, const struct iovec *iov, size_t done, size_t most, int flags) {
    struct inet_segment seen;
    struct inet_slice slice;
    size_t got = 0;
    if (flags & MSG_PEEK) {
        for (; got < most && tcp_peek(f->conn, (uint32_t)got, &seen) == 0; got += seen.len) {
            if (seen.len > most - got) seen.len = (uint32_t)(most - got);
            iov_copy(iov, done + got, (void *)seen.base, seen.len, true);
        }
        if (got > 0) return (int64_t)got;
    }
    while (got < most && tcp_available(f->conn) > 0 &&
           tcp_pop(f->conn, &slice, (uint32_t)(most - got), h->now_ns) == 0) {
        iov_copy(iov, done + got, slice.base, slice.len, true);
        got += slice.len;
        heap_free(slice.base);
    }
    if (got > 0) return (int64_t)got;
    if (tcp_error(f->conn)) return conn_failure(f);
    if (f->shut_read) return 0;
    int error = tcp_pop(f->conn, &slice, 1, h->now_ns);
    return error == -ENOTCONN && !f->connect_told ? -EAGAIN : error;
}

static int64_t conn_receive(struct host *h, struct file *f, struct msghdr *msg, int flags) {
    size_t want = iov_bytes(msg->msg_iov, msg->msg_iovlen), got = 0;
    bool block = !f->nonblock && !(flags & MSG_DONTWAIT);
    msg->msg_namelen = 0;
    if (want > UINT32_MAX / 2) want = UINT32_MAX / 2;
    while (got < want) {
        int64_t n = f->closed ? -EBADF : conn_take(h, f, msg->msg_iov, got, want - got, flags);
        if (n > 0) got += (size_t)n;
        if (n > 0 && (!(flags & MSG_WAITALL) || (flags & MSG_PEEK))) break;
        if (n > 0) continue;
        if (n != -EAGAIN || !block) return got > 0 ? (int64_t)got : n;
        int error = host_wait(h, NEVER);
        if (error) return got > 0 ? (int64_t)got : error;
    }
    return (int64_t)got;
}

static int64_t datagram_receive(struct host *h, struct file *f, struct msghdr *msg, int flags) {
    struct udp_datagram d;
    size_t room = iov_bytes(msg->msg_iov, msg->msg_iovlen);
    int error;
    if (flags & MSG_PEEK) return -EOPNOTSUPP;
    while ((error = f->closed ? -EBADF : udp_receive(f->udp, &d)) == -EAGAIN) {
        if (f->nonblock || (flags & MSG_DONTWAIT)) return -EAGAIN;
        if ((error = host_wait(h, NEVER))) return error;
    }
    if (error) return error;
    size_t n = d.payload.len < room ? d.payload.len : room;
    iov_copy(msg->msg_iov, 0, d.payload.base, n, true);
    if (d.payload.base) heap_free(d.payload.base);
    if (d.payload.len > room) msg->msg_flags |= MSG_TRUNC;
    endpoint_write(&d.from, msg->msg_name, &msg->msg_namelen);
    return flags & MSG_TRUNC ? (int64_t)d.payload.len : (int64_t)n;
}

int64_t host_receive(struct host *h, struct file *f, struct msghdr *msg, int flags) {
    msg->msg_flags = 0;
    msg->msg_controllen = 0;
    if (flags & MSG_ERRQUEUE) return -EAGAIN; /* nothing is ever put there */
    if (iov_is_bad(msg)) return -EFAULT;
    switch (f->kind) {
    case FILE_CONN:
        return conn_receive(h, f, msg, flags);
    case FILE_DATAGRAM:
        return datagram_receive(h, f, msg, flags);
    case FILE_PIPE:
        return pipe_move(h, f, msg->msg_iov, msg->msg_iovlen, false);
    default:
        return f->kind == FILE_EPOLL ? -EINVAL : -ENOTCONN;
    }
}

int64_t conn_push(struct host *h, struct file *f, const void *from, size_t bytes, bool more) {
    uint32_t limit = 0, waiting = tcp_unacked(f->conn);
    tcp_get_option(f->conn, TCP_OPTION_SEND_LIMIT, &limit);
    uint32_t room = waiting < limit ? limit - waiting : 0;
    uint32_t n = bytes < room ? (uint32_t)bytes : room;
    struct inet_segment s = {.len = n};
    int error = f->shut_write ? -EPIPE : tcp_error(f->conn) ? conn_failure(f) : 0;
    if (error || tcp_error(f->conn)) return error ? error : -EPIPE;
    if (n == 0) {
        f->full = true;
        return -EAGAIN;
    }
    if (!(s.base = heap_alloc(n))) return -ENOMEM;
    memcpy((void *)s.base, from, n);
    error = tcp_push(f->conn, &s, more || n < bytes, h->now_ns);
    heap_free((void *)s.base);
    if (error == -ENOTCONN && !f->connect_told) error = -EAGAIN; /* it is on its way */
    return error ? error : (int64_t)n;
}

static int64_t conn_send(struct host *h, struct file *f, const struct msghdr *msg, int flags) {
    size_t want = iov_bytes(msg->msg_iov, msg->msg_iovlen), done = 0;
    bool block = !f->nonblock && !(flags & MSG_DONTWAIT);
    uint8_t *piece = sys_calloc(1, PIECE_BYTES);
    int64_t result = piece ? 0 : -ENOMEM;
    while (piece && done < want) {
        size_t n = want - done < PIECE_BYTES ? want - done : PIECE_BYTES;
        iov_copy(msg->msg_iov, done, piece, n, false);
        result = f->closed ? -EBADF : conn_push(h, f, piece, n, (flags & MSG_MORE) || done + n < want);
        if (result > 0) done += (size_t)result;
        if (result > 0) continue;
        if (result != -EAGAIN || !block || (result = host_wait(h, NEVER))) break;
    }
    sys_free(piece);
    return done > 0 ? (int64_t)done : result;
}

static int64_t datagram_send(struct host *h, struct file *f, const struct msghdr *msg, int flags) {
    size_t want = iov_bytes(msg->msg_iov, msg->msg_iovlen);
    struct inet_segment s = {.len = (uint32_t)want};
    struct inet_endpoint to;
    int error = msg->msg_name ? endpoint_read(&to, msg->msg_name, msg->msg_namelen) : 0;
    if (error) return error;
    if (want > UDP_PAYLOAD_MAX) return -EMSGSIZE;
    if (!(s.base = heap_alloc(want))) return -ENOMEM;
    iov_copy(msg->msg_iov, 0, (void *)s.base, want, false);
    while ((error = f->closed ? -EBADF : udp_send(f->udp, &s, 1, msg->msg_name ? &to : NULL, h->now_ns)) == -EAGAIN) {
        if (f->nonblock || (flags & MSG_DONTWAIT)) break;
        if ((error = host_wait(h, h->now_ns + NS_PER_MS)) && error != -ETIMEDOUT) break;
    }
    heap_free((void *)s.base);
    return error ? error : (int64_t)want;
}

int64_t host_send(struct host *h, struct file *f, const struct msghdr *msg, int flags) {
    if (iov_is_bad(msg)) return -EFAULT;
    switch (f->kind) {
    case FILE_CONN:
        return conn_send(h, f, msg, flags);
    case FILE_DATAGRAM:
        return datagram_send(h, f, msg, flags);
    case FILE_PIPE:
        return pipe_move(h, f, msg->msg_iov, msg->msg_iovlen, true);
    default:
        return f->kind == FILE_EPOLL ? -EINVAL : -EPIPE;
    }
}
