/* SPDX-License-Identifier: MIT */
/*
 * lwIP's side of a conversation with our stack: streams that send a pattern, check that they receive it, and end as
 * they are told. It stands apart because the two stacks' headers do not go together.
 */
#ifndef TESTS_LWIP_PEER_H
#define TESTS_LWIP_PEER_H

#include <stdbool.h>
#include <stdint.h>

#define PEER_STREAMS_MAX 128u

/* Byte i of every stream, in either direction. */
static inline uint8_t pattern(uint64_t i) {
    return (uint8_t)(i * 7 + (i >> 8));
}

/* What a stream of lwIP's does: sends so many bytes, then ends its direction unless it stays. */
struct peer_plan {
    uint64_t bytes;
    bool stays;
    bool holds; /* leaves the window closed behind what it received, until peer_read */
};

struct peer_stream {
    struct peer_plan plan;
    void *pcb; /* NULL: ended */
    uint64_t sent, received, unread;
    bool connected, finished; /* finished: the peer's FIN has come */
    bool differs;             /* something else than the pattern came */
    bool fin_sent;
    int error; /* lwIP's word for how it ended; 0: it did not, or in order */
};

/* Forgets all streams; the host must be open. */
void peer_begin(void);

/* From now on connections to this port follow the plan. 0, or lwIP's error. */
int peer_listen(uint16_t port, const struct peer_plan *plan);
/* Connects to an address in network order. NULL: it could not begin. */
struct peer_stream *peer_connect(uint32_t address, uint16_t port, const struct peer_plan *plan);

/* The i-th stream since peer_begin; NULL: there are not so many. */
struct peer_stream *peer_at(uint32_t i);

/* Sends what there is room for. Called after each poll of the host. */
void peer_work(void);
/* Opens the window of one that holds. */
void peer_read(struct peer_stream *s);
void peer_abort(struct peer_stream *s);

/* Sends datagrams back from this port. 0, or lwIP's error. */
int peer_echo_datagrams(uint16_t port);

#endif
