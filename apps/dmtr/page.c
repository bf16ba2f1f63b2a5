/* SPDX-License-Identifier: MIT */
/* Reads and checks counter pages. */
#include "page.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool page_parse_name(struct page *p, const char *name) {
    int pid, used = 0, more = 0;
    unsigned runtime, further;
    if (strlen(name) >= sizeof p->name) return false;
    if (sscanf(name, "dmtr.%9d.%9u%n", &pid, &runtime, &used) != 2 || pid <= 0) return false;
    if (sscanf(name + used, ".%9u%n", &further, &more) == 1) used += more; /* another process with the same pid */
    if (name[used] != '\0') return false;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->pid = pid;
    p->runtime = runtime;
    return true;
}

/* Whether [offset, offset + count * each) lies within len bytes. */
static bool within(size_t len, uint32_t offset, uint64_t count, uint64_t each) {
    return offset >= sizeof(struct counters_page) && offset <= len && count * each <= len - offset;
}

/* A page of another version may have more counters with longer names; its header has their sizes. */
static bool consistent(const struct page *p, size_t len) {
    const struct counters_page *h = &p->header;
    return len >= sizeof *h && h->magic == COUNTERS_MAGIC && h->pid == (uint32_t)p->pid && h->runtime == p->runtime &&
           h->count > 0 && h->name_len > 0 && h->values_offset % sizeof(uint64_t) == 0 &&
           within(len, h->values_offset, h->count, sizeof(uint64_t)) &&
           within(len, h->names_offset, h->count, h->name_len) && within(len, h->texts_offset, h->count, h->text_len);
}

/* The owner keeps its page locked while it lives. Its process id proves nothing, because ids are reused. */
static bool owner_lives(int fd) {
    if (flock(fd, LOCK_SH | LOCK_NB) != 0) return true;
    flock(fd, LOCK_UN);
    return false;
}

enum page_state page_read(struct page *p, int folder_fd) {
    struct stat st;
    int fd = openat(folder_fd, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return PAGE_UNREADABLE;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return PAGE_BAD;
    }
    bool alive = owner_lives(fd);
    ssize_t n = pread(fd, p->bytes, sizeof p->bytes, 0);
    close(fd);
    if (!alive) return PAGE_STALE;
    return n >= 0 && consistent(p, (size_t)n) ? PAGE_GOOD : PAGE_BAD;
}

/* Copies the characters of at most len bytes that are printable and harmless inside quotes. */
static void copy_text(char *out, size_t size, const void *from, size_t len) {
    const char *s = from;
    size_t i = 0;
    for (; i < len && i + 1 < size && s[i]; i++)
        out[i] = isprint((unsigned char)s[i]) && s[i] != '"' && s[i] != '\\' ? s[i] : '?';
    out[i] = '\0';
}

void page_comm(const struct page *p, char out[sizeof(((struct counters_page *)0)->comm) + 1]) {
    copy_text(out, sizeof p->header.comm + 1, p->header.comm, sizeof p->header.comm);
}

void page_counter_name(const struct page *p, unsigned i, char out[COUNTERS_NAME_LEN]) {
    const unsigned char *name = p->bytes + p->header.names_offset + (size_t)i * p->header.name_len;
    copy_text(out, COUNTERS_NAME_LEN, name, p->header.name_len);
}

uint64_t page_value(const struct page *p, unsigned i) {
    uint64_t v;
    memcpy(&v, p->bytes + p->header.values_offset + i * sizeof v, sizeof v);
    return v;
}
