/* SPDX-License-Identifier: MIT */
/* Runtimes on one device: joined, woken, and the rings between them. */
#include "libos/inet/group.h"

#include "base/ring.h"
#include "base/sys.h"
#include "base/toeplitz.h"
#include "inet/wire/eth.h"
#include "inet/wire/icmp.h"
#include "inet/wire/ip4.h"
#include "libos/inet/stream.h"
#include "mem/heap.h"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_PLACES 2048u /* two a frame */
#define RING_BURST  64u
#define PORTS       65536u
#define PROTOCOLS   2u
#define SPINS       1000u

/* What comes with a pointer in a ring: kind, inet_input's flags, bytes. */
enum kind { KIND_FRAME, KIND_STREAM };

struct member {
    struct net *net; /* NULL: not joined; changes under the group's mutex alone */
    _Atomic bool present, asleep;
    _Atomic uint64_t waiting;
    uint32_t runtime; /* its number, as dmtr_runtime_current tells it */
    int wake_fd, poll_fd;
    struct spsc from[GROUP_MEMBERS_MAX];
    struct netdev *dev;
    uint32_t uses[PROTOCOLS][PORTS]; /* sockets and connections of a port */
};

struct group {
    struct list link;
    size_t bytes; /* of all this */
    char device[CONFIG_STRING_MAX], options[CONFIG_STRING_MAX], wrappers[CONFIG_STRING_MAX];
    uint32_t queues, joined;
    bool has_mac;
    uint8_t mac[INET_MAC_BYTES];
    struct netdev *shared;
    _Atomic bool busy;                       /* somebody is at the shared device */
    _Atomic uint32_t sleepers;               /* on the shared device */
    _Atomic uint64_t open[PROTOCOLS][PORTS]; /* a bit for each member */
    struct member members[];
};

static pthread_mutex_t groups_mutex = PTHREAD_MUTEX_INITIALIZER; /* joining and leaving alone */
static struct list groups = {&groups, &groups};

static struct member *self(const struct net *net) {
    return &net->group->members[net->member];
}

static uint32_t protocol_place(uint8_t protocol) {
    return protocol == IP_UDP;
}

/* A shared device is used by one at a time. */
static inline bool device_try(struct group *g) {
    return !atomic_exchange_explicit(&g->busy, true, memory_order_acquire);
}

/* It is held for a burst; longer only where its holder has lost the processor. */
static __attribute__((noinline)) void device_await(struct group *g) {
    for (uint32_t tries = 0; !device_try(g); tries++)
        if (tries > SPINS) sched_yield();
}

static inline void device_take(struct group *g) {
    if (__builtin_expect(!device_try(g), 0)) device_await(g);
}

static inline void device_leave(struct group *g) {
    atomic_store_explicit(&g->busy, false, memory_order_release);
}

static uint64_t meta_of(enum kind kind, uint32_t flags, uint32_t bytes) {
    return (uint64_t)kind << 56 | (uint64_t)flags << 32 | bytes;
}

/* Two places of the ring, of which there is an even number: it takes both or none. */
static bool put(struct net *net, uint32_t to, void *what, uint64_t meta) {
    struct member *m = &net->group->members[to];
    void *values[2] = {what, (void *)(uintptr_t)meta};
    if (!atomic_load_explicit(&m->present, memory_order_relaxed) || !spsc_push(&m->from[net->member], values, 2))
        return false;
    net->given |= 1ull << to;
    return true;
}

/* What nobody is going to take any more. */
static void drain(struct member *m, uint32_t queues) {
    void *values[2];
    for (uint32_t i = 0; i < queues; i++)
        while (m->from[i].slots && spsc_pop(&m->from[i], values, 2) == 2) {
            if ((uintptr_t)values[1] >> 56 == KIND_STREAM)
                parcel_lose(values[0]);
            else
                heap_free(values[0]);
        }
}

