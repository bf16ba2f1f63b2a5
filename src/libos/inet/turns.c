/* SPDX-License-Identifier: MIT */
/* What API calls leave to be sent leaves at once or at the end of the turn (core/turn.h). */
#include "core/turn.h"
#include "libos/inet/net.h"

static void settle(struct socket_set *sockets, uint64_t now) {
    net_settle(list_entry(sockets, struct net, sockets), now);
}

static void flush(struct sender *sender, uint64_t now) {
    net_settle(list_entry(sender, struct net, sender), now);
}

/* Frames that wait for the end of the turn, and that it has not counted yet. */
static uint32_t new_unsent(struct net *net) {
    uint32_t all = net->tx.count + net->put + inet_unsent(net->stack), more = all > net->unsent ? all - net->unsent : 0;
    net->unsent = all;
    return more;
}

static void pushed(struct socket_set *sockets, uint64_t now) {
    struct net *net = list_entry(sockets, struct net, sockets);
    uint32_t frames = new_unsent(net);
    if (frames == 0 && !turn_has_unsent(net->rt)) frames = 1; /* a datagram to this host, or one that waits for ARP */
    turn_pushed(net->rt, frames, inet_holds_data(net->stack), now);
}

static void popped(struct socket_set *sockets) {
    struct net *net = list_entry(sockets, struct net, sockets);
    turn_add(net->rt, new_unsent(net));
}

void net_turns_init(struct net *net) {
    net->sockets.settle = settle;
    net->sockets.pushed = pushed;
    net->sockets.popped = popped;
    net->sender.flush = flush;
    list_init(&net->sender.link);
}
