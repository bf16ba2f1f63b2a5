/* SPDX-License-Identifier: MIT */
/* dmtr-latency: measures the costs of the library's components on this machine, as a table and as JSON. */
#include "../counted.h"
#include "component.h"
#include "net.h"
#include "options.h"
#include "output.h"

#include <dmtr/dmtr.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS    11
#define ROUND_NS  2000000u
#define MAX_ITEMS 128

static struct {
    const char *component, *json;
    uint64_t iterations, cpu;
    bool list, quick;
} options = {.cpu = CPU_ANY};

static const struct option_spec specs[] = {
    {"list", OPTION_FLAG, &options.list, NULL, "list the components and exit", 0, 0},
    {"component", OPTION_STRING, &options.component, "NAME", "measure only this one", 0, 0},
    {"iterations", OPTION_UINT, &options.iterations, "N",
     "one round with exactly N iterations (for counting instructions)", 1, 1ull << 40},
    {"quick", OPTION_FLAG, &options.quick, NULL, "take a tenth of the time", 0, 0},
    {"json", OPTION_STRING, &options.json, "FILE", "write the result as JSON; - is stdout", 0, 0},
    {"cpu", OPTION_UINT, &options.cpu, "N", "processor to run on", 0, 1023},
    {0}};

static const struct component *const tables[] = {plain_components, queue_components, socket_components, NULL};

struct result {
    const struct component *component;
    uint64_t iterations; /* iterations of one round */
    double median_ns, min_ns;
};

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The number of iterations for a round of about ROUND_NS. 0: failed. */
static uint64_t calibrate(const struct component *c) {
    uint64_t target = options.quick ? ROUND_NS / 10 : ROUND_NS, n = 1;
    if (c->run(n, c->argument) == COMPONENT_FAILED) return 0; /* the first run may include setup */
    for (;; n *= 4) {
        uint64_t ns = c->run(n, c->argument);
        if (ns == COMPONENT_FAILED) return 0;
        if (ns >= target / 4 || n > 1u << 28) return ns ? n * target / ns + 1 : n;
    }
}

/* Not inlined, so that a profiler can start counting at this function. */
static COUNTED int measure(const struct component *c, struct result *r) {
    double rounds[ROUNDS];
    int count = options.iterations ? 1 : ROUNDS;
    r->component = c;
    r->iterations = options.iterations ? options.iterations : calibrate(c);
    if (r->iterations == 0) return EIO;
    for (int i = 0; i < count; i++) {
        uint64_t ns = c->run(r->iterations, c->argument);
        if (ns == COMPONENT_FAILED) return EIO;
        rounds[i] = (double)ns / (double)r->iterations;
    }
    qsort(rounds, (size_t)count, sizeof *rounds, compare);
    r->median_ns = rounds[count / 2];
    r->min_ns = rounds[0];
    return 0;
}

static int run(const struct component *c, struct result *r) {
    int error = c->begin ? c->begin(c->argument) : 0;
    if (error == 0) error = measure(c, r);
    if (c->end) c->end(c->argument);
    if (error != 0) fprintf(stderr, "dmtr-latency: %s: %s\n", c->name, strerror(error));
    return error;
}

static bool is_component(const char *name) {
    for (const struct component *const *t = tables; *t; t++)
        for (const struct component *c = *t; c->name; c++)
            if (strcmp(name, c->name) == 0) return true;
    return false;
}

static int run_all(struct result *results, int *count) {
    for (const struct component *const *t = tables; *t; t++) {
        for (const struct component *c = *t; c->name; c++) {
            struct result *r = &results[*count];
            if (options.component && strcmp(options.component, c->name) != 0) continue;
            if (run(c, r) != 0) return -1;
            ++*count;
            if (options.json && strcmp(options.json, "-") == 0) continue;
            printf("%-22s %12.1f ns   %s\n", c->name, r->median_ns, c->text);
            fflush(stdout);
        }
    }
    return 0;
}

struct results {
    const struct result *all;
    int count;
};

static void write_json(FILE *f, const void *arg) {
    const struct result *results = ((const struct results *)arg)->all;
    int count = ((const struct results *)arg)->count;
    fprintf(f, "{\"program\":\"dmtr-latency\",\"components\":[");
    for (int i = 0; i < count; i++)
        fprintf(f, "%s\n{\"name\":\"%s\",\"text\":\"%s\",\"iterations\":%llu,\"median_ns\":%.3f,\"min_ns\":%.3f}",
                i ? "," : "", results[i].component->name, results[i].component->text,
                (unsigned long long)results[i].iterations, results[i].median_ns, results[i].min_ns);
    fprintf(f, "]}\n");
}

static void list(void) {
    for (const struct component *const *t = tables; *t; t++)
        for (const struct component *c = *t; c->name; c++)
            printf("%-22s %s\n", c->name, c->text);
}

int main(int argc, char *argv[]) {
    static struct result results[MAX_ITEMS];
    int count = 0;
    enum options_result o =
        options_parse(argc, argv, "Measures the costs of the library's components on this machine.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    if (options.list) {
        list();
        return options_flush("dmtr-latency");
    }
    if (options.component && !is_component(options.component)) {
        fprintf(stderr, "dmtr-latency: there is no component \"%s\"; see dmtr-latency --list\n", options.component);
        return EXIT_USAGE;
    }
    if (output_check(options.json) != 0 || cpu_pin(options.cpu) != 0) return 1;
    int r = dmtr_init(argc, argv);
    if (r != 0) {
        fprintf(stderr, "dmtr-latency: cannot start the library: %s\n", strerror(r));
        return 1;
    }
    r = run_all(results, &count);
    if (r == 0 && options.json) r = output_write(options.json, write_json, &(struct results){results, count});
    dmtr_fini();
    return options_flush("dmtr-latency") != 0 || r != 0;
}
