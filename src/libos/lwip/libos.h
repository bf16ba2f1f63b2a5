/* SPDX-License-Identifier: MIT */
/* The lwip libos, for the table in libos/registry.c. */
#ifndef LIBOS_LWIP_LIBOS_H
#define LIBOS_LWIP_LIBOS_H

#include "core/libos.h"

extern const struct libos libos_lwip;

#endif
