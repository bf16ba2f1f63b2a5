/* SPDX-License-Identifier: MIT */
/*
 * DPDK ports: network cards that the process owns, and DPDK's virtual devices. The driver receives into heap blocks and
 * transmits from them, without a copy.
 */
#include "netdev/dpdk/dpdk.h"
#include "netdev/options.h"
#include "netdev/plugin.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <string.h>

#define SMALL_BYTES                                                                                                    \
    256u /* frames up to this size are copied when no buffer may be lent: an ACK may be what lets the application free \
            buffers */
#define COPY_COUNTED      1024u     /* larger frames that are sent in one piece count as copied */
#define CHECK_INTERVAL_NS 10000000u /* interval of link and removal checks */
#define RX_LARGEST        65535u    /* with lro=yes */
#define VLAN_MAX          4094u
#define VLAN_ID_MASK      0xfffu

struct dpdk_device {
    struct netdev dev;
    struct dpdk_port *port;
    struct dpdk_rx_pool *rx; /* NULL: frames are copied */
    struct rte_mempool *tx_pool;
    uint16_t id, queue;
    bool special;    /* the port has a VLAN or coalesces segments */
    uint32_t rx_max; /* bytes of a frame */
    uint64_t next_check_ns, exhausted;
    struct dpdk_sleep sleep;
    struct log log;
};

static const struct netdev_ops netdev_dpdk;

static const struct netdev_option options_table[] = {
    {"port", NETDEV_OPTION_TEXT, offsetof(struct dpdk_options, port), 0, DPDK_PORT_MAX, "PORT", NULL,
     "none; then vdev is required", "Port by its name in DPDK or by its PCI address, such as 0000:3b:00.0"},
    {"vdev", NETDEV_OPTION_TEXT, offsetof(struct dpdk_options, vdev), 0, DPDK_TEXT_MAX, "NAME;KEY=VALUE", NULL,
     "none; then port is required",
     "Virtual device to create when this device is opened; write a semicolon for a comma"},
    {"eal", NETDEV_OPTION_TEXT, offsetof(struct dpdk_options, eal), 0, DPDK_TEXT_MAX, "WORDS", NULL,
     "depends on the machine", "Arguments of DPDK's EAL, separated by spaces; write a semicolon for a comma"},
    {"slots", NETDEV_OPTION_NUMBER, offsetof(struct dpdk_options, slots), 32, 32768, "descriptors", "512", NULL,
     "Descriptors of each queue and direction"},
    {"buffers", NETDEV_OPTION_NUMBER, offsetof(struct dpdk_options, buffers), 64, 1u << 20, "frames", "4096", NULL,
     "Received frames of each queue that the application may hold at a time"},
    {"mtu", NETDEV_OPTION_NUMBER, offsetof(struct dpdk_options, mtu), NETDEV_MTU_MIN, NETDEV_MTU_MAX, "bytes", NULL,
     "1500, and the port keeps its MTU", "MTU that the port is set to"},
    {"vlan", NETDEV_OPTION_NUMBER, offsetof(struct dpdk_options, vlan), 1, VLAN_MAX, "", NULL, "none",
     "VLAN of all frames: the device writes and removes the 802.1Q tag, and drops frames of other VLANs"},
    {"lro", NETDEV_OPTION_FLAG, offsetof(struct dpdk_options, lro), 0, 0, "", "no", NULL,
     "Receive several TCP segments as one frame, if the port can"},
    {"promiscuous", NETDEV_OPTION_FLAG, offsetof(struct dpdk_options, promiscuous), 0, 0, "", "no", NULL,
     "Receive frames to other MAC addresses too; required if inet.mac is not the address of the port"},
    {"copy", NETDEV_OPTION_FLAG, offsetof(struct dpdk_options, copy), 0, 0, "", "no", NULL,
     "Copy frames in both directions; no copies only if the driver needs it"},
    {"offloads", NETDEV_OPTION_FLAG, offsetof(struct dpdk_options, offloads), 0, 0, "", "yes", NULL,
     "Let the port compute checksums, segment TCP and handle VLAN tags, if it can"},
    {"interrupts", NETDEV_OPTION_FLAG, offsetof(struct dpdk_options, interrupts), 0, 0, "", "yes", NULL,
     "Let a wait sleep until the port interrupts, if it can; no always polls"},
};

