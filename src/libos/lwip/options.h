/* SPDX-License-Identifier: MIT */
/* Options of libos lwip. */
#ifndef LIBOS_LWIP_OPTIONS_H
#define LIBOS_LWIP_OPTIONS_H

#include "libos/link_options.h"

#define LWIP_OPTIONS(UINT, ENUM, BOOL, STRING)                                                                         \
    LINK_OPTIONS(UINT, STRING, "lwip", "Own IPv4 address with its prefix, such as 10.0.0.1/24")

struct lwip_options {
    CONFIG_FIELDS(LWIP_OPTIONS)
};

extern const struct config_group lwip_options_group;

#endif
