/* SPDX-License-Identifier: MIT */
/* Finds pushed bytes by their sequence numbers. */
#include "inet/tcp/send_queue.h"

/* The position of the chunk that holds seq. */
static uint32_t chunk_of(const struct tcp_send_queue *q, uint32_t seq) {
    uint32_t low = 0, high = q->chunks.count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (seq_le(send_queue_at(q, q->chunks.first + middle)->seq, seq))
            low = middle;
        else
            high = middle - 1;
    }
    return q->chunks.first + low;
}

uint32_t send_queue_gather(const struct tcp_send_queue *q, struct tx_packet *o, uint32_t seq, uint32_t len) {
    uint32_t done = 0;
    if (len == 0) return 0;
    for (uint32_t at = chunk_of(q, seq); done < len; at++) {
        const struct tcp_chunk *chunk = send_queue_at(q, at);
        uint32_t skip = seq + done - chunk->seq, n = chunk->len - skip;
        if (n > len - done) n = len - done;
        if (!tx_add(o, chunk->base + skip, n)) break;
        done += n;
    }
    return done;
}

void send_queue_clear(struct tcp_send_queue *q) {
    for (; q->chunks.count > 0; fifo_drop_first(&q->chunks))
        heap_release(send_queue_at(q, q->chunks.first)->base);
}
