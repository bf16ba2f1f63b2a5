/* SPDX-License-Identifier: MIT */
/* The io_uring engine's own state, shared by its files. A ring per runtime, used on the runtime's thread alone. */
#ifndef POSIX_URING_H
#define POSIX_URING_H

#include "libos/posix/posix.h"

#include <liburing.h>

/* What a completion belongs to: a pointer with one of these in its low bits. */
enum uring_tag { TAG_NONE, TAG_RECV, TAG_ACCEPT, TAG_READ, TAG_WRITE, TAG_SEND, TAG_FILE, TAG_EVLOOP, TAG_MASK = 15 };

/* Requests of a socket: wanted (to be put into the ring) or armed (in it). */
enum uring_request {
    REQUEST_RECV = 1,   /* multishot */
    REQUEST_ACCEPT = 2, /* multishot */
    REQUEST_READ = 4,   /* readiness, once */
    REQUEST_WRITE = 8,
    REQUEST_CANCEL_RECV = 16,
    REQUEST_CANCEL_ACCEPT = 32,
    REQUEST_CANCEL_ALL = 64, /* s is given up */
};

/*
 * Receive buffers given to the kernel. Where it can (6.12), it fills a buffer piece after piece (`packed`), so that
 * small messages lie next to each other; else each receive takes a buffer of its own.
 */
struct uring_buffers {
    struct io_uring_buf_ring *ring;
    size_t ring_bytes;
    char **block;      /* by buffer: its memory; NULL: none could be had */
    uint32_t *used;    /* by buffer: bytes filled */
    uint32_t *missing; /* buffers without memory */
    uint32_t count, missing_len, bytes;
    bool packed;
};

struct uring {
    struct posix *px;
    struct io_uring ring;
    bool busy; /* completions are being handled */
    bool evloop_armed, evloop_ready;
    int event_fd;     /* signalled by the kernel for somebody else's event loop */
    bool event_wired; /* ... which costs something, so only once there is one */
    bool zerocopy, zerocopy_reports;
    struct list todo;  /* sockets with wanted requests */
    uint32_t inflight; /* requests of sockets and files */
    struct uring_buffers buffers;
    uint32_t *slots_free; /* of the registered descriptors */
    uint32_t slots_free_len;
};

/* uring_probe.c: makes the ring with the best flags the kernel takes. 0 or a negative errno, the reason logged at
 * `level`. */
int uring_setup(struct uring *u, enum log_level level);

/* uring_buffers.c */
int uring_buffers_init(struct uring *u);
void uring_buffers_fini(struct uring *u);
/* In its place, where the kernel may still write to them: they stay for ever, and are counted. */
void uring_buffers_leak(struct uring *u);
/* Replaces what is missing. False: there is not one buffer. */
bool uring_buffers_refill(struct uring *u);
/* What a receive put into buffer `id`, owned by the caller; *charge: the memory it keeps. `more`: the kernel goes on
 * with it. */
char *uring_buffers_take(struct uring *u, uint16_t id, uint32_t len, bool more, uint32_t *charge);

/* uring_socket.c: requests of sockets. */
void uring_sock_init(struct sock *s);
int uring_want(struct sock *s, unsigned events);
int uring_receive(struct sock *s);
int uring_accept(struct sock *s);
bool uring_stop_receiving(struct sock *s);
void uring_release(struct sock *s);
bool uring_send_zerocopy(struct sock *s, struct op *op);
/* Puts wanted requests into the ring, as many as it takes. */
void uring_flush(struct uring *u);
void uring_sock_complete(struct uring *u, struct sock *s, enum uring_tag tag, int res, uint32_t flags);
void uring_send_complete(struct uring *u, struct op *op, int res, uint32_t flags);

/* uring_file.c */
int uring_files_init(struct uring *u);
void uring_files_fini(struct uring *u);
int64_t uring_file_run(struct file *f, struct op *op);
void uring_file_release(struct file *f);

/* engine_uring.c: a free submission entry with all but opcode-specific fields cleared; NULL: the kernel takes none now.
 */
struct io_uring_sqe *uring_sqe(struct uring *u);
/* Submits, lets the kernel work, and waits for a completion up to timeout_ns; 0 does not wait. 0 or a negative errno.
 */
int uring_enter(struct uring *u, uint64_t timeout_ns);
uint32_t uring_reap(struct uring *u);

static inline void uring_tag(struct io_uring_sqe *sqe, const void *p, enum uring_tag tag) {
    sqe->user_data = (uint64_t)(uintptr_t)p | (uint64_t)tag;
}

#endif
