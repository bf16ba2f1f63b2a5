/* SPDX-License-Identifier: MIT */
/* lwIP as a host on a network device. */
#include "libos/lwip/host.h"

#include "base/csum.h"
#include "base/list.h"
#include "base/rng.h"
#include "base/siphash.h"
#include "base/sys.h"
#include "libos/lwip/port/hooks.h"
#include "mem/heap.h"

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/ip4.h"
#include "lwip/netif.h"
#include "lwip/prot/tcp.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"
#include "lwip/udp.h"
#include "netif/ethernet.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define RX_BURST       32u
#define NS_PER_MS      1000000u
#define CSUM_TRANSPORT (NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP)
#define CSUM_GENERATE  (NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_GEN_UDP)

/* lwIP's state is global, and so is the state that goes with it. */
static struct {
    atomic_bool open;
    bool initialised; /* lwip_init may be called only once in a process */
    bool refused;
    bool link_up;       /* the device's, at the last poll */
    uint16_t checksums; /* those that lwIP computes itself */
    int lost;           /* why the device was lost; 0: it was not */
    u8_t closing_id;    /* id of the lwIP argument that holds the struct closing */
    struct list closing;
    struct netdev *dev;
    struct netif netif;
    uint64_t now;
    struct rng rng;
    uint8_t isn_key[SIPHASH_KEY_BYTES];
} host;

/* Memory of a received frame, owned by its pbuf. */
struct received {
    struct pbuf_custom pbuf;
    void *frame;
};

void *lwip_port_malloc(size_t bytes) {
    return heap_alloc(bytes);
}

void *lwip_port_calloc(size_t count, size_t bytes) {
    return heap_alloc_zeroed(count * bytes);
}

void lwip_port_free(void *p) {
    heap_free(p);
}

uint32_t lwip_port_random(void) {
    return (uint32_t)rng_next(&host.rng);
}

uint32_t sys_now(void) {
    return (uint32_t)(host.now / NS_PER_MS);
}

/* RFC 6528: a clock with 4 us ticks plus a keyed hash of the connection. */
uint32_t lwip_port_isn(uint32_t local, uint16_t local_port, uint32_t remote, uint16_t remote_port) {
    const uint32_t flow[] = {local, remote, (uint32_t)local_port << 16 | remote_port};
    return (uint32_t)siphash24(host.isn_key, flow, sizeof flow) + (uint32_t)(host.now / 4000);
}

/*
 * Requests checksum offload according to the netif's flags: writes the pseudo-header sum into the checksum field.
 * Offload is impossible for fragments, so a fragmented datagram is sent without a checksum, as RFC 768 allows.
 */
static void request_checksum(struct netdev_frame *f, const struct pbuf *p) {
    struct ip_hdr *ip = (struct ip_hdr *)(void *)((char *)p->payload + SIZEOF_ETH_HDR);
    if (p->len < SIZEOF_ETH_HDR + IP_HLEN || IPH_V(ip) != 4) return;
    uint16_t ip_bytes = IPH_HL_BYTES(ip);
    bool tcp = IPH_PROTO(ip) == IP_PROTO_TCP, whole = (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF)) == 0;
    if (!whole || (!tcp && IPH_PROTO(ip) != IP_PROTO_UDP)) return;
    uint16_t offset = tcp ? offsetof(struct tcp_hdr, chksum) : offsetof(struct udp_hdr, chksum);
    uint32_t start = SIZEOF_ETH_HDR + ip_bytes;
    const uint16_t rest[] = {lwip_htons((uint16_t)(lwip_ntohs(IPH_LEN(ip)) - ip_bytes)), lwip_htons(IPH_PROTO(ip))};
    uint64_t sum = csum_add(csum_add(0, &ip->src, 2 * sizeof ip->src), rest, sizeof rest);
    uint16_t folded = csum_fold(sum);
    if (p->len < start + offset + sizeof folded) return;
    memcpy((char *)p->payload + start + offset, &folded, sizeof folded);
    f->offloads = NETDEV_CSUM;
    f->l2_bytes = SIZEOF_ETH_HDR;
    f->l3_bytes = ip_bytes;
    f->l4_bytes = (uint16_t)(p->len - start);
    f->csum_offset = offset;
}

