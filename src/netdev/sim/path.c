/* SPDX-License-Identifier: MIT */
/* The effects of a path on a frame: cut, MTU, queue and rate, loss, delay, reordering, corruption, duplication. */
#include "netdev/sim/network.h"

#define QUEUE_BYTES_DEFAULT (256u << 10)
#define NS_PER_S            1000000000u

static bool chance(struct rng *rng, uint32_t parts) {
    return parts && rng_below(rng, SIM_CHANCE_ONE) < parts;
}

static uint64_t up_to(struct rng *rng, uint64_t most) {
    return most ? rng_below(rng, most + (most < UINT64_MAX)) : 0;
}

/* Bytes that wait to be sent at the path's rate. */
static uint64_t backlog_bytes(const struct sim_direction *d, uint64_t now_ns) {
    if (d->busy_until_ns <= now_ns) return 0;
    return (uint64_t)((unsigned __int128)(d->busy_until_ns - now_ns) * d->path.rate_bps / 8 / NS_PER_S);
}

/* Computes when the last bit is sent. Returns false if the queue is full. */
static bool send_at_rate(struct sim_direction *d, uint32_t bytes, uint64_t now_ns, uint64_t *sent_ns) {
    uint64_t room = d->path.queue_bytes ? d->path.queue_bytes : QUEUE_BYTES_DEFAULT;
    *sent_ns = now_ns;
    if (d->path.rate_bps == 0) return true;
    if (backlog_bytes(d, now_ns) + bytes > room) return false;
    if (d->busy_until_ns < now_ns) d->busy_until_ns = now_ns;
    d->busy_until_ns += (uint64_t)((unsigned __int128)bytes * 8 * NS_PER_S / d->path.rate_bps);
    *sent_ns = d->busy_until_ns;
    return true;
}

/* Gilbert-Elliott model: updates the channel state, then decides on loss. */
static bool is_lost(struct sim_direction *d, struct rng *rng) {
    d->bad_state = d->bad_state ? !chance(rng, d->path.burst_leave) : chance(rng, d->path.burst_enter);
    if (!d->bad_state) {
        bool lost = chance(rng, d->path.loss);
        d->stats.lost += lost;
        return lost;
    }
    if (!chance(rng, d->path.burst_loss)) return false;
    d->stats.lost_in_bursts++;
    return true;
}

static uint64_t arrival_ns(struct sim_direction *d, struct rng *rng, uint64_t sent_ns) {
    uint64_t at_ns = sent_ns + d->path.delay_ns + up_to(rng, d->path.jitter_ns);
    if (at_ns < d->last_at_ns) at_ns = d->last_at_ns;
    d->last_at_ns = at_ns;
    if (!chance(rng, d->path.reorder)) return at_ns;
    d->stats.reordered++;
    return at_ns + 1 + up_to(rng, d->path.reorder_ns);
}

struct sim_outcome sim_direction_pass(struct sim_direction *d, struct rng *rng, uint32_t bytes, uint64_t now_ns) {
    struct sim_outcome outcome = {0, 0, false};
    uint64_t sent_ns;
    d->stats.sent++;
    if (d->cut)
        d->stats.cut++;
    else if (d->path.mtu && bytes > d->path.mtu + NETDEV_HEADER_BYTES)
        d->stats.too_long++;
    else if (!send_at_rate(d, bytes, now_ns, &sent_ns))
        d->stats.queue_full++;
    else if (!is_lost(d, rng)) {
        outcome.copies = 1;
        outcome.at_ns = arrival_ns(d, rng, sent_ns);
        outcome.corrupt = chance(rng, d->path.corrupt);
        d->stats.corrupted += outcome.corrupt;
        if (chance(rng, d->path.duplicate)) outcome.copies = 2;
        d->stats.duplicated += outcome.copies == 2;
    }
    return outcome;
}
