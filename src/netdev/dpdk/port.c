/* SPDX-License-Identifier: MIT */
/* Ports: found or created by name, configured for all their queues at once, started when the last of these is open. */
#include "netdev/dpdk/dpdk.h"

#include "base/sys.h"
#include "base/toeplitz.h"
#include "mem/heap.h"

#include <pthread.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TX_SPARE 768u /* mbufs in addition to those in the rings: a burst, and the threads' caches */
#define RX_SPARE                                                                                                       \
    256u /* in addition to those in the ring: to replace the buffers of frames that are copied or dropped */
#define TSO_BYTES    (UINT16_MAX - NETDEV_TAG_BYTES) /* most bytes in one mbuf, without a tag */
#define RETA_ENTRIES 128u                            /* as in toeplitz_queue */
#define KEY_MAX      64u
#define RX_OFFLOADS  (RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM)
#define TX_SHAPES    RTE_ETH_TX_OFFLOAD_MULTI_SEGS /* kept with offloads=no: it does not change frames */

#define TX_ROOM_MAX (UINT16_MAX - RTE_PKTMBUF_HEADROOM)
#define MEMIF_BSIZE ",bsize="
#define MEMIF_BYTES 2048u /* the driver's default */

/* Ports that are or were open. A closed one keeps its name and the arguments of its device. */
static struct {
    pthread_mutex_t lock;
    struct dpdk_port *port[RTE_MAX_ETHPORTS];
} ports = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Drivers that can access only DPDK's own memory: they share it with another process or define its layout. */
static const char *const copying_drivers[] = {"net_virtio_user", "net_af_xdp"};

/* Drivers that claim TSO but hang for good on a segment that fills the MTU. */
static const char *const tso_breaking_drivers[] = {"net_tap"};

/* Drivers whose queues are separate links, each useful only if the peer opens the same number. */
static const char *const single_drivers[] = {"net_memif"};

/* ---- mapping the heap for devices ---- */

/* Whether the port exists: a removed device must not be accessed any more. */
static bool port_exists(const struct dpdk_port *p) {
    return rte_eth_dev_is_valid_port(p->id);
}

static int map_run(void *ctx, void *run, size_t bytes) {
    const struct dpdk_port *p = ctx;
    if (!port_exists(p)) return 0;
    if (rte_dev_dma_map(p->info.device, run, (uintptr_t)run, bytes) == 0 || rte_errno == ENOTSUP) return 0;
    return -rte_errno;
}

static void unmap_run(void *ctx, void *run, size_t bytes) {
    const struct dpdk_port *p = ctx;
    if (port_exists(p)) (void)rte_dev_dma_unmap(p->info.device, run, (uintptr_t)run, bytes);
}

static struct heap_device heap_device_of(struct dpdk_port *p) {
    return (struct heap_device){.map = map_run, .unmap = unmap_run, .ctx = p};
}

/*
 * DPDK maps only memory that is registered with it. Registers the heap's address range, which includes its future
 * growth.
 */
static int map_heap(struct dpdk_port *p) {
    struct heap_device face = heap_device_of(p);
    void *base;
    size_t bytes;
    int r = heap_range(&base, &bytes);
    if (r) return r;
    r = rte_extmem_register(base, bytes, NULL, 0, HEAP_RUN_BYTES);
    if (r < 0 && rte_errno != EEXIST) return -rte_errno;
    r = heap_device_add(&face);
    p->mapped = r == 0;
    return r;
}

static bool on_pci(const struct dpdk_port *p) {
    const struct rte_bus *bus = rte_bus_find_by_device(p->info.device);
    return bus && strcmp(rte_bus_name(bus), "pci") == 0;
}

static bool is_among(const struct dpdk_port *p, const char *const *drivers, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(p->info.driver_name, drivers[i]) == 0) return true;
    return false;
}
#define driver_is_among(p, drivers) is_among(p, drivers, sizeof(drivers) / sizeof *(drivers))

/* Without an IOMMU a device uses physical addresses, and heap blocks are not physically contiguous. */
static bool needs_copies(const struct dpdk_port *p) {
    return driver_is_among(p, copying_drivers) || (on_pci(p) && rte_eal_iova_mode() != RTE_IOVA_VA);
}

/* ---- finding ---- */

