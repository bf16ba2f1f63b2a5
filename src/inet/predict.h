/* SPDX-License-Identifier: MIT */
/* The short way in, for the packets that are most. */
#ifndef INET_PREDICT_H
#define INET_PREDICT_H

#include "inet/state.h"

/*
 * A frame: if it is an IPv4 packet of a known flow, whole, without options and with nothing unusual about it, it is
 * worked on and the block taken over. False: nothing was done, all layers are to look at it.
 */
bool predict_input(struct inet *s, uint8_t *frame, uint32_t len, uint32_t flags);

#endif
