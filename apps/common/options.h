/* SPDX-License-Identifier: MIT */
/*
 * Command lines: one table per program, from which parsing, `--help` and the defaults it shows are made. `--version`
 * and
 * `--help` are every program's; the library's own --dmtr-config and --dmtr-set are let through.
 */
#ifndef APPS_OPTIONS_H
#define APPS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum option_type { OPTION_FLAG, OPTION_UINT, OPTION_REAL, OPTION_STRING };

struct option_spec {
    const char *name; /* long name; NULL ends a table */
    enum option_type type;
    void *value;          /* bool, uint64_t, double, const char *; holds the default before parsing, if in bounds */
    const char *argument; /* what `--help` calls it */
    const char *text;
    uint64_t min, max; /* UINT; REAL: above 0 up to max */
};

#define EXIT_USAGE 2

/* What to exit with, unless it is OPTIONS_RUN. */
enum options_result {
    OPTIONS_RUN = -1,
    OPTIONS_HELP = 0,           /* help or version was printed */
    OPTIONS_FAILED = 1,         /* it could not be printed; stderr says why */
    OPTIONS_WRONG = EXIT_USAGE, /* stderr says why */
};

/* Parses argv by up to two tables (the second may be NULL). Operands are refused. */
enum options_result options_parse(int argc, char *argv[], const char *summary, const struct option_spec *specs,
                                  const struct option_spec *more);

/* Flushes stdout at the end of a program. 0, or 1: stderr says what could not be written. */
int options_flush(const char *program);

/* Of the names in a NULL-terminated list the one that is meant by `given`, or NULL: it is like none of them. */
const char *options_nearest(const char *given, const char *const names[]);

#endif