/* lwIP keeps a frame that the device did not accept and retries when it is called again; see host_pop_refused. */
static err_t transmit(struct netif *netif, struct pbuf *p) {
    struct netdev_seg segs[NETDEV_SEGS_MAX];
    struct netdev_frame frame = {.segs = segs, .bytes = p->tot_len};
    (void)netif;
    for (const struct pbuf *part = p; part; part = part->next) {
        if (frame.segs_count == NETDEV_SEGS_MAX) return ERR_BUF;
        segs[frame.segs_count++] = (struct netdev_seg){part->payload, part->len};
    }
    if (!(host.checksums & CSUM_GENERATE)) request_checksum(&frame, p);
    int n = netdev_tx(host.dev, &frame, 1, host.now);
    if (n == 0) {
        host.refused = true;
        return ERR_WOULDBLOCK;
    }
    if (n < 0 && n != -ENETDOWN) host.lost = n;
    return n < 0 ? ERR_IF : ERR_OK;
}

static err_t netif_setup(struct netif *netif) {
    const struct inet_config *config = netif->state;
    netif->name[0] = 'd';
    netif->name[1] = 'm';
    netif->output = etharp_output;
    netif->linkoutput = transmit;
    netif->mtu = config->mtu;
    netif->hwaddr_len = sizeof config->mac;
    memcpy(netif->hwaddr, config->mac, sizeof config->mac);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    return ERR_OK;
}

static ip4_addr_t ip4_of(const struct inet_addr *a) {
    return (ip4_addr_t){inet_addr_is_ip4(a) ? inet_addr_to_ip4(a) : 0};
}

static int add_neighbours(const struct inet_config *c) {
    for (uint32_t i = 0; i < c->neighbour_count; i++) {
        ip4_addr_t ip = ip4_of(&c->neighbours[i].addr);
        struct eth_addr mac;
        memcpy(mac.addr, c->neighbours[i].mac, sizeof mac.addr);
        if (etharp_add_static_entry(&ip, &mac) != ERR_OK) return -EINVAL;
    }
    return 0;
}

static int setup(const struct inet_config *c) {
    uint64_t number;
    ip4_addr_t address = ip4_of(&c->addrs[0].addr), gateway = ip4_of(&c->gateway);
    ip4_addr_t mask = {lwip_htonl((uint32_t)(0xffffffff00000000u >> c->addrs[0].bits))};
    memcpy(host.isn_key, c->seed, sizeof host.isn_key);
    memcpy(&number, c->seed + sizeof host.isn_key, sizeof number);
    rng_init(&host.rng, number);
    if (!host.initialised) {
        lwip_init();
        host.closing_id = tcp_ext_arg_alloc_id();
        list_init(&host.closing);
    }
    if (host.initialised) sys_restart_timeouts();
    host.initialised = true;
    host.netif = (struct netif){.mtu = 0};
    if (!netif_add(&host.netif, &address, &mask, &gateway, (void *)(uintptr_t)c, netif_setup, ethernet_input))
        return -ENOMEM;
    host.checksums = NETIF_CHECKSUM_ENABLE_ALL;
    if (host.dev->offloads & NETDEV_CSUM) host.checksums &= (uint16_t)~CSUM_GENERATE;
    host.netif.chksum_flags = host.checksums;
    netif_set_default(&host.netif);
    netif_set_up(&host.netif);
    netif_set_link_up(&host.netif); /* a device whose link is down rejects frames itself */
    return add_neighbours(c);
}

int host_open(struct netdev *dev, const struct inet_config *config, uint64_t now) {
    if (atomic_exchange(&host.open, true)) return -EBUSY;
    host.dev = dev;
    host.now = now;
    host.lost = 0;
    host.refused = false;
    host.link_up = dev->link_up;
    int r = setup(config);
    if (r) host_close();
    return r;
}

/*
 * Frees closed connections that lwIP still keeps, as in TIME_WAIT. lwIP has no call for it, but frees them when it
 * needs their memory, so this allocates all connections once.
 */