static bool is_gone(const struct dpdk_device *d) {
    return atomic_load_explicit(&d->port->gone, memory_order_acquire);
}

/* Refreshes the state that is slow to read or seldom changes. A port has no link before all its queues are open. */
static int device_update(struct netdev *dev, uint64_t now_ns) {
    struct dpdk_device *d = (struct dpdk_device *)dev;
    struct rte_eth_link link = {0};
    bool started = atomic_load_explicit(&d->port->started, memory_order_acquire);
    d->next_check_ns = now_ns + CHECK_INTERVAL_NS;
    if (is_gone(d) || (started && (!rte_eth_dev_is_valid_port(d->id) || rte_eth_dev_is_removed(d->id)))) {
        netdev_set_link(dev, false);
        return -ENODEV;
    }
    if (started && rte_eth_link_get_nowait(d->id, &link) == 0) dev->spreads = d->port->spreads;
    netdev_set_link(dev, link.link_status == RTE_ETH_LINK_UP);
    return 0;
}

static void warn_exhausted(struct dpdk_device *d) {
    log_warn(&d->log,
             "dpdk: %s: no receive buffer is free, and frames are lost: the application holds %u of %u; raise buffers= "
             "or free popped data sooner",
             d->port->name, d->rx->lent_count, d->rx->limit);
    d->dev.stats.rx_held += d->rx->exhausted - d->exhausted;
    d->exhausted = d->rx->exhausted;
}

/* Copies a frame that is in several pieces or in memory that the receiver must not keep. */
static bool receive_copy(struct dpdk_device *d, struct rte_mbuf *m, struct netdev_buffer *b) {
    uint32_t at = 0;
    char *data = heap_alloc(m->pkt_len);
    d->dev.stats.rx_no_memory += data == NULL;
    d->dev.stats.rx_copied += data != NULL;
    for (const struct rte_mbuf *part = m; data && part; part = part->next) {
        memcpy(data + at, rte_pktmbuf_mtod(part, char *), part->data_len);
        at += part->data_len;
    }
    b->data = data;
    rte_pktmbuf_free(m);
    return data != NULL;
}

/* Removes the VLAN tag, unless the port has done so. Returns false if the frame belongs to another VLAN. */
static bool untag(uint16_t vlan, struct rte_mbuf *m) {
    char *frame = rte_pktmbuf_mtod(m, char *);
    uint16_t words[2] = {0, rte_cpu_to_be_16(m->vlan_tci)};
    if (!(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)) {
        if (m->data_len < NETDEV_HEADER_BYTES + NETDEV_TAG_BYTES) return false;
        memcpy(words, frame + NETDEV_MACS_BYTES, sizeof words);
        if (words[0] != rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN)) return false;
        memmove(frame + NETDEV_TAG_BYTES, frame, NETDEV_MACS_BYTES);
        rte_pktmbuf_adj(m, NETDEV_TAG_BYTES);
    }
    return (rte_be_to_cpu_16(words[1]) & VLAN_ID_MASK) == vlan;
}

/* Slow path: drops an invalid frame or copies it. */
static __attribute__((noinline)) bool receive_slow(struct dpdk_device *d, struct rte_mbuf *m, struct netdev_buffer *b) {
    bool fits = m->pkt_len >= NETDEV_HEADER_BYTES && m->pkt_len <= d->rx_max;
    bool held = fits && m->pkt_len > SMALL_BYTES && d->rx && m->pool == d->rx->mp &&
                !m->next; /* all other buffers may be lent */
    if (fits && !held) return receive_copy(d, m, b);
    if (held) d->rx->exhausted++;
    d->dev.stats.rx_too_long += m->pkt_len > d->rx_max;
    d->dev.stats.rx_malformed += m->pkt_len < NETDEV_HEADER_BYTES;
    rte_pktmbuf_free(m);
    return false;
}

