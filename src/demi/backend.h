/* SPDX-License-Identifier: MIT */
/* Translates LIBOS, and the network keys of the file of CONFIG_PATH, into options of dmtr. */
#ifndef DEMI_BACKEND_H
#define DEMI_BACKEND_H

#include "settings.h"

#define BACKEND_OPTIONS_MAX 8
#define BACKEND_OPTION_MAX  (2ul * SETTING_TEXT_MAX)
#define BACKEND_ERROR_MAX   256

struct backend_options {
    int count;
    char text[BACKEND_OPTIONS_MAX][BACKEND_OPTION_MAX]; /* KEY=VALUE */
};

/*
 * The options for the backend `name`, in upper or lower case. Leaves out options of inet.* that the environment sets,
 * because the environment overrides a file. 0, or EINVAL with one line in `error`.
 */
int backend_choose(struct backend_options *to, const char *name, const struct network *network,
                   char error[BACKEND_ERROR_MAX]);

#endif
