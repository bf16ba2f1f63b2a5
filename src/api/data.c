/* SPDX-License-Identifier: MIT */
/* Data path: operations begun, each with its token. */
#include "api/api.h"
#include "core/fast.h"
#include "core/sga.h"
#include "core/watch.h"
#include "dmtr/libos.h"
#include "dmtr/wait.h"

#include <string.h>

/* After the kind was asked to begin op: its token, or the slot given back. */
static inline int begun(struct dmtr_runtime *rt, struct op *op, int r, dmtr_qtoken_t *qt_out) {
    if (r) {
        op_free(rt, op);
        return -r;
    }
    *qt_out = op->token;
    runtime_event_sync(rt);
    return 0;
}

int dmtr_accept(dmtr_qtoken_t *qt_out, int qd) {
    API_QUEUE(rt, q, qd);
    if (!qt_out) return EINVAL;
    if (!q->ops->socket) return ENOTSOCK;
    if (!q->ops->accept) return EOPNOTSUPP;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_ACCEPT, &op);
    return r ? -r : begun(rt, op, q->ops->accept(q, op), qt_out);
}

int dmtr_connect(dmtr_qtoken_t *qt_out, int qd, const struct sockaddr *saddr, socklen_t size) {
    API_QUEUE(rt, q, qd);
    if (!qt_out || !saddr || size < sizeof saddr->sa_family) return EINVAL;
    if (!q->ops->socket) return ENOTSOCK;
    if (!q->ops->connect) return EOPNOTSUPP;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_CONNECT, &op);
    return r ? -r : begun(rt, op, q->ops->connect(q, op, saddr, size), qt_out);
}

/* A queue in memory runs nobody else's code; others may be operators with callbacks, and take longer. */
static inline int begin_push(struct dmtr_runtime *rt, struct queue *q, struct op *op) {
    if (likely(q->ops->owns_pushed)) return q->ops->push(q, op);
    rt->calls++;
    int r = queue_push(q, op);
    rt->calls--;
    return r;
}

static inline int begin_pop(struct dmtr_runtime *rt, struct queue *q, struct op *op) {
    if (likely(q->ops->owns_pushed)) return queue_begin_pop(q, op);
    rt->calls++;
    int r = queue_pop(q, op);
    rt->calls--;
    return r;
}

int dmtr_push(dmtr_qtoken_t *qt_out, int qd, const dmtr_sgarray_t *sga) {
    API_RUNTIME_UNCOUNTED(rt);
    API_OPEN_QUEUE(rt, q, qd);
    if (!qt_out || !sga || !sga_valid(sga)) return EINVAL;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_PUSH, &op);
    if (r) return -r;
    sga_copy_segments(&op->sga, sga);
    op->sga.sga_addrlen = 0;
    return begun(rt, op, begin_push(rt, q, op), qt_out);
}

int dmtr_pushto(dmtr_qtoken_t *qt_out, int qd, const dmtr_sgarray_t *sga, const struct sockaddr *saddr,
                socklen_t size) {
    API_QUEUE(rt, q, qd);
    if (!qt_out || !sga || !sga_valid(sga) || !saddr) return EINVAL;
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
    memcpy(&op->sga.sga_addr6, saddr, op->sga.sga_addrlen);
    op->flags |= OP_TO;
    return begun(rt, op, queue_push(q, op), qt_out);
}

static inline int pop(dmtr_qtoken_t *qt_out, int qd, size_t count, uint16_t flags) {
    API_RUNTIME_UNCOUNTED(rt);
    API_OPEN_QUEUE(rt, q, qd);
    if (!qt_out) return EINVAL;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_POP, &op);
    if (r) return -r;
    op->bytes = count;
    op->flags = flags;
    sga_clear(&op->sga);
    return begun(rt, op, begin_pop(rt, q, op), qt_out);
}

int dmtr_pop(dmtr_qtoken_t *qt_out, int qd) {
    return pop(qt_out, qd, 0, 0);
}

int dmtr_pop2(dmtr_qtoken_t *qt_out, int qd, size_t count) {
    return count ? pop(qt_out, qd, count, OP_LIMITED) : EINVAL;
}

int dmtr_async_close(dmtr_qtoken_t *qt_out, int qd) {
    API_QUEUE(rt, q, qd);
    if (!qt_out) return EINVAL;
    struct op *op;
    int r = op_begin(rt, q, DMTR_OPC_CLOSE, &op);
    if (r) return -r;
    queue_close(q, op);
    return begun(rt, op, 0, qt_out);
}

int dmtr_watch(dmtr_qtoken_t *qt_out, int fd, uint32_t events) {
    API_RUNTIME(rt);
    if (!qt_out) return EINVAL;
    struct op *op;
    int r = watch_begin(rt, fd, events, &op);
    return r ? -r : begun(rt, op, 0, qt_out);
}

int dmtr_timer(dmtr_qtoken_t *qt_out, uint64_t ns) {
    API_RUNTIME(rt);
    if (!qt_out) return EINVAL;
    struct op *op;
    int r = timer_begin(rt, ns, &op);
    return r ? -r : begun(rt, op, 0, qt_out);
}
