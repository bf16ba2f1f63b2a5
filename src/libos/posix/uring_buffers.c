/* SPDX-License-Identifier: MIT */
/* Receive buffers that the kernel fills on its own. Each full one is replaced by a new heap block. */
#include "libos/posix/uring.h"

#include "mem/heap.h"

#include <sys/mman.h>

#define BUFFER_GROUP 0
/* Missing in Debian 12's headers: several receives may fill one buffer. */
#define PBUF_RING_INC 2
/* Least memory that a piece of a packed buffer is charged for. */
#define PIECE_CHARGE 1024

static void provide(struct uring_buffers *b, uint16_t id) {
    b->used[id] = 0;
    io_uring_buf_ring_add(b->ring, b->block[id], b->bytes, id, (int)b->count - 1, 0);
    io_uring_buf_ring_advance(b->ring, 1);
}

static void replace(struct uring_buffers *b, uint16_t id) {
    b->block[id] = heap_alloc(b->bytes);
    if (b->block[id])
        provide(b, id);
    else
        b->missing[b->missing_len++] = id;
}

bool uring_buffers_refill(struct uring *u) {
    struct uring_buffers *b = &u->buffers;
    for (uint32_t left = b->missing_len; left; left--) {
        uint16_t id = (uint16_t)b->missing[--b->missing_len];
        replace(b, id);
        if (!b->block[id]) break;
    }
    return b->missing_len < b->count;
}

char *uring_buffers_take(struct uring *u, uint16_t id, uint32_t len, bool more, uint32_t *charge) {
    struct uring_buffers *b = &u->buffers;
    char *data = b->block[id] + b->used[id];
    *charge = !b->packed ? b->bytes : len < PIECE_CHARGE ? PIECE_CHARGE : len;
    if (more) {
        b->used[id] += len;
        heap_share(data);
    } else {
        replace(b, id);
    }
    return data;
}

static int register_ring(struct uring *u, uint16_t flags) {
    struct uring_buffers *b = &u->buffers;
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)b->ring, .ring_entries = b->count, .bgid = BUFFER_GROUP};
#ifdef HAVE_IO_URING_BUF_REG_FLAGS
    reg.flags = flags;
#else
    reg.pad = flags; /* the same bytes, which have no name in headers before Linux 6.4 */
#endif
    int error = FAULT_POINT("io_uring_register");
    return error ? -error : io_uring_register_buf_ring(&u->ring, &reg, 0);
}

int uring_buffers_init(struct uring *u) {
    struct uring_buffers *b = &u->buffers;
    const struct posix_options *o = u->px->options;
    int r = 0;
    b->bytes = (uint32_t)o->recv_buffer_bytes;
    for (b->count = 8; b->count < o->recv_buffers;)
        b->count *= 2; /* the kernel requires a power of two */
    b->ring_bytes = b->count * sizeof(struct io_uring_buf);
    b->ring = sys_map(b->ring_bytes, PROT_READ | PROT_WRITE, 0, &r);
    b->block = sys_calloc(b->count, sizeof *b->block);
    b->used = sys_calloc(b->count, sizeof *b->used);
    b->missing = sys_calloc(b->count, sizeof *b->missing);
    if (!b->ring || !b->block || !b->used || !b->missing) return -ENOMEM;
    r = register_ring(u, PBUF_RING_INC);
    b->packed = r == 0;
    if (r == -EINVAL) r = register_ring(u, 0);
    if (r) return r;
    for (uint32_t i = 0; i < b->count; i++)
        replace(b, (uint16_t)i);
    return b->missing_len < b->count ? 0 : -ENOMEM;
}

void uring_buffers_leak(struct uring *u) {
    struct uring_buffers *b = &u->buffers;
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->count; i++)
        count += b->block[i] != NULL;
    posix_count_add(u->px, recv_buffers_leaked, count);
    sys_free(b->block);
    sys_free(b->used);
    sys_free(b->missing);
}

/* There are no requests left, so the kernel does not write to the buffers any more. */
void uring_buffers_fini(struct uring *u) {
    struct uring_buffers *b = &u->buffers;
    for (uint32_t i = 0; b->block && i < b->count; i++)
        if (b->block[i]) heap_free(b->block[i]);
    if (b->ring) munmap(b->ring, b->ring_bytes);
    sys_free(b->block);
    sys_free(b->used);
    sys_free(b->missing);
}