/* NULL and *error: it cannot be made. */
static struct group *group_of(const struct link_options *o, int *error) {
    struct list *l, *tmp;
    list_for_each (&groups, l, tmp) {
        struct group *g = list_entry(l, struct group, link);
        if (strcmp(g->device, o->device) == 0 && strcmp(g->options, o->device_options) == 0 &&
            strcmp(g->wrappers, o->wrappers) == 0 && g->queues == o->queues)
            return g;
    }
    /* Pages, because most of it is never touched, and the rings want cache lines of their own. */
    size_t bytes = sizeof(struct group) + o->queues * sizeof(struct member);
    struct group *g = sys_map(bytes, PROT_READ | PROT_WRITE, 0, error);
    if (!g) return NULL;
    g->bytes = bytes;
    memcpy(g->device, o->device, sizeof g->device);
    memcpy(g->options, o->device_options, sizeof g->options);
    memcpy(g->wrappers, o->wrappers, sizeof g->wrappers);
    g->queues = o->queues;
    for (uint32_t i = 0; i < g->queues; i++)
        g->members[i].wake_fd = g->members[i].poll_fd = -1;
    list_push_back(&groups, &g->link);
    return g;
}

/* Rings and descriptors stay until the group ends, because others may still be at them. */
static void group_free(struct group *g) {
    for (uint32_t i = 0; i < g->queues; i++) {
        struct member *m = &g->members[i];
        drain(m, g->queues);
        for (uint32_t k = 0; k < g->queues; k++)
            if (m->from[k].slots) spsc_fini(&m->from[k]);
        if (m->wake_fd >= 0) close(m->wake_fd);
    }
    list_remove(&g->link);
    munmap(g, g->bytes);
}

static int member_make(struct group *g, struct member *m) {
    for (uint32_t i = 0; i < g->queues; i++) {
        int r = m->from[i].slots ? 0 : spsc_init(&m->from[i], RING_PLACES);
        if (r) return r;
    }
    if (m->wake_fd < 0) m->wake_fd = SYS(eventfd, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->wake_fd < 0) return m->wake_fd;
    m->poll_fd = SYS(epoll_create1, EPOLL_CLOEXEC);
    return m->poll_fd < 0 ? m->poll_fd : 0;
}

/* What others put into our rings makes the descriptor readable, and so does the device. */
static int member_watch(const struct member *m) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = m->wake_fd};
    int r = SYS(epoll_ctl, m->poll_fd, EPOLL_CTL_ADD, m->wake_fd, &event);
    if (r || m->dev->fd < 0) return r;
    event = (struct epoll_event){.events = EPOLLIN, .data.fd = m->dev->fd};
    return SYS(epoll_ctl, m->poll_fd, EPOLL_CTL_ADD, m->dev->fd, &event);
}

/* While the shared device is ours: what others may change later. */
static inline void see_device(struct net *net) {
    net->link_up = net->dev->link_up;
    net->device_mtu = net->dev->mtu;
    net->device_next_ns = netdev_next_ns(net->dev);
}

static int device_open(struct net *net, const struct link_options *o, struct inet_config *c,
                       struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX]) {
    struct group *g = net->group;
    const struct netdev_ops *ops = netdev_find(o->device);
    struct link_options own = *o;
    bool shares = g->shared || !ops || ops->queues_max < o->queues || link_is_wrapped(o);
    if (g->joined == 1) own.shares = &shares; /* the others do as the first one */
    own.queue = shares ? 0 : net->member;
    own.queues = shares ? 1 : o->queues;
    net->dev = shares ? g->shared : NULL;
    int r = link_open(&own, c, neighbours, &net->dev);
    if (r) {
        if (net->dev != g->shared) netdev_close(net->dev);
        net->dev = NULL;
        return r;
    }
    if (shares && !g->shared) g->shared = net->dev;
    net->shares = shares;
    if (shares) {
        device_take(g);
        see_device(net);
        device_leave(g);
        net->link_up = false; /* until it is polled */
    }
    if (!g->has_mac) memcpy(g->mac, c->mac, sizeof g->mac);
    g->has_mac = true;
    memcpy(c->mac, g->mac, sizeof c->mac); /* one station, whatever each queue was given */
    return 0;
}

void group_awake(struct net *net) {
    struct member *m = self(net);
    uint64_t count;
    net->asleep = false;
    atomic_store(&m->asleep, false);
    atomic_fetch_sub(&net->group->sleepers, 1);
    (void)SYS(read, m->wake_fd, &count, sizeof count); /* nothing there: it was the device */
}