/*
 * Receives one frame. own: the pool whose buffers are lent to the receiver; most: bytes of a frame after its Ethernet
 * header.
 */
static inline bool receive_one(struct dpdk_device *d, struct rte_mbuf *m, const struct rte_mempool *own, uint32_t most,
                               struct netdev_buffer *b) {
    b->mss = 0;
    if (__builtin_expect(d->special, 0)) {
        if (d->port->vlan && !untag(d->port->vlan, m)) {
            d->dev.stats.rx_other_vlan++;
            rte_pktmbuf_free(m);
            return false;
        }
        if (m->ol_flags & RTE_MBUF_F_RX_LRO) b->mss = m->tso_segsz;
    }
    b->bytes = m->pkt_len;
    /* The bit is also set in CKSUM_NONE: the path was memory, and the sender omitted the checksum. */
    b->flags = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD ? NETDEV_RX_CSUM_GOOD : 0;
    if (__builtin_expect(m->pkt_len - NETDEV_HEADER_BYTES > most || !own || m->pool != own || m->next ||
                             !dpdk_rx_pool_may_lend(d->rx),
                         0))
        return receive_slow(d, m, b);
    b->data = rte_pktmbuf_mtod(m, char *);
    dpdk_rx_pool_lend(d->rx, m);
    return true;
}

static int check_link(struct dpdk_device *d, uint64_t now_ns) {
    int r = device_update(&d->dev, now_ns);
    if (r == 0 && d->rx && d->rx->exhausted != d->exhausted) warn_exhausted(d);
    if (r == 0 && d->dev.fd >= 0 && !dpdk_sleep_end(&d->sleep, d->id, d->queue))
        log_warn(&d->log, "dpdk: %s: queue %u promises interrupts but raises none: a wait polls it", d->port->name,
                 d->queue);
    return r;
}

/* Converts `got` mbufs to frames. Returns how many. */
static int receive_burst(struct dpdk_device *d, struct rte_mbuf **burst, uint32_t got, struct netdev_buffer *frames) {
    const struct rte_mempool *own = d->rx ? d->rx->mp : NULL;
    uint32_t taken = 0, most = d->rx_max - NETDEV_HEADER_BYTES;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < got; i++)
        if (receive_one(d, burst[i], own, most, &frames[taken])) bytes += frames[taken++].bytes;
    d->dev.stats.rx_frames += taken;
    d->dev.stats.rx_bytes += bytes;
    return (int)taken;
}

static int device_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    struct dpdk_device *d = (struct dpdk_device *)dev;
    struct rte_mbuf *burst[DPDK_BURST];
    if (n > DPDK_BURST) n = DPDK_BURST;
    if (__builtin_expect(now_ns >= d->next_check_ns, 0)) {
        int r = check_link(d, now_ns);
        if (r < 0) return r;
        if (d->sleep.kept_count > 0) {
            d->next_check_ns = 0; /* until all kept mbufs are returned */
            return receive_burst(d, burst, dpdk_sleep_pop(&d->sleep, burst, n), frames);
        }
    }
    if (!dev->link_up) return -ENETDOWN;
    return receive_burst(d, burst, rte_eth_rx_burst(d->id, d->queue, burst, (uint16_t)n), frames);
}

/* Without a link nothing is received; the clock ends the sleep in time for the next link check. */
static int device_prepare(struct netdev *dev) {
    struct dpdk_device *d = (struct dpdk_device *)dev;
    if (is_gone(d)) return -ENODEV;
    if (dev->link_up && !(d->port->interrupts && dpdk_sleep_prepare(&d->sleep, d->id, d->queue))) return 1;
    d->next_check_ns = 0; /* the next call comes after a sleep */
    return d->sleep.kept_count > 0;
}