static void free_closed(void) {
    static struct tcp_pcb *all[MEMP_NUM_TCP_PCB];
    uint32_t n = 0;
    while (n < MEMP_NUM_TCP_PCB && (all[n] = tcp_new()))
        n++;
    while (n > 0)
        tcp_abort(all[--n]);
}

/* netif_remove ends the connections of the interface's address. */
void host_close(void) {
    if (netif_default == &host.netif) netif_remove(&host.netif);
    free_closed();
    atomic_store(&host.open, false);
}

static void received_free(struct pbuf *p) {
    struct received *r = (struct received *)(void *)p;
    heap_free(r->frame);
    heap_free(r);
}

static void input(const struct netdev_buffer *f) {
    struct received *r = f->bytes <= UINT16_MAX ? heap_alloc(sizeof *r) : NULL;
    if (!r) {
        heap_free(f->data);
        return;
    }
    r->pbuf.custom_free_function = received_free;
    r->frame = f->data;
    uint16_t bytes = (uint16_t)f->bytes;
    struct pbuf *p = pbuf_alloced_custom(PBUF_RAW, bytes, PBUF_REF, &r->pbuf, f->data, bytes);
    host.netif.chksum_flags = host.checksums;
    if (f->flags & NETDEV_RX_CSUM_GOOD) host.netif.chksum_flags &= (uint16_t)~CSUM_TRANSPORT;
    if (host.netif.input(p, &host.netif) != ERR_OK) pbuf_free(p);
}

void host_set_time(uint64_t now) {
    host.now = now;
}

int host_poll(uint64_t now) {
    struct netdev_buffer frames[RX_BURST];
    host.now = now;
    int n = netdev_rx(host.dev, frames, RX_BURST, now);
    for (int i = 0; i < n; i++)
        input(&frames[i]);
    if (host.dev->link_up && !host.link_up) etharp_tmr(); /* the ARP requests sent before are lost: send them again */
    host.link_up = host.dev->link_up;
    /* Packets to ourselves never leave memory, and have no checksums if the device would write them. */
    host.netif.chksum_flags = host.checksums & (uint16_t)~CSUM_TRANSPORT;
    netif_poll(&host.netif);
    sys_check_timeouts();
    if (n < 0 && n != -ENETDOWN) host.lost = n;
    return host.lost ? host.lost : n > 0 ? n : 0;
}

uint64_t host_next_ns(void) {
    if (host.netif.loop_first) return host.now; /* packets to ourselves */
    uint32_t ms = sys_timeouts_sleeptime();
    uint64_t next = netdev_next_ns(host.dev);
    uint64_t timers = ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? NETDEV_NEVER : (host.now / NS_PER_MS + ms) * NS_PER_MS;
    return timers < next ? timers : next;
}

/* A connection that its socket has left to lwIP, until lwIP frees it. */
struct closing {
    struct list link;
    const struct tcp_pcb *pcb;
};

static void closing_freed(u8_t id, void *data) {
    struct closing *c = data;
    (void)id;
    list_remove(&c->link);
    sys_free(c);
}

static const struct tcp_ext_arg_callbacks closing_callbacks = {.destroy = closing_freed};

void host_release(struct tcp_pcb *pcb) {
    struct closing *c = pcb->state == LISTEN ? NULL : sys_calloc(1, sizeof *c);
    if (c) { /* without memory the connection is closed too, but host_closing does not report it */
        c->pcb = pcb;
        list_push_back(&host.closing, &c->link);
        tcp_ext_arg_set_callbacks(pcb, host.closing_id, &closing_callbacks);
        tcp_ext_arg_set(pcb, host.closing_id, c);
    }
    tcp_close(pcb);
}

bool host_closing(void) {
    struct list *l, *tmp;
    list_for_each (&host.closing, l, tmp) {
        enum tcp_state state = list_entry(l, struct closing, link)->pcb->state;
        if (state > ESTABLISHED && state < TIME_WAIT) return true;
    }
    return false;
}

bool host_pop_refused(void) {
    bool refused = host.refused;
    host.refused = false;
    return refused;
}
