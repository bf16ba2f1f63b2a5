/* SPDX-License-Identifier: MIT */
/* Relays connections. Each direction has one outstanding operation: a pop, or the push of the popped data. */
#include "streams.h"

#include "program.h"

#include <dmtr/dmtr.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BATCH           64
#define ACCEPT_RETRY_NS 100000000u

/* One direction of a pair. Before the target has accepted, `up` waits for the connection. */
struct way {
    int from, to;
    bool waits; /* an operation is outstanding */
    bool ended; /* the stream has ended, and the other side was shut down */
};

/* The results of both queues point to it, so it is freed after the last of them, even if it was closed before. */
struct pair {
    struct way up, down; /* to the target, and back */
    bool closed;
    struct pair *next, **link; /* in the relay's list */
};

struct streams {
    const struct streams_options *options;
    struct streams_stats *stats;
    int qd;
    dmtr_qtoken_t accept_qt;
    uint64_t accept_ns; /* earliest time of the next accept */
    uint32_t count;     /* number of pairs that are not closed */
    struct pair *pairs; /* also closed ones */
};

/* Frees a pair that is closed and has no outstanding operations. */
static void release(struct pair *p) {
    if (!p->closed || p->up.waits || p->down.waits) return;
    *p->link = p->next;
    if (p->next) p->next->link = p->link;
    free(p);
}

