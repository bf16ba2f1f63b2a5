/* SPDX-License-Identifier: MIT */
/* The other end of the server's wire, in the same thread: a stack of its own with an echo client. */
#ifndef GUARD_PEER_H
#define GUARD_PEER_H

#include <stdbool.h>
#include <stdint.h>

#define PEER_QUEUES_MAX 16u

enum peer_loss { LOSE_NOTHING, LOSE_REQUEST, LOSE_ANSWER };

/* A round is one burst of messages to the server; the next begins when all answers have arrived. */
struct peer_load {
    bool stream;
    uint32_t queues;   /* connections; with datagrams 1 */
    uint32_t messages; /* on each, each in a segment of its own */
    uint32_t bytes;    /* of a message */
    enum peer_loss loss;
};

/* Opens the peer's end of the wire; the server is at 10.78.0.1, port 7. Ends the program on failure. */
void peer_open(const char *device_options, const struct peer_load *load, uint64_t echoes, uint64_t now);

/* Handles what has arrived, and begins the next round if `asks`. */
void peer_run(bool asks, uint64_t now);

bool peer_connecting(void); /* the wire does not lead to the server yet */
bool peer_finished(void);   /* all echoes have come back */
void peer_close(void);

#endif