/*
 * Offers mbufs to the driver. Returns how many it accepted. A packet that the driver calls invalid counts as accepted
 * and is dropped.
 */
static uint32_t offer(struct dpdk_device *d, struct rte_mbuf **burst, uint32_t n, bool offloads) {
    uint32_t at = 0;
    while (at < n) {
        uint16_t ready = (uint16_t)(n - at), sent;
        if (offloads) ready = rte_eth_tx_prepare(d->id, d->queue, burst + at, ready);
        d->dev.stats.tx_kicks++;
        sent = rte_eth_tx_burst(d->id, d->queue, burst + at, ready);
        at += sent;
        if (sent < ready || at == n) break;
        rte_pktmbuf_free(burst[at++]);
        d->dev.stats.tx_errors++;
    }
    return at;
}

/* Resets the fields that drivers read, from the pool's defaults to those of an empty frame. */
static inline void reset(struct rte_mbuf *m) {
    m->data_off = RTE_PKTMBUF_HEADROOM;
    m->ol_flags = 0;
    m->tx_offload = 0;
}

/* Fast path: a small frame without offloads. Returns false if it is another frame or breaks the rules. */
static inline bool fill_small(const struct netdev_frame *f, struct rte_mbuf *m) {
    char *to = rte_pktmbuf_mtod(m, char *);
    uint32_t at = 0;
    if (f->offloads || f->bytes > DPDK_TX_COPIED || f->bytes < NETDEV_HEADER_BYTES) return false;
    for (uint32_t i = 0; i < f->segs_count; at += f->segs[i++].bytes) {
        if (f->segs[i].bytes > f->bytes - at) return false;
        memcpy(to + at, f->segs[i].data, f->segs[i].bytes);
    }
    m->data_len = (uint16_t)f->bytes;
    m->pkt_len = f->bytes;
    return at == f->bytes && f->segs_count <= NETDEV_SEGS_MAX;
}

/* Sends at most DPDK_BURST frames. Returns how many were accepted, from the first. */
static uint32_t send_burst(struct dpdk_device *d, const struct netdev_frame *frames, uint32_t n) {
    struct rte_mbuf *burst[DPDK_BURST];
    uint32_t frame_of[DPDK_BURST + 1], made = 0, i, sent;
    uint64_t bytes = 0;
    uint16_t offloads = d->port->tx_tagged; /* some drivers write the tag in tx_prepare */
    bool small = !d->port->vlan && d->dev.mtu >= DPDK_TX_COPIED;
    if (rte_mempool_get_bulk(d->tx_pool, (void **)burst, n) != 0) return 0;
    for (i = 0; i < n; i++) {
        const struct netdev_frame *f = &frames[i];
        reset(burst[made]);
        if (!small || !fill_small(f, burst[made])) {
            if (!netdev_frame_fits(&d->dev, f)) continue;
            if (dpdk_fill(d->port, d->tx_pool, f, burst[made]) < 0) break;
            offloads |= f->offloads;
            d->dev.stats.tx_copied += f->bytes > COPY_COUNTED && burst[made]->nb_segs == 1;
        }
        bytes += f->bytes;
        frame_of[made++] = i;
    }
    frame_of[made] = i;
    sent = offer(d, burst, made, offloads != 0);
    d->dev.stats.tx_frames += sent;
    d->dev.stats.tx_bytes += bytes;
    if (__builtin_expect(sent < n, 0)) {
        for (uint32_t k = sent; k < made; k++)
            d->dev.stats.tx_bytes -= frames[frame_of[k]].bytes;
        rte_pktmbuf_free_bulk(burst + sent, n - sent);
    }
    return frame_of[sent];
}

static int device_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    struct dpdk_device *d = (struct dpdk_device *)dev;
    uint32_t done = 0;
    if (__builtin_expect(!dev->link_up, 0)) {
        int r = device_update(dev, now_ns);
        if (r < 0) return r;
        if (!dev->link_up) return -ENETDOWN;
    }
    while (done < n) {
        uint32_t some = n - done < DPDK_BURST ? n - done : DPDK_BURST, sent = send_burst(d, frames + done, some);
        done += sent;
        if (sent < some) break;
    }
    return (int)done;
}

