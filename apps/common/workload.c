/* SPDX-License-Identifier: MIT */
/* The client side of an echo: requests, replies, time. */
#include "workload.h"

#include "output.h"
#include "pattern.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND   1000000000ull
#define CHECK_NS (SECOND / 10)

struct workload_options workload_options = {
    .size = 64, .connections = 1, .outstanding = 1, .warmup = 1000, .count = 0, .timeout = 5};

const struct option_spec workload_specs[] = {
    {"size", OPTION_UINT, &workload_options.size, "BYTES", "size of a message", 1, WORKLOAD_MAX_SIZE},
    {"connections", OPTION_UINT, &workload_options.connections, "N", "connections", 1, 65536},
    {"outstanding", OPTION_UINT, &workload_options.outstanding, "N", "requests in flight per connection", 1, 4096},
    {"warmup", OPTION_UINT, &workload_options.warmup, "N", "first replies that are not measured", 0, UINT64_MAX},
    {"count", OPTION_UINT, &workload_options.count, "N",
     "requests to measure (default 100000, or as --duration allows)", 1, 1ull << 40},
    {"duration", OPTION_REAL, &workload_options.duration, "SECONDS", "how long to send", 0, 31536000},
    {"rate", OPTION_UINT, &workload_options.rate, "N", "open loop: requests per second, timed from when they are due",
     1, 100000000},
    {"timeout", OPTION_REAL, &workload_options.timeout, "SECONDS", "give up after this time without a reply", 0, 86400},
    {"no-verify", OPTION_FLAG, &workload_options.no_verify, NULL, "do not compare the bytes of replies", 0, 0},
    {"json", OPTION_STRING, &workload_options.json, "FILE", "write the result as JSON; - is stdout", 0, 0},
    {"hist", OPTION_STRING, &workload_options.hist, "FILE", "write lines of percentile,ns; - is stdout", 0, 0},
    {"progress", OPTION_FLAG, &workload_options.progress, NULL,
     "print a progress line each second, also without a terminal", 0, 0},
    {"quiet", OPTION_FLAG, &workload_options.quiet, NULL, "print no table", 0, 0},
    {0}};

int workload_check_options(const struct workload_options *o, bool datagrams) {
    if (datagrams && (o->size < 8 || o->size > WORKLOAD_MAX_DGRAM)) {
        fprintf(stderr, "%s: --size %llu: a datagram has 8 to %u bytes\n", program_invocation_short_name,
                (unsigned long long)o->size, WORKLOAD_MAX_DGRAM);
        return EXIT_USAGE;
    }
    return output_check(o->json) != 0 || output_check(o->hist) != 0;
}

int workload_init(struct workload *w, const struct workload_options *o, bool datagrams) {
    memset(w, 0, sizeof *w);
    w->o = *o;
    w->datagrams = datagrams;
    if (!o->count && !(o->duration > 0)) w->o.count = 100000;
    w->flows = calloc(o->connections, sizeof *w->flows);
    w->slots = calloc(o->connections * o->outstanding, sizeof *w->slots);
    if (!w->flows || !w->slots || dmtr_new_latency(&w->latency, "round trip") != 0) {
        workload_fini(w);
        fprintf(stderr, "%s: no memory for %llu connections of %llu requests\n", program_invocation_short_name,
                (unsigned long long)o->connections, (unsigned long long)o->outstanding);
        return -1;
    }
    for (uint64_t i = 0; i < o->connections; i++) {
        w->flows[i].base = ((i + 1) << 44) + 1; /* all messages of a run differ */
        w->flows[i].slots = w->slots + i * o->outstanding;
    }
    w->min_ns = UINT64_MAX;
    return 0;
}

void workload_start(struct workload *w) {
    w->start_ns = w->measure_ns = w->last_reply_ns = w->due_ns = dmtr_now_ns();
    w->next_check_ns = w->start_ns + CHECK_NS;
    w->next_line_ns = w->start_ns + SECOND;
}

void workload_fini(struct workload *w) {
    if (w->latency) dmtr_delete_latency(&w->latency);
    free(w->slots);
    free(w->flows);
    w->slots = NULL;
    w->flows = NULL;
}

static bool all_begun(const struct workload *w, uint64_t now) {
    if (w->o.count && w->sent >= w->o.warmup + w->o.count) return true;
    return w->o.duration > 0 && (double)(now - w->start_ns) >= w->o.duration * (double)SECOND;
}

bool workload_may_begin(const struct workload *w, const struct flow *f, uint64_t now) {
    return f->slots[f->sent % w->o.outstanding].id == 0 && !all_begun(w, now);
}

struct flow *workload_pick(struct workload *w, uint64_t now) {
    if (now < w->due_ns || w->inflight == w->o.connections * w->o.outstanding) return NULL;
    for (uint64_t i = 0; i < w->o.connections; i++) {
        struct flow *f = &w->flows[w->next_flow];
        w->next_flow = (w->next_flow + 1) % w->o.connections;
        if (workload_may_begin(w, f, now)) return f;
    }
    return NULL;
}

void workload_begin(struct workload *w, struct flow *f, uint64_t now, void *buf) {
    struct flow_slot *slot = &f->slots[f->sent % w->o.outstanding];
    slot->id = f->base + f->sent++;
    slot->begun_ns = now;
    if (w->o.rate) { /* delays caused by earlier requests count, too, as they do for a user */
        slot->begun_ns = w->due_ns;
        w->due_ns += SECOND / w->o.rate;
    }
    if (w->inflight++ == 0 && !w->unanswered) w->quiet_since_ns = now;
    f->inflight++;
    w->sent++;
    pattern_fill(buf, w->o.size, slot->id);
}

