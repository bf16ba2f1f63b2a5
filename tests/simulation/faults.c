/* SPDX-License-Identifier: MIT */
/* Faults, and their end. */
#include "faults.h"

#define FAULTS_LAST_NS (60 * SEC) /* at most */
#define PAUSE_NS       (15 * SEC) /* between two, at most */

static uint32_t chance_up_to(struct world *w, uint32_t percent) {
    return world_chance(w, 40) ? world_below(w, percent * (SIM_CHANCE_ONE / 100) + 1) : 0;
}

static void draw_path(const struct faults *f, struct sim_path *p, bool may_corrupt) {
    struct world *w = f->w;
    uint32_t harsh = f->weather == WEATHER_HARSH, mtu = w->nodes[0].config.mtu;
    *p = (struct sim_path){.delay_ns = world_log_below(w, 100 * MS)};
    if (f->weather == WEATHER_IDEAL) return;
    p->jitter_ns = world_chance(w, 30) ? rng_below(&w->rng, p->delay_ns + 1) : 0;
    p->loss = chance_up_to(w, harsh ? 20 : 4);
    p->duplicate = chance_up_to(w, harsh ? 30 : 5);
    p->reorder = chance_up_to(w, harsh ? 30 : 5);
    p->reorder_ns = MS + p->delay_ns;
    if (!harsh) return;
    if (world_chance(w, 40)) {
        p->rate_bps = 100000 + world_log_below(w, 1000000000);
        p->queue_bytes = (2 + world_log_below(w, 200)) * (mtu + 14);
    }
    /* What is corrupted twice may be right again for a checksum: on one of two links, and not in two fragments. */
    if (may_corrupt && !f->datagrams->fragmented) p->corrupt = chance_up_to(w, 10);
    if (world_chance(w, 70)) return;
    p->burst_enter = 1 + world_below(w, 20000);
    p->burst_leave = 20000 + world_below(w, 500000);
    p->burst_loss = world_below(w, SIM_CHANCE_ONE + 1);
}

static void draw_paths(const struct faults *f, struct node *n) {
    for (uint32_t from_host = 0; from_host < 2; from_host++) {
        struct sim_path p;
        draw_path(f, &p, from_host);
        sim_set_path(f->w->sim, n->link, from_host, &p);
    }
}

static void power(struct faults *f, struct node *n, bool on) {
    if (on == (n->stack != NULL)) return;
    world_say(f->w, "node %u power %s", (unsigned)(n - f->w->nodes), on ? "on" : "off");
    if (on) {
        node_power_on(n);
        streams_listen(f->streams, n);
        datagrams_open(f->datagrams, n);
        return;
    }
    sim_unplug(f->w->sim, n->host, true);
    streams_forget_node(f->streams, n);
    datagrams_forget_node(f->datagrams, n);
    node_power_off(n);
}

static void one_fault(struct faults *f) {
    struct world *w = f->w;
    struct node *n = &w->nodes[world_below(w, w->node_count)];
    uint32_t kind = world_below(w, 8), mtu = n->config.mtu;
    world_say(w, "fault %u at node %u", kind, (unsigned)(n - w->nodes));
    switch (kind) {
    case 0:
        sim_cut(w->sim, n->link, true);
        break;
    case 1:
        sim_cut(w->sim, n->link, false);
        break;
    case 2:
        if (n->stack) sim_unplug(w->sim, n->host, true);
        break;
    case 3:
        if (n->stack) sim_unplug(w->sim, n->host, false);
        break;
    case 4: /* what is longer is lost, with a word or without */
        w->routers_tell = world_chance(w, 50);
        sim_set_mtu(w->sim, n->host, NETDEV_MTU_MIN + world_below(w, mtu - NETDEV_MTU_MIN + 1));
        break;
    case 5:
        power(f, n, world_chance(w, 60));
        break;
    case 6:
        w->refuse = world_chance(w, 50) ? world_below(w, SIM_CHANCE_ONE / 5) : 0;
        break;
    default:
        draw_paths(f, n);
    }
}

static void all_is_well(struct faults *f) {
    struct world *w = f->w;
    world_say(w, "faults end");
    w->refuse = 0;
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct node *n = &w->nodes[i];
        struct sim_path good = {.delay_ns = world_log_below(w, 50 * MS)};
        sim_set_path(w->sim, n->link, true, &good);
        sim_set_path(w->sim, n->link, false, &good);
        sim_cut(w->sim, n->link, false);
        sim_set_mtu(w->sim, n->host, n->config.mtu);
        power(f, n, true);
        sim_unplug(w->sim, n->host, false);
    }
}

void faults_init(struct faults *f, struct world *w, enum weather weather, struct streams *streams,
                 struct datagrams *datagrams) {
    *f = (struct faults){.w = w, .streams = streams, .datagrams = datagrams, .weather = weather};
    f->next_ns = f->end_ns = UINT64_MAX;
    for (uint32_t i = 0; i < w->node_count; i++)
        draw_paths(f, &w->nodes[i]);
    if (weather == WEATHER_GENTLE && world_chance(w, 30)) w->refuse = world_below(w, SIM_CHANCE_ONE / 5);
    if (weather != WEATHER_HARSH) return;
    f->end_ns = w->now + rng_below(&w->rng, FAULTS_LAST_NS);
    f->next_ns = w->now + rng_below(&w->rng, PAUSE_NS);
}

uint64_t faults_act(struct faults *f) {
    if (f->w->now >= f->end_ns) {
        all_is_well(f);
        f->end_ns = f->next_ns = UINT64_MAX;
    }
    while (f->next_ns <= f->w->now) {
        one_fault(f);
        f->next_ns = f->w->now + 1 + rng_below(&f->w->rng, PAUSE_NS);
    }
    return f->next_ns < f->end_ns ? f->next_ns : f->end_ns;
}
