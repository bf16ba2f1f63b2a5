/* SPDX-License-Identifier: MIT */
/* The option table of libos lwip. */
#include "libos/lwip/options.h"

#define CONFIG_VALUES struct lwip_options
static const struct config_option options[] = CONFIG_ROWS(LWIP_OPTIONS);

const struct config_group lwip_options_group = CONFIG_GROUP(options);