static void leave(struct net *net) {
    struct group *g = net->group;
    struct member *m = self(net);
    atomic_store(&m->present, false);
    if (net->asleep) group_awake(net);
    for (uint32_t i = 0; i < PROTOCOLS; i++)
        for (uint32_t port = 0; port < PORTS; port++)
            if (m->uses[i][port]) atomic_fetch_and(&g->open[i][port], ~(1ull << net->member));
    memset(m->uses, 0, sizeof m->uses);
    if (net->dev != g->shared || g->joined == 1) netdev_close(net->dev);
    net->dev = m->dev = NULL;
    if (m->poll_fd >= 0) close(m->poll_fd);
    m->poll_fd = -1;
    m->net = NULL;
    net->group = NULL;
    drain(m, g->queues);
    atomic_store(&m->waiting, 0);
    if (--g->joined == 0) group_free(g);
}

static int join(struct net *net, const struct link_options *o, struct inet_config *c,
                struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX]) {
    int error;
    struct group *g = group_of(o, &error);
    if (!g) return -error;
    uint32_t i = 0;
    while (i < g->queues && g->members[i].net)
        i++;
    if (i == g->queues) {
        log_error(o->log, "inet: %u runtimes have device %s already; raise inet.queues", g->queues, o->device);
        return -ENOSPC;
    }
    struct member *m = &g->members[i];
    g->joined++;
    m->net = net;
    m->runtime = net->rt->id;
    net->group = g;
    net->member = i;
    net->waiting = &m->waiting;
    int r = member_make(g, m);
    if (!r) r = device_open(net, o, c, neighbours);
    m->dev = net->dev;
    if (!r) r = member_watch(m);
    if (!r) {
        atomic_store(&m->present, true);
        return 0;
    }
    leave(net);
    return r;
}

int group_join(struct net *net, const struct link_options *o, struct inet_config *c,
               struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX]) {
    pthread_mutex_lock(&groups_mutex);
    int r = join(net, o, c, neighbours);
    pthread_mutex_unlock(&groups_mutex);
    return r;
}

void group_leave(struct net *net) {
    pthread_mutex_lock(&groups_mutex);
    leave(net);
    pthread_mutex_unlock(&groups_mutex);
}

int group_fd(const struct net *net) {
    return net->dev->fd < 0 ? -1 : self(net)->poll_fd;
}

int group_prepare(struct net *net) {
    struct group *g = net->group;
    struct member *m = self(net);
    if (!net->asleep) atomic_fetch_add(&g->sleepers, 1);
    net->asleep = true;
    atomic_store(&m->asleep, true);
    /* Either we see what was put in, or who puts it in sees that we sleep: both are sequentially consistent. */
    atomic_thread_fence(memory_order_seq_cst);
    int r = 1;
    if (atomic_load_explicit(&m->waiting, memory_order_relaxed) == 0) {
        if (net->shares) device_take(g);
        r = netdev_prepare(net->dev);
        if (net->shares) {
            see_device(net);
            device_leave(g);
        }
    }
    if (r != 0) group_awake(net);
    return r;
}

/* Who sleeps on the shared device is not to wait until we look at it again. */
static __attribute__((noinline)) void arm_for_sleepers(struct net *net) {
    if (net->dev->fd >= 0) (void)netdev_prepare(net->dev);
}

int group_rx(struct net *net, struct netdev_buffer *frames, uint32_t n, uint64_t now) {
    if (!device_try(net->group)) return 0;
    int taken = netdev_rx(net->dev, frames, n, now);
    if (taken > 0 && atomic_load_explicit(&net->group->sleepers, memory_order_relaxed) > 0) arm_for_sleepers(net);
    see_device(net);
    device_leave(net->group);
    return taken;
}

int group_tx(struct net *net, const struct netdev_frame *frames, uint32_t n, uint64_t now) {
    device_take(net->group);
    int taken = netdev_tx(net->dev, frames, n, now);
    see_device(net);
    device_leave(net->group);
    return taken;
}

void group_stats(struct net *net, struct netdev_stats *out, bool *up) {
    device_take(net->group);
    *out = net->dev->stats;
    *up = net->dev->link_up;
    device_leave(net->group);
}

uint32_t group_own(struct net *net, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n) {
    device_take(net->group);
    n = netdev_own(net->dev, names, values, n);
    device_leave(net->group);
    return n;
}