/* Closes both sides; resets both if one was reset. */
static void end_pair(struct streams *s, struct pair *p, bool reset) {
    static const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    const int qds[] = {p->up.from, p->down.from};
    for (int i = 0; i < 2; i++) {
        if (reset) dmtr_setsockopt(qds[i], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        dmtr_close(qds[i]);
    }
    s->stats->resets += reset;
    s->count--;
    p->closed = true;
}

static void pop(struct streams *s, struct pair *p, struct way *w) {
    dmtr_qtoken_t qt;
    w->waits = dmtr_pop(&qt, w->from) == 0;
    if (!w->waits) end_pair(s, p, true);
}

static void popped(struct streams *s, struct pair *p, struct way *w, dmtr_sgarray_t *sga) {
    size_t bytes = 0;
    dmtr_qtoken_t qt;
    dmtr_sgalen(&bytes, sga);
    int error = bytes > 0 ? dmtr_push(&qt, w->to, sga) : dmtr_shutdown(w->to, SHUT_WR);
    dmtr_sgafree(sga); /* the push holds its memory */
    w->ended = bytes == 0;
    w->waits = bytes > 0 && error == 0;
    s->stats->bytes += bytes;
    if (error)
        end_pair(s, p, true);
    else if (p->up.ended && p->down.ended)
        end_pair(s, p, false);
}

/* Begins a connection to the target; `up` waits for it. */
static int begin_pair(struct streams *s, int client) {
    const struct address *target = &s->options->target;
    struct pair *p = calloc(1, sizeof *p);
    dmtr_qtoken_t qt;
    int one = 1, qd, error = ENOMEM;
    if (p) error = program_socket(&qd, s->options->target_network, target->sa.sa_family, SOCK_STREAM);
    if (error) {
        free(p);
        return error;
    }
    p->up = (struct way){.from = client, .to = qd};
    p->down = (struct way){.from = qd, .to = client};
    dmtr_setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    dmtr_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    dmtr_set_user(client, p);
    dmtr_set_user(qd, p);
    error = dmtr_connect(&qt, qd, &target->sa, target->len);
    if (error) {
        dmtr_close(qd);
        free(p);
        return error;
    }
    p->up.waits = true;
    p->next = s->pairs;
    p->link = &s->pairs;
    if (p->next) p->next->link = &p->next;
    s->pairs = p;
    s->count++;
    return 0;
}

static void accepted(struct streams *s, const dmtr_qresult_t *qr) {
    s->accept_qt = 0;
    int error = qr->qr_error ? qr->qr_error : begin_pair(s, qr->qr_value.ares.qd);
    if (!error) {
        s->stats->accepted++;
        return;
    }
    s->stats->errors++;
    if (!qr->qr_error) dmtr_close(qr->qr_value.ares.qd);
    s->accept_ns = dmtr_now_ns() + ACCEPT_RETRY_NS;
}

static void connected(struct streams *s, struct pair *p, int error) {
    if (error) {
        s->stats->refused++;
        end_pair(s, p, true);
        return;
    }
    pop(s, p, &p->down);
    if (!p->closed) pop(s, p, &p->up);
}

static void completed(struct streams *s, struct pair *p, dmtr_qresult_t *qr) {
    bool pops = qr->qr_opcode == DMTR_OPC_POP;
    struct way *w = (qr->qr_qd == p->up.from) == pops ? &p->up : &p->down; /* a push has the other descriptor */
    w->waits = false;
    if (p->closed) {
        if (pops && !qr->qr_error) dmtr_sgafree(&qr->qr_value.sga);
    } else if (qr->qr_opcode == DMTR_OPC_CONNECT) {
        connected(s, p, qr->qr_error);
    } else if (qr->qr_error) {
        end_pair(s, p, true);
    } else if (pops) {
        popped(s, p, w, &qr->qr_value.sga);
    } else {
        pop(s, p, w);
    }
    release(p);
}

static void dispatch(struct streams *s, dmtr_qresult_t *qr) {
    if (qr->qr_opcode == DMTR_OPC_ACCEPT)
        accepted(s, qr);
    else
        completed(s, qr->qr_user, qr);
}

/* Keeps one accept outstanding while there is room. Returns the limit for the next wait, after which to retry. */
static uint64_t accept_more(struct streams *s) {
    if (s->accept_qt || s->count == s->options->max) return UINT64_MAX;
    uint64_t now = dmtr_now_ns();
    if (now < s->accept_ns) return s->accept_ns - now;
    if (dmtr_accept(&s->accept_qt, s->qd) == 0) return UINT64_MAX;
    s->accept_qt = 0;
    s->stats->errors++;
    s->accept_ns = now + ACCEPT_RETRY_NS;
    return ACCEPT_RETRY_NS;
}

static int serve(struct streams *s) {
    static dmtr_qresult_t results[BATCH];
    while (!program_stopped()) {
        int got = 0, error = dmtr_wait_next_n(results, BATCH, &got, accept_more(s));
        if (error != 0 && error != EINTR && error != ETIMEDOUT) return program_fail("wait", error);
        for (int i = 0; error == 0 && i < got; i++)
            dispatch(s, &results[i]);
    }
    return 0;
}

static int open_listener(struct streams *s) {
    struct address a = s->options->listen;
    char here[ADDRESS_TEXT], there[ADDRESS_TEXT];
    int one = 1, error = program_socket(&s->qd, s->options->network, a.sa.sa_family, SOCK_STREAM);
    if (error) return program_fail(s->options->network ? s->options->network : "socket", error);
    dmtr_setsockopt(s->qd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (program_bind(s->qd, s->options->network, &a, s->options->chosen) != 0) return -1;
    if ((error = dmtr_listen(s->qd, SOMAXCONN)) != 0) return program_fail_address(&a, error);
    if ((error = dmtr_getsockname(s->qd, &a.sa, &a.len)) != 0) return program_fail("getsockname", error);
    printf("relaying to tcp %s\nlistening on tcp %s\n", address_format(&s->options->target.sa, there),
           address_format(&a.sa, here));
    fflush(stdout);
    return 0;
}

int streams_relay(const struct streams_options *o, struct streams_stats *stats) {
    struct streams s = {.options = o, .stats = stats, .qd = -1};
    int r = open_listener(&s);
    if (r == 0) r = serve(&s);
    for (struct pair *p = s.pairs, *next; p; p = next) { /* no more results will be fetched */
        next = p->next;
        if (!p->closed) end_pair(&s, p, false);
        p->up.waits = p->down.waits = false;
        release(p);
    }
    return r;
}
