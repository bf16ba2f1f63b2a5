/* SPDX-License-Identifier: MIT */
/* The inet libos: start, poll, stop. */
#include "libos/inet/libos.h"
#include "libos/inet/device_group.h"
#include "libos/inet/net.h"
#include "libos/inet/stream.h"
#include "libos/socket/datagram.h"

#include "base/clock.h"
#include "base/sys.h"
#include "core/turn.h"

#include <errno.h>
#include <string.h>

/*
 * Counts the work that remains after sockets are closed. Their frames are still sent, and so are datagrams that wait
 * for ARP. The stack answers until the peers of closed connections have finished: otherwise a peer that ends at the
 * same time would retransmit its FIN without an answer.
 */
static __attribute__((noinline)) void linger(struct net *net) {
    bool answering = inet_closing(net->stack) > 0 && net_link_up(net) && !net->sockets.lost;
    net->rt->answering += (uint32_t)answering - (uint32_t)net->answering;
    net->answering = answering;
    bool pending = transmit_pending(net) || (inet_waiting(net->stack) > 0 && net_link_up(net) && !net->sockets.lost);
    net->rt->lingering += (uint32_t)pending - (uint32_t)net->lingering;
    net->lingering = pending;
}

void net_lost(struct net *net, int error) {
    if (net->sockets.lost) return;
    net->sockets.lost = true;
    log_error(&net->rt->log, "inet: device %s is lost: %s", net->options->device, strerror(-error));
    runtime_poller_remove(net->rt, &net->poller); /* its descriptor would stay readable */
    datagrams_lost(&net->sockets);
    streams_lost(&net->sockets, clock_now_ns());
    handover_lost(net);
    linger(net); /* nothing remains to be waited for */
}

static bool has_rest(const struct net *net) {
    return inet_lingers(net->stack) || net->tx.count > 0 || net->answering || net->lingering;
}

static void find_next(struct net *net) {
    uint64_t next = inet_next_ns(net->stack), dev_next = net->sockets.lost ? NETDEV_NEVER
                                                         : net->shares     ? net->device_next_ns
                                                                           : netdev_next_ns(net->dev);
    net->next_ns = dev_next < next ? dev_next : next;
}

/* Polls compare the time with next_ns, so only a sleep needs the timer. */
static void arm(struct net *net) {
    if (net->next_ns == net->armed_ns) return;
    net->armed_ns = net->next_ns;
    if (net->armed_ns == UINT64_MAX)
        runtime_timer_cancel(net->rt, &net->timer);
    else
        runtime_timer_arm(net->rt, &net->timer, net->armed_ns);
}

void net_settle(struct net *net, uint64_t now) {
    struct inet_socket *k;
    uint32_t events;
    while ((k = inet_next_event(net->stack, &events)))
        if (k->kind == INET_UDP)
            datagram_ready(k->user);
        else
            net_stream_ready(k->user, events, now);
    inet_flush(net->stack, now);
    transmit_flush(net, now);
    if (!list_empty(&net->sockets.blocked)) transmit_blocked(net, now);
    /* While the link is down, nobody waits for the frames. */
    socket_set_sent(&net->sockets, net->tx.first + (transmit_pending(net) ? 0 : net->tx.count));
    net->unsent = net->tx.count; /* there is no room for them */
    if (has_rest(net)) linger(net);
    find_next(net);
}

/* The device only counts this; log it, because few users read the counter in time. */
static void lacks_memory(struct net *net) {
    uint64_t lost = net->dev->stats.rx_no_memory - net->no_memory;
    net->no_memory += lost;
    log_warn(&net->rt->log,
             "inet: %llu received frames were dropped because the heap is full: the application holds too many "
             "popped buffers; free them sooner (dmtr_sgafree)",
             (unsigned long long)lost);
}

/* The device's MTU has changed: sets the stack's MTU to it. */
static void follow_mtu(struct net *net) {
    uint64_t most = net->options->mtu;
    uint32_t mtu = net_device_mtu(net);
    net->mtu_followed = mtu;
    if (mtu > most) mtu = (uint32_t)most;
    if (mtu == net->mtu) return;
    if (inet_set_mtu(net->stack, (uint16_t)mtu)) {
        log_warn(&net->rt->log, "inet: the new MTU of device %s, %u, is too small", net->options->device, mtu);
        return;
    }
    net->mtu = mtu;
}

/*
 * Handles n received frames, mail, timers and what changes with time. Returns the number of events. Not inlined, so
 * that a poll that finds nothing saves few registers.
 */
static __attribute__((noinline)) uint32_t take_in(struct net *net, struct netdev_buffer *frames, int n, uint64_t now) {
    struct device_group *group = net->group;
    for (int i = 0; i < n; i++) {
        uint32_t flags = frames[i].flags & NETDEV_RX_CSUM_GOOD ? INET_INPUT_CSUM_OK : 0;
        if (group && (inet_input(net->stack, frames[i].data, frames[i].bytes, flags | INET_INPUT_OWN, now) ||
                      group_forward(net, &frames[i], &now)))
            continue;
        inet_input(net->stack, frames[i].data, frames[i].bytes, flags, now);
    }
    if (n < 0 && n != -ENETDOWN) net_lost(net, n);
    if (net_device_mtu(net) != net->mtu_followed) follow_mtu(net);
    if (!group && net->dev->stats.rx_no_memory != net->no_memory) lacks_memory(net);
    uint32_t mail = group && mailbox_has_mail(net->mailbox) ? group_take(net, &now) : 0,
             all = mail + (n > 0 ? (uint32_t)n : 0);
    if (all > 0 || now >= net->next_ns) {
        inet_timers(net->stack, now);
        net_settle(net, now);
    } else if (transmit_pending(net)) {
        net_settle(net, now);
    }
    if (net->noted) group_flush(net);
    if (now >= net->publish_ns) publish(net, now);
    return all;
}

