/* SPDX-License-Identifier: MIT */
/*
 * The shadow of a runtime: which descriptors and tokens are outstanding, and what their results must be. Of a queue in
 * memory that only plain pushes and pops touch every result is foretold; of the rest only that it names its operation.
 */
#ifndef TESTS_FUZZ_SHADOW_H
#define TESTS_FUZZ_SHADOW_H

#include "fuzz.h"

#include <dmtr/dmtr.h>
#include <stdbool.h>

#define QUEUES_MAX   16
#define TOKENS_MAX   64
#define ELEMENTS_MAX 256 /* pushes in a run: more than there are calls */

enum kind { KIND_MEMORY, KIND_OPERATOR, KIND_STREAM, KIND_DATAGRAM, KIND_FILE };

struct shadow_queue {
    int qd;
    enum kind kind;
    bool bound;
    bool exact; /* in memory, and under no operator */
    uint32_t head, count;
    struct element {
        uint32_t stamp, bytes;
    } elements[ELEMENTS_MAX]; /* exact: pushed and not popped */
};

enum foretold { FORETOLD_NOT, FORETOLD_PENDING, FORETOLD_READY };

struct shadow_token {
    dmtr_qtoken_t qt;
    dmtr_opcode_t opcode;
    int qd;
    enum foretold foretold;
    int error;
    uint32_t stamp; /* the element a pop gives */
    uint64_t limit; /* of a pop, in bytes */
};

struct shadow {
    struct shadow_queue queues[QUEUES_MAX];
    struct shadow_token tokens[TOKENS_MAX]; /* in the order they were begun */
    uint32_t queues_len, tokens_len;
    uint32_t stamp; /* of the latest element */
};

extern struct shadow shadow;

/* Any open queue of the run; NULL: there is none. */
struct shadow_queue *shadow_pick(struct input *in);
struct shadow_token *shadow_pick_token(struct input *in);

void shadow_opened(int qd, enum kind kind);
/* qd was closed; what waited on it ends. */
void shadow_closed(struct shadow_queue *q);

/* q comes under an operator: nothing more is foretold of it. */
void shadow_share(struct shadow_queue *q);

/* An operation was begun on q (NULL: on none). */
struct shadow_token *shadow_begun(const struct shadow_queue *q, dmtr_opcode_t opcode, dmtr_qtoken_t qt);
/* A pop was begun, and a message of the latest stamp was pushed. */
void shadow_pop(struct shadow_queue *q, dmtr_qtoken_t qt, uint64_t limit);
void shadow_push(struct shadow_queue *q, dmtr_qtoken_t qt, uint32_t bytes);

/* A wait has returned r and this result, which is checked, released and forgotten. */
void shadow_result(int r, dmtr_qresult_t *qr);
/* A wait has found nothing complete: nothing may be foretold ready. */
void shadow_nothing(void);
void shadow_dropped(struct shadow_token *t);

/* Gives all back, as dmtr_fini did. */
void shadow_clear(void);

#endif
