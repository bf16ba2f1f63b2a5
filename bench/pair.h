/* SPDX-License-Identifier: MIT */
/*
 * One end of two stacks that are connected in memory, so that only the stacks are measured. The program owns the
 * connection ("wire"); an end is one kind of stack with one echo server or client.
 */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#define PAIR_MESSAGE_BYTES 64u
#define PAIR_MTU           1500u
#define PAIR_FRAME_BYTES   (PAIR_MTU + 14u)
#define PAIR_PORT          7u
#define PAIR_ENDS          2u /* 0 is the server */

/* The address of an end, 10.78.0.1 or 10.78.0.2, in host order; and the last byte of its MAC, 02:00:00:00:00:0x. */
#define PAIR_ADDRESS(end)  (0x0a4e0001u + (end))
#define PAIR_MAC_LAST(end) ((uint8_t)((end) + 1))

struct pair_run {
    const void *base;
    uint32_t len;
};

/* Puts a frame on the wire, gathered from its runs. False: no room. */
typedef bool pair_send(void *wire, const struct pair_run *runs, uint32_t count);

struct pair_kind {
    const char *name;

    /* Makes an end whose clock begins at `now`; NULL: failed. */
    void *(*open)(uint32_t end, bool stream, pair_send *send, void *wire, uint64_t now);
    void (*close)(void *end);

    /* buffer allocates memory for a frame; the next call passes the frame in it to the end, which then owns it. */
    void *(*buffer)(void *end, uint32_t bytes);
    void (*input)(void *end, void *frame, uint32_t bytes, uint64_t now);

    /* Call after a batch of input: runs timers and the application, which echoes at the server. */
    void (*settle)(void *end, uint64_t now);

    /* For the client, and NULL of a kind that only serves: whether it can send; sends one message; the number of bytes
     * that have come back. */
    bool (*connected)(void *end);
    void (*request)(void *end, uint64_t now);
    uint64_t (*received)(const void *end);
};

extern const struct pair_kind pair_inet, pair_floor, pair_lwip_server, pair_lwip_client;

#endif
