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

/* Makes the layer for q, before its first push or pop. 0, -ENOMEM, -EOPNOTSUPP: not a stream. */
int framing_new(struct queue *q, struct queue_layer **out);

#endif
