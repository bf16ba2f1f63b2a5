/* SPDX-License-Identifier: MIT */
/* An io_uring with a ring of provided buffers, with the best setup that the kernel supports. */
#ifndef BASELINE_URING_H
#define BASELINE_URING_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>

#define URING_ENTRIES 4096
#define URING_BUFFERS 1024 /* a power of two */
#define URING_GROUP   0

struct uring {
    struct io_uring ring;
    bool open; /* the ring exists */
    struct io_uring_buf_ring *buf_ring;
    char *buffers;
    unsigned buffer_bytes;
};

/* `datagrams`: with buffers for any datagram and its address, else smaller ones. 0, or -1 with the reason on stderr. */
int uring_init(struct uring *u, bool datagrams);
void uring_fini(struct uring *u);

/* Never NULL: submits when the queue is full. */
struct io_uring_sqe *uring_sqe(struct uring *u);

/* Multishot receive on fd into provided buffers. */
void uring_recv(struct uring *u, int fd, unsigned long long user_data);
char *uring_buffer(struct uring *u, unsigned id);
void uring_give_back(struct uring *u, unsigned id);

/* Submits, waits for one completion unless `spin` (at most ns nanoseconds), and peeks at up to n. */
unsigned uring_wait(struct uring *u, bool spin, unsigned long long ns, struct io_uring_cqe **cqes, unsigned n);

#endif
