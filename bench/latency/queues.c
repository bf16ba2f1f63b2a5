/* SPDX-License-Identifier: MIT */
/*
 * In-memory queues and waits. The waits run with many outstanding operations: either one queue is busy among tokens
 * that never complete, which shows the cost of the call, or all complete in turn, which shows the cost of cache misses
 * too.
 */
#include "component.h"

#include <dmtr/dmtr.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define CHUNK 256

static dmtr_sgarray_t message;
static int *queues; /* the busy queues */
static uint64_t queue_count;
static int idle_queue = -1;
static dmtr_qtoken_t *tokens; /* pops of the idle queue, and one of each busy queue */
static uint64_t token_count, busy_at;

static void end_queues(uint64_t unused) {
    (void)unused;
    for (uint64_t i = 0; i < token_count; i++)
        dmtr_drop(tokens[i]);
    for (uint64_t i = 0; i < queue_count; i++)
        dmtr_close(queues[i]);
    if (idle_queue >= 0) dmtr_close(idle_queue);
    free(tokens);
    free(queues);
    tokens = NULL;
    queues = NULL;
    token_count = queue_count = 0;
    idle_queue = -1;
    dmtr_sgafree(&message);
}

static int make_queues(uint64_t n) {
    message = dmtr_sgaalloc(64);
    queues = calloc(n, sizeof *queues);
    if (!queues || message.sga_numsegs == 0) return ENOMEM;
    for (int r; queue_count < n; queue_count++)
        if ((r = dmtr_queue(&queues[queue_count])) != 0) return r;
    return 0;
}

static int begin_queue(uint64_t unused) {
    (void)unused;
    return make_queues(1);
}

/* n tokens, one of them busy, in the middle. */
static int begin_one_busy(uint64_t n) {
    int r = make_queues(1);
    if (r == 0) r = dmtr_queue(&idle_queue);
    if (r != 0) return r;
    tokens = calloc(n, sizeof *tokens);
    if (!tokens) return ENOMEM;
    busy_at = n / 2;
    for (; token_count < n; token_count++) {
        r = dmtr_pop(&tokens[token_count], token_count == busy_at ? queues[0] : idle_queue);
        if (r != 0) return r;
    }
    return 0;
}

/* n tokens, each of a separate queue. */
static int begin_all_busy(uint64_t n) {
    int r = make_queues(n);
    if (r != 0) return r;
    tokens = calloc(n, sizeof *tokens);
    if (!tokens) return ENOMEM;
    for (; token_count < n; token_count++)
        if ((r = dmtr_pop(&tokens[token_count], queues[token_count])) != 0) return r;
    return 0;
}

/* Pushes to a queue and waits for the push. */
static bool push(int qd) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    return dmtr_push(&qt, qd, &message) == 0 && dmtr_wait(&qr, qt) == 0;
}

static uint64_t run_message(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    (void)unused;
    for (uint64_t i = 0; i < n; i++) {
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        if (!push(queues[0]) || dmtr_pop(&qt, queues[0]) != 0 || dmtr_wait(&qr, qt) != 0) return COMPONENT_FAILED;
        dmtr_sgafree(&qr.qr_value.sga);
    }
    return dmtr_now_ns() - begin;
}

enum phase { PUSH, WAIT_PUSH, POP, WAIT_POP, PHASES };

/* Runs each phase for n messages before the next phase, so that each can be timed separately. */
static bool run_chunk(uint64_t n, uint64_t ns[PHASES]) {
    static dmtr_qtoken_t qts[CHUNK];
    static dmtr_qresult_t qrs[CHUNK];
    uint64_t at[PHASES + 1];
    bool ok = true;
    for (int phase = PUSH; phase < PHASES; phase++) {
        at[phase] = dmtr_now_ns();
        for (uint64_t i = 0; i < n; i++) {
            if (phase == PUSH)
                ok &= dmtr_push(&qts[i], queues[0], &message) == 0;
            else if (phase == POP)
                ok &= dmtr_pop(&qts[i], queues[0]) == 0;
            else
                ok &= dmtr_wait(&qrs[i], qts[i]) == 0;
        }
        at[phase + 1] = dmtr_now_ns();
        ns[phase] += at[phase + 1] - at[phase];
    }
    for (uint64_t i = 0; ok && i < n; i++)
        dmtr_sgafree(&qrs[i].qr_value.sga);
    return ok;
}