static int probe(const struct netdev_args *args, struct dpdk_port *p) {
    char name[DPDK_PORT_MAX];
    int r = rte_eth_dev_get_port_by_name(p->name, &p->id);
    if (r == 0) return 0;
    r = rte_dev_probe(p->args);
    if (r == 0) r = rte_eth_dev_get_port_by_name(p->name, &p->id);
    /* The previous user closed the port of a virtual device and left the device. */
    snprintf(name, sizeof name, "%s", p->name);
    if (r == -EEXIST && rte_eal_hotplug_remove("vdev", name) == 0) {
        r = rte_dev_probe(p->args);
        if (r == 0) r = rte_eth_dev_get_port_by_name(p->name, &p->id);
    }
    if (r < 0)
        return netdev_refuse(args, -ENODEV,
                             "dpdk: there is no port \"%s\" (%s): use vdev= for a virtual device, or bind a PCI "
                             "device with: dpdk-devbind.py --bind=vfio-pci %s",
                             p->name, dpdk_last_error(), p->name);
    return 0;
}

static struct dpdk_port *find(const char *name) {
    for (uint32_t i = 0; i < RTE_MAX_ETHPORTS; i++)
        if (ports.port[i] && strcmp(ports.port[i]->name, name) == 0) return ports.port[i];
    return NULL;
}

static struct dpdk_port *find_or_create(const char *name) {
    struct dpdk_port *p = find(name);
    uint32_t i = 0;
    if (p) return p;
    while (i < RTE_MAX_ETHPORTS && ports.port[i])
        i++;
    if (i == RTE_MAX_ETHPORTS) return NULL;
    p = sys_calloc(1, sizeof *p);
    if (p) snprintf(p->name, sizeof p->name, "%s", name);
    return ports.port[i] = p;
}

/* ---- configuring ---- */

static void choose_rss(struct dpdk_port *p, struct rte_eth_conf *conf, uint8_t key[KEY_MAX]) {
    const uint64_t flows = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP;
    uint32_t bytes = p->info.hash_key_size ? p->info.hash_key_size : TOEPLITZ_KEY_BYTES;
    if (p->queues < 2 || !(p->info.flow_type_rss_offloads & flows) || bytes > KEY_MAX) return;
    for (uint32_t i = 0; i < bytes; i++) /* the key repeats, so its length does not matter */
        key[i] = toeplitz_key[i % TOEPLITZ_KEY_BYTES];
    conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf->rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){
        .rss_key = key, .rss_key_len = (uint8_t)bytes, .rss_hf = p->info.flow_type_rss_offloads & flows};
    p->spreads = (p->info.flow_type_rss_offloads & flows) == flows && p->info.reta_size % RETA_ENTRIES == 0 &&
                 p->info.reta_size >= RETA_ENTRIES;
}

/* Fills the indirection table as toeplitz_queue expects. */
static bool set_table(const struct dpdk_port *p) {
    struct rte_eth_rss_reta_entry64 table[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE] = {0};
    if (p->info.reta_size > RTE_ETH_RSS_RETA_SIZE_512) return false;
    for (uint32_t i = 0; i < p->info.reta_size; i++) {
        struct rte_eth_rss_reta_entry64 *group = &table[i / RTE_ETH_RETA_GROUP_SIZE];
        group->mask |= UINT64_C(1) << i % RTE_ETH_RETA_GROUP_SIZE;
        group->reta[i % RTE_ETH_RETA_GROUP_SIZE] = (uint16_t)(i % RETA_ENTRIES % p->queues);
    }
    return rte_eth_dev_rss_reta_update(p->id, table, p->info.reta_size) == 0;
}

/* Chooses numbers of descriptors and buffer room: what was requested, within the driver's limits. */
static int choose_sizes(const struct dpdk_options *o, struct dpdk_port *p) {
    uint16_t rx = (uint16_t)o->slots, tx = (uint16_t)o->slots;
    int r = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rx, &tx);
    if (r < 0) return r;
    p->rx_slots = rx;
    p->tx_slots = tx;
    p->chain_max = p->info.tx_desc_lim.nb_mtu_seg_max ? p->info.tx_desc_lim.nb_mtu_seg_max : UINT16_MAX;
    if (!(p->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)) p->chain_max = 0;
    p->tx_room = p->copies ? netdev_frame_max(p->mtu) : DPDK_TX_COPIED;
    /* A copied frame has no room beyond one MTU. */
    if (p->copies || driver_is_among(p, tso_breaking_drivers)) p->offloads &= NETDEV_CSUM;
    p->tso_bytes = p->offloads & NETDEV_TSO4 ? TSO_BYTES : 0;
    return 0;
}

