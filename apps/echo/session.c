/* SPDX-License-Identifier: MIT */
/* One client of the echo server: pop, optionally append to the file, push, pop again. */
#include "server.h"

#include <dmtr/latency.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct write {
    struct write *next;
    struct session *session;
    dmtr_qtoken_t qt;
    dmtr_sgarray_t sga;
};

/* Frees a session that has ended and has no outstanding operations. */
static void release(struct session *s) {
    if (!s->ended || s->pops + s->pushes + s->writes > 0) return;
    *s->link = s->next;
    if (s->next) s->next->link = s->link;
    free(s);
}

void session_end(struct server *sv, struct session *s) {
    s->ended = true;
    sv->open--;
    if (s->holding) dmtr_sgafree(&s->held);
    dmtr_close(s->qd);
    release(s);
}

void session_end_all(struct server *sv) {
    for (struct write *w; (w = sv->writes);) {
        sv->writes = w->next;
        dmtr_sgafree(&w->sga);
        free(w);
    }
    sv->writes_end = &sv->writes;
    for (struct session *s = sv->sessions, *next; s; s = next) {
        next = s->next;
        s->pops = s->pushes = s->writes = 0;
        if (s->ended)
            release(s);
        else
            session_end(sv, s);
    }
}

/* Begins as many pops as the session may have. False: failed, and the session has ended. */
static bool pop_more(struct server *sv, struct session *s) {
    unsigned most = sv->udp ? SESSION_MAX_POPS : 1;
    if (!sv->udp && (s->holding || s->writes > 0 || s->pushes == SESSION_MAX_PUSHES)) return true;
    while (s->pops + s->writes < most) {
        dmtr_qtoken_t qt;
        int r = dmtr_pop(&qt, s->qd);
        if (r != 0) {
            sv->lost |= r == ENETDOWN;
            session_end(sv, s);
            return false;
        }
        s->pops++;
    }
    return true;
}

static void work(uint64_t ns) {
    uint64_t end = dmtr_now_ns() + ns;
    while (dmtr_now_ns() < end)
        continue;
}

/* Sends a message back; owns it in any case. False: the session has ended. */
static bool echo(struct server *sv, struct session *s, dmtr_sgarray_t *sga) {
    dmtr_qtoken_t qt;
    int r = ENOBUFS;
    if (s->pushes < SESSION_MAX_PUSHES)
        r = sv->udp ? dmtr_pushto(&qt, s->qd, sga, (const struct sockaddr *)&sga->sga_addr, sga->sga_addrlen)
                    : dmtr_push(&qt, s->qd, sga);
    if (r == ENOBUFS && !sv->udp && s->pushes > 0) {
        s->held = *sga;
        s->holding = true;
        sv->stats.held++;
        return true;
    }
    dmtr_sgafree(sga); /* the push holds its memory */
    if (r == 0) {
        s->pushes++;
        return true;
    }
    sv->stats.dropped++;
    if (sv->udp) return true;
    session_end(sv, s);
    return false;
}

/* Appends a message to the file; session_written continues when that completes. */
static bool append(struct server *sv, struct session *s, const dmtr_sgarray_t *sga) {
    struct write *w = calloc(1, sizeof *w);
    if (!w || dmtr_push(&w->qt, sv->file_qd, sga) != 0) {
        free(w);
        return false;
    }
    w->session = s;
    w->sga = *sga;
    *sv->writes_end = w;
    sv->writes_end = &w->next;
    s->writes++;
    return true;
}

/* A message that is not in the file must not be echoed: drops the datagram, or ends the connection. */
static void refuse_write(struct server *sv, struct session *s, dmtr_sgarray_t *sga) {
    sv->stats.file_errors++;
    dmtr_sgafree(sga);
    if (sv->udp)
        pop_more(sv, s);
    else
        session_end(sv, s);
}

void session_written(struct server *sv, const dmtr_qresult_t *qr) {
    struct write **at = &sv->writes;
    while (*at && (*at)->qt != qr->qr_qt)
        at = &(*at)->next;
    struct write *w = *at;
    if (!w) return;
    *at = w->next;
    if (!w->next) sv->writes_end = at;
    struct session *s = w->session;
    dmtr_sgarray_t sga = w->sga;
    free(w);
    s->writes--;
    if (s->ended) {
        dmtr_sgafree(&sga);
        release(s);
    } else if (qr->qr_error) {
        refuse_write(sv, s, &sga);
    } else if (echo(sv, s, &sga)) {
        pop_more(sv, s);
    }
}

void session_popped(struct server *sv, dmtr_qresult_t *qr) {
    struct session *s = qr->qr_user;
    dmtr_sgarray_t *sga = &qr->qr_value.sga;
    size_t len = 0;
    s->pops--;
    if (s->ended) {
        if (!qr->qr_error) dmtr_sgafree(sga);
        release(s);
        return;
    }
    if (qr->qr_error) {
        sv->stats.bad += qr->qr_error == EILSEQ;
        sv->stats.resets += qr->qr_error != EILSEQ;
    }
    if (!sv->udp && (qr->qr_error || sga->sga_numsegs == 0)) {
        session_end(sv, s);
        return;
    }
    if (qr->qr_error || sga->sga_numsegs == 0) {
        pop_more(sv, s);
        return;
    }
    dmtr_sgalen(&len, sga);
    sv->stats.messages++;
    sv->stats.bytes += len;
    if (sv->work_ns > 0) work(sv->work_ns);
    if (sv->file_qd < 0) {
        if (echo(sv, s, sga)) pop_more(sv, s);
    } else if (append(sv, s, sga)) {
        pop_more(sv, s);
    } else {
        refuse_write(sv, s, sga);
    }
}

void session_pushed(struct server *sv, const dmtr_qresult_t *qr) {
    struct session *s = qr->qr_user;
    s->pushes--;
    if (s->ended) {
        release(s);
        return;
    }
    if (qr->qr_error && !sv->udp) {
        sv->stats.resets++;
        session_end(sv, s);
        return;
    }
    sv->stats.dropped += qr->qr_error != 0;
    if (s->holding) {
        dmtr_sgarray_t sga = s->held;
        s->holding = false;
        if (!echo(sv, s, &sga)) return;
    }
    pop_more(sv, s);
}

int session_new(struct server *sv, int qd) {
    struct session *s = calloc(1, sizeof *s);
    int one = 1;
    if (!s) {
        dmtr_close(qd);
        return ENOMEM;
    }
    s->qd = qd;
    if (!sv->udp) dmtr_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    dmtr_setsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &sv->push_limit, sizeof sv->push_limit);
    dmtr_set_user(qd, s);
    s->next = sv->sessions;
    s->link = &sv->sessions;
    if (s->next) s->next->link = &s->next;
    sv->sessions = s;
    sv->open++;
    return pop_more(sv, s) ? 0 : ENOBUFS;
}
