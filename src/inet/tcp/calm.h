/* SPDX-License-Identifier: MIT */
/*
 * Calm connections. Nothing is lost, out of order or in doubt, and both directions are open: then the fast paths do
 * what the slow paths would do, in fewer steps (tcp_input_expected, tcp_output_expected, template_output). Only
 * calm_prove sets the flag. Every slow path that may end the calm begins with calm_end; tcp_output does not, because
 * sending changes nothing that calm_holds looks at. Debug builds prove the flag again after each call, segment and
 * timer.
 */
#ifndef INET_TCP_CALM_H
#define INET_TCP_CALM_H

#include "inet/tcp/conn.h"

/* Whether the connection is calm. */
bool calm_holds(const struct tcp_conn *c);

/* Sets the flag if the connection is calm. Returns the flag. */
bool calm_prove(struct tcp_conn *c);

static inline bool calm_is(struct tcp_conn *c) {
    return __builtin_expect(c->calm, 1) || calm_prove(c);
}

#endif
