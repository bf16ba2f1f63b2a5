/* SPDX-License-Identifier: MIT */
/* Reads or writes several frames with one system call, through io_uring; with one call each if the kernel has none. */
#ifndef NETDEV_TAP_IO_H
#define NETDEV_TAP_IO_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define TAP_BATCH_MAX 32u

struct tap_io {
    int fd; /* of the interface; its owner closes it */
    struct io_uring ring;
    bool has_ring;
};

/* One frame. */
struct tap_transfer {
    struct iovec *iov;
    uint32_t iov_count;
    int result; /* bytes, or a negative errno; -ECANCELED: it was not tried */
};

/* fd does not block. */
void tap_io_open(struct tap_io *io, int fd);
void tap_io_close(struct tap_io *io);

/*
 * Transfers n frames, at most TAP_BATCH_MAX, in their order. None waits. Frames after one that fails may be transferred
 * or not. Returns the number of system calls.
 */
uint32_t tap_io_read(struct tap_io *io, struct tap_transfer *transfers, uint32_t n);
uint32_t tap_io_write(struct tap_io *io, struct tap_transfer *transfers, uint32_t n);

#endif
