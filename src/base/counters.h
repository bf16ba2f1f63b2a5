/* SPDX-License-Identifier: MIT */
/*
 * Counters. Each is declared once here (name, one sentence). A runtime keeps its counters in a page that other
 * processes can map and read (`dmtr ss`).
 */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#define DMTR_COUNTERS(X)                                                                                               \
    X(ops_completed, "Operations completed, with or without error")                                                    \
    X(ops_failed, "Operations completed with an error")                                                                \
    X(ops_dropped, "Operations abandoned with dmtr_drop")                                                              \
    X(ops_limit, "Calls refused because core.max_operations was reached")                                              \
    X(queues_opened, "Queues opened, including accepted connections")                                                  \
    X(queues_closed, "Queues closed")                                                                                  \
    X(queues_limit, "Queues refused because core.max_queues was reached")                                              \
    X(push_bytes_limit, "Pushes refused because a queue's push limit was reached")                                     \
    X(wait_idles, "Waits that found no completed operation")                                                           \
    X(wait_sleeps, "Times a wait slept in the kernel")                                                                 \
    X(wait_scans, "Times wait_any scanned its whole token list")                                                       \
    X(wakes, "Waits ended by dmtr_wake")                                                                               \
    X(polls, "Times the runtime polled its devices")                                                                   \
    X(timers_fired, "Timers that expired")                                                                             \
    X(copied_bytes, "Payload bytes the library copied")                                                                \
    X(frame_bad_header, "Framed streams ended because of a bad header")                                                \
    X(frame_too_large, "Framed streams ended because a message exceeded frame.max_bytes")

enum counter {
#define X(name, text) COUNTER_##name,
    DMTR_COUNTERS(X)
#undef X
        COUNTER_COUNT
};

#define COUNTERS_MAGIC    0x646d747263747231ull /* "dmtrctr1" */
#define COUNTERS_NAME_LEN 40
#define COUNTERS_TEXT_LEN 104
#define COUNTERS_MAX      320u /* per page, including counters added by counters_extend */

/* The page. It describes itself, so that a reader of another version can show it. */
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
    uint64_t *values; /* [COUNTER_COUNT], written only by the owner */
    struct counters_page *page;
    size_t page_bytes;
    char path[64]; /* of the page; empty if the page is private */
};

/*
 * Creates the page. With `shared`, maps it as /dev/shm/dmtr.PID.RUNTIME, with a number appended if a process of another
 * pid namespace uses that name. Without `shared`, or if sharing fails, the page is private. Returns 0 (as requested), 1
 * (private although `shared` was requested; *cause is the errno) or -ENOMEM.
 */
int counters_init(struct counters *c, uint32_t runtime, int shared, int *cause);

/* Removes the shared pages of this user's processes that ended without removing them. */
void counters_remove_stale(void);

struct counter_name {
    const char *name, *text;
};

/* For LIST(X) macros such as DMTR_COUNTERS: a row of struct counter_name[]; and a condition that both texts fit the
 * page. */
#define COUNTER_ROW(name, text)  {#name, text},
#define COUNTER_FITS(name, text) &&sizeof name <= COUNTERS_NAME_LEN && sizeof text <= COUNTERS_TEXT_LEN

/*
 * Adds counters to the page, for components that count elsewhere and copy the values here. Returns their values, zero
 * at first, which live as long as the page. Names (with prefix) longer than COUNTERS_NAME_LEN and texts longer than
 * COUNTERS_TEXT_LEN are truncated. Returns NULL if the page would have more than COUNTERS_MAX counters.
 */
uint64_t *counters_extend(struct counters *c, const char *prefix, const struct counter_name *names, uint32_t count);

void counters_fini(struct counters *c); /* unmaps and unlinks */

#define counter_add(c, name, n) ((c)->values[COUNTER_##name] += (uint64_t)(n))
#define counter_inc(c, name)    counter_add(c, name, 1)

#endif
