/* SPDX-License-Identifier: MIT */
/* The settings in the file that CONFIG_PATH names. */
#ifndef DEMI_SETTINGS_H
#define DEMI_SETTINGS_H

#include <stdbool.h>

/* Options of every new TCP socket; SETTING_UNSET keeps the system's default. */
#define SETTING_UNSET (-1)

struct settings {
    int nodelay;
    int keepalive;
};

#define SETTINGS_NONE {SETTING_UNSET, SETTING_UNSET}

#define SETTING_TEXT_MAX 256

/* Settings for backends other than the kernel's sockets. An empty text is not set. */
struct network {
    char address[SETTING_TEXT_MAX], mac[SETTING_TEXT_MAX], interface[SETTING_TEXT_MAX];
    char eal[SETTING_TEXT_MAX];        /* arguments, separated by blanks, with semicolons for commas */
    char neighbours[SETTING_TEXT_MAX]; /* ADDRESS=MAC, separated by commas */
    int mtu;
};

struct file_settings {
    struct settings sockets;
    struct network network;
    bool linger; /* the file sets tcp_socket_options.linger, which has no effect */
};

#define SETTINGS_ERROR_MAX 512

/*
 * Reads the file at path; NULL: there is none. 0, or a positive errno with one line in error that names file, line and
 * key. EINVAL: wrong content; others: the file cannot be read.
 */
int settings_load(struct file_settings *s, const char *path, char error[SETTINGS_ERROR_MAX]);

/* Applies s to a fresh TCP socket; accepted connections inherit from their listener. 0 or a positive errno. */
int settings_apply(const struct settings *s, int qd);

#endif
