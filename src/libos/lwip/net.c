/* SPDX-License-Identifier: MIT */
/* The lwip libos: start, poll, stop. */
#include "libos/lwip/net.h"
#include "libos/lwip/libos.h"

#include "base/clock.h"
#include "base/sys.h"
#include "libos/link.h"
#include "libos/lwip/host.h"
#include "libos/socket/datagram.h"
#include "libos/socket/stream.h"

#include "lwip/err.h"

#include <errno.h>
#include <string.h>

int lw_error(int err) {
    static const struct {
        int err, error;
    } table[] = {
        {ERR_OK, 0},
        {ERR_MEM, -ENOMEM},
        {ERR_BUF, -ENOBUFS},
        {ERR_TIMEOUT, -ETIMEDOUT},
        {ERR_RTE, -ENETUNREACH},
        {ERR_WOULDBLOCK, -EAGAIN},
        {ERR_USE, -EADDRINUSE},
        {ERR_ALREADY, -EALREADY},
        {ERR_ISCONN, -EISCONN},
        {ERR_CONN, -ENOTCONN},
        {ERR_IF, -ENETDOWN},
        {ERR_ABRT, -ETIMEDOUT}, /* only lwIP's timers abort a connection */
        {ERR_RST, -ECONNRESET},
        {ERR_CLSD, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].err == err) return table[i].error;
    return -EINVAL;
}

int lw_net_local(const struct lw_net *net, const struct inet_endpoint *local) {
    return inet_addr_is_any(&local->addr) || inet_addr_equal(&local->addr, &net->sockets.self) ? 0 : -EADDRNOTAVAIL;
}

/* lwIP answers for connections whose streams were freed. The runtime waits until their peers have finished, too. */
static void update_answering(struct lw_net *net) {
    bool answering = !net->sockets.lost && net->dev->link_up && list_empty(&net->sockets.streams) && host_closing();
    net->rt->answering += (uint32_t)answering - (uint32_t)net->answering;
    net->answering = answering;
}

static void lost(struct lw_net *net, int error, uint64_t now) {
    net->sockets.lost = true;
    log_error(&net->rt->log, "lwip: device %s is lost: %s", net->options->device, strerror(-error));
    runtime_poller_remove(net->rt, &net->poller); /* its descriptor would always be ready */
    streams_lost(&net->sockets, now);
    datagrams_lost(&net->sockets);
    update_answering(net); /* the runtime need not wait any more */
}

/* Called after calls of lwIP. */
static void process_events(struct lw_net *net, uint64_t now) {
    lw_stream_find_ended(net);
    while (lw_stream_process_event(net, now))
        continue;
    update_answering(net);
}

static void settle(struct socket_set *sockets, uint64_t now) {
    process_events(list_entry(sockets, struct lw_net, sockets), now);
}

/* lwIP does not count checksum errors separately. */
static struct link_state link_state_of(const struct lw_net *net) {
    const struct netdev *dev = net->dev;
    return (struct link_state){
        .up = dev->link_up, .mtu = dev->mtu, .changes = dev->stats.link_changes, .too_long = dev->stats.rx_too_long};
}

static void watch(struct lw_net *net, uint64_t now) {
    struct link_state state = link_state_of(net);
    net->watch_ns = now + LINK_WATCH_NS;
    link_watch(&net->watch, &state, now);
}

static uint32_t net_poll(struct poller *p) {
    struct lw_net *net = list_entry(p, struct lw_net, poller);
    if (net->sockets.lost) return 0;
    uint64_t now = clock_now_ns();
    int n = host_poll(now);
    if (now >= net->watch_ns) watch(net, now);
    if (host_pop_refused()) {
        lw_stream_retry(net);
        datagrams_unblock(&net->sockets, now);
    }
    process_events(net, now);
    if (n < 0) lost(net, n, now);
    return n > 0 ? (uint32_t)n : 0;
}

static bool net_prepare(struct poller *p) {
    struct lw_net *net = list_entry(p, struct lw_net, poller);
    bool down = !net->dev->link_up;
    int r = net->sockets.lost ? 0 : netdev_prepare(net->dev);
    uint64_t now = clock_now_ns();
    if (r < 0 && r != -ENETDOWN) lost(net, r, now);
    uint64_t next = net->sockets.lost ? NETDEV_NEVER : host_next_ns();
    watch(net, now); /* the next poll may be a long time away */
    if (next == NETDEV_NEVER)
        runtime_timer_cancel(net->rt, &net->timer);
    else
        runtime_timer_arm(net->rt, &net->timer, next > now ? next : now + 1);
    return r > 0 || (down && net->dev->link_up); /* lwIP does not know yet that the link is up */
}

