/* SPDX-License-Identifier: MIT */
/*
 * Wrapper that simulates a faulty device, in both directions and repeatably. It copies every frame into a queue; random
 * numbers decide whether and when the frame leaves the queue. It copies because the owner may change a held frame once
 * a faster duplicate of it is acknowledged.
 */
#include "netdev/options.h"
#include "netdev/wrap/wrapper.h"

#include "base/rng.h"
#include "base/sys.h"
#include "mem/heap.h"

#include <string.h>

#define HELD_MAX 4096u /* frames in each direction */
#define BURST    32u
#define NS_MAX   3600000000000u

struct fault_options {
    uint32_t loss, duplicate, corrupt, reorder, shorten;
    uint64_t reorder_ns, delay_ns, fail_every, seed;
};

static const struct netdev_option options_table[] = {
    {"loss", NETDEV_OPTION_CHANCE, offsetof(struct fault_options, loss), 0, 0, "", "0", NULL,
     "Chance that a frame is lost"},
    {"duplicate", NETDEV_OPTION_CHANCE, offsetof(struct fault_options, duplicate), 0, 0, "", "0", NULL,
     "Chance that a frame arrives twice"},
    {"corrupt", NETDEV_OPTION_CHANCE, offsetof(struct fault_options, corrupt), 0, 0, "", "0", NULL,
     "Chance that one bit of a frame is inverted"},
    {"reorder", NETDEV_OPTION_CHANCE, offsetof(struct fault_options, reorder), 0, 0, "", "0", NULL,
     "Chance that a frame arrives later than its successors, by up to reorder_ns"},
    {"short", NETDEV_OPTION_CHANCE, offsetof(struct fault_options, shorten), 0, 0, "", "0", NULL,
     "Chance that a transmit accepts fewer frames than it is given"},
    {"reorder_ns", NETDEV_OPTION_NUMBER, offsetof(struct fault_options, reorder_ns), 0, NS_MAX, "ns", "0", NULL,
     "Longest extra delay of a reordered frame"},
    {"delay_ns", NETDEV_OPTION_NUMBER, offsetof(struct fault_options, delay_ns), 0, NS_MAX, "ns", "0", NULL,
     "Delay of every frame"},
    {"fail_every", NETDEV_OPTION_NUMBER, offsetof(struct fault_options, fail_every), 0, UINT64_MAX, "calls", "0", NULL,
     "One in this many calls that receive or transmit fails with ENETDOWN; 0 lets none fail"},
    {"seed", NETDEV_OPTION_NUMBER, offsetof(struct fault_options, seed), 0, UINT64_MAX, "", "0", NULL,
     "Seed of the random numbers, so that a run can be repeated"},
};

struct held {
    uint64_t at_ns;
    struct netdev_buffer buffer;
    struct netdev_frame frame; /* for transmission: its lengths and offloads; its segments are not used */
};

struct held_queue {
    struct held *held; /* oldest first */
    uint32_t count;
};

struct fault_device {
    struct netdev_wrapper wrapper;
    struct fault_options options;
    struct rng rng;
    uint64_t calls;
    struct held_queue rx, tx;
};

static bool chance(struct fault_device *d, uint32_t parts) {
    return parts && rng_below(&d->rng, NETDEV_CHANCE_ONE) < parts;
}

static bool must_fail(struct fault_device *d) {
    return d->options.fail_every && ++d->calls % d->options.fail_every == 0;
}

/* Returns the first of the frames that are due earliest; NULL: the queue is empty. */
static struct held *earliest(const struct held_queue *q) {
    struct held *first = NULL;
    for (uint32_t i = 0; i < q->count; i++)
        if (!first || q->held[i].at_ns < first->at_ns) first = &q->held[i];
    return first;
}

static void remove_held(struct held_queue *q, struct held *h) {
    size_t after = (size_t)(q->held + q->count - (h + 1));
    memmove(h, h + 1, after * sizeof *h);
    q->count--;
}

static bool hold_copy(struct held_queue *q, const struct held *h) {
    void *copy = heap_alloc(h->buffer.bytes);
    if (!copy) return false;
    memcpy(copy, h->buffer.data, h->buffer.bytes);
    q->held[q->count] = *h;
    q->held[q->count++].buffer.data = copy;
    return true;
}

