/* SPDX-License-Identifier: MIT */
/*
 * Any kernel interface through AF_PACKET, with mapped rings for both directions (TPACKET_V2, because V3 delays frames
 * until a timer expires). We act as a second host behind the interface, with its MAC address unless the option mac is
 * set. The kernel's own stack also receives the frames.
 */
#include "netdev/device.h"
#include "netdev/linux_if.h"
#include "netdev/options.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOTS_MIN         2u
#define SLOTS_MAX         16384u
#define BLOCK_BYTES       65536u
#define CHECK_INTERVAL_NS 10000000u /* interval of link checks while nothing arrives */

/*
 * The kernel copies a frame of up to this size into one piece of memory. It would otherwise refer to the pages of the
 * ring, and a receiver on the same machine would copy them to pages of its own, which it must allocate for each frame.
 */
#define LINEAR_MAX 2048u

struct packet_device {
    struct netdev dev;
    struct linux_if interface;
    char *rings; /* the receive ring, then the transmit ring */
    size_t rings_bytes;
    uint32_t slots, slot_bytes;
    uint32_t rx_at, tx_at;
    uint32_t mtu_max; /* what fits in a slot */
    bool own_mac;
    uint64_t next_check_ns;
};

struct packet_options {
    char name[IFNAMSIZ];
    uint64_t slots;
    uint8_t mac[NETDEV_MAC_BYTES];
};

static const struct netdev_option options_table[] = {
    {"name", NETDEV_OPTION_TEXT, offsetof(struct packet_options, name), 0, IFNAMSIZ, "INTERFACE", NULL, NULL,
     "Kernel interface to send and receive on"},
    {"slots", NETDEV_OPTION_NUMBER, offsetof(struct packet_options, slots), SLOTS_MIN, SLOTS_MAX, "frames", "256", NULL,
     "Frames per ring, a power of two"},
    {"mac", NETDEV_OPTION_MAC, offsetof(struct packet_options, mac), 0, 0, "", NULL, "the address of the interface",
     "Own MAC address"},
};

static const uint8_t no_mac[NETDEV_MAC_BYTES];

static struct tpacket2_hdr *slot_at(const struct packet_device *d, uint32_t ring, uint32_t at) {
    uint32_t index = ring * d->slots + (at & (d->slots - 1));
    return (struct tpacket2_hdr *)(void *)(d->rings + (size_t)index * d->slot_bytes);
}

static struct tpacket2_hdr *rx_slot(const struct packet_device *d) {
    return slot_at(d, 0, d->rx_at);
}

static struct tpacket2_hdr *tx_slot(const struct packet_device *d) {
    return slot_at(d, 1, d->tx_at);
}

static uint32_t slot_status(struct tpacket2_hdr *slot) {
    return __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);
}

static void slot_set_status(struct tpacket2_hdr *slot, uint32_t status) {
    __atomic_store_n(&slot->tp_status, status, __ATOMIC_RELEASE);
}

/*
 * The MTU is lower than when these frames entered the transmit ring. The interface refuses them, and the kernel would
 * offer them again and again before it sends others. It drops a frame without a virtio_net_hdr.
 */
static void drop_long_frames(struct packet_device *d) {
    for (uint32_t i = 0; i < d->slots; i++) {
        struct tpacket2_hdr *slot = slot_at(d, 1, i);
        if (slot_status(slot) != TP_STATUS_SEND_REQUEST ||
            slot->tp_len <= sizeof(struct virtio_net_hdr) + netdev_frame_max(d->dev.mtu))
            continue;
        slot->tp_len = 0;
        d->dev.stats.tx_errors++;
    }
}

static int device_update(struct netdev *dev, uint64_t now_ns) {
    struct packet_device *d = (struct packet_device *)dev;
    struct linux_if_state state;
    int r = linux_if_refresh(&d->interface, dev, &state);
    d->next_check_ns = now_ns + CHECK_INTERVAL_NS;
    if (r < 0) return r;
    if (!d->own_mac) memcpy(dev->mac, state.mac, sizeof state.mac);
    uint32_t before = dev->mtu;
    dev->mtu = state.mtu < d->mtu_max ? state.mtu : d->mtu_max;
    if (dev->mtu < before) drop_long_frames(d);
    return 0;
}

static int set_option(const struct packet_device *d, int option, const void *value, size_t bytes) {
    return SYS(setsockopt, d->dev.fd, SOL_PACKET, option, value, (socklen_t)bytes);
}

