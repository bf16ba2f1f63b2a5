/* SPDX-License-Identifier: MIT */
/* The messages of a key-value store, for both ends: a header, then a value. A datagram is one message. */
#ifndef APPS_TRAINING_MESSAGE_H
#define APPS_TRAINING_MESSAGE_H

#include "net.h"

#include <dmtr/dmtr.h>
#include <stdbool.h>
#include <stdint.h>

#define KEYS        4096u
#define VALUE_BYTES 1024u

enum message_kind { MESSAGE_GET, MESSAGE_SET, MESSAGE_DISCARD, MESSAGE_ANSWER };

struct message {
    uint32_t kind, key;
    uint64_t bytes; /* of the value that follows */
};

/* One direction of a stream, or the datagrams of a socket. */
struct reader {
    struct message message;
    uint32_t have;                         /* bytes of the header */
    uint64_t left;                         /* bytes of the value */
    uint8_t value[VALUE_BYTES];            /* a message of kind MESSAGE_DISCARD stores none */
    void (*complete)(struct reader *self); /* a message is complete */
};

/* Takes received data. False: it is none of these messages. */
bool reader_take(struct reader *r, const dmtr_sgarray_t *sga);

/* A message with its value in memory of the library; the caller frees it. No segments: out of memory. */
dmtr_sgarray_t message_make(const struct message *m, const void *value);

/* Turns off Nagle's algorithm on a connection; datagrams: there is none. Returns 0 or an errno. */
int message_send_at_once(int qd, bool datagrams);

/* Run one end each. Return 0, or -1 after printing the reason. */
struct training {
    struct address address;
    bool datagrams;
    uint64_t count; /* requests of each of the client's loads */
};
int store_serve(const struct training *t);
int client_run(const struct training *t);

#endif