/* A receive VLAN filter is set when the port starts. */
static void choose_vlan(const struct dpdk_options *o, struct dpdk_port *p) {
    p->vlan = (uint16_t)o->vlan;
    p->tx_tagged = p->vlan && o->offloads && (p->info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
    if (p->tx_tagged) p->tx_offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
    if (!p->vlan) return;
    p->rx_offloads |= p->info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
    if (o->offloads) p->rx_offloads |= p->info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
}

static int configure(const struct dpdk_options *o, struct dpdk_port *p) {
    uint8_t key[KEY_MAX];
    struct rte_eth_conf conf = {0};
    int r;
    p->copies = o->copy || needs_copies(p);
    p->spreads = false;
    p->mtu = o->mtu ? (uint32_t)o->mtu : RTE_ETHER_MTU;
    if (p->info.max_mtu && p->mtu > p->info.max_mtu) p->mtu = p->info.max_mtu;
    p->offloads = dpdk_tx_offloads(p->info.tx_offload_capa & (o->offloads ? UINT64_MAX : TX_SHAPES), &p->tx_offloads);
    p->rx_offloads = o->offloads ? p->info.rx_offload_capa & RX_OFFLOADS : 0;
    p->lro = o->lro && (p->info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO);
    if (p->lro) p->rx_offloads |= p->info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_SCATTER);
    choose_vlan(o, p);
    r = choose_sizes(o, p);
    if (r < 0) return r;
    conf.rxmode.mtu = p->mtu;
    if (p->lro) conf.rxmode.max_lro_pkt_size = p->info.max_lro_pkt_size;
    conf.rxmode.offloads = p->rx_offloads;
    conf.txmode.offloads = p->tx_offloads;
    conf.intr_conf.rxq = p->interrupts;
    choose_rss(p, &conf, key);
    r = rte_eth_dev_configure(p->id, (uint16_t)p->queues, (uint16_t)p->queues, &conf);
    if (r < 0 || !o->mtu) return r;
    r = rte_eth_dev_set_mtu(p->id,
                            (uint16_t)p->mtu); /* drivers over a kernel interface use only this, not rxmode.mtu */
    return r == -ENOTSUP ? 0 : r;
}

/* Room for a whole frame, in steps that device registers can express. */
static uint32_t room_of(const struct dpdk_port *p) {
    uint32_t room = RTE_ALIGN(netdev_frame_max(p->mtu), 1024u);
    return room < DPDK_ROOM_MIN ? DPDK_ROOM_MIN : room;
}

/*
 * Room of the transmit mbufs. memif puts each segment of a frame into a separate buffer of the link, and the receiver
 * must then reassemble it, unless mbufs have more room than the link's buffers (bsize=).
 */
static uint32_t tx_room_of(const struct dpdk_port *p) {
    const char *bsize = strstr(p->args, MEMIF_BSIZE);
    unsigned long buffer = bsize ? strtoul(bsize + strlen(MEMIF_BSIZE), NULL, 10) : MEMIF_BYTES;
    if (strcmp(p->info.driver_name, "net_memif") != 0 || p->tx_room > buffer) return p->tx_room;
    return buffer < TX_ROOM_MAX ? (uint32_t)buffer + 1 : TX_ROOM_MAX;
}

static int set_up_queue(const struct dpdk_port *p, uint16_t index) {
    const struct dpdk_queue *q = &p->queue[index];
    struct rte_eth_rxconf rx = p->info.default_rxconf;
    struct rte_eth_txconf tx = p->info.default_txconf;
    int r;
    rx.offloads = p->rx_offloads;
    tx.offloads = p->tx_offloads;
    r = rte_eth_rx_queue_setup(p->id, index, p->rx_slots, (unsigned)p->socket, &rx, p->copies ? q->rx_plain : q->rx.mp);
    return r < 0 ? r : rte_eth_tx_queue_setup(p->id, index, p->tx_slots, (unsigned)p->socket, &tx);
}

