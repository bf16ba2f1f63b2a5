/* SPDX-License-Identifier: MIT */
/*
 * Message framing on a stream queue (DMTR_SO_FRAMED). On the wire a message is a header of three 32-bit words in
 * network order (DMTR_HEADER_MAGIC, bytes that follow, segments), then each segment as a 32-bit length and its data. A
 * pop returns one pushed message with its segments: zero-copy where a segment lies in one received piece, else copied
 * together once.
 *
 * A stream that ends between messages is at its end (zero segments); one that ends inside a message was cut off:
 * ECONNRESET. A bad header or a message above frame.max_bytes ends it with EILSEQ. All three are final.
 *
 * Memory: nothing is read from the stream but for a waiting pop. There is at most one message under way, for which
 * memory is taken as its data arrives (up to SEGMENT_AT_ONCE bytes at once, then at most twice what has arrived), and
 * one received piece.
 */
#ifndef CORE_FRAMING_H
#define CORE_FRAMING_H

#include "core/queue.h"

/* Puts framing on q, whose first push or pop is to come. 0, -ENOMEM, -EOPNOTSUPP: not a stream. */
int framing_new(struct queue *q, struct framing **out);

/* What queue_push and queue_pop do for a framed queue; same contracts as the entries of queue_ops. */
int framing_push(struct framing *f, struct op *op);
int framing_pop(struct framing *f, struct op *op);
bool framing_cancel(struct framing *f, struct op *op);

/*
 * The queue is about to be closed: ends pops with -ECANCELED. Pushes are still delivered. f frees itself when the
 * queue has let go of it. True: f has received data that no pop was given.
 */
bool framing_close(struct framing *f);

#endif
