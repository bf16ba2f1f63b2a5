/* SPDX-License-Identifier: MIT */
/*
 * Events of sockets. A socket with events is on the stack's list until inet_next_event returns it. The stack calls
 * nothing back while it processes a frame, and a socket may be closed at any time.
 */
#ifndef INET_SOCKET_H
#define INET_SOCKET_H

#include "base/list.h"
#include "inet/inet.h"

/* Reasons to look at a socket again. The caller may have seen the cause already. */
enum inet_event {
    INET_EVENT_READABLE = 1,   /* data, the end of the stream, or an error can be received */
    INET_EVENT_WRITABLE = 2,   /* there is room to send again, or pushed data was acknowledged */
    INET_EVENT_CONNECTED = 4,  /* connect has succeeded or failed */
    INET_EVENT_ACCEPTABLE = 8, /* a connection can be accepted */
    INET_EVENT_CLOSED = 16,    /* the connection has ended, with or without an error */
};

enum inet_socket_kind { INET_UDP, INET_TCP, INET_TCP_LISTENER };

/* First member of every kind of socket. */
struct inet_socket {
    struct list ready;
    void *user; /* the owner's */
    uint8_t kind;
    uint8_t events; /* enum inet_event; not 0: on the list */
};

/* Takes the oldest socket off the list and returns its events. NULL: the list is empty. */
struct inet_socket *inet_next_event(struct inet *s, uint32_t *events);

#endif
