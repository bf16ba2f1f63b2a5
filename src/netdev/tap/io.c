/* SPDX-License-Identifier: MIT */
/*
 * The requests are submitted and completed within one call, so the ring is empty between calls. The interface is not
 * registered with the ring: the kernel would keep it busy for some time after the end of the process.
 */
#include "netdev/tap/io.h"

#include "base/sys.h"

void tap_io_open(struct tap_io *io, int fd) {
    struct io_uring_params p = {0};
    int error = FAULT_POINT("io_uring_setup");
    *io = (struct tap_io){.fd = fd};
    io->has_ring = !error && io_uring_queue_init_params(TAP_BATCH_MAX, &io->ring, &p) == 0;
}

void tap_io_close(struct tap_io *io) {
    if (io->has_ring) io_uring_queue_exit(&io->ring);
    io->has_ring = false;
}

typedef ssize_t call_fn(int fd, const struct iovec *iov, int count);

static ssize_t read_one(int fd, const struct iovec *iov, int count) {
    return SYS(readv, fd, iov, count);
}

static ssize_t write_one(int fd, const struct iovec *iov, int count) {
    return SYS(writev, fd, iov, count);
}

/* Ends with the first failure. */
static uint32_t transfer_each(const struct tap_io *io, struct tap_transfer *t, uint32_t n, call_fn *call) {
    uint32_t calls = 0;
    while (calls < n) {
        int r = t[calls].result = (int)call(io->fd, t[calls].iov, (int)t[calls].iov_count);
        calls++;
        if (r < 0) break;
    }
    return calls;
}

/* False: the kernel did not accept all requests. */
static bool submit(struct tap_io *io, uint32_t n) {
    int error = FAULT_POINT("io_uring_enter");
    return !error && io_uring_submit_and_wait(&io->ring, n) == (int)n;
}

/* Whether the kernel lacks this use of the ring, such as requests that do not wait for a TAP interface. */
static bool take_results(struct tap_io *io, struct tap_transfer *t) {
    struct io_uring_cqe *e;
    uint32_t head, taken = 0;
    bool lacks = false;
    io_uring_for_each_cqe(&io->ring, head, e) {
        t[e->user_data].result = e->res;
        lacks |= e->res == -EOPNOTSUPP;
        taken++;
    }
    io_uring_cq_advance(&io->ring, taken);
    return lacks;
}

static uint32_t transfer_batch(struct tap_io *io, struct tap_transfer *t, uint32_t n, uint8_t operation) {
    for (uint32_t i = 0; i < n; i++) {
        struct io_uring_sqe *e = io_uring_get_sqe(&io->ring);
        io_uring_prep_rw(operation, e, io->fd, t[i].iov, t[i].iov_count, 0);
        e->rw_flags = RWF_NOWAIT;
        io_uring_sqe_set_data64(e, i);
    }
    bool submitted = submit(io, n), lacks = take_results(io, t);
    if (!submitted || lacks) tap_io_close(io);
    return 1;
}

static uint32_t transfer(struct tap_io *io, struct tap_transfer *t, uint32_t n, uint8_t operation, call_fn *call) {
    uint32_t calls = 0;
    for (uint32_t i = 0; i < n; i++)
        t[i].result = -ECANCELED;
    if (n > 1 && io->has_ring) {
        calls = transfer_batch(io, t, n, operation);
        if (io->has_ring || t[0].result >= 0) return calls;
    }
    return calls + transfer_each(io, t, n, call);
}

uint32_t tap_io_read(struct tap_io *io, struct tap_transfer *t, uint32_t n) {
    return transfer(io, t, n, IORING_OP_READV, read_one);
}

uint32_t tap_io_write(struct tap_io *io, struct tap_transfer *t, uint32_t n) {
    return transfer(io, t, n, IORING_OP_WRITEV, write_one);
}
