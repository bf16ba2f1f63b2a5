/* SPDX-License-Identifier: MIT */
/*
 * Counter pages of other processes (format in base/counters.h). They are in a folder that every user may write to, so
 * they are not trusted: a page is read once, up to a limit, into private memory, and checked there.
 */
#ifndef DMTR_PAGE_H
#define DMTR_PAGE_H

#include "base/counters.h"

#include <stdbool.h>
#include <sys/types.h>

#define PAGE_FOLDER "/dev/shm"

enum page_state {
    PAGE_GOOD,
    PAGE_STALE,      /* its owner has ended */
    PAGE_BAD,        /* not a page, or an inconsistent one */
    PAGE_UNREADABLE, /* errno has the reason */
};

struct page {
    char name[64]; /* of the file, in PAGE_FOLDER */
    pid_t pid;     /* from the name */
    unsigned runtime;
    union {
        struct counters_page header;
        unsigned char bytes[65536];
    };
};

/* Whether the file name is that of a page; if so, sets name, pid and runtime. */
bool page_parse_name(struct page *p, const char *name);

/* Reads and checks the page. The functions below are for good pages. */
enum page_state page_read(struct page *p, int folder_fd);

/* Copies the command name as printable, NUL-terminated text, whatever the page contains. */
void page_comm(const struct page *p, char out[sizeof(((struct counters_page *)0)->comm) + 1]);
void page_counter_name(const struct page *p, unsigned i, char out[COUNTERS_NAME_LEN]);
uint64_t page_value(const struct page *p, unsigned i);

#endif