static void timer_fire(struct dmtr_runtime *rt, struct runtime_timer *t) {
    (void)rt;
    net_poll(&list_entry(t, struct lw_net, timer)->poller);
}

static int open_host(struct lw_net *net) {
    const struct lwip_options *o = net->options;
    const struct link_options link = {
        .log = &net->rt->log,
        .prefix = "lwip",
        LINK_VALUES(o),
        .addresses_max = 1,
    };
    struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX];
    struct inet_config c = {.mtu = 0};
    int r = link_open(&link, &c, neighbours, &net->dev);
    if (r) return r;
    net->sockets.self = c.addrs[0].addr;
    struct link_state state = link_state_of(net);
    link_watch_begin(&net->watch, &net->rt->log, "lwip", o->device, net->dev, &state);
    r = host_open(net->dev, &c, clock_now_ns());
    if (r == -EBUSY)
        log_error(&net->rt->log, "lwip: another runtime of this process uses lwIP, which has only one instance");
    else if (r)
        log_error(&net->rt->log, "lwip: address %s, gateway %s, neighbours %s do not match", o->address, o->gateway,
                  o->neighbours);
    return r;
}

#define COUNTER_PREFIX "lwip_"
static const struct counter_name counter_names[] = {LW_COUNTERS(COUNTER_ROW)};
#define X(name, text) COUNTER_FITS(COUNTER_PREFIX #name, text)
_Static_assert(true LW_COUNTERS(X), "counters fit the page");
#undef X

static int net_start(struct dmtr_runtime *rt, void **state_out) {
    struct lw_net *net = sys_calloc(1, sizeof *net);
    if (!net) return -ENOMEM;
    net->rt = rt;
    net->options = config_values(&rt->config, &lwip_options_group);
    net->counters = counters_extend(&rt->counters, COUNTER_PREFIX, counter_names, LW_COUNTER_COUNT);
    if (!net->counters) {
        sys_free(net);
        log_error(&rt->log, "lwip: the counter page is full");
        return -ENOSPC;
    }
    socket_set_init(&net->sockets);
    net->sockets.settle = settle;
    net->sockets.set_time = host_set_time;
    list_init(&net->pending);
    list_init(&net->finishing);
    timer_init(&net->timer.timer);
    net->timer.fire = timer_fire;
    int r = open_host(net);
    if (r == 0) {
        net->poller = (struct poller){.poll = net_poll, .prepare = net_prepare, .fd = net->dev->fd};
        r = runtime_poller_add(rt, &net->poller);
        if (r) {
            log_error(&rt->log, "lwip: device %s cannot be polled: %s", net->options->device, strerror(-r));
            host_close();
        }
    }
    if (r) {
        netdev_close(net->dev);
        sys_free(net);
        return r;
    }
    *state_out = net;
    return 0;
}

static void net_stop(struct dmtr_runtime *rt, void *state) {
    struct lw_net *net = state;
    datagrams_fini(&net->sockets);
    streams_fini(&net->sockets);
    runtime_timer_cancel(rt, &net->timer);
    if (!net->sockets.lost) runtime_poller_remove(rt, &net->poller);
    host_close();
    netdev_close(net->dev);
    sys_free(net);
}

static int net_socket(struct dmtr_runtime *rt, void *state, int domain, int type, int protocol, struct queue **q_out) {
    (void)rt;
    (void)protocol;
    struct lw_net *net = state;
    if (domain != AF_INET) return -EAFNOSUPPORT;
    if (net->sockets.lost) return -ENETDOWN;
    return type == SOCK_STREAM ? lw_stream_new(net, q_out) : lw_datagram_new(net, q_out);
}

const struct libos libos_lwip = {
    .name = "lwip",
    .aliases = (const char *const[]){NULL},
    .text = "Sockets over the lwIP stack and a network device, one runtime per process",
    .start = net_start,
    .stop = net_stop,
    .socket = net_socket,
};
