/* SPDX-License-Identifier: MIT */
/* Pipes are the kernel's, never blocking there; and what moves between them and connections. */
#include "host.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PIECE_BYTES 65536u

int host_pipe(struct host *h, int fds[2]) {
    struct file *f;
    int ends[2], made = 0;
    int error = SYS(pipe2, ends, O_CLOEXEC | O_NONBLOCK);
    if (error) return error;
    for (; made < 2; made++)
        if ((error = file_new(h, FILE_PIPE, ends[made], &f)) < 0) break;
    if (made == 2) {
        fds[0] = ends[0];
        fds[1] = ends[1];
        return 0;
    }
    if (made == 1) file_close(h, ends[0]);
    if (made == 0) close(ends[1]); /* file_new has closed the one it refused */
    return error;
}

int64_t pipe_move(struct host *h, struct file *f, const struct iovec *iov, size_t count, bool out) {
    for (;;) {
        int64_t n = f->closed ? -EBADF : out ? SYS(writev, f->fd, iov, (int)count) : SYS(readv, f->fd, iov, (int)count);
        if (n != -EAGAIN || f->nonblock) {
            h->changed |= n > 0;
            return n;
        }
        int error = host_wait(h, NEVER);
        if (error) return error;
    }
}

/* What has arrived goes into the pipe as far as there is room. */
static int64_t splice_in(struct host *h, struct file *conn, struct file *pipe, size_t len) {
    struct inet_segment seen;
    struct inet_slice slice;
    size_t done = 0;
    int64_t n = 0;
    while (done < len && tcp_peek(conn->conn, 0, &seen) == 0) {
        if (seen.len > len - done) seen.len = (uint32_t)(len - done);
        if ((n = SYS(write, pipe->fd, seen.base, seen.len)) <= 0) break;
        if (tcp_pop(conn->conn, &slice, (uint32_t)n, h->now_ns) == 0) heap_free(slice.base);
        done += (size_t)n;
    }
    if (done > 0 || n < 0) return done > 0 ? (int64_t)done : n;
    return tcp_error(conn->conn) ? conn_failure(conn) : conn->shut_read ? 0 : tcp_pop(conn->conn, &slice, 1, h->now_ns);
}

/* What is in the pipe goes out as far as the connection takes it: no more is read than that. */
static int64_t splice_out(struct host *h, struct file *pipe, struct file *conn, size_t len, bool more) {
    uint32_t limit = 0, waiting = tcp_unacked(conn->conn);
    tcp_get_option(conn->conn, TCP_OPTION_SEND_LIMIT, &limit);
    size_t room = waiting < limit ? limit - waiting : 0;
    if (len > PIECE_BYTES) len = PIECE_BYTES;
    if (len > room) len = room;
    if (len == 0) return -EAGAIN;
    if (conn->shut_write || tcp_error(conn->conn)) return -EPIPE;
    uint8_t *piece = sys_calloc(1, len);
    if (!piece) return -ENOMEM;
    int64_t n = SYS(read, pipe->fd, piece, len);
    if (n > 0) n = conn_push(h, conn, piece, (size_t)n, more);
    sys_free(piece);
    return n;
}

int64_t host_splice(struct host *h, struct file *in, struct file *out, size_t len, unsigned flags) {
    bool into_pipe = in->kind == FILE_CONN && out->kind == FILE_PIPE;
    if (!into_pipe && !(in->kind == FILE_PIPE && out->kind == FILE_CONN)) return -EINVAL;
    bool block = !(flags & SPLICE_F_NONBLOCK) && !in->nonblock && !out->nonblock;
    while (len > 0) {
        int64_t n = in->closed || out->closed ? -EBADF
                    : into_pipe               ? splice_in(h, in, out, len)
                                              : splice_out(h, in, out, len, flags & SPLICE_F_MORE);
        h->changed |= n > 0;
        if (n != -EAGAIN || !block) return n;
        int error = host_wait(h, NEVER);
        if (error) return error;
    }
    return 0;
}