/* Adds a frame to a queue with room for two, unless it is lost. */
static void enqueue(struct fault_device *d, struct held_queue *q, struct held h, uint64_t now_ns) {
    const struct fault_options *o = &d->options;
    h.at_ns = now_ns + o->delay_ns;
    if (chance(d, o->reorder)) h.at_ns += 1 + (o->reorder_ns ? rng_below(&d->rng, o->reorder_ns) : 0);
    if (chance(d, o->loss)) {
        heap_free(h.buffer.data);
        return;
    }
    if (chance(d, o->corrupt)) {
        uint64_t bit = rng_below(&d->rng, (uint64_t)h.buffer.bytes * 8);
        ((uint8_t *)h.buffer.data)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    if (chance(d, o->duplicate)) hold_copy(q, &h);
    q->held[q->count++] = h;
}

static bool has_room(const struct held_queue *q, uint32_t frames) {
    return q->count + 2 * frames <= HELD_MAX;
}

/* Passes frames that are due to the device below until it accepts no more. */
static int flush(struct fault_device *d, uint64_t now_ns) {
    struct held *h;
    while ((h = earliest(&d->tx)) && h->at_ns <= now_ns) {
        struct netdev_seg seg = {h->buffer.data, h->buffer.bytes};
        int r;
        h->frame.segs = &seg;
        h->frame.segs_count = 1;
        r = wrapper_tx(&d->wrapper, &h->frame, 1, now_ns);
        if (r <= 0) return r;
        heap_free(h->buffer.data);
        remove_held(&d->tx, h);
    }
    return 0;
}

static int receive_lower(struct fault_device *d, uint64_t now_ns) {
    struct netdev_buffer burst[BURST];
    int n;
    if (!has_room(&d->rx, BURST)) return 0;
    n = netdev_rx(d->wrapper.lower, burst, BURST, now_ns);
    wrapper_mirror(&d->wrapper);
    for (int i = 0; i < n; i++)
        enqueue(d, &d->rx, (struct held){.buffer = burst[i]}, now_ns);
    return n < 0 ? n : 0;
}

static int fault_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    struct fault_device *d = (struct fault_device *)dev;
    uint32_t received = 0;
    struct held *h;
    int r;
    if (must_fail(d)) return -ENETDOWN;
    flush(d, now_ns);
    r = receive_lower(d, now_ns);
    while (received < n && (h = earliest(&d->rx)) && h->at_ns <= now_ns) {
        frames[received] = h->buffer;
        netdev_count_rx(dev, frames[received++].bytes);
        remove_held(&d->rx, h);
    }
    return received ? (int)received : r;
}

static bool enqueue_tx(struct fault_device *d, const struct netdev_frame *f, uint64_t now_ns) {
    struct held h = {.frame = *f, .buffer = {.bytes = f->bytes}};
    if (!has_room(&d->tx, 1) || chance(d, d->options.shorten)) return false;
    if (!netdev_frame_fits(&d->wrapper.dev, f)) return true;
    h.buffer.data = heap_alloc(f->bytes);
    if (!h.buffer.data) return false;
    netdev_gather(f, h.buffer.data);
    enqueue(d, &d->tx, h, now_ns);
    return true;
}

static int fault_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    struct fault_device *d = (struct fault_device *)dev;
    uint32_t accepted = 0;
    int r;
    if (must_fail(d)) return -ENETDOWN;
    r = flush(d, now_ns);
    if (r < 0) return r;
    while (accepted < n && enqueue_tx(d, &frames[accepted], now_ns))
        accepted++;
    flush(d, now_ns);
    return (int)accepted;
}

static uint64_t fault_next_ns(const struct netdev *dev) {
    const struct fault_device *d = (const struct fault_device *)dev;
    const struct held *rx = earliest(&d->rx), *tx = earliest(&d->tx);
    uint64_t next = wrapper_next_ns(dev);
    if (rx && rx->at_ns < next) next = rx->at_ns;
    if (tx && tx->at_ns < next && d->wrapper.lower->retry_ns == NETDEV_NEVER) next = tx->at_ns;
    return next;
}

static void drop_held(struct held_queue *q) {
    for (uint32_t i = 0; q->held && i < q->count; i++)
        heap_free(q->held[i].buffer.data);
    sys_free(q->held);
}

static void fault_close(struct netdev *dev) {
    struct fault_device *d = (struct fault_device *)dev;
    netdev_close(d->wrapper.lower);
    drop_held(&d->rx);
    drop_held(&d->tx);
    sys_free(d);
}

static int fault_open(const struct netdev_args *args, struct netdev **dev) {
    struct fault_options o = {0};
    struct fault_device *d;
    int r = netdev_options(args, options_table, sizeof options_table / sizeof *options_table, &o);
    if (r < 0) return r;
    d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    d->rx.held = sys_calloc(HELD_MAX, sizeof *d->rx.held);
    d->tx.held = sys_calloc(HELD_MAX, sizeof *d->tx.held);
    if (!d->rx.held || !d->tx.held) {
        drop_held(&d->rx);
        drop_held(&d->tx);
        sys_free(d);
        return -ENOMEM;
    }
    d->options = o;
    rng_init(&d->rng, o.seed);
    wrapper_init(&d->wrapper, &netdev_fault, args->lower);
    *dev = &d->wrapper.dev;
    return 0;
}

const struct netdev_ops netdev_fault = {
    .name = "fault",
    .text = "A wrapper that loses, duplicates, corrupts, reorders and delays frames, repeatably",
    .options = options_table,
    .options_count = sizeof options_table / sizeof *options_table,
    .wraps = true,
    .open = fault_open,
    .close = fault_close,
    .rx = fault_rx,
    .tx = fault_tx,
    .prepare = wrapper_prepare,
    .claim = wrapper_claim,
    .own = wrapper_own,
    .update = wrapper_update,
    .next_ns = fault_next_ns,
};
