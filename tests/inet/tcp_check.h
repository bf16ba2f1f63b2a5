/* SPDX-License-Identifier: MIT */
/* What must hold of a TCP connection between any two calls, found by counting everything anew. */
#ifndef TESTS_INET_TCP_CHECK_H
#define TESTS_INET_TCP_CHECK_H

#include "inet/tcp_conn.h"

/* NULL: all holds; else what does not. */
const char *tcp_check(const struct tcp_conn *c);

/* The same of all connections and listeners of a stack. */
const char *tcp_check_all(const struct inet *s);

#endif
