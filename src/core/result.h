/* SPDX-License-Identifier: MIT */
/* How results are returned to the program. */
#ifndef CORE_RESULT_H
#define CORE_RESULT_H

#include "core/op.h"

#include <string.h>

/* The rest of a result: of all but a push, and a pop of one segment. The slot was given back last of all. */
int result_rest(struct dmtr_runtime *rt, struct op *op, dmtr_qresult_t *qr);

/*
 * Hands the result of a READY operation out; the token is used up. The operation's error. runtime_event_sync is to
 * follow. The order is such that nothing is left to do after the rare call at its end.
 */
static inline int result_take(struct dmtr_runtime *rt, struct op *op, dmtr_qresult_t *qr) {
    memcpy(qr, &op->opcode, offsetof(dmtr_qresult_t, qr_user) + sizeof qr->qr_user);
    /* Not list_remove: the link is not looked at again. */
    op->link.prev->next = op->link.next;
    op->link.next->prev = op->link.prev;
    rt->ops_outstanding--;
    rt->turn.left--;
    op_give_back(rt, op);
    if (qr->qr_opcode == DMTR_OPC_PUSH) return qr->qr_error;
    memcpy(&qr->qr_value.sga, &op->sga, offsetof(dmtr_sgarray_t, sga_segs) + sizeof op->sga.sga_segs[0]);
    if (likely(qr->qr_opcode == DMTR_OPC_POP && op->sga.sga_numsegs == 1 && op->sga.sga_addrlen == 0))
        return qr->qr_error;
    return result_rest(rt, op, qr);
}

#endif
