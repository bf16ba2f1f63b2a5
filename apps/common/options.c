/* SPDX-License-Identifier: MIT */
/* Command lines from tables, over getopt_long. */
#include "options.h"

#include "base/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 48
#define OWN_OPTIONS 4    /* help, version, and the library's */
#define FIRST_VALUE 1000 /* getopt_long's value of the first option in the tables: above all characters */

struct parser {
    const char *program;
    const struct option_spec *specs[MAX_OPTIONS];
    struct option longs[MAX_OPTIONS + OWN_OPTIONS + 1];
    int count;
};

static void add(struct parser *p, const struct option_spec *specs) {
    for (; specs && specs->name && p->count < MAX_OPTIONS; specs++) {
        int arg = specs->type == OPTION_FLAG ? no_argument : required_argument;
        p->specs[p->count] = specs;
        p->longs[p->count] = (struct option){specs->name, arg, NULL, FIRST_VALUE + p->count};
        p->count++;
    }
}

static void print_default(const struct option_spec *s) {
    const char *text;
    uint64_t number;
    switch (s->type) {
    case OPTION_FLAG:
        break;
    case OPTION_UINT:
        number = *(uint64_t *)s->value;
        if (number && number <= s->max) printf(" (default %llu)", (unsigned long long)number);
        break;
    case OPTION_REAL:
        if (*(double *)s->value > 0) printf(" (default %g)", *(double *)s->value);
        break;
    case OPTION_STRING:
        text = *(const char **)s->value;
        if (text && *text) printf(" (default %s)", text);
        break;
    }
}

static void print_help(const struct parser *p, const char *summary) {
    printf("Usage: %s [options]\n%s\n\n", p->program, summary);
    for (int i = 0; i < p->count; i++) {
        const struct option_spec *s = p->specs[i];
        char left[64];
        snprintf(left, sizeof left, "--%s %s", s->name, s->argument ? s->argument : "");
        printf("  %-26s %s", left, s->text);
        print_default(s);
        putchar('\n');
    }
    printf("  %-26s %s\n", "--dmtr-config FILE", "configuration of the library");
    printf("  %-26s %s\n", "--dmtr-set KEY=VALUE", "one option of the library; `dmtr options` lists them");
    printf("  %-26s %s\n", "--version", "the version");
}

int options_flush(const char *program) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    fprintf(stderr, "%s: standard output: %s\n", program, strerror(errno ? errno : EIO));
    return 1;
}

const char *options_nearest(const char *given, const char *const names[]) {
    const char *nearest = NULL;
    size_t best = strlen(given) / 2 + 2; /* more changes than this make a different name */
    for (; *names; names++) {
        size_t distance = strncmp(*names, given, strlen(given)) == 0 ? 0 : edit_distance(given, *names);
        if (distance >= best) continue;
        nearest = *names;
        best = distance;
    }
    return nearest;
}

/* Explains an error of getopt_long, whose argument is argv[optind - 1] unless it is a single letter. */
static enum options_result refuse(const struct parser *p, int c, const char *given) {
    const char *names[MAX_OPTIONS + OWN_OPTIONS + 1] = {NULL}, *nearest;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(given, "="), given);
    if (c == ':') {
        fprintf(stderr, "%s: %s needs a value; see %s --help\n", p->program, name, p->program);
    } else if (optopt >= FIRST_VALUE || strncmp(given, "--", 2) != 0) {
        if (optopt >= FIRST_VALUE)
            fprintf(stderr, "%s: %s takes no value\n", p->program, name);
        else
            fprintf(stderr, "%s: there is no option -%c; see %s --help\n", p->program, optopt, p->program);
    } else {
        for (int i = 0; p->longs[i].name; i++)
            names[i] = p->longs[i].name;
        nearest = options_nearest(name + 2, names);
        fprintf(stderr, "%s: there is no option %s", p->program, name);
        if (nearest) fprintf(stderr, "; did you mean --%s?", nearest);
        fprintf(stderr, "%s see %s --help\n", nearest ? "" : ";", p->program);
    }
    return OPTIONS_WRONG;
}

static bool set_uint(const struct option_spec *s, const char *text) {
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || !isdigit((unsigned char)*text) || *end || v < s->min || v > s->max) return false;
    *(uint64_t *)s->value = v;
    return true;
}

static bool set_real(const struct option_spec *s, const char *text) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v > 0) || v > (double)s->max) return false;
    *(double *)s->value = v;
    return true;
}

static bool set(const struct option_spec *s, const char *program, const char *text) {
    switch (s->type) {
    case OPTION_FLAG:
        *(bool *)s->value = true;
        return true;
    case OPTION_STRING:
        *(const char **)s->value = text;
        return true;
    case OPTION_UINT:
        if (set_uint(s, text)) return true;
        fprintf(stderr, "%s: --%s takes %llu to %llu, not \"%s\"\n", program, s->name, (unsigned long long)s->min,
                (unsigned long long)s->max, text);
        return false;
    case OPTION_REAL:
        if (set_real(s, text)) return true;
        fprintf(stderr, "%s: --%s takes a number above 0 up to %llu, not \"%s\"\n", program, s->name,
                (unsigned long long)s->max, text);
        return false;
    }
    return false;
}

enum options_result options_parse(int argc, char *argv[], const char *summary, const struct option_spec *specs,
                                  const struct option_spec *more) {
    const char *slash = strrchr(argv[0], '/');
    struct parser p = {.program = slash ? slash + 1 : argv[0]};
    const struct option own[OWN_OPTIONS] = {{"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"dmtr-config", required_argument, NULL, 'd'},
                                            {"dmtr-set", required_argument, NULL, 'd'}};
    int c;
    add(&p, specs);
    add(&p, more);
    memcpy(&p.longs[p.count], own, sizeof own);
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":h", p.longs, NULL)) != -1) {
        if (c == 'd') continue;
        if (c == 'h') print_help(&p, summary);
        if (c == 'v') printf("%s (dmtr) %s\n", p.program, DMTR_VERSION);
        if (c == 'h' || c == 'v') return options_flush(p.program) == 0 ? OPTIONS_HELP : OPTIONS_FAILED;
        if (c == '?' || c == ':') return refuse(&p, c, argv[optind - 1]);
        if (!set(p.specs[c - FIRST_VALUE], p.program, optarg)) return OPTIONS_WRONG;
    }
    if (optind == argc) return OPTIONS_RUN;
    fprintf(stderr, "%s: unexpected \"%s\"; see %s --help\n", p.program, argv[optind], p.program);
    return OPTIONS_WRONG;
}
