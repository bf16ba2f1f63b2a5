/* SPDX-License-Identifier: MIT */
/*
 * Options of TCP sockets that are numbers, by the platform's names. In a separate file, because the platform's header
 * conflicts with the stack's.
 */
#ifndef LIBOS_STREAM_OPTIONS_H
#define LIBOS_STREAM_OPTIONS_H

#include "inet/tcp/option.h"

/* Smallest send buffer: more than two pieces of a push (STREAM_PIECE_BYTES). */
#define STREAM_SEND_LEAST 131072

/* Returns the stack's option of that name and clamps *value to its limits. -1: no such option. */
int stream_option_find(int level, int name, int *value);

enum stream_named { STREAM_NAMED_NONE, STREAM_NAMED_CONGESTION, STREAM_NAMED_INFO };

/* Finds options that are not numbers. */
enum stream_named stream_option_named(int level, int name);

#endif
