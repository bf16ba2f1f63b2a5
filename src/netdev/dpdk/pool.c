/* SPDX-License-Identifier: MIT */
/*
 * Mbuf pools. DPDK gets mbufs of the receive pool through a table of functions of ours. Before it takes mbufs from the
 * top of the stack, whose memory is likely cached, the pool checks whether the oldest lent buffers were freed.
 */
#include "netdev/dpdk/dpdk.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <pthread.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <string.h>

#define OPS_NAME    "dmtr_heap"
#define RECLAIM_MAX 256u /* lent buffers checked at a time when too few are ready */
#define TX_CACHE    256u /* mbufs that a thread caches from a pool */
#define PENDING_MAX 64u

/* ---- receive buffers in the heap ---- */

static int pool_enqueue(struct rte_mempool *mp, void *const *objects, unsigned n) {
    struct dpdk_rx_pool *p = mp->pool_config;
    for (unsigned i = 0; i < n; i++)
        p->ready[p->ready_count++] = objects[i];
    return 0;
}

/* Checks the oldest lent buffers. One that is still in use moves to the end of the ring. */
static void reclaim(struct dpdk_rx_pool *p, uint32_t looks) {
    if (looks > p->lent_count) looks = p->lent_count;
    while (looks-- > 0) {
        struct rte_mbuf *m = p->lent[p->lent_first++ & (p->lent_slots - 1)];
        p->lent_count--;
        if (heap_reclaim(m->buf_addr))
            p->ready[p->ready_count++] = m;
        else
            dpdk_rx_pool_lend(p, m);
    }
}

bool dpdk_rx_pool_still_lent(struct dpdk_rx_pool *p) {
    reclaim(p, RECLAIM_MAX);
    return p->lent_count >= p->limit;
}

static int pool_dequeue(struct rte_mempool *mp, void **objects, unsigned n) {
    struct dpdk_rx_pool *p = mp->pool_config;
    reclaim(p, n + n / 2 + 1);
    if (p->ready_count < n) reclaim(p, RECLAIM_MAX);
    if (p->ready_count < n) {
        p->exhausted++;
        return -ENOBUFS;
    }
    for (unsigned i = 0; i < n; i++)
        objects[i] = p->ready[--p->ready_count];
    return 0;
}

static unsigned pool_count(const struct rte_mempool *mp) {
    const struct dpdk_rx_pool *p = mp->pool_config;
    return p->ready_count;
}

static int pool_alloc(struct rte_mempool *mp) {
    mp->pool_data = mp->pool_config;
    return 0;
}

static void pool_free(struct rte_mempool *mp) {
    (void)mp;
}

