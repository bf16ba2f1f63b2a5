/* SPDX-License-Identifier: MIT */
/* Clock, memory, histogram, checksum, timers, and a system call to compare with. */
#include "base/csum.h"
#include "base/hist.h"
#include "base/wheel.h"
#include "component.h"

#include <dmtr/dmtr.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Keeps the compiler from removing code without another effect. */
#define KEEP(value) __asm__ volatile("" : : "g"(value) : "memory")

static struct hist hist;
static struct wheel wheel;
static dmtr_latency_t *latency;
static char *bytes;

static uint64_t run_nothing(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    (void)unused;
    for (uint64_t i = 0; i < n; i++)
        KEEP(i);
    return dmtr_now_ns() - begin;
}

static uint64_t run_now(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    (void)unused;
    for (uint64_t i = 0; i < n; i++)
        KEEP(dmtr_now_ns());
    return dmtr_now_ns() - begin;
}

static uint64_t run_clock_gettime(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    struct timespec ts;
    (void)unused;
    for (uint64_t i = 0; i < n; i++) {
        clock_gettime(CLOCK_MONOTONIC, &ts);
        KEEP(ts.tv_nsec);
    }
    return dmtr_now_ns() - begin;
}

static uint64_t run_syscall(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    (void)unused;
    for (uint64_t i = 0; i < n; i++)
        KEEP(syscall(SYS_getppid));
    return dmtr_now_ns() - begin;
}

static uint64_t run_malloc(uint64_t n, uint64_t size) {
    uint64_t begin = dmtr_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        void *p;
        if (dmtr_malloc(&p, size) != 0) return COMPONENT_FAILED;
        KEEP(p);
        dmtr_free(p);
    }
    return dmtr_now_ns() - begin;
}

static uint64_t run_libc_malloc(uint64_t n, uint64_t size) {
    uint64_t begin = dmtr_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        void *p = malloc(size);
        KEEP(p);
        free(p);
    }
    return dmtr_now_ns() - begin;
}

static uint64_t run_sgaalloc(uint64_t n, uint64_t size) {
    uint64_t begin = dmtr_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        dmtr_sgarray_t sga = dmtr_sgaalloc(size);
        if (dmtr_sgafree(&sga) != 0) return COMPONENT_FAILED;
    }
    return dmtr_now_ns() - begin;
}

static int begin_hist(uint64_t unused) {
    (void)unused;
    hist_init(&hist);
    return dmtr_new_latency(&latency, "component");
}

static void end_hist(uint64_t unused) {
    (void)unused;
    dmtr_delete_latency(&latency);
}

static uint64_t run_hist(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    (void)unused;
    for (uint64_t i = 0; i < n; i++)
        hist_record(&hist, 10000 + (i & 1023));
    return dmtr_now_ns() - begin;
}

static uint64_t run_record(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    (void)unused;
    for (uint64_t i = 0; i < n; i++)
        dmtr_record_latency(latency, 10000 + (i & 1023));
    return dmtr_now_ns() - begin;
}

static int begin_csum(uint64_t size) {
    bytes = malloc(size);
    if (bytes) memset(bytes, 0x5a, size);
    return bytes ? 0 : ENOMEM;
}

static void end_csum(uint64_t unused) {
    (void)unused;
    free(bytes);
}

static uint64_t run_csum(uint64_t n, uint64_t size) {
    uint64_t begin = dmtr_now_ns();
    for (uint64_t i = 0; i < n; i++)
        KEEP(csum_finish(csum_add(0, bytes, size)));
    return dmtr_now_ns() - begin;
}

static uint64_t run_wheel(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    struct timer t;
    (void)unused;
    wheel_init(&wheel, 0);
    timer_init(&t);
    for (uint64_t i = 0; i < n; i++) {
        wheel_arm(&wheel, &t, 1000000 + (i & 0xffff) * 1000);
        wheel_cancel(&wheel, &t);
    }
    return dmtr_now_ns() - begin;
}

static uint64_t run_timer(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    (void)unused;
    for (uint64_t i = 0; i < n; i++) {
        dmtr_qtoken_t qt;
        if (dmtr_timer(&qt, 1000000000) != 0 || dmtr_drop(qt) != 0) return COMPONENT_FAILED;
    }
    return dmtr_now_ns() - begin;
}

const struct component plain_components[] = {
    {"nothing", "an empty loop, which all others include", 0, NULL, run_nothing, NULL},
    {"now", "dmtr_now_ns", 0, NULL, run_now, NULL},
    {"clock-gettime", "clock_gettime, for comparison", 0, NULL, run_clock_gettime, NULL},
    {"system-call", "a system call that does nothing, for comparison", 0, NULL, run_syscall, NULL},
    {"malloc-64", "dmtr_malloc and dmtr_free, 64 bytes", 64, NULL, run_malloc, NULL},
    {"malloc-1k", "dmtr_malloc and dmtr_free, 1 KiB", 1024, NULL, run_malloc, NULL},
    {"malloc-16k", "dmtr_malloc and dmtr_free, 16 KiB", 16384, NULL, run_malloc, NULL},
    {"malloc-1m", "dmtr_malloc and dmtr_free, 1 MiB", 1048576, NULL, run_malloc, NULL},
    {"libc-malloc-64", "malloc and free, 64 bytes, for comparison", 64, NULL, run_libc_malloc, NULL},
    {"sgaalloc-64", "dmtr_sgaalloc and dmtr_sgafree, 64 bytes", 64, NULL, run_sgaalloc, NULL},
    {"hist-record", "a sample into a histogram, inlined", 0, begin_hist, run_hist, end_hist},
    {"record-latency", "dmtr_record_latency", 0, begin_hist, run_record, end_hist},
    {"wheel-arm-cancel", "arming and cancelling a timer in the wheel", 0, NULL, run_wheel, NULL},
    {"timer-drop", "dmtr_timer and dmtr_drop", 0, NULL, run_timer, NULL},
    {"csum-64", "Internet checksum of 64 bytes", 64, begin_csum, run_csum, end_csum},
    {"csum-1500", "Internet checksum of 1,500 bytes", 1500, begin_csum, run_csum, end_csum},
    {"csum-64k", "Internet checksum of 64 KiB", 65536, begin_csum, run_csum, end_csum},
    {0}};
