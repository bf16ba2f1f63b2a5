/* SPDX-License-Identifier: MIT */
/*
 * ring: round trips of a 64-byte message between two cores through two bare rings in shared memory. No communication
 * between the cores can be faster. Benchmarks print this beside every latency, because on virtual machines the latency
 * between two cores changes over time.
 */
#include "net.h"
#include "options.h"

#include <dmtr/latency.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define SLOTS   64
#define PAYLOAD 56

struct slot {
    _Alignas(64) _Atomic uint64_t sequence; /* of the message it holds */
    char payload[PAYLOAD];
};

static struct slot there[SLOTS], back[SLOTS];
static uint64_t count = 100000, warmup = 10000, cpu_a = CPU_ANY, cpu_b = CPU_ANY;

static const struct option_spec specs[] = {{"count", OPTION_UINT, &count, "N", "round trips", 1, 1ull << 40},
                                           {"cpu", OPTION_UINT, &cpu_a, "N", "processor of one side", 0, 1023},
                                           {"other-cpu", OPTION_UINT, &cpu_b, "N", "processor of the other", 0, 1023},
                                           {0}};

static void send_message(struct slot *ring, uint64_t sequence, const char *payload) {
    struct slot *s = &ring[sequence % SLOTS];
    memcpy(s->payload, payload, PAYLOAD);
    atomic_store_explicit(&s->sequence, sequence, memory_order_release);
}

static void receive_message(struct slot *ring, uint64_t sequence, char *payload) {
    struct slot *s = &ring[sequence % SLOTS];
    while (atomic_load_explicit(&s->sequence, memory_order_acquire) != sequence)
        continue;
    memcpy(payload, s->payload, PAYLOAD);
}

static void *echo(void *unused) {
    char payload[PAYLOAD];
    (void)unused;
    cpu_pin(cpu_b);
    for (uint64_t i = 1; i <= warmup + count; i++) {
        receive_message(there, i, payload);
        send_message(back, i, payload);
    }
    return NULL;
}

int main(int argc, char *argv[]) {
    static const double percentiles[] = {50, 90, 99, 99.9};
    char payload[PAYLOAD] = {0};
    dmtr_latency_t *latency;
    pthread_t thread;
    enum options_result o = options_parse(argc, argv, "Measures round trips between two cores.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    if (cpu_pin(cpu_a) != 0 || dmtr_new_latency(&latency, "ring") != 0) return 1;
    if (pthread_create(&thread, NULL, echo, NULL) != 0) return 1;
    uint64_t last = dmtr_now_ns();
    for (uint64_t i = 1; i <= warmup + count; i++) {
        send_message(there, i, payload);
        receive_message(back, i, payload);
        uint64_t now = dmtr_now_ns();
        if (i > warmup) dmtr_record_latency(latency, now - last);
        last = now;
    }
    pthread_join(thread, NULL);
    printf("{\"program\":\"ring\"");
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++) {
        uint64_t ns = 0;
        dmtr_latency_percentile(&ns, latency, percentiles[i]);
        printf(",\"p%g\":%llu", percentiles[i], (unsigned long long)ns);
    }
    printf("}\n");
    dmtr_delete_latency(&latency);
    return 0;
}
