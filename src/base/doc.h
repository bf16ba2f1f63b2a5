/* SPDX-License-Identifier: MIT */
/* Tables of options as text for people: plain, mdoc(7) and Markdown. */
#ifndef BASE_DOC_H
#define BASE_DOC_H

#include <stdio.h>

enum doc_format { DOC_PLAIN, DOC_MDOC, DOC_MARKDOWN };

/* The names of the formats, by value, with NULL behind the last. */
extern const char *const doc_formats[];

struct doc_option {
    const char *key;
    const char *values;      /* what may be given */
    const char *def;         /* the default as it would be given; NULL: none */
    const char *otherwise;   /* where there is no default: what stands for it, in words; NULL too: it must be given */
    const char *environment; /* the variable that sets it; NULL: none does */
    const char *text;        /* one sentence without its full stop */
};

/* A heading and the sentence below it. */
void doc_section(FILE *f, enum doc_format format, const char *name, const char *text);

/* Options go between begin and end. */
void doc_list_begin(FILE *f, enum doc_format format);
void doc_option(FILE *f, enum doc_format format, const struct doc_option *o);
void doc_list_end(FILE *f, enum doc_format format);

/* 0, or -EIO: not all was written so far. */
int doc_finish(FILE *f);

#endif
