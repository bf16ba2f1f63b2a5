/* SPDX-License-Identifier: MIT */
/*
 * How two processes share a link's memory and detect each other's end: through a Unix socket at a path. The listening
 * side creates the memory, a memfd sealed against shrinking so that no access can fault, and sends its descriptor.
 * After that the socket carries bytes that wake a sleeping peer, and is closed when a process ends.
 */
#ifndef NETDEV_SHM_LINK_H
#define NETDEV_SHM_LINK_H

#include "netdev/shm/ring.h"

#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SHM_PATH_MAX  sizeof(((struct sockaddr_un *)0)->sun_path)
#define SHM_SLOTS_MIN 2u /* with one slot, the turn to write and the turn to read would be equal */
#define SHM_SLOTS_MAX 65536u

struct shm_link {
    struct sockaddr_un address;
    bool listens;
    int listener, conn; /* -1: none */
    int epoll;          /* readable when listener or conn is */
    struct stat socket; /* listening: identifies the socket's file */
    uint32_t slots, mtu;
    uint32_t wire_mtu; /* of the connected link: the listening side's value */
    void *memory;      /* NULL: not connected */
    size_t memory_bytes;
    struct shm_ring tx, rx;
};

/* path fits in SHM_PATH_MAX. Returns 0, -EADDRINUSE (another process listens there) or a negative errno. */
int shm_link_open(struct shm_link *l, const char *path, bool listens, uint32_t slots, uint32_t mtu);
void shm_link_close(struct shm_link *l);

/* While not connected: takes one step towards a connection, without blocking. Returns 1 when connected, else 0. */
int shm_link_connect(struct shm_link *l);

/* While connected: reads wake-ups and refuses further connections. Returns false if the peer has ended. */
bool shm_link_alive(const struct shm_link *l);

/* Disconnects. */
void shm_link_drop(struct shm_link *l);

/* Wakes the peer. */
void shm_link_wake(const struct shm_link *l);

#endif
