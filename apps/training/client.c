/* SPDX-License-Identifier: MIT */
/* The client of the key-value store. A random number generator with a fixed seed selects the requests. */
#include "message.h"

#include "program.h"

#include <errno.h>
#include <stdlib.h>

#define CONNECTIONS  16u
#define OUTSTANDING  4u    /* requests on each connection */
#define ROUND        1024u /* requests until the connections are opened anew */
#define SETS_EVERY   2u    /* one request in so many sets a value */
#define BULK_BYTES   (16u << 20)
#define BULK_PUSH    65536u
#define BULK_PENDING 16u

struct connection {
    struct reader reader; /* first: answered() casts a reader to its connection */
    int qd;
    uint64_t answers; /* not counted yet */
};

static const struct training *training;
static struct connection connections[CONNECTIONS];
static uint64_t drawn = 1;

static uint32_t draw(uint32_t below) {
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(drawn >> 33) % below;
}

static void answered(struct reader *r) {
    ((struct connection *)r)->answers++;
}

static int await(const char *what, int begun, const dmtr_qtoken_t *qt, dmtr_qresult_t *qr) {
    int r = begun ? begun : dmtr_wait(qr, *qt);
    return r ? program_fail(what, r) : 0;
}

static int open_connection(struct connection *c) {
    const struct address *a = &training->address;
    dmtr_qtoken_t qt = 0;
    dmtr_qresult_t qr;
    int r = program_socket(&c->qd, NULL, a->sa.sa_family, training->datagrams ? SOCK_DGRAM : SOCK_STREAM);
    if (!r) r = message_send_at_once(c->qd, training->datagrams);
    if (r) return program_fail("socket", r);
    c->reader = (struct reader){.complete = answered};
    return await("connect", dmtr_connect(&qt, c->qd, &a->sa, a->len), &qt, &qr);
}

static dmtr_sgarray_t request(void) {
    static const uint8_t value[VALUE_BYTES];
    bool set = draw(SETS_EVERY) == 0;
    struct message m = {set ? MESSAGE_SET : MESSAGE_GET, draw(KEYS), set ? draw(VALUE_BYTES) : 0};
    return message_make(&m, set ? value : NULL);
}

/* Takes what a pop has received. */
static int take(struct connection *c, dmtr_qresult_t *qr) {
    if (qr->qr_error || qr->qr_value.sga.sga_numsegs == 0) return program_fail("pop", qr->qr_error);
    bool valid = reader_take(&c->reader, &qr->qr_value.sga);
    dmtr_sgafree(&qr->qr_value.sga);
    return valid ? 0 : program_fail("answer", EBADMSG);
}

static int await_answer(struct connection *c) {
    while (c->answers == 0) {
        dmtr_qtoken_t qt = 0;
        dmtr_qresult_t qr = {0};
        if (await("pop", dmtr_pop(&qt, c->qd), &qt, &qr) || take(c, &qr)) return -1;
    }
    c->answers--;
    return 0;
}

static int one_at_a_time(struct connection *c) {
    for (uint64_t i = 0; i < training->count; i++) {
        dmtr_qtoken_t qt = 0;
        dmtr_qresult_t qr;
        dmtr_sgarray_t sga = request();
        int r = dmtr_push(&qt, c->qd, &sga);
        dmtr_sgafree(&sga);
        if (await("push", r, &qt, &qr) || await_answer(c)) return -1;
    }
    return 0;
}

static int send_quietly(struct connection *c) {
    dmtr_sgarray_t sga = request();
    int r = dmtr_push_quiet(c->qd, &sga);
    dmtr_sgafree(&sga);
    return r ? program_fail("push", r) : 0;
}

/* Sends and receives on all connections until `count` requests are answered. */
static int exchange(uint64_t count) {
    dmtr_qtoken_t pops[CONNECTIONS];
    uint64_t sent = 0, got = 0;
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        int r = dmtr_pop(&pops[i], connections[i].qd);
        if (r) return program_fail("pop", r);
        for (uint32_t n = 0; n < OUTSTANDING; n++, sent++)
            if (send_quietly(&connections[i])) return -1;
    }
    while (got < count) {
        dmtr_qresult_t qr;
        int at = 0, r = dmtr_wait_any(&qr, &at, pops, CONNECTIONS);
        if (r) return program_fail("wait", r);
        struct connection *c = &connections[at];
        if (take(c, &qr)) return -1;
        for (; c->answers; c->answers--, got++) {
            if (sent == count) continue;
            if (send_quietly(c)) return -1;
            sent++;
        }
        if ((r = dmtr_pop(&pops[at], c->qd))) return program_fail("pop", r);
    }
    return 0;
}

static int many_at_once(void) {
    for (uint64_t done = 0; done < training->count; done += ROUND) {
        for (uint32_t i = 0; i < CONNECTIONS; i++)
            if (open_connection(&connections[i])) return -1;
        if (exchange(ROUND)) return -1;
        for (uint32_t i = 0; i < CONNECTIONS; i++)
            dmtr_close(connections[i].qd);
    }
    return 0;
}

/* A value of BULK_BYTES. */
static int bulk(struct connection *c) {
    dmtr_qtoken_t tokens[BULK_PENDING];
    dmtr_qresult_t qr;
    struct message m = {MESSAGE_DISCARD, 0, BULK_BYTES};
    dmtr_sgarray_t header = message_make(&m, NULL), sga = dmtr_sgaalloc(BULK_PUSH);
    const uint64_t pushes = BULK_BYTES / BULK_PUSH;
    int r = dmtr_push_quiet(c->qd, &header);
    dmtr_sgafree(&header);
    for (uint64_t i = 0; r == 0 && i < pushes + BULK_PENDING; i++) {
        dmtr_qtoken_t *qt = &tokens[i % BULK_PENDING];
        if (i >= BULK_PENDING) r = dmtr_wait(&qr, *qt);
        if (r == 0 && i < pushes) r = dmtr_push(qt, c->qd, &sga);
    }
    dmtr_sgafree(&sga);
    return r ? program_fail("push", r) : await_answer(c);
}

int client_run(const struct training *t) {
    struct connection *c = &connections[0];
    training = t;
    if (open_connection(c) || one_at_a_time(c)) return -1;
    if (!t->datagrams && bulk(c)) return -1;
    dmtr_close(c->qd);
    return many_at_once();
}
