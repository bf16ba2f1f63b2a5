/* SPDX-License-Identifier: MIT */
/* The slow path of result_take: results other than pushes and pops of one segment. */
#include "core/result.h"

#include "core/sga.h"
#include "core/watch.h"

/* Not inlined: otherwise dmtr_wait would save registers for each result. */
__attribute__((noinline)) int result_rest(struct dmtr_runtime *rt, struct op *op, dmtr_qresult_t *qr) {
    if (op->opcode == DMTR_OPC_POP && !op->error) sga_copy(&qr->qr_value.sga, &op->sga);
    if (op->opcode == DMTR_OPC_ACCEPT) qr->qr_value.ares = op->ares;
    if (op->opcode == DMTR_OPC_WATCH) qr->qr_value.events = op->events;
    if (op->opcode == DMTR_OPC_TIMER) qr->qr_value.expirations = timer_returned(rt, op);
    if (op->opcode == DMTR_OPC_PUSH_FAILED) qr->qr_value.failures = op->bytes;
    return qr->qr_error;
}
