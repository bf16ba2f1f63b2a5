/* SPDX-License-Identifier: MIT */
/* TCP_INFO of a connection in Linux's layout. A file of its own, because Linux's header conflicts with the stack's. */
#ifndef LIBOS_INET_LINUX_INFO_H
#define LIBOS_INET_LINUX_INFO_H

#include "inet/tcp/tcp.h"

/* Writes struct tcp_info of <linux/tcp.h>, truncated to `room` bytes. Returns the bytes written. Fields that the stack
 * does not track are 0. */
size_t linux_tcp_info(const struct tcp_status *status, uint64_t now_ns, void *to, size_t room);

#endif
