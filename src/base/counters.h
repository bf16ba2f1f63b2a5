/* SPDX-License-Identifier: MIT */
/*
 * Counters: declared once here (name, one sentence), kept per runtime in a page that other processes can map
 * and read (`dmtr ss`).
 */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#define DMTR_COUNTERS(X)                                                                                               \
    X(ops_completed, "Operations completed, with or without error")                                                    \
    X(ops_failed, "Operations completed with an error")                                                                \
    X(ops_dropped, "Operations given up with dmtr_drop")                                                               \
    X(ops_limit, "Calls refused because core.max_operations was reached")                                              \
    X(queues_opened, "Queues opened, accepted ones included")                                                          \
    X(queues_closed, "Queues closed")                                                                                  \
    X(queues_limit, "Queues refused because core.max_queues was reached")                                              \
    X(push_bytes_limit, "Pushes refused because a queue's push limit was reached")                                     \
    X(wait_idles, "Waits that found nothing complete")                                                                 \
    X(wait_sleeps, "Times a wait slept in the kernel")                                                                 \
    X(wait_scans, "Times wait_any had to walk its whole list")                                                         \
    X(wakes, "Waits ended by dmtr_wake")                                                                               \
    X(polls, "Rounds of polling the devices")                                                                          \
    X(timers_fired, "Timers that expired")                                                                             \
    X(copied_bytes, "Payload bytes the library copied")                                                                \
    X(frame_bad_header, "Framed streams ended because of a bad header")                                                \
    X(frame_too_large, "Framed streams ended because a message exceeded frame.max_bytes")                              \
    X(posix_syscalls, "System calls made by the kernel socket and file queues")                                        \
    X(posix_accepts, "Connections accepted from the kernel")                                                           \
    X(posix_accept_errors, "Accepts that the kernel refused, such as for want of descriptors")                         \
    X(posix_accept_backlog_limit, "Times accepting paused because accepted connections were not taken")                \
    X(posix_recv_ahead_limit, "Times receiving paused because received data was not popped")                           \
    X(posix_recv_buffers_empty, "Times the kernel found no provided receive buffer")                                   \
    X(posix_recv_buffers_leaked, "Receive buffers never freed because the kernel did not let them go in time")         \
    X(posix_send_zerocopy, "Sends made without a copy by the kernel")                                                  \
    X(posix_send_zerocopy_copied, "Zero-copy sends that the kernel copied all the same")                               \
    X(posix_datagrams_truncated, "Datagrams cut because they exceeded the buffer or the pop's count")                  \
    X(inet_group_forwards, "Frames put into the mailbox of the runtime that they belong to")                           \
    X(inet_group_unmatched, "Segments without a connection or listener here, forwarded to a runtime that listens")     \
    X(inet_group_drops, "Frames between runtimes lost because a mailbox was full or a socket had moved meanwhile")     \
    X(inet_group_flow_limit, "Connections refused because the flow table of the device was full")                      \
    X(inet_transfers_lost, "Connections handed over that could not be taken")                                          \
    X(inet_push_waits, "Pushes that waited because the network device had no room")                                    \
    X(inet_link_down_drops, "Frames lost because the link was down and many waited for it already")                    \
    X(inet_datagrams_truncated, "Datagrams cut because they exceeded the pop's count, over the library's own stack")   \
    X(lwip_receive_limit, "Datagrams lost because those not popped yet reach their limit, over lwIP")                  \
    X(lwip_datagrams_truncated, "Datagrams cut because they exceeded the pop's count, over lwIP")

enum counter {
#define X(name, text) COUNTER_##name,
    DMTR_COUNTERS(X)
#undef X
        COUNTER_COUNT
};

#define COUNTERS_MAGIC    0x646d747263747231ull /* "dmtrctr1" */
#define COUNTERS_NAME_LEN 40
#define COUNTERS_TEXT_LEN 104
#define COUNTERS_MAX      320u /* of a page, with those that counters_extend adds */

/* What is in the page: self-describing, so that a reader of another version can show it. */
struct counters_page {
    uint64_t magic;
    uint32_t pid;
    uint32_t runtime;
    uint64_t start_unix_ns;
    char comm[16];
    uint32_t count;
    uint32_t name_len, text_len;
    uint32_t names_offset, texts_offset, values_offset; /* bytes from the start of the page */
};

struct counters {
    uint64_t *values; /* [COUNTER_COUNT], written by the owner alone */
    struct counters_page *page;
    size_t page_bytes;
    char path[64]; /* of the page; empty where it could not be shared */
};

/*
 * Maps the page, shared as /dev/shm/dmtr.PID.RUNTIME when `shared`, or with a further number where a process of another
 * pid namespace has that name, else (or where that cannot be) private; the
 * return value says which: 0 as asked, 1 private although shared was asked (errno of the cause in *cause), -ENOMEM.
 */
int counters_init(struct counters *c, uint32_t runtime, int shared, int *cause);

/* Removes the shared pages of processes that have ended without doing so themselves, as far as they are this user's. */
void counters_remove_stale(void);

struct counter_name {
    const char *name, *text;
};

/*
 * Adds counters to the page, for those who count elsewhere and copy it here: their values, zero at first, which live as
 * long as the page. What is longer than COUNTERS_NAME_LEN, prefix and all, or COUNTERS_TEXT_LEN is cut. NULL: they
 * would be more than COUNTERS_MAX.
 */
uint64_t *counters_extend(struct counters *c, const char *prefix, const struct counter_name *names, uint32_t count);

void counters_fini(struct counters *c); /* unmaps and unlinks */

#define counter_add(c, name, n) ((c)->values[COUNTER_##name] += (uint64_t)(n))
#define counter_inc(c, name)    counter_add(c, name, 1)

#endif
