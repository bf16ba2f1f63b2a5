/* SPDX-License-Identifier: MIT */
/* The results of a workload: a table, JSON, a percentile curve. */
#include "output.h"
#include "workload.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const struct {
    const char *name;
    double percentile;
} rows[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"p99.99", 99.99}};

#define ROWS (sizeof rows / sizeof *rows)

static uint64_t at(const struct workload *w, double percentile) {
    uint64_t ns = 0;
    dmtr_latency_percentile(&ns, w->latency, percentile);
    return ns < w->max_ns ? ns : w->max_ns;
}

struct totals {
    uint64_t messages, min_ns, mean_ns;
    double seconds, rate, mbit;
};

static struct totals totals(const struct workload *w) {
    struct totals t = {.messages = w->replies > w->o.warmup ? w->replies - w->o.warmup : 0};
    t.seconds = (double)(w->last_reply_ns - w->measure_ns) / 1e9;
    if (t.seconds > 0) t.rate = (double)t.messages / t.seconds;
    t.mbit = t.rate * (double)w->o.size * 8 / 1e6;
    if (t.messages) t.min_ns = w->min_ns, t.mean_ns = w->sum_ns / t.messages;
    return t;
}

static void print_table(const struct workload *w, const char *const what[]) {
    struct totals t = totals(w);
    for (size_t i = 0; what[i]; i += 2)
        printf("%s%s", i ? " " : "", what[i + 1]);
    printf(", %llu bytes, %llu connection%s, %llu outstanding\n", (unsigned long long)w->o.size,
           (unsigned long long)w->o.connections, w->o.connections == 1 ? "" : "s",
           (unsigned long long)w->o.outstanding);
    printf("%llu messages in %.3f s: %.0f/s, %.1f Mbit/s each way%s\n", (unsigned long long)t.messages, t.seconds,
           t.rate, t.mbit, w->o.no_verify ? "" : ", every byte verified");
    if (w->lost || w->late)
        printf("%llu lost, %llu late or duplicate\n", (unsigned long long)w->lost, (unsigned long long)w->late);
    printf("round trip, us\n  %-8s %10.2f\n  %-8s %10.2f\n", "min", (double)t.min_ns / 1e3, "mean",
           (double)t.mean_ns / 1e3);
    for (size_t i = 0; i < ROWS; i++)
        printf("  %-8s %10.2f\n", rows[i].name, (double)at(w, rows[i].percentile) / 1e3);
    printf("  %-8s %10.2f\n", "max", (double)w->max_ns / 1e3);
}

struct run {
    const struct workload *w;
    const char *const *what;
};

static void write_json(FILE *f, const void *arg) {
    const struct workload *w = ((const struct run *)arg)->w;
    const char *const *what = ((const struct run *)arg)->what;
    struct totals t = totals(w);
    fputc('{', f);
    for (size_t i = 0; what[i]; i += 2)
        fprintf(f, "\"%s\":\"%s\",", what[i], what[i + 1]);
    fprintf(f,
            "\"size\":%llu,\"connections\":%llu,\"outstanding\":%llu,\"rate_limit\":%llu,\"messages\":%llu,"
            "\"lost\":%llu,\"late\":%llu,\"verified\":%s,\"seconds\":%.9f,\"messages_per_second\":%.3f,"
            "\"latency_ns\":{\"min\":%llu,\"mean\":%llu",
            (unsigned long long)w->o.size, (unsigned long long)w->o.connections, (unsigned long long)w->o.outstanding,
            (unsigned long long)w->o.rate, (unsigned long long)t.messages, (unsigned long long)w->lost,
            (unsigned long long)w->late, w->o.no_verify ? "false" : "true", t.seconds, t.rate,
            (unsigned long long)t.min_ns, (unsigned long long)t.mean_ns);
    for (size_t i = 0; i < ROWS; i++)
        fprintf(f, ",\"%s\":%llu", rows[i].name, (unsigned long long)at(w, rows[i].percentile));
    fprintf(f, ",\"max\":%llu}}\n", (unsigned long long)w->max_ns);
}

/* Finer steps towards 100, where the tail of the distribution is. */
static const struct {
    double from, step;
    int count;
} curve[] = {{0, 1, 99}, {99, 0.1, 9}, {99.9, 0.01, 9}, {99.99, 0.001, 10}};

static void write_hist(FILE *f, const void *arg) {
    const struct workload *w = ((const struct run *)arg)->w;
    fprintf(f, "percentile,ns\n");
    for (size_t i = 0; i < sizeof curve / sizeof *curve; i++) {
        for (int j = 0; j < curve[i].count; j++) {
            double percentile = curve[i].from + j * curve[i].step;
            fprintf(f, "%.6g,%llu\n", percentile, (unsigned long long)at(w, percentile));
        }
    }
    fprintf(f, "100,%llu\n", (unsigned long long)w->max_ns);
}

int workload_report(const struct workload *w, const char *const what[]) {
    const struct run run = {w, what};
    int r = 0;
    if (isatty(STDERR_FILENO)) fputc('\n', stderr);
    if (!w->o.quiet) print_table(w, what);
    if (options_flush(program_invocation_short_name) != 0) r = -1;
    if (w->o.json && output_write(w->o.json, write_json, &run) != 0) r = -1;
    if (w->o.hist && output_write(w->o.hist, write_hist, &run) != 0) r = -1;
    return r;
}
