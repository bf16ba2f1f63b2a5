/* SPDX-License-Identifier: MIT */
/* The library's own socket options (DMTR_SOL_QUEUE), the same for every kind of queue. */
#include "core/framing.h"
#include "core/queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int set_framed(struct queue *q, int on) {
    if (!q->ops->stream) return -EOPNOTSUPP;
    if (q->ops->accept) q->frame_accepted = on != 0;
    if (!on == !q->framing) return 0;
    if (q->pushes || q->pops) return -EBUSY;
    if (on) return framing_new(q, &q->framing);
    q->framing->close(q->framing);
    q->framing = NULL;
    return 0;
}

static int set_own(struct queue *q, int name, const void *value, socklen_t len) {
    int flag = 0;
    uint64_t limit = 0;
    switch (name) {
    case DMTR_SO_FRAMED:
    case DMTR_SO_PUSH_ACKED:
        if (len != sizeof flag) return -EINVAL;
        memcpy(&flag, value, sizeof flag);
        if (name == DMTR_SO_FRAMED) return set_framed(q, flag);
        q->push_acked = flag != 0;
        return 0;
    case DMTR_SO_PUSH_LIMIT:
        if (len != sizeof limit) return -EINVAL;
        memcpy(&limit, value, sizeof limit);
        if (limit == 0 || limit < q->push_outstanding_bytes) return -EINVAL;
        q->push_limit_bytes = limit;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int give(void *value, socklen_t *len, const void *from, size_t size) {
    if (*len < size) return -EINVAL;
    memcpy(value, from, size);
    *len = (socklen_t)size;
    return 0;
}

static int get_own(struct queue *q, int name, void *value, socklen_t *len) {
    struct dmtr_queue_info info = {.pushes = q->pushes, .pops = q->pops, .copies = q->copies, .syscalls = q->syscalls};
    int framed = q->framing || q->frame_accepted, acked = q->push_acked;
    switch (name) {
    case DMTR_SO_FRAMED:
        return give(value, len, &framed, sizeof framed);
    case DMTR_SO_PUSH_ACKED:
        return give(value, len, &acked, sizeof acked);
    case DMTR_SO_PUSH_LIMIT:
        return give(value, len, &q->push_limit_bytes, sizeof q->push_limit_bytes);
    case DMTR_SO_INFO:
        snprintf(info.backend, sizeof info.backend, "%s", q->ops->backend);
        return give(value, len, &info, sizeof info);
    default:
        return -ENOPROTOOPT;
    }
}

int queue_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len) {
    if (level == DMTR_SOL_QUEUE) return set_own(q, name, value, len);
    if (!q->ops->setsockopt) return q->ops->socket ? -ENOPROTOOPT : -ENOTSOCK;
    return q->ops->setsockopt(q, level, name, value, len);
}

int queue_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len) {
    if (level == DMTR_SOL_QUEUE) return get_own(q, name, value, len);
    if (!q->ops->getsockopt) return q->ops->socket ? -ENOPROTOOPT : -ENOTSOCK;
    return q->ops->getsockopt(q, level, name, value, len);
}
