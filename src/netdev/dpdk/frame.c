/* SPDX-License-Identifier: MIT */
/* Converts frames to mbufs. */
#include "netdev/dpdk/dpdk.h"

#include "mem/heap.h"

#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#define TSO      (NETDEV_TSO4 | NETDEV_TSO6)
#define OFFLOADS (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG)

uint16_t dpdk_tx_offloads(uint64_t capable, uint64_t *wanted) {
    const uint64_t csum = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
    const uint64_t tso =
        csum | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    *wanted = capable & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    if ((capable & csum) != csum) return 0;
    *wanted |= csum;
    if ((capable & tso) != tso) return NETDEV_CSUM;
    *wanted |= tso;
    return NETDEV_CSUM | TSO;
}

static void release(void *address, void *held) {
    (void)address;
    heap_release(held);
}

/*
 * Attaches [data, data + bytes) to the mbuf. The caller has taken a hold on it; DPDK releases the hold through free_cb.
 */
static void attach(struct rte_mbuf *m, void *data, uint32_t bytes) {
    struct rte_mbuf_ext_shared_info *info = rte_mbuf_to_priv(m);
    info->free_cb = release;
    info->fcb_opaque = data;
    info->refcnt = 1; /* not shared yet */
    m->ol_flags = 0;
    rte_pktmbuf_attach_extbuf(m, data, (uintptr_t)data, (uint16_t)bytes, info);
    m->data_len = (uint16_t)bytes;
}

/*
 * Copies the leading segments that fit into the mbuf: the headers, and all of a small frame. Returns the number of
 * segments; *copied is their bytes.
 */
static uint32_t copy_leading(const struct netdev_frame *f, char *to, uint32_t room, uint32_t *copied) {
    uint32_t i, at = 0;
    for (i = 0; i < f->segs_count && f->segs[i].bytes <= room - at; i++) {
        memcpy(to + at, f->segs[i].data, f->segs[i].bytes);
        at += f->segs[i].bytes;
    }
    *copied = at;
    return i;
}

/* Copies a frame that the port cannot accept in pieces into one block. */
static int fill_contiguous(const struct netdev_frame *f, struct rte_mbuf *m) {
    uint32_t bytes = f->bytes + NETDEV_TAG_BYTES;
    char *data = bytes <= UINT16_MAX ? heap_alloc(bytes) : NULL;
    if (!data) return -ENOMEM;
    netdev_gather(f, data + NETDEV_TAG_BYTES);
    heap_hold(data);
    heap_free(data);
    attach(m, data, bytes);
    m->data_off = NETDEV_TAG_BYTES;
    m->data_len = (uint16_t)f->bytes;
    return 0;
}

/* Attaches segments i and later, one mbuf each. */
static int fill_chain(struct rte_mempool *pool, const struct netdev_frame *f, uint32_t i, struct rte_mbuf *m) {
    struct rte_mbuf *parts[NETDEV_SEGS_MAX], *last = m;
    uint32_t n = f->segs_count - i;
    if (rte_mempool_get_bulk(pool, (void **)parts, n) != 0) return -ENOBUFS;
    for (uint32_t k = 0; k < n; k++, i++) {
        void *data = (void *)(uintptr_t)f->segs[i].data;
        heap_hold(data);
        attach(parts[k], data, f->segs[i].bytes);
        last->next = parts[k];
        last = parts[k];
    }
    m->nb_segs = (uint16_t)(n + 1);
    return 0;
}

/* Sets DPDK's flags for the offloads of a frame whose headers are in the first mbuf. */
static void set_offloads(const struct netdev_frame *f, struct rte_mbuf *m) {
    char *ip = rte_pktmbuf_mtod_offset(m, char *, f->l2_bytes);
    bool is_ip4 = (*(uint8_t *)ip >> 4) == 4;
    m->ol_flags |= is_ip4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
    m->ol_flags |= f->csum_offset == offsetof(struct udphdr, check) ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
    m->tx_offload = rte_mbuf_tx_offload(f->l2_bytes, f->l3_bytes, f->l4_bytes, f->mss, 0, 0, 0);
    if (!(f->offloads & TSO)) return;
    m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | (is_ip4 ? RTE_MBUF_F_TX_IP_CKSUM : 0);
    if (is_ip4) memset(ip + offsetof(struct iphdr, check), 0, sizeof(uint16_t));
}

/* Drivers that insert the tag in software need the first mbuf to use its own buffer. */
static void tag(const struct dpdk_port *port, struct rte_mbuf *m) {
    const uint16_t words[2] = {rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(port->vlan)};
    char *frame;
    if (port->tx_tagged && !RTE_MBUF_HAS_EXTBUF(m)) {
        m->ol_flags |= RTE_MBUF_F_TX_VLAN;
        m->vlan_tci = port->vlan;
        return;
    }
    /* There is room before the frame: the headroom of an mbuf, or the room that fill_contiguous left. */
    m->data_off = (uint16_t)(m->data_off - NETDEV_TAG_BYTES);
    m->data_len = (uint16_t)(m->data_len + NETDEV_TAG_BYTES);
    m->pkt_len += NETDEV_TAG_BYTES;
    frame = rte_pktmbuf_mtod(m, char *);
    memmove(frame, frame + NETDEV_TAG_BYTES, NETDEV_MACS_BYTES);
    memcpy(frame + NETDEV_MACS_BYTES, words, sizeof words);
    if (m->ol_flags & OFFLOADS) m->l2_len += NETDEV_TAG_BYTES;
}

int dpdk_fill(const struct dpdk_port *port, struct rte_mempool *pool, const struct netdev_frame *f,
              struct rte_mbuf *m) {
    uint32_t copied, headers = f->offloads ? (uint32_t)f->l2_bytes + f->l3_bytes + f->l4_bytes : 0, i;
    int r = 0;
    i = copy_leading(f, rte_pktmbuf_mtod(m, char *), port->tx_room, &copied);
    m->data_len = (uint16_t)copied;
    m->pkt_len = f->bytes;
    if (i < f->segs_count) {
        bool contiguous = copied == 0 || copied < headers || f->segs_count - i >= port->chain_max;
        r = contiguous ? fill_contiguous(f, m) : fill_chain(pool, f, i, m);
    }
    if (r < 0) return r;
    if (f->offloads) set_offloads(f, m);
    if (port->vlan) tag(port, m);
    return 0;
}
