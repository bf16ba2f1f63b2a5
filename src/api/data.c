/* SPDX-License-Identifier: MIT */
/* Data path: begins operations and returns their tokens. */
#include "api/api.h"
#include "base/clock.h"
#include "core/queue.h"
#include "core/sga.h"
#include "core/turn.h"
#include "core/watch.h"
#include "dmtr/libos.h"
#include "dmtr/wait.h"
#include "mem/heap.h"

#include <string.h>

int dmtr_accept(dmtr_qtoken_t *qt_out, int qd) {
    API_QUEUE(rt, q, qd);
    if (!qt_out) return EINVAL;
    if (!q->ops->socket) return ENOTSOCK;
    if (!q->ops->accept) return EOPNOTSUPP;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_ACCEPT, &op);
    return r ? -r : queue_begun(rt, op, q->ops->accept(q, op), qt_out);
}

int dmtr_connect(dmtr_qtoken_t *qt_out, int qd, const struct sockaddr *saddr, socklen_t size) {
    API_QUEUE(rt, q, qd);
    if (!qt_out || !saddr || size < sizeof saddr->sa_family) return EINVAL;
    if (!q->ops->socket) return ENOTSOCK;
    if (!q->ops->connect) return EOPNOTSUPP;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_CONNECT, &op);
    return r ? -r : queue_begun(rt, op, q->ops->connect(q, op, saddr, size), qt_out);
}

int dmtr_push(dmtr_qtoken_t *qt_out, int qd, const dmtr_sgarray_t *sga) {
    API_RUNTIME_UNCOUNTED(rt);
    API_OPEN_QUEUE(rt, q, qd);
    if (!qt_out || !sga) return EINVAL;
    return q->ops->push_call ? q->ops->push_call(q, sga, qt_out) : queue_call_push(q, sga, qt_out);
}

/* Makes a push of this datagram to this address; the caller begins it on the queue. 0 or a positive errno. */
static int new_pushto(struct dmtr_runtime *rt, struct queue *q, const dmtr_sgarray_t *sga, const struct sockaddr *saddr,
                      socklen_t size, struct op **op_out) {
    if (!sga || !sga_valid(sga) || !saddr) return EINVAL;
    if (!q->ops->socket) return ENOTSOCK;
    if (q->ops->stream) return EOPNOTSUPP;
    bool v4 = size >= sizeof(struct sockaddr_in) && saddr->sa_family == AF_INET;
    bool v6 = size >= sizeof(struct sockaddr_in6) && saddr->sa_family == AF_INET6;
    if (!v4 && !v6) return EINVAL;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_PUSH, &op);
    if (r) return -r;
    sga_copy_segments(&op->sga, sga);
    op->sga.sga_addrlen = v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (v4)
        memcpy(&op->sga.sga_addr, saddr, sizeof op->sga.sga_addr);
    else
        memcpy(&op->sga.sga_addr6, saddr, sizeof op->sga.sga_addr6);
    op->flags |= OP_TO;
    *op_out = op;
    return 0;
}

int dmtr_pushto(dmtr_qtoken_t *qt_out, int qd, const dmtr_sgarray_t *sga, const struct sockaddr *saddr,
                socklen_t size) {
    API_QUEUE(rt, q, qd);
    if (!qt_out) return EINVAL;
    struct op *op;
    int r = new_pushto(rt, q, sga, saddr, size, &op);
    return r ? r : queue_begun(rt, op, queue_push(q, op), qt_out);
}

/* Sets the one segment of op and begins it; on success the library owns the memory. */
static int begin_push_owned(struct queue *q, struct op *op, void *buf, size_t len) {
    op->sga.sga_buf = NULL;
    op->sga.sga_numsegs = 1;
    op->sga.sga_addrlen = 0;
    op->sga.sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = len ? buf : NULL, .sgaseg_len = (uint32_t)len};
    int r = len ? queue_push_owned(q, op) : queue_push(q, op);
    if (!r && !len) heap_free(buf);
    return r;
}

/* Whether the len bytes at buf lie in one block of the heap. */
static bool in_a_block(const void *buf, size_t len) {
    size_t usable = heap_usable_size(buf);
    return usable > 0 && len <= usable && len <= UINT32_MAX;
}

int dmtr_push_buf(dmtr_qtoken_t *qt_out, int qd, void *buf, size_t len) {
    API_QUEUE(rt, q, qd);
    if (!qt_out || !in_a_block(buf, len)) return EINVAL;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_PUSH, &op);
    return r ? -r : queue_begun(rt, op, begin_push_owned(q, op, buf, len), qt_out);
}

