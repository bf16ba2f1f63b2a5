/* SPDX-License-Identifier: MIT */
/*
 * Who has an IPv4 address on an interface of the kernel. Two stacks with one address on one interface reset each
 * other's connections, so each address is locked for its interface, in the network namespace of the calling thread.
 *
 * A lock is an abstract Unix socket with a name of interface and address: the kernel keeps one of a name in a network
 * namespace, and it goes when its holder dies (and the children that it forked). The queues of one device in one
 * process share it. Any user may hold the name, so that another one can have us refused, and do nothing more.
 */
#ifndef NETDEV_ADDRESS_LOCK_H
#define NETDEV_ADDRESS_LOCK_H

#include "netdev/netdev.h"

struct address_lock;

/*
 * Locks args->ip4 on the interface, for queue args->queue. 0, and NULL for *lock where there is no such interface, or
 * no address; -EADDRINUSE and args->why, which names who has it; or another errno.
 */
int address_lock_take(struct address_lock **lock, const struct netdev_args *args, const char *kind,
                      const char *interface);

/* NULL: nothing. */
void address_lock_release(struct address_lock *lock);

#endif
