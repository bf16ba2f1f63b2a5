/* SPDX-License-Identifier: MIT */
/*
 * What the files of the dpdk device share. dpdk.c is the device; dpdk_eal.c starts DPDK, once in the process;
 * dpdk_port.c keeps the ports, each shared by the devices that are its queues; dpdk_pool.c makes the pools of mbufs;
 * dpdk_frame.c turns frames into mbufs; dpdk_sleep.c waits for interrupts.
 */
#ifndef NETDEV_DPDK_DPDK_H
#define NETDEV_DPDK_DPDK_H

#include "netdev/device.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdatomic.h>

#define DPDK_BURST        32u
#define DPDK_QUEUES_MAX   64u
#define DPDK_PORT_MAX     RTE_ETH_NAME_MAX_LEN
#define DPDK_TEXT_MAX     256u
#define DPDK_ROOM_MIN     2048u /* of a receive buffer: what every driver takes, and some count in steps of 1 KiB */
#define DPDK_TX_COPIED    256u  /* so much of a frame, in whole segments, is copied beside its mbuf */
#define DPDK_TX_CHAIN_MAX (NETDEV_SEGS_MAX + 1)

struct dpdk_options {
    char port[DPDK_PORT_MAX], vdev[DPDK_TEXT_MAX], eal[DPDK_TEXT_MAX];
    uint64_t slots, buffers, mtu, vlan; /* vlan 0: none */
    bool promiscuous, copy, offloads, interrupts, lro;
};

/* ---- dpdk_eal.c ---- */

/* Starts DPDK unless somebody in the process has. 0, or a negative errno and args->why. */
int dpdk_eal_start(const struct netdev_args *args, const struct dpdk_options *o);

/* What DPDK logged last as an error. */
const char *dpdk_complaint(void);

/* ---- dpdk_pool.c ---- */

/*
 * Receive buffers: heap blocks that belong to mbufs for good. A received one is lent to the application, which frees it
 * as any other; the pool sees that, and uses it again. One thread at a time.
 */
struct dpdk_rx_pool {
    struct rte_mempool *mp;
    struct rte_mbuf **ready; /* [count] a stack */
    struct rte_mbuf **lent;  /* [lent_slots] a ring, oldest first */
    uint32_t count, lent_slots;
    uint32_t ready_count, lent_first, lent_count;
    uint32_t limit;     /* at most so many are lent: the rest is for the driver, so that frames come all the same */
    uint64_t exhausted; /* times that there was none: to be lent, or for the driver */
};

/* `limit` as above, and `spare` buffers more. room: bytes of a frame. 0 or a negative errno. */
int dpdk_rx_pool_open(struct dpdk_rx_pool *p, uint32_t limit, uint32_t spare, uint32_t room, int socket);

/* No mbuf is the driver's any more. What is lent stays the application's. NULL pool: nothing. */
void dpdk_rx_pool_close(struct dpdk_rx_pool *p);

/* Looks at what is lent; whether as much as may be still is. */
bool dpdk_rx_pool_still_lent(struct dpdk_rx_pool *p);

/* Whether one more may be lent. */
static inline bool dpdk_rx_pool_may_lend(struct dpdk_rx_pool *p) {
    return p->lent_count < p->limit || !dpdk_rx_pool_still_lent(p);
}

/* The frame of this mbuf of the pool is given away. */
static inline void dpdk_rx_pool_lend(struct dpdk_rx_pool *p, struct rte_mbuf *m) {
    p->lent[(p->lent_first + p->lent_count++) & (p->lent_slots - 1)] = m;
}

/* A pool in DPDK's own memory, whose mbufs have this much room and what DPDK needs to give back attached memory. */
struct rte_mempool *dpdk_plain_pool(uint32_t count, uint32_t room, int socket);

/* Frees it, at once or when the last mbuf of it that another port still has came back. NULL: nothing. */
void dpdk_plain_pool_free(struct rte_mempool *mp);

/* ---- dpdk_port.c ---- */

struct dpdk_queue {
    bool open;
    struct dpdk_rx_pool rx;       /* where frames are received into the heap */
    struct rte_mempool *rx_plain; /* where they are not */
    struct rte_mempool *tx;
};

/* Written under the lock of the ports until it is started; then what follows `started` is fixed. */
struct dpdk_port {
    char name[DPDK_PORT_MAX];
    char args[DPDK_TEXT_MAX]; /* to find the device anew after it was closed */
    uint32_t queues, open;    /* wanted, and how many are */
    _Atomic bool started, gone;
    uint16_t id;
    uint32_t mtu, tx_room, tso_bytes;
    uint16_t offloads, chain_max, rx_slots, tx_slots;
    uint64_t rx_offloads, tx_offloads;
    bool copies;     /* the driver reaches only memory of DPDK's own */
    bool interrupts; /* its queues can tell that something was received */
    bool spreads, mapped;
    uint16_t vlan;  /* all frames are of it; 0: of none */
    bool tx_tagged; /* its tag is written by the port */
    bool lro;       /* TCP segments come put together */
    int socket;
    struct rte_eth_dev_info info;
    struct dpdk_queue queue[DPDK_QUEUES_MAX];
};

/* Opens one queue of a port; the last of its queues starts it. 0 and *port, or a negative errno and args->why. */
int dpdk_port_open(const struct netdev_args *args, const struct dpdk_options *o, struct dpdk_port **port);

/* The last queue stops it and closes the port. */
void dpdk_port_close(struct dpdk_port *port, uint32_t queue);

/* ---- dpdk_sleep.c ---- */

struct dpdk_sleep {
    int fd; /* to sleep on */
    int clock_fd;
    bool attached, armed;
    uint32_t silence; /* the queue's interrupts may be promised and not come; then it is not slept on */
    uint32_t kept_count;
    struct rte_mbuf *kept[DPDK_BURST]; /* received while getting ready to sleep */
};

/* 0 or a negative errno. */
int dpdk_sleep_open(struct dpdk_sleep *s);
void dpdk_sleep_close(struct dpdk_sleep *s);

/*
 * Arms the descriptor, for a queue of a port that is started; what was received meanwhile is kept, and no sleep is due
 * then. Afterwards dpdk_sleep_end and dpdk_sleep_take come first. False: the queue must be polled.
 */
bool dpdk_sleep_prepare(struct dpdk_sleep *s, uint16_t port, uint16_t queue);

/* The queue is polled again. False: for good, because its interrupts do not come. */
bool dpdk_sleep_end(struct dpdk_sleep *s, uint16_t port, uint16_t queue);

/* Up to n mbufs of those that were kept; how many. */
uint32_t dpdk_sleep_take(struct dpdk_sleep *s, struct rte_mbuf **to, uint32_t n);

/* ---- dpdk_frame.c ---- */

/* What the port can do for frames, of NETDEV_CSUM ..., and the offloads of DPDK that are needed for it. */
uint16_t dpdk_tx_offloads(uint64_t capable, uint64_t *wanted);

/*
 * Makes an mbuf into a frame: small segments are copied beside it, others attached and held. 0; -ENOBUFS: no more
 * mbufs; -ENOMEM. After an error the mbuf is as it was.
 */
int dpdk_fill(const struct dpdk_port *port, struct rte_mempool *pool, const struct netdev_frame *frame,
              struct rte_mbuf *m);

#endif