static uint64_t run_phase(uint64_t n, uint64_t phase) {
    uint64_t ns[PHASES] = {0};
    for (uint64_t chunk; n > 0; n -= chunk) {
        chunk = n < CHUNK ? n : CHUNK;
        if (!run_chunk(chunk, ns)) return COMPONENT_FAILED;
    }
    return ns[phase];
}

static uint64_t run_poll(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    dmtr_qresult_t qr;
    (void)unused;
    for (uint64_t i = 0; i < n; i++)
        if (dmtr_poll(&qr, tokens[0]) != EAGAIN) return COMPONENT_FAILED;
    return dmtr_now_ns() - begin;
}

/* Pushes a message to one queue, waits for the push, finds its pop by wait_any, and puts the next pop in its place. */
static uint64_t run_wait_any(uint64_t n, uint64_t count) {
    uint64_t begin = dmtr_now_ns(), turn = 0;
    for (uint64_t i = 0; i < n; i++, turn = (turn + 7919) % queue_count) {
        dmtr_qresult_t qr;
        int at;
        if (!push(queues[turn]) || dmtr_wait_any(&qr, &at, tokens, (int)count) != 0) return COMPONENT_FAILED;
        dmtr_sgafree(&qr.qr_value.sga);
        if (dmtr_pop(&tokens[at], qr.qr_qd) != 0) return COMPONENT_FAILED;
    }
    return dmtr_now_ns() - begin;
}

static uint64_t run_wait_next(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns(), turn = 0;
    (void)unused;
    for (uint64_t i = 0; i < n; i++, turn = (turn + 7919) % queue_count) {
        uint64_t at = queue_count > 1 ? turn : busy_at;
        dmtr_qresult_t qr;
        int got;
        if (!push(queues[turn]) || dmtr_wait_next_n(&qr, 1, &got, UINT64_MAX) != 0) return COMPONENT_FAILED;
        dmtr_sgafree(&qr.qr_value.sga);
        if (dmtr_pop(&tokens[at], qr.qr_qd) != 0) return COMPONENT_FAILED;
    }
    return dmtr_now_ns() - begin;
}

#define WAITS(n)                                                                                                       \
    {"wait-any-" #n, "message found by dmtr_wait_any among " #n, n, begin_one_busy, run_wait_any, end_queues},         \
        {"wait-any-turn-" #n, "the same, all in turn", n, begin_all_busy, run_wait_any, end_queues},                   \
        {"wait-next-" #n, "found by dmtr_wait_next_n among " #n, n, begin_one_busy, run_wait_next, end_queues}, {      \
        "wait-next-turn-" #n, "the same, all in turn", n, begin_all_busy, run_wait_next, end_queues                    \
    }

const struct component queue_components[] = {
    {"queue-message", "dmtr_push, dmtr_wait, dmtr_pop, dmtr_wait, dmtr_sgafree", 0, begin_queue, run_message,
     end_queues},
    {"queue-push", "dmtr_push to a queue in memory", PUSH, begin_queue, run_phase, end_queues},
    {"queue-wait-push", "dmtr_wait for a push", WAIT_PUSH, begin_queue, run_phase, end_queues},
    {"queue-pop", "dmtr_pop from a queue in memory", POP, begin_queue, run_phase, end_queues},
    {"queue-wait-pop", "dmtr_wait for a pop", WAIT_POP, begin_queue, run_phase, end_queues},
    {"poll-pending", "dmtr_poll of a pending token", 1, begin_one_busy, run_poll, end_queues},
    WAITS(1),
    WAITS(10),
    WAITS(100),
    WAITS(1000),
    WAITS(10000),
    WAITS(100000),
    {0}};