/* The port's extended statistics. They cover all queues, so only the first queue reports them. */
static uint32_t device_own(struct netdev *dev, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n) {
    struct dpdk_device *d = (struct dpdk_device *)dev;
    struct rte_eth_xstat_name found[NETDEV_OWN_MAX];
    uint64_t ids[NETDEV_OWN_MAX];
    _Static_assert(sizeof found->name == NETDEV_OWN_BYTES, "an xstat's name fits");
    int all = d->queue == 0 && !is_gone(d) ? rte_eth_xstats_get_names_by_id(d->id, NULL, 0, NULL) : 0;
    if (all <= 0) return 0;
    n = RTE_MIN(RTE_MIN(n, (uint32_t)all), NETDEV_OWN_MAX);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = i;
    if (values && rte_eth_xstats_get_by_id(d->id, ids, values, n) != (int)n) return 0;
    if (names && rte_eth_xstats_get_names_by_id(d->id, found, n, ids) != (int)n) return 0;
    for (uint32_t i = 0; names && i < n; i++)
        memcpy(names[i], found[i].name, NETDEV_OWN_BYTES);
    return n;
}

static void device_close(struct netdev *dev) {
    struct dpdk_device *d = (struct dpdk_device *)dev;
    if (dev->fd >= 0) dpdk_sleep_close(&d->sleep);
    dpdk_port_close(d->port, d->queue);
    sys_free(d);
}

static int device_open(const struct netdev_args *args, struct netdev **dev) {
    struct dpdk_options o = {0};
    struct dpdk_device *d;
    struct rte_ether_addr mac;
    int r = netdev_options(args, options_table, sizeof options_table / sizeof *options_table, &o);
    if (r < 0) return r;
    if (!o.port[0] == !o.vdev[0]) return netdev_refuse(args, -EINVAL, "dpdk: expected one of port= and vdev=");
    d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    netdev_init(&d->dev, &netdev_dpdk);
    d->log = args->log ? *args->log : (struct log){.sink = LOG_SINK_NONE};
    r = dpdk_eal_start(args, &o);
    if (r == 0) r = dpdk_port_open(args, &o, &d->port);
    if (r < 0) {
        sys_free(d);
        return r;
    }
    d->id = d->port->id;
    d->queue = (uint16_t)args->queue;
    d->tx_pool = d->port->queue[d->queue].tx;
    if (!d->port->copies) d->rx = &d->port->queue[d->queue].rx;
    d->dev.mtu = d->port->mtu;
    d->rx_max = d->port->lro ? netdev_frame_max(RX_LARGEST) : netdev_frame_max(d->dev.mtu);
    d->special = d->port->vlan || d->port->lro;
    d->dev.offloads = d->port->offloads;
    d->dev.tso_bytes = d->port->tso_bytes;
    if (rte_eth_macaddr_get(d->id, &mac) == 0) memcpy(d->dev.mac, mac.addr_bytes, sizeof d->dev.mac);
    if (d->port->interrupts && dpdk_sleep_open(&d->sleep) == 0) d->dev.fd = d->sleep.fd;
    (void)device_update(&d->dev, 0);
    *dev = &d->dev;
    return 0;
}

static const struct netdev_ops netdev_dpdk = {
    .name = "dpdk",
    .text = "A DPDK port: a network card that the process owns, or a virtual device",
    .options = options_table,
    .options_count = sizeof options_table / sizeof *options_table,
    .interface_option = "iface", /* of a virtual device */
    .queues_max = DPDK_QUEUES_MAX,
    .open = device_open,
    .close = device_close,
    .rx = device_rx,
    .tx = device_tx,
    .prepare = device_prepare,
    .own = device_own,
    .update = device_update,
};

const struct netdev_ops *const netdev_plugin_ops = &netdev_dpdk;
