/* SPDX-License-Identifier: MIT */
/* Runtimes on one device: they join, leave and sleep, and use a shared device one at a time. */
#include "libos/inet/device_group.h"

#include "base/sys.h"
#include "libos/inet/net.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define SPINS 1000u

static pthread_mutex_t groups_mutex = PTHREAD_MUTEX_INITIALIZER; /* held while a runtime joins or leaves */
static struct list groups = {&groups, &groups};

_Static_assert(GROUP_MEMBERS_MAX <= MAILBOX_SENDERS_MAX, "a ring for each");
_Static_assert(GROUP_MEMBERS_MAX <= STEERING_MEMBERS_MAX, "a place for each");

/* This runtime's entry in the group. */
static struct member *self(const struct net *net) {
    return &net->group->members[net->member];
}

/* One runtime at a time uses a shared device. */
static inline bool device_try(struct device_group *g) {
    return !atomic_exchange_explicit(&g->busy, true, memory_order_acquire);
}

/* A runtime uses the device for one burst; it takes longer only if the scheduler has preempted that runtime. */
static __attribute__((noinline)) void device_await(struct device_group *g) {
    for (uint32_t tries = 0; !device_try(g); tries++)
        if (tries > SPINS) sched_yield();
}

static inline void device_take(struct device_group *g) {
    if (__builtin_expect(!device_try(g), 0)) device_await(g);
}

static inline void device_leave(struct device_group *g) {
    atomic_store_explicit(&g->busy, false, memory_order_release);
}

/* The group of the device, made if needed; NULL and *error on failure. */
static struct device_group *group_of(const struct link_options *o, int *error) {
    struct list *l, *tmp;
    list_for_each (&groups, l, tmp) {
        struct device_group *g = list_entry(l, struct device_group, link);
        if (strcmp(g->device, o->device) == 0 && strcmp(g->options, o->device_options) == 0 &&
            strcmp(g->wrappers, o->wrappers) == 0 && g->queues == o->queues)
            return g;
    }
    /* A mapping, because most of it is never touched and the rings need aligned cache lines. */
    size_t bytes = sizeof(struct device_group) + o->queues * sizeof(struct member);
    struct device_group *g = sys_map(bytes, PROT_READ | PROT_WRITE, 0, error);
    if (!g) return NULL;
    g->bytes = bytes;
    memcpy(g->device, o->device, sizeof g->device);
    memcpy(g->options, o->device_options, sizeof g->options);
    memcpy(g->wrappers, o->wrappers, sizeof g->wrappers);
    g->queues = o->queues;
    *error = -steering_init(&g->steering, g->queues);
    if (*error) {
        munmap(g, bytes);
        return NULL;
    }
    for (uint32_t i = 0; i < g->queues; i++)
        g->members[i].poll_fd = -1;
    list_push_back(&groups, &g->link);
    return g;
}

/* Mailboxes stay until the group ends, because other members may still use them. */
static void group_free(struct device_group *g) {
    for (uint32_t i = 0; i < g->queues; i++)
        if (g->members[i].made) mailbox_fini(&g->members[i].mailbox);
    steering_fini(&g->steering);
    list_remove(&g->link);
    munmap(g, g->bytes);
}

static int member_make(struct device_group *g, struct member *m) {
    if (!m->made) {
        int r = mailbox_init(&m->mailbox, g->queues);
        if (r) {
            mailbox_fini(&m->mailbox);
            return r;
        }
        m->made = true;
    }
    m->poll_fd = SYS(epoll_create1, EPOLL_CLOEXEC);
    return m->poll_fd < 0 ? m->poll_fd : 0;
}

/* poll_fd becomes readable for mail from other members and for frames of the device. */
static int member_watch(const struct net *net) {
    int poll_fd = self(net)->poll_fd, mail_fd = net->mailbox->wake_fd, dev_fd = net->dev->fd;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = mail_fd};
    int r = SYS(epoll_ctl, poll_fd, EPOLL_CTL_ADD, mail_fd, &event);
    if (r || dev_fd < 0) return r;
    event = (struct epoll_event){.events = EPOLLIN, .data.fd = dev_fd};
    return SYS(epoll_ctl, poll_fd, EPOLL_CTL_ADD, dev_fd, &event);
}