/* The slot size is a power of two, so that slots fill the blocks without gaps and each ring is one array. */
static int map_rings(struct packet_device *d, uint32_t mtu) {
    uint32_t need = (uint32_t)TPACKET_ALIGN(TPACKET2_HDRLEN + 2ul * TPACKET_ALIGNMENT) + netdev_frame_max(mtu), block;
    struct tpacket_req ring;
    int error, r;
    for (d->slot_bytes = TPACKET_ALIGNMENT; d->slot_bytes < need;)
        d->slot_bytes *= 2;
    d->mtu_max = d->slot_bytes - need + mtu;
    block = d->slot_bytes > BLOCK_BYTES ? d->slot_bytes : BLOCK_BYTES;
    while (block > d->slot_bytes * d->slots)
        block /= 2;
    ring = (struct tpacket_req){block, d->slots / (block / d->slot_bytes), d->slot_bytes, d->slots};
    r = set_option(d, PACKET_RX_RING, &ring, sizeof ring);
    if (r == 0) r = set_option(d, PACKET_TX_RING, &ring, sizeof ring);
    if (r < 0) return r;
    d->rings_bytes = 2 * (size_t)d->slots * d->slot_bytes;
    d->rings = sys_mmap(NULL, d->rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, d->dev.fd, &error);
    return d->rings ? 0 : -error;
}

/* Binds the socket last, so that every frame goes to the rings. */
static int attach(struct packet_device *d, const char *name) {
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    const int version = TPACKET_V2, one = 1;
    struct linux_if_state state;
    int r = linux_if_open(&d->interface, name);
    if (r == 0) r = linux_if_read(&d->interface, &state);
    if (r != 0) return r;
    d->dev.fd = SYS(socket, AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->dev.fd < 0) return d->dev.fd;
    address.sll_ifindex = d->interface.index;
    r = set_option(d, PACKET_VERSION, &version, sizeof version);
    if (r == 0) r = set_option(d, PACKET_VNET_HDR, &one, sizeof one); /* for hdr_len of write_slot */
    if (r == 0) r = set_option(d, PACKET_QDISC_BYPASS, &one, sizeof one);
    if (r == 0) r = set_option(d, PACKET_IGNORE_OUTGOING, &one, sizeof one);
    if (r == 0)
        r = set_option(d, PACKET_LOSS, &one, sizeof one); /* a malformed frame does not block the frames after it */
    if (r == 0) r = map_rings(d, state.mtu);
    if (r == 0) r = SYS(bind, d->dev.fd, (struct sockaddr *)&address, sizeof address);
    return r == 0 ? device_update(&d->dev, 0) : r;
}

static void device_close(struct netdev *dev) {
    struct packet_device *d = (struct packet_device *)dev;
    if (d->rings) munmap(d->rings, d->rings_bytes);
    linux_if_close(&d->interface);
    if (dev->fd >= 0) close(dev->fd);
    sys_free(d);
}

static const struct netdev_advice advices[] = {
    {-ENODEV, "ip link shows the interfaces"},
    {-EPERM, "run as root, or setcap cap_net_raw+ep PROGRAM"},
    {-ENOMEM, "lower slots="},
    {0, NULL},
};

static int device_open(const struct netdev_args *args, struct netdev **dev) {
    struct packet_options o = {0};
    struct packet_device *d;
    int r = netdev_options(args, options_table, sizeof options_table / sizeof *options_table, &o);
    if (r < 0) return r;
    if (o.slots & (o.slots - 1)) return netdev_refuse(args, -EINVAL, "packet: slots must be a power of two");
    d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    netdev_init(&d->dev, &netdev_packet);
    d->interface.sock = -1;
    d->slots = (uint32_t)o.slots;
    d->own_mac = memcmp(o.mac, no_mac, sizeof no_mac) != 0;
    memcpy(d->dev.mac, o.mac, sizeof o.mac);
    r = attach(d, o.name);
    if (r < 0) {
        device_close(&d->dev);
        return netdev_refuse_advised(args, "packet", o.name, r, advices);
    }
    d->dev.interface = d->interface.name;
    *dev = &d->dev;
    return 0;
}

/* Reinserts an 802.1Q tag that the kernel removed, so that the stack sees the frame as it was sent. */
static void restore_tag(const struct tpacket2_hdr *slot, char *data) {
    const uint16_t tag[2] = {htons(slot->tp_status & TP_STATUS_VLAN_TPID_VALID ? slot->tp_vlan_tpid : ETH_P_8021Q),
                             htons(slot->tp_vlan_tci)};
    memcpy(data + 2ul * NETDEV_MAC_BYTES, tag, sizeof tag);
}

/* Copies a frame out of its slot. Returns false if the frame was dropped. */
static bool read_slot(struct packet_device *d, const struct tpacket2_hdr *slot, struct netdev_buffer *b) {
    const char *from = (const char *)slot + slot->tp_mac;
    uint32_t tag = slot->tp_status & TP_STATUS_VLAN_VALID ? NETDEV_TAG_BYTES : 0, macs = 2 * NETDEV_MAC_BYTES;
    char *data;
    if (slot->tp_snaplen < slot->tp_len || slot->tp_snaplen > netdev_frame_max(d->dev.mtu)) {
        d->dev.stats.rx_too_long++;
        return false;
    }
    if (slot->tp_snaplen < NETDEV_HEADER_BYTES) {
        d->dev.stats.rx_malformed++;
        return false;
    }
    b->bytes = slot->tp_snaplen + tag;
    b->mss = 0;
    b->flags = slot->tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID) ? NETDEV_RX_CSUM_GOOD : 0;
    b->data = data = heap_alloc(b->bytes);
    if (!data) {
        d->dev.stats.rx_no_memory++;
        return false;
    }
    memcpy(data, from, macs);
    if (tag) restore_tag(slot, data);
    memcpy(data + macs + tag, from + macs, slot->tp_snaplen - macs);
    return true;
}

