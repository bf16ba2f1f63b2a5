/* SPDX-License-Identifier: MIT */
/*
 * What all kinds of sockets share: events. A socket with something to tell stands on the stack's list until
 * inet_next_event has told it, so that nothing is called back while a frame is being worked on, and a socket may be
 * closed at any time.
 */
#ifndef INET_SOCKET_H
#define INET_SOCKET_H

#include "base/list.h"
#include "inet/inet.h"

/* Reasons to look at a socket again; what is there to see may have been seen already. */
enum inet_event {
    INET_EVENT_READABLE = 1,   /* data, an end of stream, or an error waits to be received */
    INET_EVENT_WRITABLE = 2,   /* room for sending where there was none, or pushed data acknowledged */
    INET_EVENT_CONNECTED = 4,  /* a connection asked for stands, or failed */
    INET_EVENT_ACCEPTABLE = 8, /* a connection waits to be accepted */
    INET_EVENT_CLOSED = 16,    /* the connection has ended, in order or with an error */
};

enum inet_socket_kind { INET_UDP, INET_TCP, INET_TCP_LISTENER };

/* The first member of every kind. */
struct inet_socket {
    struct list ready;
    void *user; /* the owner's */
    uint8_t kind;
    uint8_t events; /* enum inet_event; not 0: on the list */
};

/* The socket that has waited longest, and its events, which are thereby told; NULL: none. */
struct inet_socket *inet_next_event(struct inet *s, uint32_t *events);

#endif
