/* SPDX-License-Identifier: MIT */
/* Words of a script, and what they stand for. */
#include "words.h"

#include "names.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool words_fail(struct words *w, const char *format, ...) {
    va_list args;
    int n = snprintf(w->error, sizeof w->error, "%s:%u: ", w->file, w->line);
    va_start(args, format);
    vsnprintf(w->error + n, sizeof w->error - (size_t)n, format, args);
    va_end(args);
    return false;
}

bool words_split(struct words *w, const char *line) {
    char *save = NULL;
    size_t bytes = strcspn(line, "#\n");
    w->count = w->at = 0;
    if (bytes >= sizeof w->text) return words_fail(w, "the line is longer than %zu bytes", sizeof w->text - 1);
    memcpy(w->text, line, bytes);
    w->text[bytes] = 0;
    for (char *word = strtok_r(w->text, " \t\r", &save); word; word = strtok_r(NULL, " \t\r", &save)) {
        if (w->count == WORDS_MAX) return words_fail(w, "more than %u words", WORDS_MAX);
        w->word[w->count++] = word;
    }
    return true;
}

const char *words_peek(const struct words *w) {
    return w->at < w->count ? w->word[w->at] : NULL;
}

const char *words_next(struct words *w, const char *what) {
    if (w->at == w->count) {
        words_fail(w, "%s is missing", what);
        return NULL;
    }
    return w->word[w->at++];
}

bool words_take(struct words *w, const char *word) {
    if (w->at == w->count || strcmp(w->word[w->at], word) != 0) return false;
    w->at++;
    return true;
}

bool words_number(struct words *w, const char *word, uint32_t *value) {
    char *end;
    unsigned long long x = strtoull(word, &end, 0);
    if (*word < '0' || *word > '9' || *end || x > UINT32_MAX) return words_fail(w, "\"%s\" is no number", word);
    *value = (uint32_t)x;
    return true;
}

bool words_time(struct words *w, const char *word, uint64_t *ns) {
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}};
    char *unit;
    double x = strtod(word, &unit);
    if (*word >= '0' && *word <= '9' && x < 1e6)
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (strcmp(unit, units[i].unit) == 0) {
                *ns = (uint64_t)(x * units[i].ns + 0.5);
                return true;
            }
    return words_fail(w, "\"%s\" is no time such as 40ms, 1.5s, 10us or 2m", word);
}

bool words_address(struct words *w, const char *word, uint32_t *ip) {
    struct in_addr parsed;
    const struct name_ip *known = name_ip_find(word);
    if (known) {
        *ip = known->ip;
        return true;
    }
    if (inet_pton(AF_INET, word, &parsed) != 1) return words_fail(w, "\"%s\" is no address", word);
    *ip = parsed.s_addr;
    return true;
}

bool words_mac(struct words *w, const char *word, uint8_t *mac) {
    const struct name_mac *known = name_mac_find(word);
    unsigned b[6];
    char rest;
    if (known) {
        memcpy(mac, known->mac, sizeof known->mac);
        return true;
    }
    if (sscanf(word, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &rest) != 6)
        return words_fail(w, "\"%s\" is no MAC address", word);
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)b[i];
    return true;
}

bool words_pair(struct words *w, const char *word, char separator, uint32_t *a, uint32_t *b) {
    char first[32];
    const char *at = strchr(word, separator);
    if (!at || (size_t)(at - word) >= sizeof first) return words_fail(w, "\"%s\" is no A%cB", word, separator);
    memcpy(first, word, (size_t)(at - word));
    first[at - word] = 0;
    return words_number(w, first, a) && words_number(w, at + 1, b);
}

int words_hex(struct words *w, const char *word, uint8_t *bytes, uint32_t most) {
    uint32_t n = 0;
    for (unsigned byte; word[0] && sscanf(word, "%2x", &byte) == 1 && word[1]; word += 2) {
        if (n == most) {
            words_fail(w, "more than %u bytes", most);
            return -1;
        }
        bytes[n++] = (uint8_t)byte;
    }
    if (*word) {
        words_fail(w, "\"%s\" is no pair of hexadecimal digits", word);
        return -1;
    }
    return (int)n;
}
