/* SPDX-License-Identifier: MIT */
/*
 * Address locks: abstract Unix sockets whose name is the interface and the address. The queues of a device in this
 * process share them.
 */
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

/*
 * A process that asks who holds a lock stays in the lock's accept queue. When the queue is full, refusals do not name
 * the holder any more.
 */
#define BACKLOG_MAX 1024

/* An address that this process holds. */
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

/*
 * Finds the process that listens at the name. Returns false if it cannot be found: nobody listens, or its accept queue
 * is full.
 */
static bool find_holder(const struct sockaddr_un *name, socklen_t len, struct ucred *holder) {
    socklen_t size = sizeof *holder;
    int fd = unix_socket();
    if (fd < 0) return false;
    bool found = SYS(connect, fd, (const struct sockaddr *)name, len) == 0 &&
                 SYS(getsockopt, fd, SOL_SOCKET, SO_PEERCRED, holder, &size) == 0;
    close(fd);
    return found;
}

#define REMEDY "choose another address, or let threads of one process share the device (inet.queues)"

static int refuse(const struct netdev_args *args, const char *kind, const struct linux_if *i, uint32_t ip4,
                  const struct ucred *holder) {
    char address[INET_ADDRSTRLEN], who[64] = "another process";
    inet_ntop(AF_INET, &ip4, address, sizeof address);
    if (holder && holder->pid == getpid())
        snprintf(who, sizeof who, "this process (%d)", (int)holder->pid);
    else if (holder && holder->pid) /* 0: in another PID namespace */
        snprintf(who, sizeof who, "process %d of user %u", (int)holder->pid, (unsigned)holder->uid);
    return netdev_refuse(args, -EADDRINUSE, "%s: %s already uses %s on %s: " REMEDY, kind, who, address, i->name);
}

/*
 * Binds the name to a new socket, *fd. Returns 0, -EADDRINUSE (another socket has the name) or another negative errno.
 */
static int bind_name(const struct sockaddr_un *name, socklen_t len, int *fd) {
    *fd = unix_socket();
    if (*fd < 0) return *fd;
    int r = SYS(bind, *fd, (const struct sockaddr *)name, len);
    if (r == 0) r = SYS(listen, *fd, BACKLOG_MAX);
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

static int lock_new(struct held **out, const struct netdev_args *args, const char *kind, const struct linux_if *i,
                    uint32_t ip4) {
    struct sockaddr_un name;
    struct ucred holder;
    socklen_t len = name_of(&name, i->index, ip4);
    struct held *h = sys_calloc(1, sizeof *h);
    if (!h) return -ENOMEM;
    int r = bind_name(&name, len, &h->fd);
    if (r < 0) {
        sys_free(h);
        if (r != -EADDRINUSE) return r;
        return refuse(args, kind, i, ip4, find_holder(&name, len, &holder) ? &holder : NULL);
    }
    h->network = linux_if_network(i);
    h->index = i->index;
    h->ip4 = ip4;
    h->queues = args->queues;
    list_push_back(&all, &h->link);
    *out = h;
    return 0;
}

static int lock_one(struct address_lock *lock, const struct netdev_args *args, const char *kind,
                    const struct linux_if *i, uint32_t ip4) {
    struct held *h = find(i, ip4);
    bool shares = h && args->queues > 1 && h->queues == args->queues && !(h->queues_open & lock->queue_bit);
    int r = 0;
    if (h && !shares) return refuse(args, kind, i, ip4, &(struct ucred){.pid = getpid()});
    if (!h) r = lock_new(&h, args, kind, i, ip4);
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

static int lock_all(struct address_lock *lock, const struct netdev_args *args, const char *kind,
                    const struct linux_if *i) {
    for (uint32_t k = 0; k < args->ip4_count; k++) {
        int r = lock_one(lock, args, kind, i, args->ip4[k]);
        if (r < 0) return r;
    }
    return 0;
}

int address_lock_acquire(struct address_lock **lock, const struct netdev_args *args, const char *kind,
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
        r = lock_all(l, args, kind, &i);
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