/* While this runtime may use the shared device: copies the fields that others may change later. */
static inline void see_device(struct net *net) {
    net->link_up = net->dev->link_up;
    net->device_mtu = net->dev->mtu;
    net->device_next_ns = netdev_next_ns(net->dev);
}

static int device_open(struct net *net, const struct link_options *o, struct inet_config *c,
                       struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX]) {
    struct device_group *g = net->group;
    const struct netdev_ops *ops = netdev_find(o->device);
    struct link_options own = *o;
    bool shares = g->shared || !ops || ops->queues_max < o->queues || link_is_wrapped(o);
    if (g->joined == 1) own.shares = &shares; /* the first member decides for all */
    own.queue = shares ? 0 : net->member;
    own.queues = shares ? 1 : o->queues;
    net->dev = shares ? g->shared : NULL;
    bool used = net->dev; /* other members may be using it */
    if (used) device_take(g);
    int r = link_open(&own, c, neighbours, &net->dev);
    if (!r) see_device(net);
    if (used) device_leave(g);
    if (r) {
        if (net->dev != g->shared) netdev_close(net->dev);
        net->dev = NULL;
        return r;
    }
    if (shares && !g->shared) g->shared = net->dev;
    net->shares = shares;
    if (shares) net->link_up = false; /* until the first poll */
    if (!g->opened) {
        memcpy(g->mac, c->mac, sizeof g->mac);
        memcpy(g->seed, c->seed, sizeof g->seed);
    }
    g->opened = true;
    memcpy(c->mac, g->mac, sizeof c->mac); /* all queues have one MAC address */
    memcpy(c->seed + INET_SEED_BYTES / 2, g->seed + INET_SEED_BYTES / 2, INET_SEED_BYTES / 2);
    c->cookies_until_ns = &g->cookies_until_ns;
    return 0;
}

void group_awake(struct net *net) {
    net->asleep = false;
    atomic_fetch_sub(&net->group->sleepers, 1);
    mailbox_awake(net->mailbox);
}

static void leave(struct net *net) {
    struct device_group *g = net->group;
    struct member *m = self(net);
    steering_leave(&g->steering, net->member);
    if (net->asleep) group_awake(net);
    if (net->dev != g->shared || g->joined == 1) netdev_close(net->dev);
    net->dev = NULL;
    if (m->poll_fd >= 0) close(m->poll_fd);
    m->poll_fd = -1;
    m->net = NULL;
    net->group = NULL;
    if (m->made) mailbox_drain(&m->mailbox);
    if (--g->joined == 0) group_free(g);
}

static int join(struct net *net, const struct link_options *o, struct inet_config *c,
                struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX]) {
    int error;
    struct device_group *g = group_of(o, &error);
    if (!g) return -error;
    uint32_t i = 0;
    while (i < g->queues && g->members[i].net)
        i++;
    if (i == g->queues) {
        log_error(o->log, "inet: %u runtimes already use device %s; raise inet.queues", g->queues, o->device);
        return -ENOSPC;
    }
    struct member *m = &g->members[i];
    g->joined++;
    m->net = net;
    net->group = g;
    net->member = i;
    net->mailbox = &m->mailbox;
    int r = member_make(g, m);
    if (!r) r = device_open(net, o, c, neighbours);
    if (!r) r = member_watch(net);
    if (!r) {
        steering_join(&g->steering, i);
        mailbox_open(&m->mailbox, net->rt->id);
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
    struct device_group *g = net->group;
    if (!net->asleep) atomic_fetch_add(&g->sleepers, 1);
    net->asleep = true;
    int r = 1;
    if (mailbox_asleep(net->mailbox)) {
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

/* Lets the device wake the members that sleep on it, so that they need not wait for this member's next poll. */
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

int group_put(struct net *net, const struct netdev_frame *frame) {
    device_take(net->group);
    int r = net->dev->ops->put(net->dev, frame);
    device_leave(net->group);
    return r;
}

int group_kick(struct net *net, uint64_t now) {
    device_take(net->group);
    int r = net->dev->ops->kick(net->dev, now);
    see_device(net);
    device_leave(net->group);
    return r;
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

struct mailbox *group_mailbox(const struct net *net, uint32_t runtime, uint32_t *member) {
    struct device_group *g = net->group;
    for (*member = 0; *member < g->queues; ++*member)
        if (mailbox_is_of(&g->members[*member].mailbox, runtime)) return &g->members[*member].mailbox;
    return NULL;
}
