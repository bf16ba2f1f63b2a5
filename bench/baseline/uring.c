/* SPDX-License-Identifier: MIT */
/* Setup of an io_uring and its provided buffers. */
#include "uring.h"

#include "baseline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RING_BYTES (URING_BUFFERS * sizeof(struct io_uring_buf))

static int queue_init(struct io_uring *ring) {
    static const unsigned best_first[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                              IORING_SETUP_TASKRUN_FLAG,
                                          IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0};
    int r = -EINVAL;
    for (size_t i = 0; r == -EINVAL && i < sizeof best_first / sizeof *best_first; i++) {
        struct io_uring_params params = {.flags = best_first[i] | IORING_SETUP_CQSIZE, .cq_entries = 4 * URING_ENTRIES};
        r = io_uring_queue_init_params(URING_ENTRIES, ring, &params);
    }
    return r;
}

int uring_init(struct uring *u, bool datagrams) {
    struct io_uring_buf_reg reg = {.ring_entries = URING_BUFFERS, .bgid = URING_GROUP};
    void *ring = NULL;
    int r = queue_init(&u->ring);
    u->open = r == 0;
    u->buffer_bytes = datagrams ? BUFFER_BYTES + 128 : 4096;
    if (r == 0) r = -posix_memalign(&ring, 4096, RING_BYTES);
    if (r == 0) {
        u->buf_ring = ring;
        u->buffers = malloc((size_t)URING_BUFFERS * u->buffer_bytes);
        reg.ring_addr = (unsigned long long)(uintptr_t)ring;
        r = u->buffers ? io_uring_register_buf_ring(&u->ring, &reg, 0) : -ENOMEM;
    }
    if (r < 0) {
        errno = -r;
        return baseline_fail("io_uring");
    }
    io_uring_register_ring_fd(&u->ring);
    io_uring_buf_ring_init(u->buf_ring);
    for (unsigned i = 0; i < URING_BUFFERS; i++)
        uring_give_back(u, i);
    return 0;
}

void uring_fini(struct uring *u) {
    if (u->open) io_uring_queue_exit(&u->ring);
    free(u->buffers);
    free(u->buf_ring);
}

struct io_uring_sqe *uring_sqe(struct uring *u) {
    struct io_uring_sqe *sqe;
    while (!(sqe = io_uring_get_sqe(&u->ring)))
        io_uring_submit(&u->ring);
    return sqe;
}

void uring_recv(struct uring *u, int fd, unsigned long long user_data) {
    struct io_uring_sqe *sqe = uring_sqe(u);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_GROUP;
    io_uring_sqe_set_data64(sqe, user_data);
}

char *uring_buffer(struct uring *u, unsigned id) {
    return u->buffers + (size_t)id * u->buffer_bytes;
}

void uring_give_back(struct uring *u, unsigned id) {
    io_uring_buf_ring_add(u->buf_ring, uring_buffer(u, id), u->buffer_bytes, (unsigned short)id,
                          io_uring_buf_ring_mask(URING_BUFFERS), 0);
    io_uring_buf_ring_advance(u->buf_ring, 1);
}

unsigned uring_wait(struct uring *u, bool spin, unsigned long long ns, struct io_uring_cqe **cqes, unsigned n) {
    struct io_uring_cqe *first;
    struct __kernel_timespec ts = {.tv_sec = (long long)(ns / 1000000000u), .tv_nsec = (long long)(ns % 1000000000u)};
    if (!spin)
        io_uring_submit_and_wait_timeout(&u->ring, &first, 1, ns == UINT64_MAX ? NULL : &ts, NULL);
    else if (io_uring_sq_ready(&u->ring))
        io_uring_submit(&u->ring);
    else if (io_uring_peek_cqe(&u->ring, &first) != 0) /* also runs the kernel's deferred work */
        return 0;
    return io_uring_peek_batch_cqe(&u->ring, cqes, n);
}
