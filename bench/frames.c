/* SPDX-License-Identifier: MIT */
/*
 * frames: round trips of raw frames over a network device, in IPv4 packets of an experimental protocol without a
 * transport protocol. A stack over the same device cannot be faster; benchmarks print this limit beside it.
 */
#include "base/clock.h"
#include "base/hist.h"
#include "mem/heap.h"
#include "netdev/netdev.h"

#include "options.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEADERS_BYTES 34u
#define PROTOCOL      253 /* RFC 3692 */
#define BURST         32u
#define LOST_NS       100000000u
#define GUARD_SECONDS 60

static const char *device = "packet", *device_options, *own = "10.78.0.1", *peer = "10.78.0.2";
static uint64_t count = 20000, warmup = 2000, size = 64, cpu = UINT64_MAX;
static bool server;
static volatile sig_atomic_t stopped;

static const struct option_spec specs[] = {
    {"server", OPTION_FLAG, &server, NULL, "send received frames back, until SIGTERM", 0, 0},
    {"device", OPTION_STRING, &device, "NAME", "network device", 0, 0},
    {"device-options", OPTION_STRING, &device_options, "TEXT", "options of the device", 0, 0},
    {"own", OPTION_STRING, &own, "ADDRESS", "own IPv4 address", 0, 0},
    {"peer", OPTION_STRING, &peer, "ADDRESS", "the server's IPv4 address", 0, 0},
    {"count", OPTION_UINT, &count, "N", "round trips", 1, 1ull << 40},
    {"warmup", OPTION_UINT, &warmup, "N", "round trips before the measurement", 0, 1ull << 40},
    {"size", OPTION_UINT, &size, "N", "bytes in a frame above IPv4", 8, 1400},
    {"cpu", OPTION_UINT, &cpu, "N", "processor", 0, 1023},
    {0}};

static void stop(int number) {
    (void)number;
    stopped = 1;
}

/* Whether the frame belongs to this program and is for this address. */
static bool is_ours(const struct netdev_buffer *b, uint32_t address) {
    const uint8_t *p = b->data;
    return b->bytes >= HEADERS_BYTES + size && p[12] == 8 && p[13] == 0 && p[23] == PROTOCOL &&
           memcmp(p + 30, &address, sizeof address) == 0;
}

static void send_frame(struct netdev *dev, void *data) {
    const struct netdev_seg seg = {data, HEADERS_BYTES + (uint32_t)size};
    const struct netdev_frame frame = {.segs = &seg, .segs_count = 1, .bytes = seg.bytes};
    while (!stopped && netdev_tx(dev, &frame, 1, clock_now_ns()) == 0) {
    }
}

static void swap(uint8_t *a, uint8_t *b, size_t bytes) {
    uint8_t other[8];
    memcpy(other, a, bytes);
    memcpy(a, b, bytes);
    memcpy(b, other, bytes);
}

static int serve(struct netdev *dev, uint32_t address) {
    printf("listening on %s:0\n", device);
    fflush(stdout);
    while (!stopped) {
        struct netdev_buffer frames[BURST];
        int n = netdev_rx(dev, frames, BURST, clock_now_ns());
        for (int i = 0; i < n; i++) {
            uint8_t *p = frames[i].data;
            if (is_ours(&frames[i], address)) {
                swap(p, p + 6, 6);
                swap(p + 26, p + 30, 4);
                send_frame(dev, p);
            }
            heap_free(p);
        }
    }
    return 0;
}

/* Sends frame `number` and waits until it comes back; false: it did not. */
static bool round_trip(struct netdev *dev, const uint8_t *headers, uint32_t address, uint64_t number) {
    uint64_t end = clock_now_ns() + LOST_NS;
    bool back = false;
    uint8_t *p = heap_alloc(HEADERS_BYTES + size);
    if (!p) return false;
    memcpy(p, headers, HEADERS_BYTES);
    memcpy(p + HEADERS_BYTES, &number, sizeof number);
    send_frame(dev, p);
    heap_free(p);
    while (!stopped && !back && clock_now_ns() < end) {
        struct netdev_buffer frames[BURST];
        int n = netdev_rx(dev, frames, BURST, clock_now_ns());
        for (int i = 0; i < n; i++) {
            back |= is_ours(&frames[i], address) &&
                    memcmp((uint8_t *)frames[i].data + HEADERS_BYTES, &number, sizeof number) == 0;
            heap_free(frames[i].data);
        }
    }
    return back;
}

static int measure(struct netdev *dev, uint32_t address, uint32_t to) {
    static const double percentiles[] = {50, 90, 99, 99.9};
    uint8_t made[HEADERS_BYTES] = {255, 255, 255, 255, 255, 255, [12] = 8, [14] = 0x45, [22] = 64, [23] = PROTOCOL};
    static struct hist latency;
    hist_init(&latency);
    memcpy(made + 6, dev->mac, 6);
    memcpy(made + 26, &address, sizeof address);
    memcpy(made + 30, &to, sizeof to);
    for (uint64_t i = 0; i < warmup + count && !stopped;) {
        uint64_t start = clock_now_ns();
        if (!round_trip(dev, made, address, i)) continue;
        if (i++ >= warmup) hist_record(&latency, clock_now_ns() - start);
    }
    printf("{\"program\":\"frames\"");
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++)
        printf(",\"p%g\":%llu", percentiles[i], (unsigned long long)hist_percentile(&latency, percentiles[i]));
    printf("}\n");
    return stopped;
}

int main(int argc, char *argv[]) {
    char why[256] = "";
    uint32_t address, to;
    struct netdev *dev;
    enum options_result o =
        options_parse(argc, argv, "Measures round trips of raw frames over a network device.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    if (inet_pton(AF_INET, own, &address) != 1 || inet_pton(AF_INET, peer, &to) != 1) return EXIT_USAGE;
    if (cpu != UINT64_MAX) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu % CPU_SETSIZE, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    const struct netdev_args args = {
        .options = device_options, .ip4 = &address, .ip4_count = 1, .why = why, .why_bytes = sizeof why};
    if (netdev_open(device, &args, &dev) < 0) {
        fprintf(stderr, "frames: %s\n", why);
        return 1;
    }
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    signal(SIGALRM, stop);
    if (!server) alarm(GUARD_SECONDS); /* the server may be missing */
    int r = server ? serve(dev, address) : measure(dev, address, to);
    netdev_close(dev);
    return r;
}
