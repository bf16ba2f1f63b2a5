/* SPDX-License-Identifier: MIT */
/* Accepted connections. */
#include "core/accept.h"

#include "core/completion.h"
#include "core/framing.h"

#include <string.h>

void queue_accepted(struct op *op, struct queue *fresh, const struct sockaddr *addr, socklen_t len) {
    struct queue *listener = op->q;
    int r = queue_open(fresh);
    if (!r && listener->frame_accepted) r = framing_new(fresh, &fresh->framing);
    if (r) {
        queue_close(fresh, NULL);
        op_complete(listener->rt, op, r);
        return;
    }
    fresh->push_acked = listener->push_acked;
    fresh->push_limit_bytes = listener->push_limit_bytes;
    op->ares.qd = fresh->qd;
    op->ares.len = len < sizeof op->ares.addr6 ? len : sizeof op->ares.addr6;
    memcpy(&op->ares.addr6, addr, op->ares.len);
    op_complete(listener->rt, op, 0);
}
