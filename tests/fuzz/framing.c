/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: framing. The input is decisions and, after them, a stream of bytes; the stream reaches core/framing.c
 * through a queue of this file's own, in pieces, with delays and passing errors as the decisions say. What the pops
 * give is compared with a plain parser of the whole stream; at the end nothing may be outstanding or held.
 */
#include "core/framing.h"
#include "core/completion.h"
#include "core/wait.h"
#include "fuzz.h"
#include "leaks.h"
#include "libos/registry.h"

#include <arpa/inet.h>

#define POPS_MAX      8  /* outstanding at a time */
#define DECISIONS_MAX 64 /* of an input; all further bytes are the stream */
#define PIECES_MAX    4  /* segments of one received array */
#define ROUNDS_MAX    10000

/* The stream queue under the framing: gives what `fed` lets it, then end_error (0: the end of the stream). */
struct source {
    struct queue q;
    const uint8_t *data;
    size_t len, at, fed;
    struct input *decisions;
    int end_error;
    bool ended;
    struct op *waiting;
    unsigned passing_errors; /* given, and not yet seen in a result */
    bool closed;
};

/* The plain parser. A message that does not fit a pop stays, so nothing moves before the caller says so. */
struct plain {
    const uint8_t *data;
    size_t len, at;
    uint64_t max_bytes;
    int end_error, error;
};

struct message {
    uint32_t segs;
    const uint8_t *data[DMTR_SGARRAY_MAXSIZE];
    uint32_t len[DMTR_SGARRAY_MAXSIZE];
    uint64_t bytes;
    size_t end; /* of it in the stream; unchanged at the stream's end */
};

static struct dmtr_runtime *rt;

static uint32_t word_at(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return ntohl(word);
}

/* The next message from p->at on: 0 (no segments: the end), or the negative errno that ends the stream. */
static int plain_next(const struct plain *p, struct message *m) {
    const int cut = p->end_error ? p->end_error : -ECONNRESET;
    size_t at = p->at, left = p->len - at;
    *m = (struct message){.end = at};
    if (!left) return p->end_error;
    if (left < 12) return cut;
    uint32_t bytes = word_at(p->data + at + 4), segs = word_at(p->data + at + 8);
    if (word_at(p->data + at) != DMTR_HEADER_MAGIC || segs == 0 || segs > DMTR_SGARRAY_MAXSIZE) return -EILSEQ;
    if (bytes < 4 * segs || bytes - 4 * segs > p->max_bytes) return -EILSEQ;
    uint64_t payload = bytes - 4 * segs;
    at += 12;
    for (; m->segs < segs; m->segs++) {
        if (p->len - at < 4) return cut;
        uint32_t len = word_at(p->data + at);
        at += 4;
        bool last = m->segs + 1 == segs;
        if (len > payload || (last && len != payload)) return -EILSEQ;
        if (p->len - at < len) return cut;
        m->data[m->segs] = p->data + at;
        m->len[m->segs] = len;
        m->bytes += len;
        payload -= len;
        at += len;
    }
    m->end = at;
    return 0;
}

/* Up to PIECES_MAX pieces of one allocation, as a backend gives them, the whole of it counted once for each piece. */
static void fill(struct source *s, dmtr_sgarray_t *sga, size_t len) {
    char *block = heap_alloc(len);
    must(block);
    memcpy(block, s->data + s->at, len);
    s->at += len;
    uint32_t pieces = 1u + take_byte(s->decisions) % PIECES_MAX;
    size_t each = len / pieces ? len / pieces : 1;
    sga->sga_buf = NULL;
    sga->sga_addrlen = 0;
    sga->sga_numsegs = 0;
    for (size_t at = 0; at < len;) {
        size_t n = sga->sga_numsegs + 1 == pieces || len - at < each ? len - at : each;
        if (at) must(heap_share(block));
        sga->sga_segs[sga->sga_numsegs++] = (dmtr_sgaseg_t){.sgaseg_buf = block + at, .sgaseg_len = (uint32_t)n};
        at += n;
    }
}

static void source_serve(struct source *s) {
    struct op *op = s->waiting;
    size_t len = s->fed - s->at;
    if (!op || (!len && !s->ended)) return;
    s->waiting = NULL;
    if (len) fill(s, &op->sga, len);
    op_complete(rt, op, len ? 0 : s->end_error);
}

static int source_pop(struct queue *q, struct op *op) {
    struct source *s = list_entry(q, struct source, q);
    uint8_t decision = take_byte(s->decisions);
    must(!s->waiting && !s->closed);
    if (decision % 16 == 15) { /* refused, or failed later, for want of memory */
        s->passing_errors++;
        if (decision & 16) return -ENOBUFS;
        op_complete(rt, op, -ENOMEM);
        return 0;
    }
    s->waiting = op;
    if (decision & 1) source_serve(s);
    return 0;
}

static void source_close(struct queue *q, struct op *op) {
    struct source *s = list_entry(q, struct source, q);
    must(!op);
    s->closed = true;
    if (s->waiting) op_complete(rt, s->waiting, -ECANCELED);
    s->waiting = NULL;
}

static const struct queue_ops source_ops = {
    .backend = "fuzz", .stream = true, .pop = source_pop, .close = source_close};

struct pop {
    dmtr_qtoken_t qt;
    uint64_t limit; /* 0: none */
};

