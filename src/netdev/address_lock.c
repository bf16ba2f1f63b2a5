/* SPDX-License-Identifier: MIT */
/* Locks of addresses on interfaces: sockets with a name, shared by the queues of this process. */
#include "netdev/address_lock.h"

#include "netdev/device.h"
#include "netdev/linux_if.h"

#include "base/list.h"
#include "base/sys.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Who asks for the holder stays in its queue; after so many the holder is not named any more. */
#define ASKERS_MAX 1024

/* An address that this process has. */
struct held {
    struct list link;
    uint64_t network, queues_open; /* a bit for each queue */
    int index;
    uint32_t ip4, queues;
    int fd;
};

struct address_lock {
    uint64_t queue_bit;
    uint32_t count;
    struct held *held[];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};

static socklen_t name_of(struct sockaddr_un *name, int index, uint32_t ip4) {
    *name = (struct sockaddr_un){.sun_family = AF_UNIX}; /* abstract: its first byte is 0 */
    int len = snprintf(name->sun_path + 1, sizeof name->sun_path - 1, "dmtr/address/%d/%08x", index, ntohl(ip4));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

static int unix_socket(void) {
    return SYS(socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Who listens at the name. False: nobody tells, because it is no lock of ours, or its queue is full. */
static bool holder_of(const struct sockaddr_un *name, socklen_t len, struct ucred *holder) {
    socklen_t size = sizeof *holder;
    int fd = unix_socket();
    if (fd < 0) return false;
    bool told = SYS(connect, fd, (const struct sockaddr *)name, len) == 0 &&
                SYS(getsockopt, fd, SOL_SOCKET, SO_PEERCRED, holder, &size) == 0;
    close(fd);
    return told;
}

#define REMEDY "choose another address, or let threads of one process share the device (inet.queues)"

static int refuse(const struct netdev_args *args, const char *kind, const struct linux_if *i, uint32_t ip4,
                  const struct ucred *holder) {
    char address[INET_ADDRSTRLEN], who[64] = "another process";
    inet_ntop(AF_INET, &ip4, address, sizeof address);
    if (holder && holder->pid == getpid())
        snprintf(who, sizeof who, "this process (%d)", (int)holder->pid);
    else if (holder && holder->pid) /* 0: of another PID namespace */
        snprintf(who, sizeof who, "process %d of user %u", (int)holder->pid, (unsigned)holder->uid);
    return netdev_refuse(args, -EADDRINUSE, "%s: %s has %s on %s already: " REMEDY, kind, who, address, i->name);
}

/* *fd is the lock; -EADDRINUSE: somebody has it. */
static int take_name(const struct sockaddr_un *name, socklen_t len, int *fd) {
    *fd = unix_socket();
    if (*fd < 0) return *fd;
    int r = SYS(bind, *fd, (const struct sockaddr *)name, len);
    if (r == 0) r = SYS(listen, *fd, ASKERS_MAX);
    if (r < 0) close(*fd);
    return r;
}

static struct held *find(const struct linux_if *i, uint32_t ip4) {
    struct list *node, *next;
    uint64_t network = linux_if_network(i);
    list_for_each (&all, node, next) {
        struct held *h = list_entry(node, struct held, link);
        if (h->network == network && h->index == i->index && h->ip4 == ip4) return h;
    }
    return NULL;
}

static int take_new(struct held **out, const struct netdev_args *args, const char *kind, const struct linux_if *i,
                    uint32_t ip4) {
    struct sockaddr_un name;
    struct ucred holder;
    socklen_t len = name_of(&name, i->index, ip4);
    struct held *h = sys_calloc(1, sizeof *h);
    if (!h) return -ENOMEM;
    int r = take_name(&name, len, &h->fd);
    if (r < 0) {
        sys_free(h);
        if (r != -EADDRINUSE) return r;
        return refuse(args, kind, i, ip4, holder_of(&name, len, &holder) ? &holder : NULL);
    }
    h->network = linux_if_network(i);
    h->index = i->index;
    h->ip4 = ip4;
    h->queues = args->queues;
    list_push_back(&all, &h->link);
    *out = h;
    return 0;
}

static int take_one(struct address_lock *lock, const struct netdev_args *args, const char *kind,
                    const struct linux_if *i, uint32_t ip4) {
    struct held *h = find(i, ip4);
    bool shares = h && args->queues > 1 && h->queues == args->queues && !(h->queues_open & lock->queue_bit);
    int r = 0;
    if (h && !shares) return refuse(args, kind, i, ip4, &(struct ucred){.pid = getpid()});
    if (!h) r = take_new(&h, args, kind, i, ip4);
    if (r < 0) return r;
    h->queues_open |= lock->queue_bit;
    lock->held[lock->count++] = h;
    return 0;
}

static void release(struct address_lock *lock) {
    while (lock->count > 0) {
        struct held *h = lock->held[--lock->count];
        h->queues_open &= ~lock->queue_bit;
        if (h->queues_open) continue;
        list_remove(&h->link);
        close(h->fd);
        sys_free(h);
    }
    sys_free(lock);
}

static int take_all(struct address_lock *lock, const struct netdev_args *args, const char *kind,
                    const struct linux_if *i) {
    for (uint32_t k = 0; k < args->ip4_count; k++) {
        int r = take_one(lock, args, kind, i, args->ip4[k]);
        if (r < 0) return r;
    }
    return 0;
}

int address_lock_take(struct address_lock **lock, const struct netdev_args *args, const char *kind,
                      const char *interface) {
    struct linux_if i;
    *lock = NULL;
    if (args->ip4_count == 0) return 0;
    int r = linux_if_open(&i, interface);
    if (r < 0) return r == -ENODEV ? 0 : r;
    struct address_lock *l = sys_calloc(1, sizeof *l + args->ip4_count * sizeof l->held[0]);
    r = l ? 0 : -ENOMEM;
    if (l) {
        l->queue_bit = 1ull << (args->queue % 64);
        pthread_mutex_lock(&mutex);
        r = take_all(l, args, kind, &i);
        if (r < 0) release(l);
        pthread_mutex_unlock(&mutex);
    }
    linux_if_close(&i);
    if (r == 0) *lock = l;
    return r;
}

void address_lock_release(struct address_lock *lock) {
    if (!lock) return;
    pthread_mutex_lock(&mutex);
    release(lock);
    pthread_mutex_unlock(&mutex);
}
