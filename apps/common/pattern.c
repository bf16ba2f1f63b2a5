/* SPDX-License-Identifier: MIT */
/* Payload that can be checked byte by byte. */
#include "pattern.h"

#include <endian.h>
#include <string.h>

#define STEP 0x9e3779b97f4a7c15u /* odd, and all its bytes differ */

static uint64_t word(uint64_t id, size_t index) {
    return htole64(id + index * STEP);
}

void pattern_fill(void *buf, size_t len, uint64_t id) {
    char *p = buf;
    size_t i = 0;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t w = word(id, i++);
        memcpy(p, &w, 8);
    }
    uint64_t last = word(id, i);
    memcpy(p, &last, len);
}

/* Checks bytes up to the end of a word. */
static bool check_part(const char *p, size_t len, uint64_t id, size_t offset) {
    uint64_t w = word(id, offset / 8);
    return memcmp(p, (const char *)&w + offset % 8, len) == 0;
}

bool pattern_check(const void *buf, size_t len, uint64_t id, size_t offset) {
    const char *p = buf;
    size_t head = -offset % 8;
    if (head > len) head = len;
    if (head && !check_part(p, head, id, offset)) return false;
    p += head, offset += head, len -= head;
    for (; len >= 8; len -= 8, p += 8, offset += 8) {
        uint64_t w = word(id, offset / 8);
        if (memcmp(p, &w, 8) != 0) return false;
    }
    return check_part(p, len, id, offset);
}
