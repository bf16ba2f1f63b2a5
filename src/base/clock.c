/* SPDX-License-Identifier: MIT */
/*
 * Monotonic time. The clock reads the processor's time-stamp counter if the counter is invariant and is the kernel's
 * own clock source (the kernel has then checked that the cores agree). It measures the counter's rate once against
 * CLOCK_MONOTONIC.
 */
#include "base/clock.h"

#include "base/sys.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S         1000000000ull
#define CLOCK_FRAC_BITS  32
#define CALIBRATE_NS     4000000u /* samples are good to about 15 ns, so the rate is good to a few parts per million */
#define CALIBRATE_SAMPLE 16

/* Written once, before `ready`. */
static struct {
    uint64_t base_ticks, base_ns;
    uint64_t mult; /* ns per tick, times 2^CLOCK_FRAC_BITS; 0: the counter is not used */
    bool ready;
} process_clock;
static pthread_once_t process_clock_once = PTHREAD_ONCE_INIT;

static uint64_t monotonic_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>

#define CPUID_EXT_FEATURES 0x80000001u
#define CPUID_EXT_RDTSCP   (1u << 27)
#define CPUID_POWER        0x80000007u
#define CPUID_INVARIANT    (1u << 8)

/* rdtscp waits for earlier loads, so a thread that has read another thread's time never reads an earlier time. */
static inline uint64_t read_ticks(void) {
    unsigned aux;
    return __rdtscp(&aux);
}

static bool ticks_are_invariant(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(CPUID_EXT_FEATURES, &a, &b, &c, &d) || !(d & CPUID_EXT_RDTSCP)) return false;
    return __get_cpuid(CPUID_POWER, &a, &b, &c, &d) && (d & CPUID_INVARIANT);
}

static bool kernel_trusts_ticks(void) {
    char name[16] = "";
    int fd = SYS(open, "/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = SYS(read, fd, name, sizeof name - 1);
    close(fd);
    return n > 0 && strcmp(name, "tsc\n") == 0;
}
#else
static inline uint64_t read_ticks(void) {
    return 0;
}
static bool ticks_are_invariant(void) {
    return false;
}
static bool kernel_trusts_ticks(void) {
    return false;
}
#endif

/* Reads both clocks at one moment: takes the sample with the least time between the two reads of the counter. */
static void sample(uint64_t *ticks, uint64_t *ns) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < CALIBRATE_SAMPLE; i++) {
        uint64_t before = read_ticks(), now = monotonic_ns(), after = read_ticks();
        if (after - before >= best) continue;
        best = after - before;
        *ticks = before + best / 2;
        *ns = now;
    }
}

static void calibrate(void) {
    if (ticks_are_invariant() && kernel_trusts_ticks()) {
        uint64_t ticks = 0, ns = 0, later_ticks = 0, later_ns = 0;
        sample(&ticks, &ns);
        while (monotonic_ns() - ns < CALIBRATE_NS) {
        }
        sample(&later_ticks, &later_ns);
        process_clock.base_ticks = ticks;
        process_clock.base_ns = ns;
        if (later_ticks > ticks)
            process_clock.mult =
                (uint64_t)(((unsigned __int128)(later_ns - ns) << CLOCK_FRAC_BITS) / (later_ticks - ticks));
    }
    __atomic_store_n(&process_clock.ready, true, __ATOMIC_RELEASE);
}

static inline bool clock_ready(void) {
    if (!__atomic_load_n(&process_clock.ready, __ATOMIC_ACQUIRE)) pthread_once(&process_clock_once, calibrate);
    return process_clock.mult != 0;
}

uint64_t clock_now_ns(void) {
    if (!clock_ready()) return monotonic_ns();
    uint64_t ticks = read_ticks();
    if (ticks < process_clock.base_ticks)
        return process_clock.base_ns; /* this core's counter is a few ticks behind the calibrating core's */
    return process_clock.base_ns +
           (uint64_t)((unsigned __int128)(ticks - process_clock.base_ticks) * process_clock.mult >> CLOCK_FRAC_BITS);
}

bool clock_uses_tsc(void) {
    return clock_ready();
}
