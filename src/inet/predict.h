/* SPDX-License-Identifier: MIT */
/* Receive fast path. */
#ifndef INET_PREDICT_H
#define INET_PREDICT_H

#include "inet/state.h"

/*
 * Processes the frame and becomes the owner of its block if it holds an unfragmented IPv4 packet of a known flow
 * without IP options and without anything unusual. False: nothing was done, and the caller uses the slow path.
 */
bool predict_input(struct inet *s, uint8_t *frame, uint32_t len, uint32_t flags);

#endif
