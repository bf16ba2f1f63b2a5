/*
 * Command lines: one table per program, from which parsing, `--help` and the defaults it shows are made. The library's
 * own
 * --dmtr-config and --dmtr-set are let through.
 */
#ifndef APPS_OPTIONS_H
#define APPS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum option_type { OPTION_FLAG, OPTION_UINT, OPTION_REAL, OPTION_STRING };

struct option_spec {
    const char *name; /* long name; NULL ends a table */
    enum option_type type;
    void *value;          /* bool, uint64_t, double, const char *; holds the default before parsing */
    const char *argument; /* what `--help` calls it */
    const char *text;
    uint64_t min, max; /* UINT; REAL: above 0 up to max */
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

#define EXIT_USAGE 2

/*
 * Parses argv by up to two tables (the second may be NULL). OPTIONS_HELP: the help was printed, exit with 0;
 * OPTIONS_WRONG: stderr says why, exit with EXIT_USAGE. Operands are refused.
 */
enum options_result options_parse(int argc, char *argv[], const char *summary, const struct option_spec *specs,
                                  const struct option_spec *more);

#endif
