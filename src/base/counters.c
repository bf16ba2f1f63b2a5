/* SPDX-License-Identifier: MIT */
/* The counters' page: its layout, and sharing it through /dev/shm if possible. */
#include "base/counters.h"

#include "base/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOLDER         "/dev/shm"
#define PREFIX         "dmtr."
#define PAGE_NAMES_MAX 16    /* names tried for a page */
#define STALE_SCAN_MAX 65536 /* directory entries looked at */

static const struct {
    char name[COUNTERS_NAME_LEN];
    char text[COUNTERS_TEXT_LEN];
} table[COUNTER_COUNT] = {
#define X(name, text) {#name, text},
    DMTR_COUNTERS(X)
#undef X
};

/* Without this check, a string that fills its array exactly would silently lose its NUL. */
#define X(name, text)                                                                                                  \
    _Static_assert(sizeof #name <= COUNTERS_NAME_LEN && sizeof text <= COUNTERS_TEXT_LEN, "too long: " #name);
DMTR_COUNTERS(X)
#undef X

static uint32_t values_offset(void) {
    return (uint32_t)((sizeof(struct counters_page) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
}

static size_t page_bytes(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = values_offset() + COUNTERS_MAX * (sizeof(uint64_t) + COUNTERS_NAME_LEN + COUNTERS_TEXT_LEN);
    return (bytes + page - 1) / page * page;
}

/* Fills the zeroed page. The magic is stored last, so that a reader that sees it also sees the rest. */
static void describe(struct counters *c, uint32_t runtime) {
    struct counters_page *page = c->page;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    page->pid = (uint32_t)getpid();
    page->runtime = runtime;
    page->start_unix_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    memcpy(page->comm, program_invocation_short_name, strnlen(program_invocation_short_name, sizeof page->comm - 1));
    page->count = COUNTER_COUNT;
    page->name_len = COUNTERS_NAME_LEN;
    page->text_len = COUNTERS_TEXT_LEN;
    page->values_offset = values_offset();
    page->names_offset = page->values_offset + COUNTERS_MAX * (uint32_t)sizeof(uint64_t);
    page->texts_offset = page->names_offset + COUNTERS_MAX * COUNTERS_NAME_LEN;
    c->values = (uint64_t *)(void *)((char *)page + page->values_offset);
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        memcpy((char *)page + page->names_offset + i * COUNTERS_NAME_LEN, table[i].name, COUNTERS_NAME_LEN);
        memcpy((char *)page + page->texts_offset + i * COUNTERS_TEXT_LEN, table[i].text, COUNTERS_TEXT_LEN);
    }
    __atomic_store_n(&page->magic, COUNTERS_MAGIC, __ATOMIC_RELEASE);
}

/*
 * Whether the process that owned the page has ended. The owner's lock lasts as long as its mapping, whatever its pid
 * namespace. A page without magic may be new and not locked yet.
 */
static bool is_stale(int fd) {
    uint64_t magic = 0;
    struct stat st;
    if (SYS(fstat, fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) return false;
    return SYS(flock, fd, LOCK_EX | LOCK_NB) == 0 && SYS(pread, fd, &magic, sizeof magic, 0) == sizeof magic &&
           magic == COUNTERS_MAGIC;
}

/*
 * Removes a stale page. No other process removes it while we hold its lock. Returns 0, -EEXIST (not stale) or another
 * negative errno.
 */
static int remove_stale(int folder, const char *name) {
    int fd = SYS(openat, folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return fd;
    struct stat ours, named;
    int r = is_stale(fd) ? 0 : -EEXIST;
    if (r == 0) r = SYS(fstat, fd, &ours);
    if (r == 0) r = SYS(fstatat, folder, name, &named, AT_SYMLINK_NOFOLLOW);
    if (r == 0 && (ours.st_ino != named.st_ino || ours.st_dev != named.st_dev))
        r = -EEXIST; /* another process removed and recreated it */
    if (r == 0) r = SYS(unlinkat, folder, name, 0);
    close(fd);
    return r;
}

void counters_remove_stale(void) {
    DIR *dir = opendir(FOLDER);
    if (!dir) return;
    struct dirent *entry;
    for (int i = 0; i < STALE_SCAN_MAX && (entry = readdir(dir)); i++)
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0) remove_stale(dirfd(dir), entry->d_name);
    closedir(dir);
}

/* Creates an empty, locked file of c->page_bytes. Returns the descriptor or a negative errno. */
static int create_page_file(const struct counters *c) {
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = SYS(open, c->path, flags, 0600), r;
    if (fd == -EEXIST) {
        r = remove_stale(AT_FDCWD, c->path);
        if (r < 0) return r;
        fd = SYS(open, c->path, flags, 0600);
    }
    if (fd < 0) return fd;
    r = SYS(flock, fd, LOCK_EX | LOCK_NB);
    if (r == 0) r = SYS(fchmod, fd, 0644);
    if (r == 0)
        r = SYS(fallocate, fd, 0, 0, (off_t)c->page_bytes); /* a full /dev/shm fails here, not later with SIGBUS */
    if (r == 0) return fd;
    close(fd);
    unlink(c->path);
    return r;
}

/* Tries several names: containers that share /dev/shm may have processes with the same pid. */
static int create_named(struct counters *c, uint32_t runtime) {
    int fd = -EEXIST;
    for (int i = 0; i < PAGE_NAMES_MAX && fd == -EEXIST; i++) {
        int n = snprintf(c->path, sizeof c->path, FOLDER "/" PREFIX "%ld.%u", (long)getpid(), runtime);
        if (i > 0) snprintf(c->path + n, sizeof c->path - (size_t)n, ".%d", i);
        fd = create_page_file(c);
    }
    return fd;
}

static int map_shared(struct counters *c, uint32_t runtime) {
    int fd = create_named(c, runtime), error = 0;
    if (fd >= 0) {
        c->page = sys_mmap(NULL, c->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, &error);
        close(fd);
        if (c->page) return 0;
        unlink(c->path);
    }
    c->path[0] = '\0';
    return fd < 0 ? fd : -error;
}

int counters_init(struct counters *c, uint32_t runtime, int shared, int *cause) {
    int r = 0, error;
    memset(c, 0, sizeof *c);
    *cause = 0;
    c->page_bytes = page_bytes();
    if (shared) {
        r = map_shared(c, runtime);
        *cause = -r;
    }
    if (!c->page) c->page = sys_map(c->page_bytes, PROT_READ | PROT_WRITE, 0, &error);
    if (!c->page) return -ENOMEM;
    describe(c, runtime);
    return r < 0;
}

uint64_t *counters_extend(struct counters *c, const char *prefix, const struct counter_name *names, uint32_t count) {
    struct counters_page *page = c->page;
    uint32_t first = page->count;
    if (count > COUNTERS_MAX - first) return NULL;
    for (uint32_t i = 0; i < count; i++) {
        char *name = (char *)page + page->names_offset + (size_t)(first + i) * COUNTERS_NAME_LEN;
        char *text = (char *)page + page->texts_offset + (size_t)(first + i) * COUNTERS_TEXT_LEN;
        snprintf(name, COUNTERS_NAME_LEN, "%s%s", prefix, names[i].name);
        snprintf(text, COUNTERS_TEXT_LEN, "%s", names[i].text);
    }
    __atomic_store_n(&page->count, first + count,
                     __ATOMIC_RELEASE); /* a reader that sees the new count also sees the names */
    return c->values + first;
}

void counters_fini(struct counters *c) {
    if (c->path[0] && c->page->pid == (uint32_t)getpid()) unlink(c->path); /* a forked child keeps its parent's file */
    if (c->page) munmap(c->page, c->page_bytes);
    memset(c, 0, sizeof *c);
}
