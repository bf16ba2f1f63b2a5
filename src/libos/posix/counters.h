/* SPDX-License-Identifier: MIT */
/* Counters of libos posix: a name and one sentence each. `dmtr ss` shows them with the prefix "posix_". */
#ifndef LIBOS_POSIX_COUNTERS_H
#define LIBOS_POSIX_COUNTERS_H

#define POSIX_COUNTERS(X)                                                                                              \
    X(syscalls, "System calls made by the kernel socket and file queues")                                              \
    X(accepts, "Connections accepted from the kernel")                                                                 \
    X(accept_errors, "Accepts that the kernel refused, for example because no descriptor was free")                    \
    X(accept_backlog_limit, "Times accepting paused because too many connections waited for dmtr_accept")              \
    X(recv_ahead_limit, "Times receiving paused because too much received data waited for dmtr_pop")                   \
    X(recv_buffers_empty, "Times the kernel found no provided receive buffer")                                         \
    X(recv_buffers_leaked, "Receive buffers never freed because the kernel did not release them in time")              \
    X(send_zerocopy, "Sends that the kernel made without a copy")                                                      \
    X(send_zerocopy_copied, "Zero-copy sends that the kernel copied anyway")                                           \
    X(datagrams_truncated, "Datagrams truncated to the buffer or to the pop's count")

enum posix_counter {
#define X(name, text) POSIX_COUNTER_##name,
    POSIX_COUNTERS(X)
#undef X
        POSIX_COUNTER_COUNT
};

/* `owner` is the structure of the libos, which has the values. */
#define posix_count(owner, name)        posix_count_add(owner, name, 1)
#define posix_count_add(owner, name, n) ((owner)->counters[POSIX_COUNTER_##name] += (uint64_t)(n))

#endif