static int receive(struct net *net, struct netdev_buffer *frames, uint64_t now) {
    if (net->asleep) group_awake(net);
    return net->sockets.lost ? 0
           : net->shares     ? group_rx(net, frames, NET_RX_BURST, now)
                             : netdev_rx(net->dev, frames, NET_RX_BURST, now);
}

static uint32_t net_poll(struct poller *p) {
    struct net *net = list_entry(p, struct net, poller);
    struct dmtr_runtime *rt = net->rt;
    struct netdev_buffer frames[NET_RX_BURST];
    int n = receive(net, frames, rt->now_ns);
    bool due = rt->now_ns >= net->next_ns || rt->now_ns >= net->publish_ns;
    return n == 0 && !due && !net->group && net->tx.count == 0 ? 0 : take_in(net, frames, n, runtime_now_ns(rt));
}

static bool net_prepare(struct poller *p) {
    struct net *net = list_entry(p, struct net, poller);
    bool down = !net_link_up(net);
    int r = net->sockets.lost ? 0 : net->group ? group_prepare(net) : netdev_prepare(net->dev);
    if (r < 0 && r != -ENETDOWN) net_lost(net, r);
    uint64_t now = clock_now_ns();
    publish(net, now); /* the next update may be a long sleep away */
    find_next(net);
    arm(net);
    return r > 0 || (down && net_link_up(net)); /* the link is up now, and frames may wait for it */
}

static void timer_fire(struct dmtr_runtime *rt, struct runtime_timer *t) {
    struct net *net = list_entry(t, struct net, timer);
    net->armed_ns = UINT64_MAX;
    /* The poller may have attached a connection in this round, whose times are later than the start of the round. */
    rt->now_is_old = true;
    net_poll(&net->poller);
}

static void net_free(struct net *net) {
    transmit_fini(net);
    if (net->stack) inet_delete(net->stack);
    if (net->group)
        group_leave(net);
    else
        netdev_close(net->dev);
    sys_free(net);
}

#define COUNTER_PREFIX "inet_"
static const struct counter_name counter_names[] = {NET_COUNTERS(COUNTER_ROW)};
#define X(name, text) COUNTER_FITS(COUNTER_PREFIX #name, text)
_Static_assert(true NET_COUNTERS(X), "counters fit the page");
#undef X

static int net_start(struct dmtr_runtime *rt, void **state_out) {
    struct net *net = sys_calloc(1, sizeof *net);
    if (!net) return -ENOMEM;
    net->rt = rt;
    net->options = config_values(&rt->config, &inet_options_group);
    net->counters = counters_extend(&rt->counters, COUNTER_PREFIX, counter_names, NET_COUNTER_COUNT);
    if (!net->counters) {
        sys_free(net);
        log_error(&rt->log, "inet: the counter page is full");
        return -ENOSPC;
    }
    socket_set_init(&net->sockets);
    list_init(&net->arrived);
    timer_init(&net->timer.timer);
    net->timer.fire = timer_fire;
    net->next_ns = net->armed_ns = UINT64_MAX;
    int r = net_setup(net);
    if (!r) {
        net->poller =
            (struct poller){.poll = net_poll, .prepare = net_prepare, .fd = net->group ? group_fd(net) : net->dev->fd};
        r = runtime_poller_add(rt, &net->poller);
        if (r) log_error(&rt->log, "inet: cannot poll device %s: %s", net->options->device, strerror(-r));
    }
    if (r) {
        net_free(net);
        return r;
    }
    turn_sender_add(rt, &net->sender);
    publish_init(net);
    net_settle(net, clock_now_ns());
    *state_out = net;
    return 0;
}

static void net_stop(struct dmtr_runtime *rt, void *state) {
    struct net *net = state;
    turn_sender_remove(&net->sender);
    datagrams_fini(&net->sockets);
    streams_fini(&net->sockets);
    if (net->group) migrations_end(net);
    transmit_flush(net, clock_now_ns());
    runtime_timer_cancel(rt, &net->timer);
    if (!net->sockets.lost) runtime_poller_remove(rt, &net->poller);
    net_free(net);
}

static int net_socket(struct dmtr_runtime *rt, void *state, int domain, int type, int protocol, struct queue **q_out) {
    (void)rt;
    (void)protocol;
    struct net *net = state;
    if (domain != AF_INET) return -EAFNOSUPPORT;
    if (net->sockets.lost) return -ENETDOWN;
    return type == SOCK_STREAM ? net_stream_new(net, q_out) : net_datagram_new(net, q_out);
}

static int net_handover(struct dmtr_runtime *rt, void *state, struct queue **q_out) {
    (void)rt;
    return handover_new(state, q_out);
}

const struct libos libos_inet = {
    .name = "inet",
    .aliases = (const char *const[]){NULL},
    .text = "Sockets over the library's own network stack and a network device",
    .start = net_start,
    .stop = net_stop,
    .socket = net_socket,
    .handover = net_handover,
};
