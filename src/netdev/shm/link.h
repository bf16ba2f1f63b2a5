/* SPDX-License-Identifier: MIT */
/*
 * How two processes come to share the memory of a wire, and learn of each other's end: a Unix socket at a path. The
 * side that listens makes the memory, a memfd sealed against shrinking so that no access can fault, and hands it over.
 * From then on the socket carries bytes that wake a sleeper, and closes when its process dies.
 */
#ifndef NETDEV_SHM_LINK_H
#define NETDEV_SHM_LINK_H

#include "netdev/shm/ring.h"

#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SHM_PATH_MAX  sizeof(((struct sockaddr_un *)0)->sun_path)
#define SHM_SLOTS_MIN 2u /* with one, a turn to write and a turn to read would be the same */
#define SHM_SLOTS_MAX 65536u

struct shm_link {
    struct sockaddr_un address;
    bool listens;
    int listener, conn; /* -1: none */
    int epoll;          /* readable when one of them is */
    struct stat socket; /* listening: the socket's file, to know it again */
    uint32_t slots, mtu;
    uint32_t wire_mtu; /* of the wire in use: what the listening side said */
    void *memory;      /* NULL: not connected */
    size_t memory_bytes;
    struct shm_ring tx, rx;
};

/* path fits SHM_PATH_MAX. 0; -EADDRINUSE: somebody listens there; or why the socket could not be made. */
int shm_link_open(struct shm_link *l, const char *path, bool listens, uint32_t slots, uint32_t mtu);
void shm_link_close(struct shm_link *l);

/* While not connected: a step towards it that does not block. 1: connected now; 0: not yet. */
int shm_link_connect(struct shm_link *l);

/* While connected: eats wake-ups, and sends away who else calls. false: the peer is gone. */
bool shm_link_alive(const struct shm_link *l);

/* Not connected any more. */
void shm_link_drop(struct shm_link *l);

/* Wakes the peer. */
void shm_link_wake(const struct shm_link *l);

#endif