static int open_queue(const struct dpdk_options *o, struct dpdk_port *p, uint16_t index) {
    struct dpdk_queue *q = &p->queue[index];
    int r = 0;
    if (p->copies)
        q->rx_plain = dpdk_plain_pool((uint32_t)o->buffers + p->rx_slots, room_of(p), p->socket);
    else
        r = dpdk_rx_pool_open(&q->rx, (uint32_t)o->buffers, p->rx_slots + RX_SPARE, room_of(p), p->socket);
    q->tx = dpdk_plain_pool(2u * p->tx_slots + TX_SPARE, tx_room_of(p), p->socket);
    if (r < 0) return r;
    if ((p->copies && !q->rx_plain) || !q->tx) return -ENOMEM;
    return set_up_queue(p, index);
}

static int on_removal(uint16_t id, enum rte_eth_event_type event, void *ctx, void *result) {
    struct dpdk_port *p = ctx;
    (void)id, (void)event, (void)result;
    atomic_store_explicit(&p->gone, true, memory_order_release);
    return 0;
}

/* Configures the port again without interrupts, because some drivers report only at the start that they have none. */
static int start_without_interrupts(const struct dpdk_options *o, struct dpdk_port *p) {
    int r;
    p->interrupts = false;
    r = configure(o, p);
    for (uint32_t i = 0; r == 0 && i < p->queues; i++)
        r = set_up_queue(p, (uint16_t)i);
    return r < 0 ? r : rte_eth_dev_start(p->id);
}

static int start(const struct dpdk_options *o, struct dpdk_port *p) {
    int r = rte_eth_dev_start(p->id);
    if (r < 0 && p->interrupts) r = start_without_interrupts(o, p);
    if (r < 0) return r;
    if (p->interrupts)
        p->interrupts = rte_eth_dev_rx_intr_ctl_q_get_fd(p->id, 0) >= 0 && rte_eth_dev_rx_intr_disable(p->id, 0) == 0;
    if (p->spreads) p->spreads = set_table(p);
    if (p->rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_FILTER) r = rte_eth_dev_vlan_filter(p->id, p->vlan, 1);
    if (r < 0) return r;
    if (o->promiscuous) r = rte_eth_promiscuous_enable(p->id);
    if (r < 0) return r;
    atomic_store_explicit(&p->started, true, memory_order_release);
    return 0;
}

static int check_queues(const struct netdev_args *args, struct dpdk_port *p) {
    int r = rte_eth_dev_info_get(p->id, &p->info);
    uint32_t most = RTE_MIN(p->info.max_rx_queues, p->info.max_tx_queues);
    if (r < 0) return netdev_refuse(args, r, "dpdk: port %s provides no information: %s", p->name, strerror(-r));
    if (driver_is_among(p, single_drivers)) most = 1;
    if (p->queues <= most) return 0;
    return netdev_refuse(args, -ECHRNG, "dpdk: port %s supports %u queues, and %u are requested", p->name, most,
                         p->queues);
}

/* The first queue finds the port and sets its number of queues. */
static int open_port(const struct netdev_args *args, const struct dpdk_options *o, struct dpdk_port *p) {
    int r = probe(args, p);
    if (r < 0) return r;
    p->queues = args->queues ? args->queues : 1;
    p->socket = rte_eth_dev_socket_id(p->id);
    atomic_store_explicit(&p->gone, false, memory_order_relaxed);
    r = check_queues(args, p);
    if (r < 0) return r;
    p->interrupts = o->interrupts && on_pci(p); /* a virtual device has new interrupts whenever a peer connects */
    r = configure(o, p);
    if (r < 0 && p->interrupts) {
        p->interrupts = false;
        r = configure(o, p);
    }
    if (r < 0)
        return netdev_refuse(args, p->queues > 1 ? -ECHRNG : r,
                             "dpdk: port %s rejects %u queues, %llu slots, MTU %u: %s (%s)", p->name, p->queues,
                             (unsigned long long)o->slots, p->mtu, strerror(-r), dpdk_last_error());
    (void)rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_INTR_RMV, on_removal, p);
    if (p->copies) return 0;
    r = map_heap(p);
    if (r < 0)
        return netdev_refuse(args, r, "dpdk: the heap cannot be mapped for %s: %s; see ulimit -l", p->name,
                             strerror(-r));
    return 0;
}

