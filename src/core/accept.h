/* SPDX-License-Identifier: MIT */
/* How accepts end. */
#ifndef CORE_ACCEPT_H
#define CORE_ACCEPT_H

#include "core/queue.h"

/*
 * Completes an accept with the new connection `fresh` (initialised, not opened), its peer's address in addr. If no
 * descriptor is free, fresh is closed and the accept fails with the reason.
 */
void queue_accepted(struct op *op, struct queue *fresh, const struct sockaddr *addr, socklen_t len);

#endif
