/* SPDX-License-Identifier: MIT */
/* UDP between the nodes of a world: datagrams of all sizes, each arriving whole or not at all. */
#ifndef TESTS_SIMULATION_DATAGRAMS_H
#define TESTS_SIMULATION_DATAGRAMS_H

#include "world.h"

#define DATAGRAMS_MAX 64u

struct datagrams {
    struct world *w;
    struct udp_socket *sockets[WORLD_NODES_MAX];
    uint32_t count, sent;
    bool fragmented; /* they may be larger than a frame */
    uint64_t next_ns, every_ns;
    struct {
        uint32_t bytes, received;
        bool taken; /* by the sender's stack */
    } all[DATAGRAMS_MAX];
};

void datagrams_init(struct datagrams *d, struct world *w, uint64_t spread_ns);
void datagrams_open(struct datagrams *d, struct node *n);
void datagrams_event(struct datagrams *d, struct node *n);
/* Sends what is due; when to call it again. */
uint64_t datagrams_act(struct datagrams *d);
void datagrams_forget_node(struct datagrams *d, struct node *n);
/* At the end; ideal: nothing was lost or came twice on the way. */
void datagrams_check(const struct datagrams *d, bool ideal);

#endif
