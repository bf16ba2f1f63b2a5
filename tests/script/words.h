/* SPDX-License-Identifier: MIT */
/* A line of a script as words, and the error that names its place. */
#ifndef TESTS_SCRIPT_WORDS_H
#define TESTS_SCRIPT_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#define WORDS_MAX      64u
#define LINE_MAX_BYTES 512u

struct words {
    const char *file;
    uint32_t line;
    uint32_t count, at; /* at: the next one to be read */
    char *word[WORDS_MAX];
    char text[LINE_MAX_BYTES];        /* what the words point into */
    char error[LINE_MAX_BYTES + 128]; /* FILE:LINE: what is wrong */
};

/* Cuts a line, up to '#'. False: too long, or too many words. */
bool words_split(struct words *w, const char *line);

/* Notes what is wrong; returns false. */
__attribute__((format(printf, 2, 3))) bool words_fail(struct words *w, const char *format, ...);

/* The next word; NULL: there is none. */
const char *words_peek(const struct words *w);
/* The next word, which must be there and is called `what` in the error; NULL: it is not. */
const char *words_next(struct words *w, const char *what);
/* Takes the next word if it is this one. */
bool words_take(struct words *w, const char *word);

/* Readers of one kind of word each. Numbers are decimal or 0x...; times have a unit (us, ms, s, m) and may have a
 * fraction; addresses may be called stack, peer, gateway or all. */
bool words_number(struct words *w, const char *word, uint32_t *value);
bool words_time(struct words *w, const char *word, uint64_t *ns);
bool words_address(struct words *w, const char *word, uint32_t *ip);
bool words_mac(struct words *w, const char *word, uint8_t *mac);
/* "A:B" as two numbers. */
bool words_pair(struct words *w, const char *word, char separator, uint32_t *a, uint32_t *b);
/* Hexadecimal digits; how many bytes, or -1. */
int words_hex(struct words *w, const char *word, uint8_t *bytes, uint32_t most);

#endif
