/* SPDX-License-Identifier: MIT */
/* The option table of memory queues. */
#include "libos/memory/options.h"

#define CONFIG_VALUES struct memory_options
static const struct config_option options[] = CONFIG_ROWS(MEMORY_OPTIONS);

const struct config_group memory_options_group = CONFIG_GROUP(options);