struct run {
    struct source source;
    struct plain plain;
    struct pop pops[POPS_MAX]; /* outstanding, oldest first */
    uint32_t count;
};

static void begin_pop(struct run *run, uint64_t limit) {
    struct op *op;
    if (run->count == POPS_MAX) return;
    must(op_new(rt, &run->source.q, DMTR_OPC_POP, &op) == 0);
    op->bytes = limit;
    op->flags = limit ? OP_LIMITED : 0;
    run->pops[run->count++] = (struct pop){.qt = op->token, .limit = limit};
    must(queue_pop(&run->source.q, op) == 0);
}

static void forget_pop(struct run *run, uint32_t i) {
    memmove(&run->pops[i], &run->pops[i + 1], (--run->count - i) * sizeof run->pops[0]);
}

static void equal(const dmtr_sgarray_t *sga, const struct message *m) {
    must(sga->sga_numsegs == m->segs);
    for (uint32_t i = 0; i < m->segs; i++) {
        must(sga->sga_segs[i].sgaseg_len == m->len[i]);
        must(!m->len[i] || memcmp(sga->sga_segs[i].sgaseg_buf, m->data[i], m->len[i]) == 0);
    }
}

/* The result of the oldest pop against the plain parser. */
static void check_result(struct run *run, const struct pop *pop, dmtr_qresult_t *qr) {
    struct message m;
    if ((qr->qr_error == ENOMEM || qr->qr_error == ENOBUFS) && run->source.passing_errors) {
        run->source.passing_errors--;
        return;
    }
    struct plain *p = &run->plain;
    if (!p->error) p->error = plain_next(p, &m);
    if (p->error) {
        must(qr->qr_error == -p->error);
        return;
    }
    if (pop->limit && m.bytes > pop->limit) {
        must(qr->qr_error == EMSGSIZE);
        return;
    }
    must(qr->qr_error == 0);
    equal(&qr->qr_value.sga, &m);
    must(sga_release(&qr->qr_value.sga) == 0);
    p->at = m.end;
}

/* Fetches what is complete, which is always the oldest. */
static void fetch(struct run *run) {
    while (run->count) {
        dmtr_qresult_t qr;
        int r = wait_poll(rt, run->pops[0].qt, &qr);
        if (r == -EAGAIN) return;
        must(r == 0);
        struct pop pop = run->pops[0];
        forget_pop(run, 0);
        check_result(run, &pop, &qr);
    }
}

/* A complete pop that is dropped takes its message with it, so only pops that wait are. */
static void drop(struct run *run, uint32_t which) {
    fetch(run);
    if (!run->count) return;
    which %= run->count;
    must(wait_drop(rt, run->pops[which].qt) == 0);
    forget_pop(run, which);
}

static void step(struct run *run, uint8_t decision) {
    struct source *s = &run->source;
    size_t left = s->len - s->fed, n = decision >> 2;
    switch (decision & 3) {
    case 0:
        begin_pop(run, n);
        break;
    case 1:
        n = n == 63 ? left : n;
        s->fed += n < left ? n : left;
        source_serve(s);
        break;
    case 2:
        fetch(run);
        break;
    default:
        drop(run, (uint32_t)n);
    }
}

/* All has come: every pop ends, and a last one finds the end, an error, or a message. */
static void finish(struct run *run) {
    struct source *s = &run->source;
    s->fed = s->len;
    s->ended = true;
    begin_pop(run, 0);
    for (int i = 0; run->count; i++) {
        must(i < ROUNDS_MAX);
        source_serve(s);
        fetch(run);
    }
}

static void begin(struct run *run, struct input *in) {
    static const uint64_t limits[] = {1, 16, 4096, 16777216};
    static const int ends[] = {0, 0, -ECONNRESET, -ETIMEDOUT};
    uint8_t first = take_byte(in);
    rt->config.frame_max_bytes = limits[first & 3];
    queue_init(&run->source.q, rt, &source_ops);
    run->source.end_error = run->plain.end_error = ends[first >> 2 & 3];
    run->plain.max_bytes = rt->config.frame_max_bytes;
    must(queue_open(&run->source.q) == 0);
    must(framing_new(&run->source.q, &run->source.q.framing) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    struct config config;
    (void)argc, (void)argv;
    config_init(&config, libos_option_groups);
    config.stats_share = false;
    config.log_sink = LOG_SINK_NONE;
    must(runtime_new(&rt, &config) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t decisions = size < DECISIONS_MAX ? size : DECISIONS_MAX;
    struct input in = {.data = data, .left = decisions};
    struct run run = {.source = {.data = data + decisions, .len = size - decisions, .decisions = &in},
                      .plain = {.data = data + decisions, .len = size - decisions}};
    uint64_t used = heap_used();
    uint8_t last = take_byte(&in);
    begin(&run, &in);
    while (in.left)
        step(&run, take_byte(&in));
    if (last & 1) finish(&run);
    queue_close(&run.source.q, NULL);
    for (uint32_t i = 0; i < run.count; i++)
        must(wait_drop(rt, run.pops[i].qt) == 0);
    while (!list_empty(&rt->internal))
        runtime_run_internal(rt);
    must(run.source.closed && rt->ops_outstanding == 0 && list_empty(&rt->ready));
    must(heap_used() == used);
    return 0;
}
