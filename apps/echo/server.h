/* SPDX-License-Identifier: MIT */
/* The echo server's parts: the listener and loop (server.c) and what happens to one client (session.c). */
#ifndef ECHO_SERVER_H
#define ECHO_SERVER_H

#include <dmtr/dmtr.h>
#include <stdbool.h>

/*
 * Pushes outstanding to one client; while there are so many, or the push limit is reached, nothing more is popped from
 * it, so that a client that does not read costs a bounded amount of memory and nobody else's time.
 */
#define SESSION_MAX_PUSHES 64
/* Pops outstanding on the datagram socket. */
#define SESSION_MAX_POPS 4

struct server {
    bool udp;
    bool lost; /* the network device: nothing can be begun any more */
    size_t push_limit;
    int file_qd;                        /* -1: none */
    struct session *sessions;           /* also those that have ended but have results to come */
    uint64_t open;                      /* the others */
    struct write *writes, **writes_end; /* messages on their way to the file, in order */
    struct server_stats {
        uint64_t accepted, accept_errors, messages, bytes, held, resets, bad, dropped, file_errors;
    } stats;
};

/*
 * A connection, or the datagram socket with all its clients. The results of its queue name it, so it lives until the
 * last of them has come, also after its end.
 */
struct session {
    int qd;
    bool ended;                          /* closed */
    bool holding;                        /* there is something in `held` */
    unsigned short pops, pushes, writes; /* outstanding */
    struct session *next, **link;        /* in the server's list */
    dmtr_sgarray_t held;                 /* popped, to be pushed when earlier pushes are done */
};

/* Takes over a connected or bound queue and begins to serve it. On failure the queue is closed. */
int session_new(struct server *sv, int qd);

/* Closes the queue; data that was pushed is still delivered. s may be gone then. */
void session_end(struct server *sv, struct session *s);

/* Gives up all sessions, also those with results to come: none may be fetched any more. */
void session_end_all(struct server *sv);

/* A pop or push of a session is complete. */
void session_popped(struct server *sv, dmtr_qresult_t *qr);
void session_pushed(struct server *sv, const dmtr_qresult_t *qr);

/* The file has (or could not take) the oldest message. */
void session_written(struct server *sv, const dmtr_qresult_t *qr);

#endif
