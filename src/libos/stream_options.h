/*
 * Options of TCP sockets that are numbers, by the platform's names. They stand apart because the platform's header and
 * the stack's do not go together.
 */
#ifndef LIBOS_STREAM_OPTIONS_H
#define LIBOS_STREAM_OPTIONS_H

/* Least that may wait to be acknowledged: two pieces as stream_data.c cuts them, and then some. */
#define STREAM_SEND_LEAST 131072

enum stream_setting {
    STREAM_NODELAY,
    STREAM_KEEPALIVE,
    STREAM_KEEP_IDLE,
    STREAM_KEEP_INTERVAL,
    STREAM_KEEP_COUNT,
    STREAM_USER_TIMEOUT,
    STREAM_SEND_LIMIT,
    STREAM_RECEIVE_LIMIT,
    STREAM_SETTINGS,
};

/* The setting that an option names, or -1. */
int stream_option_find(int level, int name);

int stream_option_default(enum stream_setting setting);

/* `value` as it is taken: sizes are brought within bounds. -EINVAL: out of range. */
int stream_option_check(enum stream_setting setting, int *value);

#endif
