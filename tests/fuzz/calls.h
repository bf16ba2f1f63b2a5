/* SPDX-License-Identifier: MIT */
/* What the parts of the target "calls" share: the runtime's circumstances, and the calls that waits.c makes. */
#ifndef TESTS_FUZZ_CALLS_H
#define TESTS_FUZZ_CALLS_H

#include "shadow.h"

#include <errno.h>

extern bool tight; /* the runtime has small bounds, so that any call may meet them */
extern bool woken; /* dmtr_wake was called, and no wait has said so yet */

/* Errors that no call on an open queue with sound pointers may give. */
static inline void documented(int r) {
    must(r >= 0 && r != EBADF && r != EFAULT && r != ENOSYS && r != EINTR);
}

/* A call that cannot fail but for the small bounds; true if it did not. */
static inline bool granted(int r) {
    must(r == 0 || (tight && r == ENOBUFS));
    return r == 0;
}

void waits_init(void);
void call_poll(struct input *in);
void call_drop(struct input *in);
void call_wait_any(struct input *in);
void call_wait_all(struct input *in);
void call_wait_next(struct input *in);
void call_timer(struct input *in);
void call_watch(struct input *in);
void call_event_fd(struct input *in);
void call_wake(struct input *in);

/* Takes up to `most` results, which is at most 8. */
void take_next(int most, uint64_t timeout_ns);

#endif