/* Ends a call as queue_begun does, for a quiet push: frees it at once if it has already succeeded. */
static int begun_quiet(struct dmtr_runtime *rt, struct op *op, dmtr_qtoken_t qt, int r) {
    if (!r && op->token == qt && op->state == OP_READY && !op->error) {
        list_remove(&op->link);
        op_free(rt, op);
    }
    return queue_begun(rt, op, r, &qt);
}

int dmtr_push_buf_quiet(int qd, void *buf, size_t len) {
    API_QUEUE(rt, q, qd);
    if (!in_a_block(buf, len)) return EINVAL;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_PUSH, &op);
    if (r) return -r;
    dmtr_qtoken_t qt = op->token;
    op->flags |= OP_QUIET;
    return begun_quiet(rt, op, qt, begin_push_owned(q, op, buf, len));
}

static bool all_in_blocks(const dmtr_sgarray_t *sga) {
    for (uint32_t i = 0; i < sga->sga_numsegs; i++)
        if (sga->sga_segs[i].sgaseg_len && !heap_owns(sga->sga_segs[i].sgaseg_buf)) return false;
    return true;
}

int dmtr_push_quiet(int qd, const dmtr_sgarray_t *sga) {
    API_QUEUE(rt, q, qd);
    if (!sga || !sga_valid(sga) || !all_in_blocks(sga)) return EINVAL;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_PUSH, &op);
    if (r) return -r;
    dmtr_qtoken_t qt = op->token;
    sga_copy_segments(&op->sga, sga);
    op->sga.sga_addrlen = 0;
    op->flags |= OP_QUIET;
    return begun_quiet(rt, op, qt, queue_push(q, op));
}

int dmtr_pushto_quiet(int qd, const dmtr_sgarray_t *sga, const struct sockaddr *saddr, socklen_t size) {
    API_QUEUE(rt, q, qd);
    struct op *op;
    int r = new_pushto(rt, q, sga, saddr, size, &op);
    if (r) return r;
    if (!all_in_blocks(sga)) {
        op_free(rt, op);
        return EINVAL;
    }
    dmtr_qtoken_t qt = op->token;
    op->flags |= OP_QUIET;
    return begun_quiet(rt, op, qt, queue_push(q, op));
}

int dmtr_flush(void) {
    API_RUNTIME(rt);
    if (turn_has_unsent(rt)) turn_flush(rt, clock_now_ns());
    runtime_event_sync(rt);
    return 0;
}

int dmtr_pop(dmtr_qtoken_t *qt_out, int qd) {
    API_RUNTIME_UNCOUNTED(rt);
    API_OPEN_QUEUE(rt, q, qd);
    if (!qt_out) return EINVAL;
    return q->ops->pop_call ? q->ops->pop_call(q, qt_out) : queue_call_pop(q, 0, 0, qt_out);
}

int dmtr_pop2(dmtr_qtoken_t *qt_out, int qd, size_t count) {
    API_RUNTIME_UNCOUNTED(rt);
    if (!count) return EINVAL;
    API_OPEN_QUEUE(rt, q, qd);
    if (!qt_out) return EINVAL;
    return queue_call_pop(q, count, OP_LIMITED, qt_out);
}

int dmtr_async_close(dmtr_qtoken_t *qt_out, int qd) {
    API_QUEUE(rt, q, qd);
    if (!qt_out) return EINVAL;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_CLOSE, &op);
    if (r) return -r;
    queue_close(q, op);
    return queue_begun(rt, op, 0, qt_out);
}

int dmtr_watch(dmtr_qtoken_t *qt_out, int fd, uint32_t events) {
    API_RUNTIME(rt);
    if (!qt_out) return EINVAL;
    struct op *op;
    int r = watch_begin(rt, fd, events, &op);
    return r ? -r : queue_begun(rt, op, 0, qt_out);
}

int dmtr_timer(dmtr_qtoken_t *qt_out, uint64_t ns) {
    API_RUNTIME(rt);
    if (!qt_out) return EINVAL;
    struct op *op;
    int r = timer_begin(rt, ns, 0, &op);
    return r ? -r : queue_begun(rt, op, 0, qt_out);
}

int dmtr_timer_periodic(dmtr_qtoken_t *qt_out, uint64_t ns, uint64_t period_ns) {
    API_RUNTIME(rt);
    if (!qt_out || !period_ns) return EINVAL;
    struct op *op;
    int r = timer_begin(rt, ns, period_ns, &op);
    return r ? -r : queue_begun(rt, op, 0, qt_out);
}
