/* SPDX-License-Identifier: MIT */
/* Converts structures in both directions, and allocates and releases arrays. */
#include "convert.h"

#include <demi/sga.h>
#include <errno.h>
#include <string.h>

_Static_assert(sizeof(demi_sgaseg_t) == 12, "binary interface");
_Static_assert(sizeof(demi_sgarray_t) == 40, "binary interface");
_Static_assert(sizeof(demi_accept_result_t) == 20, "binary interface");
_Static_assert(sizeof(demi_qresult_t) == 64, "binary interface");
_Static_assert(sizeof(struct demi_args) == 20, "binary interface");

static const demi_opcode_t opcodes[] = {
    [DMTR_OPC_INVALID] = DEMI_OPC_INVALID,
    [DMTR_OPC_PUSH] = DEMI_OPC_PUSH,
    [DMTR_OPC_POP] = DEMI_OPC_POP,
    [DMTR_OPC_ACCEPT] = DEMI_OPC_ACCEPT,
    [DMTR_OPC_CONNECT] = DEMI_OPC_CONNECT,
    [DMTR_OPC_CLOSE] = DEMI_OPC_CLOSE,
    [DMTR_OPC_WATCH] = DEMI_OPC_INVALID,
    [DMTR_OPC_TIMER] = DEMI_OPC_INVALID,
    [DMTR_OPC_PUSH_FAILED] = DEMI_OPC_INVALID,
};

/* Describes the memory of from by a dmtr_sgarray_t. */
static void sga_describe(dmtr_sgarray_t *to, const demi_sgarray_t *from) {
    to->sga_buf = from->sga_buf;
    to->sga_numsegs = from->sga_numsegs;
    to->sga_addrlen = 0;
    to->sga_segs[0].sgaseg_buf = from->sga_segs[0].sgaseg_buf;
    to->sga_segs[0].sgaseg_len = from->sga_segs[0].sgaseg_len;
}

int convert_sga_in(dmtr_sgarray_t *to, const demi_sgarray_t *from) {
    const uint32_t len = from->sga_segs[0].sgaseg_len;
    if (from->sga_numsegs != 1 || len == 0 || len > DEMI_SGASEG_MAXLEN) return EINVAL;
    sga_describe(to, from);
    return 0;
}

/* Replaces the segments by one that holds all their bytes. 0 or a positive errno. */
static int join(dmtr_sgarray_t *sga) {
    size_t len;
    int r = dmtr_sgalen(&len, sga);
    if (r) return r;
    dmtr_sgarray_t whole = dmtr_sgaalloc(len);
    if (len > 0 && whole.sga_numsegs == 0) return ENOMEM;
    char *end = whole.sga_buf;
    for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
        const dmtr_sgaseg_t *seg = &sga->sga_segs[i];
        if (seg->sgaseg_len == 0) continue;
        memcpy(end, seg->sgaseg_buf, seg->sgaseg_len);
        end += seg->sgaseg_len;
    }
    r = dmtr_sgafree(sga);
    sga->sga_buf = whole.sga_buf;
    sga->sga_numsegs = whole.sga_numsegs;
    sga->sga_segs[0] = whole.sga_segs[0];
    return r;
}

/* Makes one segment of a popped array. An array without segments, the end of a stream, becomes an empty segment. */
static int popped(demi_sgarray_t *to, dmtr_sgarray_t *from) {
    int r = from->sga_numsegs > 1 ? join(from) : 0;
    if (r) {
        dmtr_sgafree(from);
        return r;
    }
    to->sga_buf = from->sga_buf;
    to->sga_numsegs = 1;
    if (from->sga_numsegs) {
        to->sga_segs[0].sgaseg_buf = from->sga_segs[0].sgaseg_buf;
        to->sga_segs[0].sgaseg_len = from->sga_segs[0].sgaseg_len;
    }
    if (from->sga_addrlen && from->sga_addr.sin_family == AF_INET) to->sga_addr = from->sga_addr;
    return 0;
}

static void accepted(demi_accept_result_t *to, const dmtr_accept_result_t *from) {
    to->qd = from->qd;
    if (from->addr.sin_family == AF_INET) {
        to->addr = from->addr;
        return;
    }
    to->addr.sin_family = from->addr6.sin6_family;
    to->addr.sin_port = from->addr6.sin6_port;
}

void convert_result(demi_qresult_t *to, dmtr_qresult_t *from) {
    int error = from->qr_error;
    memset(to, 0, sizeof *to);
    to->qr_opcode = opcodes[from->qr_opcode];
    to->qr_qd = from->qr_qd;
    to->qr_qt = from->qr_qt;
    if (!error && from->qr_opcode == DMTR_OPC_POP) error = popped(&to->qr_value.sga, &from->qr_value.sga);
    if (!error && from->qr_opcode == DMTR_OPC_ACCEPT) accepted(&to->qr_value.ares, &from->qr_value.ares);
    if (error) {
        to->qr_opcode = DEMI_OPC_FAILED;
        to->qr_ret = error;
    }
}

demi_sgarray_t demi_sgaalloc(size_t size) {
    demi_sgarray_t sga;
    memset(&sga, 0, sizeof sga);
    if (size == 0 || size > DEMI_SGASEG_MAXLEN) return sga;
    dmtr_sgarray_t from = dmtr_sgaalloc(size);
    sga.sga_buf = from.sga_buf;
    sga.sga_numsegs = from.sga_numsegs;
    if (from.sga_numsegs) {
        sga.sga_segs[0].sgaseg_buf = from.sga_segs[0].sgaseg_buf;
        sga.sga_segs[0].sgaseg_len = from.sga_segs[0].sgaseg_len;
    }
    return sga;
}

int demi_sgafree(demi_sgarray_t *sga) {
    if (!sga || sga->sga_numsegs > DEMI_SGARRAY_MAXSIZE) return EINVAL;
    dmtr_sgarray_t whole;
    sga_describe(&whole, sga);
    int r = dmtr_sgafree(&whole);
    if (!r) memset(sga, 0, sizeof *sga);
    return r;
}
