/* SPDX-License-Identifier: MIT */
/* The kernel's sockets and files as a libos. */
#ifndef POSIX_LIBOS_H
#define POSIX_LIBOS_H

#include "core/libos.h"

extern const struct libos libos_posix;

#endif
