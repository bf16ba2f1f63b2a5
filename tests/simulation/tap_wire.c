/* SPDX-License-Identifier: MIT */
/*
 * tap_wire A B LOSS DELAY_NS RATE_BPS QUEUE_BYTES: joins two TAP interfaces by a simulated link in real time, so that
 * two kernels (network namespaces) talk over the same path as the stacks of the simulation do. LOSS, in parts in a
 * million, rate and queue hold from A to B, the delay both ways. Prints "ready" and runs until it is killed.
 */
#include "base/clock.h"
#include "mem/heap.h"
#include "netdev/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

#define BURST 32

struct side {
    struct netdev *tap, *link;
};

static void move(struct netdev *from, struct netdev *to, uint64_t now) {
    struct netdev_buffer got[BURST];
    int n = netdev_rx(from, got, BURST, now);
    for (int i = 0; i < n; i++) {
        struct netdev_seg seg = {got[i].data, got[i].bytes};
        struct netdev_frame frame = {.segs = &seg, .segs_count = 1, .bytes = got[i].bytes};
        netdev_tx(to, &frame, 1, now); /* what finds no room is lost, as at any queue */
        heap_free(got[i].data);
    }
}

static bool side_open(struct side *s, struct sim *sim, const char *tap, const char *host) {
    char options[64], why[128] = "";
    snprintf(options, sizeof options, "name=%s", tap);
    struct netdev_args args = {.options = options, .why = why, .why_bytes = sizeof why};
    int error = netdev_open("tap", &args, &s->tap);
    snprintf(options, sizeof options, "host=%s", host);
    args.sim = sim;
    if (!error) error = netdev_open("sim", &args, &s->link);
    if (error) fprintf(stderr, "%s: %s\n", tap, why);
    return error == 0;
}

int main(int argc, char **argv) {
    static const uint8_t macs[2][NETDEV_MAC_BYTES] = {{2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 1, 2}};
    if (argc != 7) {
        fprintf(stderr, "tap_wire A B LOSS DELAY_NS RATE_BPS QUEUE_BYTES\n");
        return 2;
    }
    struct sim_path there = {.loss = (uint32_t)strtoul(argv[3], NULL, 0),
                             .delay_ns = strtoull(argv[4], NULL, 0),
                             .rate_bps = strtoull(argv[5], NULL, 0),
                             .queue_bytes = strtoull(argv[6], NULL, 0)},
                    back = {.delay_ns = there.delay_ns};
    struct sim_config config = {.seed = clock_now_ns(), .start_ns = clock_now_ns()};
    struct sim *sim = sim_new(&config);
    struct side a, b;
    if (!sim) return 1;
    int left = sim_add_host(sim, "a", macs[0], 1500), right = sim_add_host(sim, "b", macs[1], 1500);
    sim_connect(sim, left, right, &there, &back);
    if (!side_open(&a, sim, argv[1], "a") || !side_open(&b, sim, argv[2], "b")) return 1;
    puts("ready");
    fflush(stdout);
    for (;;) {
        uint64_t now = clock_now_ns();
        move(a.tap, a.link, now);
        move(b.link, b.tap, now);
        move(b.tap, b.link, now);
        move(a.link, a.tap, now);
    }
}
