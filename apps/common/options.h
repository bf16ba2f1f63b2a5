/* SPDX-License-Identifier: MIT */
/*
 * Command lines: one table per program defines parsing, `--help` and the defaults that it shows. Every program has
 * `--version` and `--help`, and accepts the library's --dmtr-config and --dmtr-set.
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
    const char *argument; /* its name in `--help` */
    const char *text;
    uint64_t min, max; /* UINT; REAL: above 0 up to max */
};

#define EXIT_USAGE 2

/* The exit status, unless it is OPTIONS_RUN. */
enum options_result {
    OPTIONS_RUN = -1,
    OPTIONS_HELP = 0,           /* printed the help or the version */
    OPTIONS_FAILED = 1,         /* could not print; the reason is on stderr */
    OPTIONS_WRONG = EXIT_USAGE, /* wrong options; the reason is on stderr */
};

/* Parses argv by up to two tables (the second may be NULL). Operands are refused. */
enum options_result options_parse(int argc, char *argv[], const char *summary, const struct option_spec *specs,
                                  const struct option_spec *more);

/* Flushes stdout at the end of a program. 0, or 1 with the reason on stderr. */
int options_flush(const char *program);

/* The name in a NULL-terminated list that is most similar to `given`; NULL: none is similar. */
const char *options_nearest(const char *given, const char *const names[]);

#endif
