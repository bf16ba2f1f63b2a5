/* SPDX-License-Identifier: MIT */
/* How results are returned to the program. */
#ifndef CORE_RESULT_H
#define CORE_RESULT_H

#include "core/op.h"

#include <string.h>

/* Fills in the rest of a result, except for pushes and pops of one segment. The slot is already free. */
int result_rest(struct dmtr_runtime *rt, struct op *op, dmtr_qresult_t *qr);

/*
 * Moves the result of a READY operation to qr and frees the slot; the token becomes stale. Returns the operation's
 * error. The caller then calls runtime_event_sync. The rare call comes last, so that it is a tail call.
 */
static inline int result_take(struct dmtr_runtime *rt, struct op *op, dmtr_qresult_t *qr) {
    memcpy(qr, &op->opcode, offsetof(dmtr_qresult_t, qr_user) + sizeof qr->qr_user);
    /* Not list_remove: the link is not used again, so it need not be reset. */
    op->link.prev->next = op->link.next;
    op->link.next->prev = op->link.prev;
    rt->ops_outstanding--;
    rt->turn.left--;
    op_give_back(rt, op);
    if (qr->qr_opcode == DMTR_OPC_PUSH) return qr->qr_error;
    memcpy(&qr->qr_value.sga, &op->sga, offsetof(dmtr_sgarray_t, sga_segs) + sizeof op->sga.sga_segs[0]);
    if (likely(qr->qr_opcode == DMTR_OPC_POP && op->sga.sga_numsegs == 1 && op->sga.sga_addrlen == 0))
        return qr->qr_error;
    if (qr->qr_opcode != DMTR_OPC_POP || op->sga.sga_numsegs != 1) return result_rest(rt, op, qr);
    qr->qr_value.sga.sga_addr6 = op->sga.sga_addr6;
    return qr->qr_error;
}

#endif
