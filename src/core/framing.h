/* SPDX-License-Identifier: MIT */
/*
 * Message framing on a stream queue (DMTR_SO_FRAMED). On the wire a message is a header of three 32-bit words in
 * network order (DMTR_HEADER_MAGIC, bytes that follow, segments), then each segment as a 32-bit length and its data. A
 * pop returns one pushed message with its segments: without a copy if a segment is in one received piece, else copied
 * into one block once.
 *
 * A stream that ends between messages gives the end of stream (zero segments); one that ends inside a message fails
 * with ECONNRESET. A bad header or a message above frame.max_bytes ends it with EILSEQ. All three are final.
 *
 * Memory: framing reads from the stream only while a pop waits. It stores at most one message and one received
 * piece. It allocates memory for the message as data arrives: SEGMENT_AT_ONCE bytes first, then at most twice the
 * received bytes.
 */
#ifndef CORE_FRAMING_H
#define CORE_FRAMING_H

#include "core/queue.h"

/* Makes the layer for q, before its first push or pop. 0, -ENOMEM, or -EOPNOTSUPP: not a stream. */
int framing_new(struct queue *q, struct queue_layer **out);

#endif
