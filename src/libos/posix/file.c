/* SPDX-License-Identifier: MIT */
/*
 * Files. The operations of a queue run one after another at the queue's own cursor, so that each starts where the
 * previous one ended. With O_APPEND, pushes write at the end and only pops move the cursor. Supported are regular
 * files, block devices and seekable character devices; directories fail with EISDIR, everything else with EOPNOTSUPP.
 * With the epoll engine an operation blocks while the device works. A failed push may have written some bytes, and has
 * moved the cursor by as many.
 */
#include "libos/posix/posix.h"

#include "mem/heap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define POP_DEFAULT_BYTES 65536u
#define POP_MAX_BYTES     1048576u /* a longer pop2 returns less than it requested */

static struct file *to_file(struct queue *q) {
    return list_entry(q, struct file, q);
}

/*
 * Checks that the file is supported. Clears O_NONBLOCK for regular files and block devices, because io_uring would fail
 * instead of waiting.
 */
static int check_kind(int fd) {
    struct stat st;
    int r = SYS(fstat, fd, &st);
    if (r) return r;
    if (S_ISDIR(st.st_mode)) return -EISDIR;
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode)) return -EOPNOTSUPP;
    if (SYS(lseek, fd, 0, SEEK_CUR) < 0) return -EOPNOTSUPP;
    if (S_ISCHR(st.st_mode)) return 0;
    int flags = SYS(fcntl, fd, F_GETFL);
    return flags < 0 ? flags : SYS(fcntl, fd, F_SETFL, flags & ~O_NONBLOCK);
}

