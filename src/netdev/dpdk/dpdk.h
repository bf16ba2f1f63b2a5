/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the dpdk device. dpdk.c is the device; eal.c starts DPDK, once per process; port.c manages the
 * ports, each shared by the devices that are its queues; pool.c creates the mbuf pools; frame.c converts frames to
 * mbufs; sleep.c waits for interrupts.
 */
#ifndef NETDEV_DPDK_DPDK_H
#define NETDEV_DPDK_DPDK_H

#include "netdev/device.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdatomic.h>

#define DPDK_BURST      32u
#define DPDK_QUEUES_MAX 64u
#define DPDK_PORT_MAX   RTE_ETH_NAME_MAX_LEN
#define DPDK_TEXT_MAX   256u
#define DPDK_ROOM_MIN                                                                                                  \
    2048u /* of a receive buffer: every driver accepts this size, and some need multiples of 1 KiB                     \
           */
#define DPDK_TX_COPIED    256u /* up to this much of a frame, in whole segments, is copied into its mbuf */
#define DPDK_TX_CHAIN_MAX (NETDEV_SEGS_MAX + 1)

struct dpdk_options {
    char port[DPDK_PORT_MAX], vdev[DPDK_TEXT_MAX], eal[DPDK_TEXT_MAX];
    uint64_t slots, buffers, mtu, vlan; /* vlan 0: none */
    bool promiscuous, copy, offloads, interrupts, lro;
};

/* ---- eal.c ---- */

/* Starts DPDK unless other code in the process has. Returns 0, or a negative errno and args->why. */
int dpdk_eal_start(const struct netdev_args *args, const struct dpdk_options *o);

/* The last error that DPDK logged. */
const char *dpdk_last_error(void);

/* ---- pool.c ---- */

/*
 * Receive buffers: heap blocks that belong to mbufs for good. The pool lends a received one to the application, which
 * frees it like any other block; the pool notices that and reuses it. One thread at a time.
 */
struct dpdk_rx_pool {
    struct rte_mempool *mp;
    struct rte_mbuf **ready; /* [count] a stack */
    struct rte_mbuf **lent;  /* [lent_slots] a ring, oldest first */
    uint32_t count, lent_slots;
    uint32_t ready_count, lent_first, lent_count;
    uint32_t limit;     /* at most this many are lent; the driver keeps the others, so that reception continues */
    uint64_t exhausted; /* times that no buffer was available, to lend or for the driver */
};

/*
 * Creates a pool with `limit` (see above) plus `spare` buffers for frames of `room` bytes. Returns 0 or a negative
 * errno.
 */
int dpdk_rx_pool_open(struct dpdk_rx_pool *p, uint32_t limit, uint32_t spare, uint32_t room, int socket);

/* The driver must not have any mbuf left. Lent buffers stay with the application. p may be closed already. */
void dpdk_rx_pool_close(struct dpdk_rx_pool *p);

/* Reclaims lent buffers that were freed. Returns whether the limit is still reached. */
bool dpdk_rx_pool_still_lent(struct dpdk_rx_pool *p);

/* Whether one more buffer may be lent. */
static inline bool dpdk_rx_pool_may_lend(struct dpdk_rx_pool *p) {
    return p->lent_count < p->limit || !dpdk_rx_pool_still_lent(p);
}

/* Lends the frame of this mbuf of the pool. */
static inline void dpdk_rx_pool_lend(struct dpdk_rx_pool *p, struct rte_mbuf *m) {
    p->lent[(p->lent_first + p->lent_count++) & (p->lent_slots - 1)] = m;
}

/* Creates a pool in DPDK's own memory. Each mbuf has `room` bytes and what DPDK needs to release attached memory. */
struct rte_mempool *dpdk_plain_pool(uint32_t count, uint32_t room, int socket);

/* Frees the pool, at once or after another port has returned its last mbuf. mp may be NULL. */
void dpdk_plain_pool_free(struct rte_mempool *mp);

/* ---- port.c ---- */

struct dpdk_queue {
    bool open;
    struct dpdk_rx_pool rx;       /* used unless frames are copied */
    struct rte_mempool *rx_plain; /* used if frames are copied */
    struct rte_mempool *tx;
};

/* The lock of the ports protects all fields until the port is started. Then all fields after `started` are constant. */
struct dpdk_port {
    char name[DPDK_PORT_MAX];
    char args[DPDK_TEXT_MAX]; /* to probe the device again after it was closed */
    uint32_t queues, open;    /* requested queues; open queues */
    _Atomic bool started, gone;
    uint16_t id;
    uint32_t mtu, tx_room, tso_bytes;
    uint16_t offloads, chain_max, rx_slots, tx_slots;
    uint64_t rx_offloads, tx_offloads;
    bool copies;     /* the driver can access only DPDK's own memory */
    bool interrupts; /* its queues can interrupt on reception */
    bool spreads, mapped;
    uint16_t vlan;  /* of all frames; 0: untagged */
    bool tx_tagged; /* the port inserts the tag */
    bool lro;       /* the port coalesces TCP segments */
    int socket;
    struct rte_eth_dev_info info;
    struct dpdk_queue queue[DPDK_QUEUES_MAX];
};

/* Opens one queue of a port; the last queue starts the port. Returns 0 and *port, or a negative errno and args->why. */
int dpdk_port_open(const struct netdev_args *args, const struct dpdk_options *o, struct dpdk_port **port);

/* Closes a queue. The last one stops and closes the port. */
void dpdk_port_close(struct dpdk_port *port, uint32_t queue);

/* ---- sleep.c ---- */

struct dpdk_sleep {
    int fd; /* the descriptor to sleep on */
    int clock_fd;
    bool attached, armed;
    uint32_t missed; /* consecutive lost interrupts: the driver may promise interrupts and raise none */
    uint32_t kept_count;
    struct rte_mbuf *kept[DPDK_BURST]; /* received while preparing to sleep */
};

/* Returns 0 or a negative errno. */
int dpdk_sleep_open(struct dpdk_sleep *s);
void dpdk_sleep_close(struct dpdk_sleep *s);

/*
 * Arms the descriptor for a queue of a started port. Keeps frames that arrive meanwhile; if there are any, the caller
 * must not sleep. Call dpdk_sleep_end and dpdk_sleep_pop before the next receive. Returns false if the queue must be
 * polled.
 */
bool dpdk_sleep_prepare(struct dpdk_sleep *s, uint16_t port, uint16_t queue);

/* Returns to polling the queue. Returns false if the queue must be polled for good, because it raises no interrupts. */
bool dpdk_sleep_end(struct dpdk_sleep *s, uint16_t port, uint16_t queue);

/* Returns up to n of the kept mbufs. */
uint32_t dpdk_sleep_pop(struct dpdk_sleep *s, struct rte_mbuf **to, uint32_t n);

/* ---- frame.c ---- */

/* Returns the offloads (NETDEV_CSUM ...) that the port supports, and in *wanted the DPDK offloads that they need. */
uint16_t dpdk_tx_offloads(uint64_t capable, uint64_t *wanted);

/*
 * Fills an mbuf with a frame: copies leading segments that fit into it, attaches and holds the others. Returns 0,
 * -ENOBUFS (no more mbufs) or -ENOMEM. After an error the mbuf is unchanged.
 */
int dpdk_fill(const struct dpdk_port *port, struct rte_mempool *pool, const struct netdev_frame *frame,
              struct rte_mbuf *m);

#endif
