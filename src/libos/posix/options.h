/* SPDX-License-Identifier: MIT */
/* Options of libos posix. */
#ifndef LIBOS_POSIX_OPTIONS_H
#define LIBOS_POSIX_OPTIONS_H

#include "core/option.h"

enum posix_engine { POSIX_AUTO, POSIX_IO_URING, POSIX_EPOLL };

#define POSIX_OPTIONS(UINT, ENUM, BOOL, STRING)                                                                        \
    ENUM("posix.engine", engine, POSIX_AUTO, posix_engines,                                                            \
         "Kernel interface of libos posix: auto (io_uring if the kernel has the needed features), io_uring, epoll")    \
    UINT("posix.ring_entries", ring_entries, 1024, 16, 32768, "entries", "Size of the io_uring submission ring")       \
    UINT("posix.recv_buffer_bytes", recv_buffer_bytes, 16384, 512, 65536, "bytes",                                     \
         "Size of one receive buffer of a stream; datagram buffers hold the largest datagram")                         \
    UINT("posix.recv_buffers", recv_buffers, 1024, 8, 32768, "buffers",                                                \
         "Receive buffers provided to the kernel in advance (io_uring)")                                               \
    UINT("posix.recv_ahead_bytes", recv_ahead_bytes, 262144, 0, 1073741824, "bytes",                                   \
         "Limit of received data held for one queue before it is popped")                                              \
    UINT("posix.accept_ahead", accept_ahead, 128, 1, 65535, "connections",                                             \
         "Limit of connections held for one listener before they are accepted")                                        \
    UINT("posix.zerocopy_min_bytes", zerocopy_min_bytes, 32768, 0, 1073741824, "bytes",                                \
         "Smallest push that io_uring sends without a copy; 0 always copies")                                          \
    UINT("posix.registered_files", registered_files, 4096, 0, 32768, "descriptors",                                    \
         "File descriptors registered with io_uring; others work unregistered")

struct posix_options {
    CONFIG_FIELDS(POSIX_OPTIONS)
};

extern const struct config_group posix_options_group;

extern const char *const posix_engines[];

#endif
