/* SPDX-License-Identifier: MIT */
/* The table of options of libos inet. */
#include "libos/inet/options.h"

#define CONFIG_VALUES struct inet_options
static const struct config_option options[] = CONFIG_ROWS(INET_OPTIONS);

const struct config_group inet_options_group = CONFIG_GROUP(options);
