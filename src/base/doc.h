/* SPDX-License-Identifier: MIT */
/* Prints tables of options for readers, as plain text, mdoc(7) or Markdown. */
#ifndef BASE_DOC_H
#define BASE_DOC_H

#include <stdio.h>

enum doc_format { DOC_PLAIN, DOC_MDOC, DOC_MARKDOWN };

/* The names of the formats, by value, terminated by NULL. */
extern const char *const doc_formats[];

struct doc_option {
    const char *key;
    const char *values;      /* valid values */
    const char *def;         /* the default as a user would write it; NULL: none */
    const char *def_text;    /* describes the default if def is NULL; NULL too: the option is required */
    const char *environment; /* the environment variable that sets it; NULL: none */
    const char *text;        /* one sentence without a full stop */
};

/* Prints a heading and the sentence below it. */
void doc_section(FILE *f, enum doc_format format, const char *name, const char *text);

/* Print options between doc_list_begin and doc_list_end. */
void doc_list_begin(FILE *f, enum doc_format format);
void doc_option(FILE *f, enum doc_format format, const struct doc_option *o);
void doc_list_end(FILE *f, enum doc_format format);

/* Returns 0, or -EIO if a write to f failed. */
int doc_finish(FILE *f);

#endif
