/* SPDX-License-Identifier: MIT */
/*
 * The fast paths of dmtr_push and dmtr_pop on a stream. They handle the usual case, with the same effect as
 * queue_call_push and queue_call_pop, and call these functions in every other case.
 */
#include "libos/socket/stream.h"

#include "mem/heap.h"

static inline bool is_usual(const struct stream *s) {
    return s->state == STREAM_CONNECTED && !s->q.framing && !s->set->lost && queue_may_take(s->q.rt);
}

/* One segment, which lies in the heap and fits; nothing waits before it; and the stack takes it. */
int stream_push_call(struct queue *q, const dmtr_sgarray_t *sga, dmtr_qtoken_t *qt_out) {
    struct stream *s = stream_of_queue(q);
    const void *base = sga->sga_segs[0].sgaseg_buf;
    uint32_t len = sga->sga_segs[0].sgaseg_len;
    bool usual = is_usual(s) && s->transport->takes_holds && !s->shut_write && !s->send_error && !q->push_acked &&
                 list_empty(&s->pushes) && list_empty(&s->sent) && sga->sga_numsegs == 1 &&
                 len - 1 < STREAM_PIECE_BYTES && len <= q->push_limit_bytes - q->push_outstanding_bytes;
    if (unlikely(!usual || !heap_hold(base))) return queue_call_push(q, sga, qt_out);
    struct dmtr_runtime *rt = q->rt;
    rt->calls++;
    uint64_t now = socket_set_begin(s->set);
    int r = s->transport->write(s, base, len, STREAM_WRITE_FIRST | STREAM_WRITE_HELD, now);
    if (unlikely(r < 0)) {
        heap_release(base);
        rt->calls--;
        return queue_call_push(q, sga, qt_out);
    }
    struct op *op = op_take(rt, q, DMTR_OPC_PUSH);
    op->bytes = len;
    queue_count_push(q, op);
    q->pushes++;
    s->written_bytes += len;
    *qt_out = op->token;
    socket_set_written(s->set, op);
    socket_set_pushed(s->set, now);
    rt->calls--;
    return 0;
}

/* Nothing can be popped: the pop waits. */
int stream_pop_call(struct queue *q, dmtr_qtoken_t *qt_out) {
    struct stream *s = stream_of_queue(q);
    if (unlikely(!is_usual(s) || s->shut_read || s->transport->readable(s))) return queue_call_pop(q, 0, 0, qt_out);
    q->rt->calls++;
    list_push_back(&s->waiters, &queue_take_pop(q, qt_out)->link);
    q->rt->calls--;
    return 0;
}
