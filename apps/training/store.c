/* SPDX-License-Identifier: MIT */
/*
 * The key-value store. A value that is set also passes through a queue in memory, as it would on its way to a journal.
 */
#include "message.h"

#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH   64
#define BACKLOG 64

struct client {
    struct reader reader; /* first: requested() casts a reader to its client */
    int qd;
    struct address from; /* of the datagram that is answered */
};

static struct {
    int qd, journal;
    bool datagrams;
    uint8_t values[KEYS][VALUE_BYTES];
    uint32_t bytes[KEYS];
} store;

static void journal(uint32_t key) {
    struct message m = {MESSAGE_SET, key, store.bytes[key]};
    dmtr_sgarray_t sga = message_make(&m, store.values[key]);
    dmtr_qtoken_t qt;
    int r = dmtr_push(&qt, store.journal, &sga);
    if (r) program_fail("journal", r);
    dmtr_sgafree(&sga);
}

static void answer(struct client *c, uint32_t key, bool with_value) {
    struct message m = {MESSAGE_ANSWER, key, with_value ? store.bytes[key] : 0};
    dmtr_sgarray_t sga = message_make(&m, with_value ? store.values[key] : NULL);
    int r = store.datagrams ? dmtr_pushto_quiet(c->qd, &sga, &c->from.sa, c->from.len) : dmtr_push_quiet(c->qd, &sga);
    if (r) program_fail("push", r);
    dmtr_sgafree(&sga);
}

static void requested(struct reader *r) {
    const struct message *m = &r->message;
    if (m->kind == MESSAGE_SET) {
        memcpy(store.values[m->key], r->value, m->bytes);
        store.bytes[m->key] = (uint32_t)m->bytes;
        journal(m->key);
    }
    answer((struct client *)r, m->key, m->kind == MESSAGE_GET);
}

static void pop_next(int qd) {
    dmtr_qtoken_t qt;
    int r = dmtr_pop(&qt, qd);
    if (r) program_fail("pop", r);
}

static struct client *client_new(int qd) {
    struct client *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->qd = qd;
    c->reader.complete = requested;
    dmtr_set_user(qd, c);
    pop_next(qd);
    return c;
}

static int accept_next(void) {
    dmtr_qtoken_t qt;
    return dmtr_accept(&qt, store.qd);
}

static void popped(dmtr_qresult_t *qr) {
    struct client *c = qr->qr_user; /* NULL: this is a pop of the journal */
    dmtr_sgarray_t *sga = &qr->qr_value.sga;
    bool goes_on = !qr->qr_error && sga->sga_numsegs > 0;
    if (c && goes_on) {
        c->from.len = sga->sga_addrlen;
        memcpy(&c->from.in6, &sga->sga_addr6, sizeof c->from.in6);
        goes_on = reader_take(&c->reader, sga);
    }
    if (!qr->qr_error) dmtr_sgafree(sga);
    if (goes_on) {
        pop_next(qr->qr_qd);
    } else if (c) {
        dmtr_close(c->qd);
        free(c);
    }
}

static int dispatch(dmtr_qresult_t *qr) {
    if (qr->qr_opcode == DMTR_OPC_POP) popped(qr);
    if (qr->qr_opcode != DMTR_OPC_ACCEPT) return 0;
    if (qr->qr_error) return program_fail("accept", qr->qr_error);
    int qd = qr->qr_value.ares.qd, r = message_send_at_once(qd, false);
    if (!r) r = client_new(qd) ? accept_next() : ENOMEM;
    return r ? program_fail("accept", r) : 0;
}

static int serve(void) {
    static dmtr_qresult_t results[BATCH];
    while (!program_stopped()) {
        int got = 0, r = dmtr_wait_next_n(results, BATCH, &got, UINT64_MAX);
        if (r && r != EINTR) return program_fail("wait", r);
        for (int i = 0; r == 0 && i < got; i++)
            if (dispatch(&results[i])) return -1;
    }
    return 0;
}

int store_serve(const struct training *t) {
    struct address a = t->address;
    char text[ADDRESS_TEXT];
    store.datagrams = t->datagrams;
    for (uint32_t key = 0; key < KEYS; key++)
        store.bytes[key] = key % VALUE_BYTES;
    int r = program_socket(&store.qd, NULL, a.sa.sa_family, t->datagrams ? SOCK_DGRAM : SOCK_STREAM);
    if (!r) r = dmtr_bind(store.qd, &a.sa, a.len);
    if (!r && !t->datagrams) r = dmtr_listen(store.qd, BACKLOG);
    if (!r) r = dmtr_getsockname(store.qd, &a.sa, &a.len);
    if (!r) r = dmtr_queue(&store.journal);
    if (!r) r = t->datagrams ? (client_new(store.qd) ? 0 : ENOMEM) : accept_next();
    if (r) return program_fail("listen", r);
    pop_next(store.journal);
    printf("listening on %s %s\n", t->datagrams ? "udp" : "tcp", address_format(&a.sa, text));
    fflush(stdout);
    return serve();
}