/* The nth member, counted from 0, of those in `set`; there are more. */
static uint32_t nth(uint64_t set, uint32_t n) {
    while (n-- > 0)
        set &= set - 1;
    return (uint32_t)__builtin_ctzll(set);
}

#define EVERYBODY UINT32_MAX

/* Whose it is by its ports, which are in host order; `open`: who has ours open. */
static __attribute__((noinline)) uint32_t member_by_hash(const struct group *g, uint64_t open, uint32_t a, uint32_t b,
                                                         uint16_t ours, uint16_t theirs) {
    uint32_t hash = toeplitz_ip4(a, b, ours, theirs), place = toeplitz_queue(hash, g->queues);
    if (open == 0 || open >> place & 1) return place;
    return nth(open, hash % (uint32_t)__builtin_popcountll(open));
}

static inline uint32_t member_of(const struct net *net, uint8_t protocol, uint32_t a, uint32_t b, uint16_t ours,
                                 uint16_t theirs) {
    const struct group *g = net->group;
    uint64_t open = atomic_load_explicit(&g->open[protocol_place(protocol)][ours], memory_order_relaxed);
    if (open == 1ull << net->member) return net->member;
    return member_by_hash(g, open, a, b, ours, theirs);
}
/* Nearly all frames: TCP or UDP in an IPv4 packet without options, and whole. */
#define PLAIN_PROTOCOL (ETH_HEADER_BYTES + IP4_PROTOCOL_OFFSET)
#define PLAIN_FROM     (ETH_HEADER_BYTES + 12u)
#define PLAIN_PORTS    (ETH_HEADER_BYTES + IP4_HEADER_BYTES)

static inline bool is_plain(const uint8_t *p, uint32_t bytes) {
    return bytes >= PLAIN_PORTS + 4 && wire_get16(p + ETH_HEADER_BYTES - 2) == ETH_TYPE_IP4 &&
           p[ETH_HEADER_BYTES] == 0x45 && (wire_get16(p + ETH_HEADER_BYTES + 6) & ~IP4_DF) == 0 &&
           (p[PLAIN_PROTOCOL] == IP_TCP || p[PLAIN_PROTOCOL] == IP_UDP);
}

static __attribute__((noinline)) uint32_t whose(const struct net *net, const struct netdev_buffer *frame) {
    const uint8_t *p = frame->data;
    struct eth_header eth;
    struct ip4_header h;
    if (!eth_parse(&eth, p, frame->bytes)) return net->member;
    if (eth.type == ETH_TYPE_ARP) return EVERYBODY;
    if (eth.type != ETH_TYPE_IP4 || !ip4_parse(&h, p + ETH_HEADER_BYTES, frame->bytes - ETH_HEADER_BYTES))
        return net->member;
    const uint8_t *t = p + ETH_HEADER_BYTES + h.header_bytes;
    /* Fragments but the first have no ports: all of them go one way, and what they make then finds its own. */
    if ((h.fragment_flags & IP4_MF) || h.fragment_offset > 0)
        return toeplitz_queue(toeplitz_ip4(h.from, h.to, 0, 0), net->group->queues);
    if (h.total_bytes < h.header_bytes + 4) return net->member;
    if (h.protocol == IP_TCP || h.protocol == IP_UDP)
        return member_of(net, h.protocol, h.from, h.to, wire_get16(t + 2), wire_get16(t));
    return h.protocol == IP_ICMP && t[0] != ICMP_ECHO_REQUEST ? EVERYBODY : net->member;
}

static void give(struct net *net, uint32_t to, void *frame, uint32_t bytes, uint32_t flags) {
    if (put(net, to, frame, meta_of(KIND_FRAME, flags, bytes))) return;
    counter_inc(&net->rt->counters, inet_group_drops);
    heap_free(frame);
}

static void tell_others(struct net *net, const struct netdev_buffer *frame) {
    for (uint32_t i = 0; i < net->group->queues; i++) {
        if (i == net->member || !atomic_load_explicit(&net->group->members[i].present, memory_order_relaxed)) continue;
        void *copy = heap_alloc(frame->bytes);
        if (!copy) return; /* the neighbour is asked again */
        memcpy(copy, frame->data, frame->bytes);
        give(net, i, copy, frame->bytes, INET_INPUT_COPY);
    }
}