static void close_port(struct dpdk_port *p) {
    struct heap_device face = heap_device_of(p);
    struct rte_device *device = port_exists(p) ? p->info.device : NULL;
    bool started = atomic_exchange(&p->started, false);
    if (device && started) (void)rte_eth_dev_stop(p->id);
    if (p->mapped) heap_device_remove(&face);
    if (device) {
        (void)rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_INTR_RMV, on_removal, p);
        (void)rte_eth_dev_close(p->id);
    }
    p->mapped = false;
    for (uint32_t i = 0; i < DPDK_QUEUES_MAX; i++) {
        struct dpdk_queue *q = &p->queue[i];
        dpdk_rx_pool_close(&q->rx);
        dpdk_plain_pool_free(q->rx_plain);
        dpdk_plain_pool_free(q->tx);
        *q = (struct dpdk_queue){0};
    }
    if (device) (void)rte_dev_remove(device);
    p->info = (struct rte_eth_dev_info){0};
}

static void log_features(const struct netdev_args *args, const struct dpdk_port *p) {
    const struct log none = {.sink = LOG_SINK_NONE};
    log_info(args->log ? args->log : &none,
             "dpdk: port %s, driver %s: frames are %s, checksums written by %s, %s, %s, %s, a wait %s", p->name,
             p->info.driver_name, p->copies ? "copied" : "not copied",
             p->offloads & NETDEV_CSUM ? "the port" : "the stack",
             p->offloads & NETDEV_TSO4 ? "TCP segmented by the port" : "TCP segmented by the stack",
             p->lro ? "TCP coalesced by the port" : "TCP not coalesced",
             !p->vlan       ? "no VLAN"
             : p->tx_tagged ? "tagged by the port"
                            : "tagged by the stack",
             p->interrupts ? "sleeps on interrupts" : "polls");
}

static int add_queue(const struct netdev_args *args, const struct dpdk_options *o, struct dpdk_port *p) {
    uint32_t queues = args->queues ? args->queues : 1;
    int r = p->open ? 0 : open_port(args, o, p);
    if (r < 0) return r;
    if (queues != p->queues || args->queue >= queues || p->queue[args->queue].open)
        return netdev_refuse(args, -EBUSY, "dpdk: queue %u of %u of port %s is in use; it has %u", args->queue, queues,
                             p->name, p->queues);
    r = open_queue(o, p, (uint16_t)args->queue);
    if (r == 0 && p->open + 1 == p->queues) r = start(o, p);
    if (r < 0)
        return netdev_refuse(args, r, "dpdk: port %s does not start: %s (%s); it needs %llu buffers of %u bytes",
                             p->name, strerror(-r), dpdk_last_error(), (unsigned long long)o->buffers + p->rx_slots,
                             room_of(p));
    p->queue[args->queue].open = true;
    if (++p->open == p->queues) log_features(args, p);
    return 0;
}

static void name_port(const struct dpdk_options *o, char name[DPDK_PORT_MAX]) {
    const char *from = o->vdev[0] ? o->vdev : o->port;
    size_t len = strcspn(from, ";");
    snprintf(name, DPDK_PORT_MAX, "%.*s", (int)(len < DPDK_PORT_MAX ? len : 0), from);
}

static void describe(const struct dpdk_options *o, struct dpdk_port *p) {
    snprintf(p->args, sizeof p->args, "%s", o->vdev[0] ? o->vdev : o->port);
    for (char *at = p->args; *at; at++)
        if (*at == ';') *at = ',';
}

int dpdk_port_open(const struct netdev_args *args, const struct dpdk_options *o, struct dpdk_port **port) {
    char name[DPDK_PORT_MAX];
    struct dpdk_port *p;
    int r = -ENOMEM;
    name_port(o, name);
    pthread_mutex_lock(&ports.lock);
    p = find_or_create(name);
    if (p) {
        if (!p->open) describe(o, p);
        r = add_queue(args, o, p);
        /* After -ECHRNG the caller tries fewer queues, and not every driver can create a port twice. */
        if (r < 0 && !p->open && r != -ECHRNG) close_port(p);
    }
    pthread_mutex_unlock(&ports.lock);
    *port = p;
    return r;
}

void dpdk_port_close(struct dpdk_port *p, uint32_t queue) {
    pthread_mutex_lock(&ports.lock);
    p->queue[queue].open = false;
    if (--p->open == 0) close_port(p);
    pthread_mutex_unlock(&ports.lock);
}
