/* SPDX-License-Identifier: MIT */
/* The parts of the echo server: the listener and loop (server.c) and the handling of one client (session.c). */
#ifndef ECHO_SERVER_H
#define ECHO_SERVER_H

#include <dmtr/dmtr.h>
#include <stdbool.h>

/*
 * Limit on outstanding pushes to one client. At this limit, or at the push limit, the server pops no more from the
 * client, so that a client that does not read costs bounded memory and does not delay others.
 */
#define SESSION_MAX_PUSHES 64
/* Outstanding pops on the datagram socket. */
#define SESSION_MAX_POPS 4

struct server {
    bool udp;
    bool lost; /* the network device is lost: no operation can begin */
    size_t push_limit;
    uint64_t work_ns;                   /* computing for each message */
    int file_qd;                        /* -1: none */
    struct session *sessions;           /* also ended ones with outstanding operations */
    uint64_t open;                      /* number of sessions that have not ended */
    struct write *writes, **writes_end; /* outstanding writes to the file, in order */
    struct server_stats {
        uint64_t accepted, accept_errors, messages, bytes, held, resets, bad, dropped, file_errors;
    } stats;
};

/*
 * A connection, or the datagram socket with all its clients. The results of its queue point to it, so it is freed after
 * the last of them, even if it has ended before.
 */
struct session {
    int qd;
    bool ended;                          /* closed */
    bool holding;                        /* `held` is in use */
    unsigned short pops, pushes, writes; /* outstanding */
    struct session *next, **link;        /* in the server's list */
    dmtr_sgarray_t held;                 /* popped, to be pushed after earlier pushes complete */
};

/* Begins to serve a connected or bound queue, which the session then owns. Closes the queue on failure. */
int session_new(struct server *sv, int qd);

/* Closes the queue; pushed data is still delivered. May free s. */
void session_end(struct server *sv, struct session *s);

/* Frees all sessions, also those with outstanding operations; the caller fetches no more results. */
void session_end_all(struct server *sv);

/* Handle a complete pop or push of a session. */
void session_popped(struct server *sv, dmtr_qresult_t *qr);
void session_pushed(struct server *sv, const dmtr_qresult_t *qr);

/* The write of the oldest message to the file has completed or failed. */
void session_written(struct server *sv, const dmtr_qresult_t *qr);

#endif
