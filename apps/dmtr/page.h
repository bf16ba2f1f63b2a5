/* SPDX-License-Identifier: MIT */
/*
 * Counter pages of other processes (format in base/counters.h). They lie in a folder that everybody may write to, so
 * nothing in them is believed: a page is read once into memory of our own, with a bound, and checked there.
 */
#ifndef DMTR_PAGE_H
#define DMTR_PAGE_H

#include "base/counters.h"

#include <stdbool.h>
#include <sys/types.h>

#define PAGE_FOLDER "/dev/shm"

enum page_state {
    PAGE_GOOD,
    PAGE_STALE,      /* its owner is gone */
    PAGE_BAD,        /* not a page, or one that contradicts itself */
    PAGE_UNREADABLE, /* errno says why */
};

struct page {
    char name[64]; /* of the file, in PAGE_FOLDER */
    pid_t pid;     /* as the name says */
    unsigned runtime;
    union {
        struct counters_page header;
        unsigned char bytes[65536];
    };
};

/* Whether a file's name is one of a page; then fills in name, pid and runtime. */
bool page_parse_name(struct page *p, const char *name);

/* Reads and checks it. The functions below are for good pages. */
enum page_state page_read(struct page *p, int folder_fd);

/* Printable, NUL-terminated, within out's size, whatever the page holds. */
void page_comm(const struct page *p, char out[sizeof(((struct counters_page *)0)->comm) + 1]);
void page_counter_name(const struct page *p, unsigned i, char out[COUNTERS_NAME_LEN]);
uint64_t page_value(const struct page *p, unsigned i);

#endif
