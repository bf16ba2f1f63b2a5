/* SPDX-License-Identifier: MIT */
/*
 * Queues in memory: the FIFO, and the operators over queues of any kind. Each constructor creates a queue that is not
 * opened yet and returns 0 or -ENOMEM. dmtr/libos.h documents the queues.
 */
#ifndef LIBOS_MEMORY_H
#define LIBOS_MEMORY_H

#include "core/queue.h"
#include "dmtr/libos.h"

int memory_queue_new(struct dmtr_runtime *rt, struct queue **q_out);
int merge_queue_new(struct queue *q1, struct queue *q2, struct queue **q_out);
int filter_queue_new(struct queue *q1, dmtr_filter_fn fn, void *arg, struct queue **q_out);
int map_queue_new(struct queue *q1, dmtr_map_fn fn, void *arg, struct queue **q_out);
int sort_queue_new(struct queue *q1, dmtr_less_fn less, void *arg, struct queue **q_out);

/* Starts forwarding. It is not a queue and ends by itself. */
int forward_new(struct queue *in, struct queue *out);

#endif