static void free_slot(struct workload *w, struct flow *f, struct flow_slot *slot) {
    slot->id = 0;
    f->inflight--;
    w->inflight--;
}

static void reply(struct workload *w, struct flow *f, struct flow_slot *slot, uint64_t now) {
    uint64_t ns = now > slot->begun_ns ? now - slot->begun_ns : 0;
    free_slot(w, f, slot);
    w->last_reply_ns = w->quiet_since_ns = now;
    w->unanswered = false;
    if (w->replies++ < w->o.warmup) {
        w->measure_ns = now;
        return;
    }
    dmtr_record_latency(w->latency, ns);
    w->sum_ns += ns;
    if (ns < w->min_ns) w->min_ns = ns;
    if (ns > w->max_ns) w->max_ns = ns;
}

static int wrong(const struct flow *f, const char *what) {
    fprintf(stderr, "reply to request %llu of connection %llu: %s\n", (unsigned long long)f->expect,
            (unsigned long long)(f->base >> 44), what);
    return -1;
}

static int stream_input(struct workload *w, struct flow *f, const char *data, size_t len, uint64_t now) {
    while (len > 0) {
        struct flow_slot *slot = &f->slots[f->expect % w->o.outstanding];
        size_t n = w->o.size - f->offset < len ? w->o.size - f->offset : len;
        if (!slot->id) return wrong(f, "more bytes than were sent");
        if (!w->o.no_verify && !pattern_check(data, n, slot->id, f->offset)) return wrong(f, "wrong bytes");
        data += n, len -= n, f->offset += n;
        if (f->offset < w->o.size) return 0;
        f->offset = 0;
        f->expect++;
        reply(w, f, slot, now);
    }
    return 0;
}

static int datagram_input(struct workload *w, struct flow *f, const char *data, size_t len, uint64_t now) {
    uint64_t id;
    if (len < sizeof id) return wrong(f, "datagram too short");
    memcpy(&id, data, sizeof id);
    id = le64toh(id);
    struct flow_slot *slot = &f->slots[(id - f->base) % w->o.outstanding];
    if (id < f->base || id >= f->base + f->sent) return wrong(f, "a datagram that was not sent");
    f->expect = id - f->base;
    if (len != w->o.size) return wrong(f, "wrong length");
    if (!w->o.no_verify && !pattern_check(data, len, id, 0)) return wrong(f, "wrong bytes");
    if (slot->id == id)
        reply(w, f, slot, now);
    else
        w->late++; /* given up earlier, or a duplicate */
    return 0;
}

int workload_input(struct workload *w, struct flow *f, const void *data, size_t len, uint64_t now) {
    return w->datagrams ? datagram_input(w, f, data, len, now) : stream_input(w, f, data, len, now);
}

bool workload_finished(const struct workload *w, uint64_t now) {
    return w->inflight == 0 && all_begun(w, now);
}

uint64_t workload_wake_ns(const struct workload *w) {
    bool full = w->inflight == w->o.connections * w->o.outstanding;
    return w->o.rate && !full && w->due_ns < w->next_check_ns ? w->due_ns : w->next_check_ns;
}

static void progress_line(struct workload *w, uint64_t now) {
    uint64_t p50 = 0;
    bool terminal = isatty(STDERR_FILENO);
    if (!w->o.progress && !terminal) return;
    dmtr_latency_percentile(&p50, w->latency, 50);
    fprintf(stderr, "%s%4.0f s  %llu replies  %llu/s  p50 %.1f us%s", terminal ? "\r" : "",
            (double)(now - w->start_ns) / (double)SECOND, (unsigned long long)w->replies,
            (unsigned long long)(w->replies - w->line_replies), (double)p50 / 1000, terminal ? "   " : "\n");
    w->line_replies = w->replies;
}

/* Datagrams without reply for a second (or the time-out, if shorter) are lost; their slots become free. */
static int give_up_lost(struct workload *w, uint64_t now) {
    double limit = w->o.timeout < 1 ? w->o.timeout / 2 : 1;
    int some = 0;
    for (uint64_t i = 0; i < w->o.connections; i++) {
        struct flow *f = &w->flows[i];
        for (uint64_t j = 0; f->inflight && j < w->o.outstanding; j++) {
            if (!f->slots[j].id || (double)(now - f->slots[j].begun_ns) < limit * (double)SECOND) continue;
            free_slot(w, f, &f->slots[j]);
            w->lost++;
            w->unanswered = true;
            some = 1;
        }
    }
    return some;
}

int workload_check(struct workload *w, uint64_t now) {
    if (now < w->next_check_ns) return 0;
    w->next_check_ns = now + CHECK_NS;
    if (now >= w->next_line_ns) {
        w->next_line_ns += SECOND;
        progress_line(w, now);
    }
    bool waiting = w->inflight > 0 || w->unanswered;
    if (waiting && (double)(now - w->quiet_since_ns) >= w->o.timeout * (double)SECOND) {
        fprintf(stderr, "no reply for %g s; is the server still there?\n", w->o.timeout);
        return -1;
    }
    return w->datagrams && w->inflight ? give_up_lost(w, now) : 0;
}
