/* SPDX-License-Identifier: MIT */
/*
 * Options of TCP sockets that are numbers, by the platform's names. They stand apart because the platform's header and
 * the stack's do not go together.
 */
#ifndef LIBOS_STREAM_OPTIONS_H
#define LIBOS_STREAM_OPTIONS_H

#include "inet/tcp/option.h"

/* Least that may wait to be acknowledged: two pieces as stream_data.c cuts them, and then some. */
#define STREAM_SEND_LEAST 131072

/* The stack's option of that name, and the value as it is taken: sizes are brought within bounds. -1: no such option.
 */
int stream_option_find(int level, int name, int *value);

enum stream_named { STREAM_NAMED_NONE, STREAM_NAMED_CONGESTION, STREAM_NAMED_INFO };

/* Those that are no numbers. */
enum stream_named stream_option_named(int level, int name);

#endif
