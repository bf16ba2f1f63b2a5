/* SPDX-License-Identifier: MIT */
/* Files in the ring: reads and writes at the queue's cursor, on registered descriptors while there are free indices. */
#include "libos/posix/uring.h"

#include <string.h>
#include <sys/resource.h>

/*
 * Only files use registered descriptors, because a file needs a request per operation. Sockets need few, long-lived
 * requests.
 */
int uring_files_init(struct uring *u) {
    struct dmtr_runtime *rt = u->px->rt;
    uint64_t count = u->px->options->registered_files;
    struct rlimit limit;
    if (SYS(getrlimit, RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < count) count = limit.rlim_cur;
    if (count == 0) return 0;
    u->slots_free = sys_calloc(count, sizeof *u->slots_free);
    if (!u->slots_free) return -ENOMEM;
    int r = FAULT_POINT("io_uring_register");
    r = r ? -r : io_uring_register_files_sparse(&u->ring, (unsigned)count);
    if (r) {
        log_info(&rt->log, "io_uring: descriptors are not registered: %s", strerror(-r));
        return 0;
    }
    for (uint32_t i = (uint32_t)count; i-- > 0;)
        u->slots_free[u->slots_free_len++] = i;
    return 0;
}

void uring_files_fini(struct uring *u) {
    sys_free(u->slots_free);
}

static int update_slot(struct uring *u, uint32_t slot, int fd) {
    int error = FAULT_POINT("io_uring_register");
    return error ? -error : io_uring_register_files_update(&u->ring, slot, &fd, 1);
}

static void register_file(struct uring *u, struct file *f) {
    uint32_t slot = u->slots_free[u->slots_free_len - 1];
    posix_count(u->px, syscalls);
    if (update_slot(u, slot, f->fd) != 1) return;
    u->slots_free_len--;
    f->slot = slot;
}

void uring_file_release(struct file *f) {
    struct uring *u = f->px->uring;
    if (f->slot == UINT32_MAX) return;
    if (update_slot(u, f->slot, -1) == 1) u->slots_free[u->slots_free_len++] = f->slot;
}

int64_t uring_file_run(struct file *f, struct op *op) {
    struct uring *u = f->px->uring;
    struct io_uring_sqe *sqe = uring_sqe(u);
    if (!sqe) return file_run_blocking(f, op);
    if (f->slot == UINT32_MAX && u->slots_free_len) register_file(u, f);
    int fd = f->slot == UINT32_MAX ? f->fd : (int)f->slot;
    if (op->opcode == DMTR_OPC_POP)
        io_uring_prep_read(sqe, fd, f->buf, f->buf_len, (uint64_t)f->cursor);
    else
        io_uring_prep_writev(sqe, fd, f->iov, (unsigned)f->iovcnt, (uint64_t)f->cursor);
    if (f->slot != UINT32_MAX) sqe->flags |= IOSQE_FIXED_FILE;
    uring_tag(sqe, f, TAG_FILE);
    u->inflight++;
    return -EINPROGRESS;
}
