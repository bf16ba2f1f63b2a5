/* SPDX-License-Identifier: MIT */
/* A connection's state as Linux's TCP_INFO shows it; its header and the stack's do not go together. */
#ifndef LIBOS_INET_LINUX_INFO_H
#define LIBOS_INET_LINUX_INFO_H

#include "inet/tcp/tcp.h"

/* Writes struct tcp_info of <linux/tcp.h>, cut to `room` bytes; how many were written. What the stack does not keep is
 * 0. */
size_t linux_tcp_info(const struct tcp_status *status, uint64_t now_ns, void *to, size_t room);

#endif
