/* SPDX-License-Identifier: MIT */
/*
 * Locks on IPv4 addresses of kernel interfaces. Two stacks with the same address on one interface would reset each
 * other's connections, so a device locks each address for its interface, in the network namespace of the calling
 * thread.
 *
 * A lock is an abstract Unix socket whose name contains the interface and the address. The kernel allows one socket of
 * a name per network namespace and removes it when its holder ends (and the children that it forked). The queues of one
 * device in one process share the lock. Any user may take a name; that makes our open fail, and nothing worse.
 */
#ifndef NETDEV_ADDRESS_LOCK_H
#define NETDEV_ADDRESS_LOCK_H

#include "netdev/netdev.h"

struct address_lock;

/*
 * Locks args->ip4 on the interface, for queue args->queue. Returns 0, with *lock NULL if the interface does not exist
 * or there is no address; -EADDRINUSE with args->why, which names the holder if it is known; or another negative errno.
 */
int address_lock_acquire(struct address_lock **lock, const struct netdev_args *args, const char *kind,
                         const char *interface);

/* lock may be NULL. */
void address_lock_release(struct address_lock *lock);

#endif
