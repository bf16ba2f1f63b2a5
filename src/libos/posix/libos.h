/* SPDX-License-Identifier: MIT */
/* The libos for the kernel's sockets and files. */
#ifndef POSIX_LIBOS_H
#define POSIX_LIBOS_H

#include "core/libos.h"

extern const struct libos libos_posix;

#endif