/* Called while nothing arrives: checks the link and counts lost frames. */
static int check_link(struct packet_device *d, uint64_t now_ns) {
    struct tpacket_stats lost = {0, 0};
    socklen_t len = sizeof lost;
    int r = device_update(&d->dev, now_ns);
    if (r == 0 && SYS(getsockopt, d->dev.fd, SOL_PACKET, PACKET_STATISTICS, &lost, &len) == 0)
        d->dev.stats.rx_overrun += lost.tp_drops;
    return r;
}

static int device_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    struct packet_device *d = (struct packet_device *)dev;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct tpacket2_hdr *slot = rx_slot(d);
        if (!(slot_status(slot) & TP_STATUS_USER)) break;
        if (read_slot(d, slot, &frames[taken])) netdev_count_rx(dev, frames[taken++].bytes);
        slot_set_status(slot, TP_STATUS_KERNEL);
        d->rx_at++;
    }
    if (taken == 0 && now_ns >= d->next_check_ns) {
        int r = check_link(d, now_ns);
        if (r < 0) return -ENODEV;
    }
    return taken || dev->link_up ? (int)taken : -ENETDOWN;
}

/* Writes a frame and the header that tells the kernel how to hold it. */
static void write_slot(struct tpacket2_hdr *slot, const struct netdev_frame *f) {
    const struct virtio_net_hdr header = {.hdr_len = (uint16_t)(f->bytes <= LINEAR_MAX ? f->bytes : 0)};
    char *to = (char *)slot + TPACKET2_HDRLEN - sizeof(struct sockaddr_ll);
    memcpy(to, &header, sizeof header);
    netdev_gather(f, to + sizeof header);
    slot->tp_len = (uint32_t)sizeof header + f->bytes;
    slot_set_status(slot, TP_STATUS_SEND_REQUEST);
}

static ssize_t send_ring(struct packet_device *d) {
    d->dev.stats.tx_kicks++;
    return SYS(send, d->dev.fd, NULL, 0, MSG_DONTWAIT);
}

/* Makes the kernel send the frames in the ring. An -ENETDOWN of the first call may be stale, so it is tried twice. */
static int device_kick(struct netdev *dev, uint64_t now_ns) {
    struct packet_device *d = (struct packet_device *)dev;
    ssize_t n = send_ring(d);
    if (n == -ENETDOWN) n = send_ring(d);
    if (n >= 0 || n == -EAGAIN || n == -ENOBUFS || n == -EINTR) return 0;
    if (device_update(dev, now_ns) < 0) return -ENODEV;
    if (!dev->link_up) return -ENETDOWN;
    dev->stats.tx_errors++;
    return 0;
}

static int device_put(struct netdev *dev, const struct netdev_frame *frame) {
    struct packet_device *d = (struct packet_device *)dev;
    struct tpacket2_hdr *slot = tx_slot(d);
    if (!dev->link_up) return -ENETDOWN;
    if (!netdev_frame_fits(dev, frame)) return 1;
    if (slot_status(slot) != TP_STATUS_AVAILABLE) return 0;
    write_slot(slot, frame);
    d->tx_at++;
    netdev_count_tx(dev, frame->bytes);
    return 1;
}

/* Checks the link before any frame enters the ring, because an error can be returned only if no frame was accepted. */
static int device_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    if (!dev->link_up && device_update(dev, now_ns) < 0) return -ENODEV;
    return netdev_tx_by_put(dev, frames, n, now_ns);
}

/*
 * The descriptor is readable while there are frames, armed or not. Clears a pending socket error, which would also make
 * it readable.
 */
static int device_prepare(struct netdev *dev) {
    struct packet_device *d = (struct packet_device *)dev;
    int error;
    socklen_t len = sizeof error;
    (void)SYS(getsockopt, dev->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (device_update(dev, 0) < 0) return -ENODEV;
    return (slot_status(rx_slot(d)) & TP_STATUS_USER) != 0;
}

const struct netdev_ops netdev_packet = {
    .name = "packet",
    .text = "Any kernel interface through AF_PACKET: the stack is a second host behind it",
    .options = options_table,
    .options_count = sizeof options_table / sizeof *options_table,
    .interface_option = "name",
    .open = device_open,
    .close = device_close,
    .rx = device_rx,
    .tx = device_tx,
    .put = device_put,
    .kick = device_kick,
    .prepare = device_prepare,
    .update = device_update,
};
