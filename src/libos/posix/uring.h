/* SPDX-License-Identifier: MIT */
/* State of the io_uring engine, shared by its files. Each runtime has a ring and uses it only on its own thread. */
#ifndef POSIX_URING_H
#define POSIX_URING_H

#include "libos/posix/posix.h"

#include <liburing.h>

/* What a completion belongs to: a pointer with one of these in its low bits. */
enum uring_tag { TAG_NONE, TAG_RECV, TAG_ACCEPT, TAG_READ, TAG_WRITE, TAG_SEND, TAG_FILE, TAG_EVLOOP, TAG_MASK = 15 };

/* Requests of a socket: wanted (to be put into the ring) or armed (in the ring). */
enum uring_request {
    REQUEST_RECV = 1,   /* multishot */
    REQUEST_ACCEPT = 2, /* multishot */
    REQUEST_READ = 4,   /* readiness, once */
    REQUEST_WRITE = 8,
    REQUEST_CANCEL_RECV = 16,
    REQUEST_CANCEL_ACCEPT = 32,
    REQUEST_CANCEL_ALL = 64, /* s is being released */
};

/*
 * Receive buffers provided to the kernel. If the kernel can (Linux 6.12), it fills a buffer with the data of several
 * receives (`packed`), so that small messages are adjacent. Otherwise each receive uses a buffer of its own.
 */
struct uring_buffers {
    struct io_uring_buf_ring *ring;
    size_t ring_bytes;
    char **block;      /* by buffer: its memory; NULL: allocation failed */
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
    int event_fd;          /* signalled by the kernel for an external event loop */
    bool event_registered; /* event_fd is registered; that costs time, so only once there is such a loop */
    bool zerocopy, zerocopy_reports;
    struct list todo;  /* sockets with wanted requests */
    uint32_t inflight; /* requests of sockets and files */
    struct uring_buffers buffers;
    uint32_t *slots_free; /* free indices of registered descriptors */
    uint32_t slots_free_len;
};

/*
 * uring_probe.c: creates the ring with the best flags that the kernel supports. Returns 0 or a negative errno, and logs
 * the reason at `level`.
 */
int uring_setup(struct uring *u, enum log_level level);

/* ---- uring_buffers.c ---- */
int uring_buffers_init(struct uring *u);
void uring_buffers_fini(struct uring *u);
/*
 * Called instead of uring_buffers_fini if the kernel may still write to the buffers: counts them and never frees them.
 */
void uring_buffers_leak(struct uring *u);
/* Allocates missing buffers. Returns false if there is no buffer at all. */
bool uring_buffers_refill(struct uring *u);
/*
 * Returns the data that a receive put into buffer `id`; the caller owns it. *charge: the memory that it pins. `more`:
 * the kernel continues to fill the buffer.
 */
char *uring_buffers_take(struct uring *u, uint16_t id, uint32_t len, bool more, uint32_t *charge);

/* ---- uring_socket.c: requests of sockets ---- */
void uring_sock_init(struct sock *s);
int uring_want(struct sock *s, unsigned events);
int uring_receive(struct sock *s);
int uring_accept(struct sock *s);
bool uring_stop_receiving(struct sock *s);
void uring_release(struct sock *s);
bool uring_send_zerocopy(struct sock *s, struct op *op);
/* Puts wanted requests into the ring, as many as fit. */
void uring_flush(struct uring *u);
void uring_sock_complete(struct uring *u, struct sock *s, enum uring_tag tag, int res, uint32_t flags);
void uring_send_complete(struct uring *u, struct op *op, int res, uint32_t flags);

/* ---- uring_file.c ---- */
int uring_files_init(struct uring *u);
void uring_files_fini(struct uring *u);
int64_t uring_file_run(struct file *f, struct op *op);
void uring_file_release(struct file *f);

/*
 * ---- engine_uring.c ----
 * Returns a zeroed submission entry, or NULL if the kernel accepts none now.
 */
struct io_uring_sqe *uring_sqe(struct uring *u);
/*
 * Submits requests, lets the kernel process completions, and waits up to timeout_ns for one; 0 does not wait. Returns 0
 * or a negative errno.
 */
int uring_enter(struct uring *u, uint64_t timeout_ns);
uint32_t uring_reap(struct uring *u);

static inline void uring_tag(struct io_uring_sqe *sqe, const void *p, enum uring_tag tag) {
    sqe->user_data = (uint64_t)(uintptr_t)p | (uint64_t)tag;
}

#endif
