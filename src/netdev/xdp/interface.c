/* SPDX-License-Identifier: MIT */
/*
 * The list of interfaces on which queues are open. The first queue creates what they share, the last one destroys it.
 */
#include "netdev/xdp/interface.h"

#include "base/sys.h"

#include <netinet/in.h>
#include <pthread.h>
#include <time.h>

#define BUSY_WAIT_NS 5000000
#define BUSY_TRIES   40u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list interfaces = {&interfaces, &interfaces};

bool xdp_wait_busy(uint32_t *tries) {
    const struct timespec wait = {.tv_nsec = BUSY_WAIT_NS};
    if (++*tries > BUSY_TRIES) return false;
    (void)SYS(nanosleep, &wait, NULL);
    return true;
}

static struct xdp_interface *find(const struct linux_if *name) {
    struct list *node, *next;
    uint64_t network = linux_if_network(name);
    list_for_each (&interfaces, node, next) {
        struct xdp_interface *i = list_entry(node, struct xdp_interface, link);
        if (i->index == name->index && i->network == network) return i;
    }
    return NULL;
}

static void destroy(struct xdp_interface *i) {
    xdp_program_close(&i->program);
    if (i->uses) sys_free(i->uses);
    sys_free(i);
}

static int set_addresses(struct xdp_interface *i, const struct netdev_args *args, const struct linux_if *name) {
    for (uint32_t k = 0; k < args->ip4_count; k++) {
        int shared = linux_if_has_address(name, args->ip4[k]), r;
        if (shared < 0) return shared;
        r = xdp_program_set_address(&i->program, args->ip4[k], shared);
        if (r < 0) return r;
        i->shares |= shared;
    }
    if (!i->shares) return 0;
    i->uses = sys_calloc(2, sizeof *i->uses);
    return i->uses ? 0 : -ENOMEM;
}

static int attach(struct xdp_interface *i, bool native) {
    uint32_t tries = 0;
    int r;
    do
        r = xdp_program_attach(&i->program, i->index, native);
    while (r == -EBUSY && xdp_wait_busy(&tries));
    i->native = native;
    return r;
}

static int start(struct xdp_interface *i, const struct netdev_args *args, const struct linux_if *name,
                 enum xdp_mode mode, enum xdp_step *step) {
    uint32_t queues = linux_if_queues(name);
    int r;
    *step = XDP_STEP_QUEUES;
    if (queues != i->queues) return queues < i->queues ? -ECHRNG : -ERANGE;
    *step = XDP_STEP_PROGRAM;
    r = xdp_program_open(&i->program, i->queues);
    if (r == 0) r = set_addresses(i, args, name);
    if (r < 0) return r;
    *step = XDP_STEP_ATTACH;
    r = -EOPNOTSUPP;
    if (mode != XDP_MODE_GENERIC) r = attach(i, true);
    if (r < 0 && r != -EBUSY && mode != XDP_MODE_NATIVE) r = attach(i, false);
    return r;
}

static struct xdp_interface *create(const struct netdev_args *args, const struct linux_if *name, enum xdp_mode mode,
                                    enum xdp_step *step, int *error) {
    struct xdp_interface *i = sys_calloc(1, sizeof *i);
    *error = -ENOMEM;
    if (!i) return NULL;
    i->network = linux_if_network(name);
    i->index = name->index;
    i->queues = args->queues ? args->queues : 1;
    i->program = (struct xdp_program){.link = -1, .code = -1, .sockets = -1, .addresses = -1, .ports = -1};
    *error = start(i, args, name, mode, step);
    if (*error == 0) {
        list_push_back(&interfaces, &i->link);
        return i;
    }
    destroy(i);
    return NULL;
}

int xdp_interface_join(struct xdp_interface **interface, const struct netdev_args *args, const struct linux_if *name,
                       enum xdp_mode mode, enum xdp_step *step) {
    uint64_t bit = 1ull << args->queue;
    struct xdp_interface *i;
    int r = 0;
    pthread_mutex_lock(&lock);
    i = find(name);
    *step = XDP_STEP_QUEUES;
    if (!i)
        i = create(args, name, mode, step, &r);
    else if (i->open & bit)
        r = -EBUSY;
    else if (i->queues <= args->queue)
        r = -ERANGE;
    if (r == 0) i->open |= bit;
    pthread_mutex_unlock(&lock);
    *interface = r == 0 ? i : NULL;
    return r;
}

void xdp_interface_leave(struct xdp_interface *i, uint32_t queue) {
    pthread_mutex_lock(&lock);
    i->open &= ~(1ull << queue);
    if (i->open == 0) {
        list_remove(&i->link);
        destroy(i);
    }
    pthread_mutex_unlock(&lock);
}

void xdp_interface_claim(struct xdp_interface *i, uint8_t protocol, uint16_t port, bool on) {
    uint32_t *uses;
    if (!i->shares || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)) return;
    pthread_mutex_lock(&lock);
    uses = &i->uses[protocol == IPPROTO_UDP][port];
    if (on ? (*uses)++ == 0 : --*uses == 0) xdp_program_set_port(&i->program, protocol, port, on);
    pthread_mutex_unlock(&lock);
}