int file_open(struct dmtr_runtime *rt, void *state, const char *path, int flags, mode_t mode, struct queue **q_out) {
    struct posix *px = state;
    int fd = SYS(open, path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
    posix_count_add(px, syscalls, 5);
    if (fd < 0) {
        posix_log_shortage(px, fd);
        return fd;
    }
    int r = check_kind(fd);
    struct file *f = r ? NULL : sys_calloc(1, sizeof *f);
    if (!f) {
        close(fd);
        return r ? r : -ENOMEM;
    }
    queue_init(&f->q, rt, &px->file_ops);
    f->px = px;
    f->fd = fd;
    f->append = (flags & O_APPEND) != 0;
    f->slot = UINT32_MAX;
    list_init(&f->ops);
    list_push_back(&px->files, &f->link);
    *q_out = &f->q;
    return 0;
}

static void file_free(struct file *f) {
    struct dmtr_runtime *rt = f->q.rt;
    struct posix *px = f->px;
    px->engine->file_release(f);
    int r = SYS(close, f->fd);
    if (f->close_op) op_complete(rt, f->close_op, r == -EINTR ? 0 : r);
    rt->lingering--;
    list_remove(&f->link);
    sys_free(f);
    posix_descriptor_freed(px);
}

/* Prepares the first operation; allocates the buffer of a pop. */
static int file_prepare(struct file *f, struct op *op) {
    if (op->opcode == DMTR_OPC_PUSH) {
        f->iovcnt = push_iov(op, PUSH_SENT(op), f->iov);
        return 0;
    }
    uint64_t want = op->flags & OP_LIMITED ? op->bytes : POP_DEFAULT_BYTES;
    f->buf_len = want < POP_MAX_BYTES ? (uint32_t)want : POP_MAX_BYTES;
    if (!f->buf) f->buf = heap_alloc(f->buf_len);
    return f->buf ? 0 : -ENOMEM;
}

int64_t file_run_blocking(struct file *f, struct op *op) {
    return op->opcode == DMTR_OPC_POP ? POSIX_SYS(f, pread, f->fd, f->buf, f->buf_len, f->cursor)
                                      : POSIX_SYS(f, pwritev, f->fd, f->iov, f->iovcnt, f->cursor);
}

static void pop_finish(struct file *f, struct op *op, int64_t n) {
    char *buf = f->buf;
    f->buf = NULL;
    list_remove(&op->link);
    if (op->flags & OP_DROPPED || f->closed) n = -ECANCELED; /* the next pop reads this data again */
    if (n > 0) {
        f->cursor += n;
        op_set_popped(op, buf, (uint32_t)n);
    } else if (buf) {
        heap_free(buf);
    }
    op_complete(f->q.rt, op, n < 0 ? (int)n : 0);
}

/* Continues a short write. If nothing was written, completes with EIO, because the kernel gave no error. */
static void push_finish(struct file *f, struct op *op, int64_t n) {
    if (n > 0) {
        PUSH_SENT(op) += (uint64_t)n;
        if (!f->append) f->cursor += n;
    }
    if (n > 0 && PUSH_SENT(op) < op->bytes) return;
    list_remove(&op->link);
    if (n == 0 && PUSH_SENT(op) < op->bytes) n = -EIO;
    op_complete(f->q.rt, op, n < 0 ? (int)n : 0);
}

/* Handles the result n of the first operation's system call. */
static void file_op_finish(struct file *f, struct op *op, int64_t n) {
    if (op->opcode == DMTR_OPC_POP)
        pop_finish(f, op, n);
    else
        push_finish(f, op, n);
}

static void file_next(struct file *f) {
    for (struct op *op; !f->busy && (op = op_first(&f->ops));) {
        int64_t r = file_prepare(f, op);
        if (!r) r = f->px->engine->file_run(f, op);
        f->busy = r == -EINPROGRESS;
        if (!f->busy) file_op_finish(f, op, r);
    }
    if (f->closed && list_empty(&f->ops)) file_free(f);
}

void file_done(struct file *f, int64_t result) {
    f->busy = false;
    if (result != -EINTR) file_op_finish(f, op_first(&f->ops), result);
    file_next(f);
}

static int file_submit(struct queue *q, struct op *op) {
    struct file *f = to_file(q);
    if (op->flags & OP_TO) return -EOPNOTSUPP;
    PUSH_SENT(op) = 0;
    list_push_back(&f->ops, &op->link);
    file_next(f);
    return 0;
}

/* Only a pop that has not started can be cancelled. */
static bool file_cancel(struct queue *q, struct op *op) {
    struct file *f = to_file(q);
    if (op->opcode != DMTR_OPC_POP || (f->busy && op == op_first(&f->ops))) return false;
    list_remove(&op->link);
    return true;
}

static void file_close(struct queue *q, struct op *op) {
    struct file *f = to_file(q);
    struct op *first = f->busy ? op_first(&f->ops) : NULL;
    struct list *l, *tmp;
    f->closed = true;
    f->close_op = op;
    q->rt->lingering++;
    list_for_each (&f->ops, l, tmp) {
        struct op *pop = list_entry(l, struct op, link);
        if (pop == first || pop->opcode != DMTR_OPC_POP) continue;
        list_remove(&pop->link);
        op_complete(q->rt, pop, -ECANCELED);
    }
    file_next(f);
}

static int file_lseek(struct queue *q, off_t offset, int whence, off_t *offset_out) {
    struct file *f = to_file(q);
    if (!list_empty(&f->ops)) return -EBUSY;
    if (whence == SEEK_CUR) {
        if (__builtin_add_overflow(offset, f->cursor, &offset)) return -EOVERFLOW;
        whence = SEEK_SET;
    }
    off_t r = POSIX_SYS(f, lseek, f->fd, offset, whence);
    if (r < 0) return (int)r;
    *offset_out = f->cursor = r;
    return 0;
}

static int file_truncate(struct queue *q, off_t length) {
    struct file *f = to_file(q);
    return list_empty(&f->ops) ? POSIX_SYS(f, ftruncate, f->fd, length) : -EBUSY;
}

static int file_fsync(struct queue *q) {
    struct file *f = to_file(q);
    return list_empty(&f->ops) ? POSIX_SYS(f, fsync, f->fd) : -EBUSY;
}

const struct queue_ops file_ops = {
    .push = file_submit,
    .pop = file_submit,
    .cancel = file_cancel,
    .close = file_close,
    .lseek = file_lseek,
    .truncate = file_truncate,
    .fsync = file_fsync,
};
