/* SPDX-License-Identifier: MIT */
/* dmtr ss: the counters of all running programs, from the pages they share. */
#include "dmtr.h"
#include "options.h"
#include "page.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool json, clean, all;
static uint64_t only_pid;
static unsigned shown, stale, refused;

static double age_seconds(const struct page *p) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double s = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)p->header.start_unix_ns / 1e9;
    return s > 0 ? s : 0;
}

static void print_json(const struct page *p) {
    char text[COUNTERS_NAME_LEN];
    page_comm(p, text);
    printf("%s\n{\"pid\":%d,\"runtime\":%u,\"command\":\"%s\",\"age_seconds\":%.3f,\"counters\":{", shown ? "," : "",
           (int)p->pid, p->runtime, text, age_seconds(p));
    for (unsigned i = 0; i < p->header.count; i++) {
        page_counter_name(p, i, text);
        printf("%s\"%s\":%llu", i ? "," : "", text, (unsigned long long)page_value(p, i));
    }
    printf("}}");
}

static void print_table(const struct page *p) {
    char text[COUNTERS_NAME_LEN];
    page_comm(p, text);
    printf("%s%s  pid %d  runtime %u  %.0f s\n", shown ? "\n" : "", text, (int)p->pid, p->runtime, age_seconds(p));
    for (unsigned i = 0; i < p->header.count; i++) {
        uint64_t v = page_value(p, i);
        if (v == 0 && !all) continue;
        page_counter_name(p, i, text);
        printf("  %-36s %llu\n", text, (unsigned long long)v);
    }
}

static void show(struct page *p, int folder) {
    switch (page_read(p, folder)) {
    case PAGE_GOOD:
        (json ? print_json : print_table)(p);
        shown++;
        break;
    case PAGE_STALE:
        stale++;
        if (clean && unlinkat(folder, p->name, 0) != 0) fprintf(stderr, "dmtr ss: %s: %s\n", p->name, strerror(errno));
        break;
    case PAGE_BAD:
        fprintf(stderr, "dmtr ss: %s: not a valid page, ignored\n", p->name);
        refused++;
        break;
    case PAGE_UNREADABLE:
        if (errno == ENOENT) break;
        fprintf(stderr, "dmtr ss: %s: %s%s\n", p->name, strerror(errno),
                errno == EACCES ? "; the process is another user's: run dmtr ss as that user or as root" : "");
        refused++;
        break;
    }
}

/* Explains why the requested process has no counters to show. */
static void explain_nothing(void) {
    unsigned long long pid = only_pid;
    if (refused > 0) return; /* already reported */
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        fprintf(stderr, "dmtr ss: there is no process %llu\n", pid);
    else
        fprintf(stderr,
                "dmtr ss: process %llu shares no counters: it does not run the library, or its option stats.share is "
                "false\n",
                pid);
}

int command_ss(int argc, char *argv[]) {
    static const struct option_spec specs[] = {
        {"json", OPTION_FLAG, &json, NULL, "print JSON with all counters", 0, 0},
        {"all", OPTION_FLAG, &all, NULL, "also print counters that are zero", 0, 0},
        {"pid", OPTION_UINT, &only_pid, "PID", "only this process", 1, 1u << 30},
        {"clean", OPTION_FLAG, &clean, NULL, "remove pages of processes that have ended", 0, 0},
        {0}};
    static struct page page;
    enum options_result o = options_parse(argc, argv, "Shows the counters of all running programs.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    DIR *folder = opendir(PAGE_FOLDER);
    int at = folder ? dirfd(folder) : -1;
    if (at < 0) {
        fprintf(stderr, "dmtr ss: %s: %s\n", PAGE_FOLDER, strerror(errno));
        return 1;
    }
    if (json) printf("[");
    for (struct dirent *e; (e = readdir(folder));) {
        if (!page_parse_name(&page, e->d_name)) continue;
        if (!only_pid || (uint64_t)page.pid == only_pid) show(&page, at);
    }
    closedir(folder);
    if (json) printf("]\n");
    if (stale > 0)
        fprintf(stderr, "dmtr ss: %u left by programs that are gone%s\n", stale,
                clean ? ", removed" : "; --clean removes them");
    bool nothing = only_pid && !clean && shown == 0;
    if (nothing) explain_nothing();
    return options_flush("dmtr ss") != 0 || nothing;
}
