/* SPDX-License-Identifier: MIT */
/* The send queue: pushed bytes that are not acknowledged, in blocks that the connection holds. */
#ifndef INET_TCP_SEND_QUEUE_H
#define INET_TCP_SEND_QUEUE_H

#include "inet/fifo.h"
#include "inet/state.h"
#include "inet/tcp/limits.h"
#include "inet/wire/tcp.h"

struct tcp_chunk {
    const uint8_t *base;
    uint32_t seq, len;
};

struct tcp_send_queue {
    struct fifo chunks;
};

static inline struct tcp_chunk *send_queue_at(const struct tcp_send_queue *q, uint32_t position) {
    return fifo_at(&q->chunks, sizeof(struct tcp_chunk), position);
}
static inline bool send_queue_is_empty(const struct tcp_send_queue *q) {
    return q->chunks.count == 0;
}

/*
 * Adds bytes of a heap block, from seq on, and takes a hold on the block, or takes over the caller's (held). -EAGAIN:
 * there are TCP_QUEUE_MAX chunks; -ENOMEM; -EINVAL: the bytes lie in no heap block.
 */
static inline int send_queue_add(struct tcp_send_queue *q, const struct inet_segment *data, uint32_t seq, bool held) {
    struct tcp_chunk *chunk = fifo_add(&q->chunks, sizeof *chunk, TCP_QUEUE_MAX);
    if (!chunk) return q->chunks.count == TCP_QUEUE_MAX ? -EAGAIN : -ENOMEM;
    if (!held && !heap_hold(data->base)) {
        q->chunks.count--;
        return -EINVAL;
    }
    *chunk = (struct tcp_chunk){data->base, seq, data->len};
    return 0;
}

/* Releases the chunks below una. Whether there were any. */
static inline bool send_queue_acked(struct tcp_send_queue *q, uint32_t una) {
    uint32_t before = q->chunks.count;
    while (q->chunks.count > 0) {
        const struct tcp_chunk *chunk = send_queue_at(q, q->chunks.first);
        if (seq_lt(una, chunk->seq + chunk->len)) break;
        heap_release(chunk->base);
        fifo_drop_first(&q->chunks);
    }
    return before != q->chunks.count;
}

/* Adds the bytes [seq, seq + len), which are in the queue, to the packet. Returns how many found room. */
uint32_t send_queue_gather(const struct tcp_send_queue *q, struct tx_packet *o, uint32_t seq, uint32_t len);

/* Releases all chunks. */
void send_queue_clear(struct tcp_send_queue *q);

#endif
