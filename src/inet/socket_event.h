/* SPDX-License-Identifier: MIT */
/* How protocols report events. */
#ifndef INET_SOCKET_EVENT_H
#define INET_SOCKET_EVENT_H

#include "inet/socket.h"
#include "inet/state.h"

static inline void socket_init(struct inet_socket *k, enum inet_socket_kind kind, void *user) {
    list_init(&k->ready);
    k->user = user;
    k->kind = (uint8_t)kind;
    k->events = 0;
}

static inline void socket_event(struct inet *s, struct inet_socket *k, uint8_t events) {
    if (k->events == 0) list_push_back(&s->ready, &k->ready);
    k->events |= events;
}

/* Takes the socket off the list, because it is freed or has nothing to report. */
static inline void socket_forget(struct inet_socket *k) {
    if (k->events) list_remove(&k->ready);
    k->events = 0;
}

#endif
