/* SPDX-License-Identifier: MIT */
/* The option table of libos posix. */
#include "libos/posix/options.h"

const char *const posix_engines[] = {"auto", "io_uring", "epoll", NULL};

#define CONFIG_VALUES struct posix_options
static const struct config_option options[] = CONFIG_ROWS(POSIX_OPTIONS);

const struct config_group posix_options_group = CONFIG_GROUP(options);
