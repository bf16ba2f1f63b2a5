/* Command lines from tables, over getopt_long. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 48

struct parser {
    const struct option_spec *specs[MAX_OPTIONS]; /* NULL: the library's own */
    struct option longs[MAX_OPTIONS + 4];
    int count;
};

static void add(struct parser *p, const struct option_spec *specs) {
    for (; specs && specs->name && p->count < MAX_OPTIONS; specs++) {
        int arg = specs->type == OPTION_FLAG ? no_argument : required_argument;
        p->specs[p->count] = specs;
        p->longs[p->count] = (struct option){specs->name, arg, NULL, p->count};
        p->count++;
    }
}

static void print_default(const struct option_spec *s) {
    const char *text;
    switch (s->type) {
    case OPTION_FLAG:
        break;
    case OPTION_UINT:
        if (*(uint64_t *)s->value) printf(" (default %llu)", (unsigned long long)*(uint64_t *)s->value);
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

static void print_help(const struct parser *p, const char *program, const char *summary) {
    printf("Usage: %s [options]\n%s\n\n", program, summary);
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
    struct parser p = {.count = 0};
    const char *program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    int c;
    add(&p, specs);
    add(&p, more);
    p.longs[p.count] = (struct option){"help", no_argument, NULL, 'h'};
    p.longs[p.count + 1] = (struct option){"dmtr-config", required_argument, NULL, 'd'};
    p.longs[p.count + 2] = (struct option){"dmtr-set", required_argument, NULL, 'd'};
    while ((c = getopt_long(argc, argv, "h", p.longs, NULL)) != -1) {
        if (c == 'd') continue;
        if (c == 'h') {
            print_help(&p, program, summary);
            return OPTIONS_HELP;
        }
        if (c < 0 || c >= p.count || !set(p.specs[c], program, optarg)) return OPTIONS_WRONG;
    }
    if (optind == argc) return OPTIONS_RUN;
    fprintf(stderr, "%s: unexpected \"%s\"; see --help\n", program, argv[optind]);
    return OPTIONS_WRONG;
}