static const struct rte_mempool_ops heap_ops = {
    .name = OPS_NAME,
    .alloc = pool_alloc,
    .free = pool_free,
    .enqueue = pool_enqueue,
    .dequeue = pool_dequeue,
    .get_count = pool_count,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Pool names are unique in the process. */
static void pool_name(char name[RTE_MEMPOOL_NAMESIZE]) {
    static uint32_t serial;
    pthread_mutex_lock(&lock);
    snprintf(name, RTE_MEMPOOL_NAMESIZE, "dmtr_%u", serial++);
    pthread_mutex_unlock(&lock);
}

static int register_ops(void) {
    static bool done;
    pthread_mutex_lock(&lock);
    if (!done) done = rte_mempool_register_ops(&heap_ops) >= 0;
    pthread_mutex_unlock(&lock);
    return done ? 0 : -ENOSPC;
}

static void free_buffers(struct dpdk_rx_pool *p) {
    for (uint32_t i = 0; i < p->ready_count; i++) {
        void *block = p->ready[i]->buf_addr;
        heap_free(block);
        heap_release(block);
    }
    for (uint32_t i = 0; i < p->lent_count; i++)
        heap_release(p->lent[(p->lent_first + i) & (p->lent_slots - 1)]->buf_addr);
    p->lent_count = 0; /* freeing the pool makes DPDK dequeue all its mbufs once more */
}

/*
 * Allocates a block for each mbuf; we own and hold it. Returns -ENOMEM if the heap is full; then only mbufs below
 * ready_count have blocks.
 */
static int fill_buffers(struct dpdk_rx_pool *p, uint16_t bytes) {
    for (uint32_t i = 0; i < p->ready_count; i++) {
        struct rte_mbuf *m = p->ready[i];
        m->buf_addr = heap_alloc(bytes);
        if (!m->buf_addr) {
            p->ready_count = i; /* the other mbufs have no block to release */
            return -ENOMEM;
        }
        heap_hold(m->buf_addr);
        rte_mbuf_iova_set(m, (uintptr_t)m->buf_addr);
        m->buf_len = bytes;
        m->ol_flags = RTE_MBUF_F_EXTERNAL;
        m->shinfo = (struct rte_mbuf_ext_shared_info *)(void *)(m + 1);
        m->shinfo->refcnt = 1;
    }
    return 0;
}

static int make_mempool(struct dpdk_rx_pool *p, uint16_t bytes, int socket) {
    struct rte_pktmbuf_pool_private private = {
        .mbuf_data_room_size = bytes,
        .mbuf_priv_size = RTE_ALIGN(sizeof(struct rte_mbuf_ext_shared_info), RTE_MBUF_PRIV_ALIGN),
        .flags = RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF,
    };
    char name[RTE_MEMPOOL_NAMESIZE];
    int r;
    pool_name(name);
    p->mp = rte_mempool_create_empty(name, p->count, (unsigned)sizeof(struct rte_mbuf) + private.mbuf_priv_size, 0,
                                     sizeof private, socket, 0);
    if (!p->mp) return -rte_errno;
    r = rte_mempool_set_ops_byname(p->mp, OPS_NAME, p);
    if (r < 0) return r;
    rte_pktmbuf_pool_init(p->mp, &private);
    r = rte_mempool_populate_default(p->mp);
    if (r < 0) return r;
    rte_mempool_obj_iter(p->mp, rte_pktmbuf_init, NULL);
    return 0;
}

int dpdk_rx_pool_open(struct dpdk_rx_pool *p, uint32_t limit, uint32_t spare, uint32_t room, int socket) {
    uint32_t bytes = RTE_PKTMBUF_HEADROOM + room, count = limit + spare;
    int r;
    if (bytes > UINT16_MAX) return -EMSGSIZE;
    *p = (struct dpdk_rx_pool){.count = count, .limit = limit, .lent_slots = rte_align32pow2(count)};
    p->ready = sys_calloc(count, sizeof *p->ready);
    p->lent = sys_calloc(p->lent_slots, sizeof *p->lent);
    r = p->ready && p->lent ? register_ops() : -ENOMEM;
    if (r == 0) r = make_mempool(p, (uint16_t)bytes, socket);
    if (r == 0)
        r = fill_buffers(p, (uint16_t)bytes);
    else
        p->ready_count = 0;
    if (r < 0) dpdk_rx_pool_close(p);
    return r;
}

void dpdk_rx_pool_close(struct dpdk_rx_pool *p) {
    free_buffers(p);
    rte_mempool_free(p->mp);
    sys_free(p->ready);
    sys_free(p->lent);
    *p = (struct dpdk_rx_pool){0};
}

/* ---- pools in DPDK's own memory ---- */

struct rte_mempool *dpdk_plain_pool(uint32_t count, uint32_t room, int socket) {
    char name[RTE_MEMPOOL_NAMESIZE];
    if (room > UINT16_MAX - RTE_PKTMBUF_HEADROOM) return NULL;
    pool_name(name);
    return rte_pktmbuf_pool_create(name, count, TX_CACHE,
                                   RTE_ALIGN(sizeof(struct rte_mbuf_ext_shared_info), RTE_MBUF_PRIV_ALIGN),
                                   (uint16_t)(RTE_PKTMBUF_HEADROOM + room), socket);
}

/* Pools that still have mbufs at another port: two ports may be connected to each other. */
static struct rte_mempool *pending[PENDING_MAX];

static bool try_free(struct rte_mempool *mp) {
    if (mp && !rte_mempool_full(mp)) return false;
    rte_mempool_free(mp);
    return true;
}

void dpdk_plain_pool_free(struct rte_mempool *mp) {
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < PENDING_MAX; i++) {
        if (pending[i] && try_free(pending[i])) pending[i] = NULL;
    }
    if (!try_free(mp))
        for (uint32_t i = 0; i < PENDING_MAX; i++) {
            if (pending[i]) continue;
            pending[i] = mp;
            break;
        }
    pthread_mutex_unlock(&lock);
}