static __attribute__((noinline)) bool pass_on(struct net *net, const struct netdev_buffer *frame, uint32_t to) {
    if (to == EVERYBODY) tell_others(net, frame);
    if (to == EVERYBODY || !atomic_load_explicit(&net->group->members[to].present, memory_order_relaxed)) return false;
    counter_inc(&net->rt->counters, inet_group_forwards);
    give(net, to, frame->data, frame->bytes, frame->flags & NETDEV_RX_CSUM_GOOD ? INET_INPUT_CSUM_OK : 0);
    return true;
}

bool group_forward(struct net *net, const struct netdev_buffer *frame) {
    const uint8_t *p = frame->data;
    uint32_t to = is_plain(p, frame->bytes)
                      ? member_of(net, p[PLAIN_PROTOCOL], wire_load32(p + PLAIN_FROM), wire_load32(p + PLAIN_FROM + 4),
                                  wire_get16(p + PLAIN_PORTS + 2), wire_get16(p + PLAIN_PORTS))
                      : whose(net, frame);
    return to != net->member && pass_on(net, frame, to);
}

void group_flush(struct net *net) {
    const uint64_t one = 1;
    for (; net->given; net->given &= net->given - 1) {
        struct member *to = &net->group->members[__builtin_ctzll(net->given)];
        atomic_fetch_or(&to->waiting, 1ull << net->member);
        if (atomic_load(&to->asleep)) (void)SYS(write, to->wake_fd, &one, sizeof one);
    }
}

uint32_t group_take(struct net *net, uint64_t now) {
    struct member *m = self(net);
    void *values[RING_BURST];
    uint32_t all = 0;
    for (uint64_t set = atomic_exchange(&m->waiting, 0); set; set &= set - 1) {
        uint32_t from = (uint32_t)__builtin_ctzll(set), n = spsc_pop(&m->from[from], values, RING_BURST);
        if (n == RING_BURST) atomic_fetch_or(&m->waiting, 1ull << from); /* there may be more */
        for (uint32_t at = 0; at + 1 < n; at += 2) {
            uint64_t meta = (uintptr_t)values[at + 1];
            if (meta >> 56 == KIND_STREAM)
                parcel_arrived(net, values[at], now);
            else
                inet_input(net->stack, values[at], (uint32_t)meta, (uint32_t)(meta >> 32) & 0xffffff, now);
        }
        all += n / 2;
    }
    return all;
}

void group_port_used(struct net *net, uint8_t protocol, uint16_t port, bool on) {
    uint32_t place = protocol_place(protocol);
    uint32_t *uses = &self(net)->uses[place][port];
    uint64_t bit = 1ull << net->member;
    if (on && (*uses)++ == 0) atomic_fetch_or(&net->group->open[place][port], bit);
    if (!on && --*uses == 0) atomic_fetch_and(&net->group->open[place][port], ~bit);
}

/* The flags count whom it was given to already. */
bool group_stray(struct net *net, void *frame, uint32_t len, uint32_t flags) {
    struct group *g = net->group;
    for (uint32_t hops = flags >> 8, to = net->member; hops + 1 < g->queues; hops++, flags += 1u << 8) {
        to = (to + 1) % g->queues;
        if (!atomic_load_explicit(&g->members[to].present, memory_order_relaxed)) continue;
        counter_inc(&net->rt->counters, inet_group_strays);
        give(net, to, frame, len, flags + (1u << 8));
        return true;
    }
    return false;
}

bool group_flow_ours(const struct net *net, const struct inet_flow *flow) {
    if (!net->dev->spreads) return true; /* then the port alone decides */
    uint32_t hash = toeplitz_ip4(inet_addr_to_ip4(&flow->local), inet_addr_to_ip4(&flow->remote), flow->local_port,
                                 flow->remote_port);
    return toeplitz_queue(hash, net->group->queues) == net->member;
}

int group_give_stream(struct net *net, struct parcel *p, uint32_t id) {
    struct group *g = net->group;
    for (uint32_t i = 0; i < g->queues; i++) {
        /* Written before `present` is, and read after. */
        if (!atomic_load(&g->members[i].present) || g->members[i].runtime != id) continue;
        return put(net, i, p, meta_of(KIND_STREAM, 0, 0)) ? 0 : -EAGAIN;
    }
    return -EXDEV;
}
