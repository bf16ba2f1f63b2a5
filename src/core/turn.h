/* SPDX-License-Identifier: MIT */
/*
 * Turns. A turn is the time between two polls of the devices, in which the program handles the results of the first.
 *
 * A wait that finds results need not poll, so a program whose operations complete at once could stay in one turn for
 * ever and never receive. TURN_RESULTS and TURN_NS end a turn: a wait that begins after one of them is reached polls
 * before it checks for results.
 *
 * Pushes to network devices are collected during a turn and passed to the devices together (turn_flush): when a wait
 * finds no result, when TURN_FRAMES frames are unsent, before each poll, and in dmtr_flush. A wait does not flush
 * merely because it begins: a server that takes one result per wait would then never send a burst. No wait returns
 * without a result, and nothing sleeps, while frames are unsent.
 *
 * A push is sent at once, with all that is unsent, if it is likely to be the last one of its turn (the waits of this
 * turn returned one result each, no other operation is complete, and no received data waits to be popped), or if the
 * turn has lasted wait.turn_us.
 */
#ifndef CORE_TURN_H
#define CORE_TURN_H

#include "core/runtime.h"

#define TURN_RESULTS 256    /* results of all waits since the last poll */
#define TURN_NS      100000 /* time since the last poll */
#define TURN_LOOK    16     /* results before the clock is first read; it is read again when their number has doubled */
#define TURN_FRAMES  32u    /* unsent frames */

/* Begins the first turn; called again when the event descriptor is made. */
void turn_init(struct dmtr_runtime *rt);

/* Begins a turn; called by each poll and sleep, with nothing unsent. */
static inline void turn_begin(struct dmtr_runtime *rt) {
    rt->turn = rt->turn_first;
}

/* False: a wait may return a result at once. */
static inline bool turn_is_due(const struct dmtr_runtime *rt) {
    return __builtin_expect(rt->turn.left <= 0, 0);
}

/* Polls if a bound of the turn is reached. True: it polled. */
bool turn_look(struct dmtr_runtime *rt);

/* Whether frames are unsent. */
static inline bool turn_has_unsent(const struct dmtr_runtime *rt) {
    return rt->unsent.frames > 0;
}

static inline void turn_sender_add(struct dmtr_runtime *rt, struct sender *s) {
    list_push_back(&rt->unsent.senders, &s->link);
}
static inline void turn_sender_remove(struct sender *s) {
    list_remove(&s->link);
}

/* Passes all that is unsent to the devices, as far as they have room. Completes pushes. */
void turn_flush(struct dmtr_runtime *rt, uint64_t now_ns);

/* A wait found no result: flushes what is unsent, and runs internal operations that this has completed. */
void turn_flush_idle(struct dmtr_runtime *rt);

/* `frames` frames wait for the end of the turn. */
static inline void turn_add(struct dmtr_runtime *rt, uint32_t frames) {
    rt->unsent.frames += frames;
}

/*
 * A push was queued that makes `frames` frames. Flushes if the rules above say so. now_ns: the current time. unread:
 * the network holds received data that was not popped.
 */
static inline void turn_pushed(struct dmtr_runtime *rt, uint32_t frames, bool unread, uint64_t now_ns) {
    uint64_t since_ns = rt->now_ns > rt->unsent.flushed_ns ? rt->now_ns : rt->unsent.flushed_ns;
    bool alone =
        !rt->turn.many && !unread && list_empty(&rt->ready) && list_empty(&rt->parked) && list_empty(&rt->internal);
    rt->unsent.frames += frames;
    if (alone || rt->unsent.frames >= TURN_FRAMES || now_ns >= since_ns + rt->config.wait_turn_us * 1000)
        turn_flush(rt, now_ns);
}

#endif
