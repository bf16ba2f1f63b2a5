/* SPDX-License-Identifier: MIT */
/* The shadow of a runtime. */
#include "shadow.h"

#include <errno.h>

struct shadow shadow;

struct shadow_queue *shadow_pick(struct input *in) {
    uint8_t which = take_byte(in);
    return shadow.queues_len ? &shadow.queues[which % shadow.queues_len] : NULL;
}

struct shadow_token *shadow_pick_token(struct input *in) {
    uint8_t which = take_byte(in);
    return shadow.tokens_len ? &shadow.tokens[which % shadow.tokens_len] : NULL;
}

static bool is_open(int qd) {
    for (uint32_t i = 0; i < shadow.queues_len; i++)
        if (shadow.queues[i].qd == qd) return true;
    return false;
}

void shadow_opened(int qd, enum kind kind) {
    int valid = 0;
    must(qd >= 0 && !is_open(qd));
    must(dmtr_is_qd_valid(&valid, qd) == 0 && valid);
    if (shadow.queues_len == QUEUES_MAX) {
        must(dmtr_close(qd) == 0);
        return;
    }
    struct shadow_queue *q = &shadow.queues[shadow.queues_len++];
    q->qd = qd;
    q->kind = kind;
    q->bound = false;
    q->exact = kind == KIND_MEMORY;
    q->head = q->count = 0;
}

static bool accepting(void) {
    for (uint32_t i = 0; i < shadow.tokens_len; i++)
        if (shadow.tokens[i].opcode == DMTR_OPC_ACCEPT) return true;
    return false;
}

/* A connection accepted while the queue is being closed may have its number already. */
void shadow_closed(struct shadow_queue *q) {
    int valid = 1;
    must(dmtr_is_qd_valid(&valid, q->qd) == 0 && (!valid || accepting()));
    for (uint32_t i = 0; q->exact && i < shadow.tokens_len; i++) {
        struct shadow_token *t = &shadow.tokens[i];
        if (t->qd != q->qd || t->foretold != FORETOLD_PENDING) continue;
        t->foretold = FORETOLD_READY;
        t->error = ECANCELED;
    }
    memmove(q, q + 1, (size_t)(&shadow.queues[shadow.queues_len--] - (q + 1)) * sizeof *q);
}

void shadow_share(struct shadow_queue *q) {
    q->exact = false;
    for (uint32_t i = 0; i < shadow.tokens_len; i++)
        if (shadow.tokens[i].qd == q->qd && shadow.tokens[i].foretold == FORETOLD_PENDING)
            shadow.tokens[i].foretold = FORETOLD_NOT;
}

static struct shadow_token *token_find(dmtr_qtoken_t qt) {
    for (uint32_t i = 0; i < shadow.tokens_len; i++)
        if (shadow.tokens[i].qt == qt) return &shadow.tokens[i];
    return NULL;
}

/* Used up: it names nothing any more. */
static void token_forget(struct shadow_token *t) {
    dmtr_qresult_t qr;
    must(dmtr_poll(&qr, t->qt) == EINVAL && qr.qr_qt == 0);
    must(dmtr_drop(t->qt) == EINVAL);
    memmove(t, t + 1, (size_t)(&shadow.tokens[shadow.tokens_len--] - (t + 1)) * sizeof *t);
}

struct shadow_token *shadow_begun(const struct shadow_queue *q, dmtr_opcode_t opcode, dmtr_qtoken_t qt) {
    must(qt != 0 && !token_find(qt) && shadow.tokens_len < TOKENS_MAX);
    struct shadow_token *t = &shadow.tokens[shadow.tokens_len++];
    *t = (struct shadow_token){.qt = qt, .opcode = opcode, .qd = q ? q->qd : -1};
    return t;
}

/* A waiting pop meets an element: true if it takes it, else it ends because it asked for less. */
static bool meet(struct shadow_token *t, const struct element *e) {
    bool fits = !t->limit || e->bytes <= t->limit;
    t->foretold = FORETOLD_READY;
    t->error = fits ? 0 : EMSGSIZE;
    t->stamp = e->stamp;
    return fits;
}

void shadow_pop(struct shadow_queue *q, dmtr_qtoken_t qt, uint64_t limit) {
    struct shadow_token *t = shadow_begun(q, DMTR_OPC_POP, qt);
    t->limit = limit;
    if (!q->exact) return;
    t->foretold = FORETOLD_PENDING;
    if (!q->count || !meet(t, &q->elements[q->head])) return;
    q->head++;
    q->count--;
}

void shadow_push(struct shadow_queue *q, dmtr_qtoken_t qt, uint32_t bytes) {
    struct shadow_token *t = shadow_begun(q, DMTR_OPC_PUSH, qt);
    const struct element e = {.stamp = shadow.stamp, .bytes = bytes};
    if (!q->exact) return;
    t->foretold = FORETOLD_READY;
    for (uint32_t i = 0; i < shadow.tokens_len; i++) {
        struct shadow_token *pop = &shadow.tokens[i];
        if (pop->qd == q->qd && pop->foretold == FORETOLD_PENDING && meet(pop, &e)) return;
    }
    must(q->head + q->count < ELEMENTS_MAX);
    q->elements[q->head + q->count++] = e;
}

static void check_message(const struct shadow_token *t, const dmtr_sgarray_t *sga) {
    uint32_t stamp;
    must(sga->sga_numsegs <= DMTR_SGARRAY_MAXSIZE);
    if (t->foretold == FORETOLD_NOT) return;
    must(sga->sga_numsegs > 0 && sga->sga_segs[0].sgaseg_len >= sizeof stamp);
    memcpy(&stamp, sga->sga_segs[0].sgaseg_buf, sizeof stamp);
    must(stamp == t->stamp);
}

void shadow_result(int r, dmtr_qresult_t *qr) {
    struct shadow_token *t = token_find(qr->qr_qt);
    must(t && t->opcode == qr->qr_opcode && t->qd == qr->qr_qd && r == qr->qr_error && r >= 0);
    must(t->foretold != FORETOLD_PENDING);
    must(t->foretold == FORETOLD_NOT || t->error == qr->qr_error);
    struct shadow_token token = *t;
    token_forget(t);
    if (r) return;
    if (token.opcode == DMTR_OPC_ACCEPT) shadow_opened(qr->qr_value.ares.qd, KIND_STREAM);
    if (token.opcode != DMTR_OPC_POP) return;
    check_message(&token, &qr->qr_value.sga);
    must(dmtr_sgafree(&qr->qr_value.sga) == 0);
}

void shadow_nothing(void) {
    for (uint32_t i = 0; i < shadow.tokens_len; i++)
        must(shadow.tokens[i].foretold != FORETOLD_READY);
}

void shadow_dropped(struct shadow_token *t) {
    token_forget(t);
}

void shadow_clear(void) {
    shadow.queues_len = shadow.tokens_len = shadow.stamp = 0;
}
