/* SPDX-License-Identifier: MIT */
/* The inet libos, for the table in libos/registry.c. */
#ifndef LIBOS_INET_LIBOS_H
#define LIBOS_INET_LIBOS_H

#include "core/libos.h"

extern const struct libos libos_inet;

#endif
