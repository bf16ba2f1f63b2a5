/* SPDX-License-Identifier: MIT */
/*
 * The client side of an echo, independent of the transport: schedules requests on connections, checks replies, measures
 * round trips and reports them. Times are in nanoseconds of dmtr_now_ns.
 */
#ifndef APPS_WORKLOAD_H
#define APPS_WORKLOAD_H

#include "options.h"

#include <dmtr/latency.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct workload_options {
    uint64_t size, connections, outstanding, warmup, count, rate;
    double duration, timeout;
    const char *json, *hist;
    bool no_verify, progress, quiet;
};

/* The target of workload_specs; holds the defaults before parsing. */
extern struct workload_options workload_options;
extern const struct option_spec workload_specs[];

/* Maximum bytes of a message, and of a datagram. */
#define WORKLOAD_MAX_SIZE  (16u << 20)
#define WORKLOAD_MAX_DGRAM 65507u

/* One connection. Request n uses slot n % outstanding, so that replies may come in any order. */
struct flow {
    uint64_t base;   /* request n is message base + n */
    uint64_t sent;   /* requests begun */
    uint64_t expect; /* streams: the request whose reply is next */
    size_t offset;   /* streams: bytes of that reply received so far */
    uint64_t inflight;
    struct flow_slot {
        uint64_t id, begun_ns; /* id 0: free */
    } *slots;
};

struct workload {
    struct workload_options o;
    bool datagrams;
    struct flow *flows; /* o.connections of them */
    struct flow_slot *slots;
    dmtr_latency_t *latency;
    uint64_t start_ns, measure_ns, last_reply_ns; /* measurement begins after the warm-up */
    uint64_t due_ns, next_flow;                   /* open loop: when and where the next request is due */
    uint64_t quiet_since_ns;                      /* since when requests have had no reply */
    bool unanswered;                              /* datagrams were given up since the last reply */
    uint64_t next_check_ns, next_line_ns, line_replies;
    uint64_t sent, replies, inflight, lost, late;
    uint64_t sum_ns, min_ns, max_ns;
};

/* Checks that a run with these options can give a result. 0, or the exit status with the reason on stderr. */
int workload_check_options(const struct workload_options *o, bool datagrams);

/* 0, or -1 with the reason on stderr. */
int workload_init(struct workload *w, const struct workload_options *o, bool datagrams);
/* Starts the clock; call when all connections are established. */
void workload_start(struct workload *w);
void workload_fini(struct workload *w);

/* Whether a request may begin on f now. */
bool workload_may_begin(const struct workload *w, const struct flow *f, uint64_t now);

/* Open loop: the next connection in turn, or NULL while no request is due or all are full. */
struct flow *workload_pick(struct workload *w, uint64_t now);

/* Begins a request and writes its o.size bytes to buf. */
void workload_begin(struct workload *w, struct flow *f, uint64_t now, void *buf);

/* Checks data that was received on f. 0, or -1 with the reason on stderr if it differs from what was sent. */
int workload_input(struct workload *w, struct flow *f, const void *data, size_t len, uint64_t now);

/* All requests were made and answered (or lost). */
bool workload_finished(const struct workload *w, uint64_t now);

/* When workload_check or the next request of an open loop is due. */
uint64_t workload_wake_ns(const struct workload *w);

/*
 * Call it regularly: prints the progress line and gives up lost datagrams. 0; 1: gave up datagrams, so connections may
 * be free again; -1 with the reason on stderr: the server has not answered for o.timeout.
 */
int workload_check(struct workload *w, uint64_t now);

/*
 * Prints the table to stdout and writes the requested files; `what` describes the run as pairs name, value, ended by
 * NULL. 0, or -1 with the reason on stderr.
 */
int workload_report(const struct workload *w, const char *const what[]);

#endif
