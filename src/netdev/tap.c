/* SPDX-License-Identifier: MIT */
/*
 * A Linux TAP interface: the kernel is the peer. We leave checksums and segmentation to the kernel, and the kernel
 * leaves checksums to us.
 */
#include "netdev/device.h"
#include "netdev/linux_if.h"
#include "netdev/options.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define LARGE_FRAME_MAX   (65535u + NETDEV_HEADER_BYTES)
#define CHECK_INTERVAL_NS 10000000u /* interval of link checks while nothing arrives */

struct tap_device {
    struct netdev dev;
    struct linux_if interface;
    void *spare; /* a receive buffer that is still empty */
    uint32_t spare_bytes;
    uint32_t rx_max;
    bool lro;
    uint64_t next_check_ns;
};

struct tap_options {
    char name[IFNAMSIZ];
    bool queues, lro;
    uint8_t mac[NETDEV_MAC_BYTES];
};

static const struct netdev_option options_table[] = {
    {"name", NETDEV_OPTION_TEXT, offsetof(struct tap_options, name), 0, IFNAMSIZ, "INTERFACE", NULL, NULL,
     "TAP interface; the device creates it if it does not exist, and then removes it when it is closed"},
    {"queues", NETDEV_OPTION_FLAG, offsetof(struct tap_options, queues), 0, 0, "", "no", NULL,
     "Open the interface with multi_queue, so that it can be opened once per queue"},
    {"lro", NETDEV_OPTION_FLAG, offsetof(struct tap_options, lro), 0, 0, "", "no", NULL,
     "Receive several TCP segments as one frame of up to 64 KiB"},
    {"mac", NETDEV_OPTION_MAC, offsetof(struct tap_options, mac), 0, 0, "", NULL, "random",
     "Own MAC address, which is not the address of the interface"},
};

static int device_update(struct netdev *dev, uint64_t now_ns) {
    struct tap_device *d = (struct tap_device *)dev;
    struct linux_if_state state;
    int r = linux_if_refresh(&d->interface, dev, &state);
    d->next_check_ns = now_ns + CHECK_INTERVAL_NS;
    if (r < 0) return r;
    dev->mtu = state.mtu;
    d->rx_max = d->lro ? LARGE_FRAME_MAX : netdev_frame_max(state.mtu);
    return 0;
}

static int attach(struct tap_device *d, const struct tap_options *o) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int header = sizeof(struct virtio_net_hdr), r;
    unsigned long offloads = TUN_F_CSUM | (o->lro ? TUN_F_TSO4 | TUN_F_TSO6 : 0);
    if (o->queues) request.ifr_flags |= IFF_MULTI_QUEUE;
    memcpy(request.ifr_name, o->name, sizeof request.ifr_name);
    d->dev.fd = SYS(open, "/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (d->dev.fd < 0) return d->dev.fd;
    r = SYS(ioctl, d->dev.fd, TUNSETIFF, &request);
    if (r == 0) r = SYS(ioctl, d->dev.fd, TUNSETVNETHDRSZ, &header);
    if (r == 0) r = SYS(ioctl, d->dev.fd, TUNSETOFFLOAD, offloads);
    if (r == 0) r = linux_if_open(&d->interface, request.ifr_name);
    return r == 0 ? device_update(&d->dev, 0) : r;
}

static void device_close(struct netdev *dev) {
    struct tap_device *d = (struct tap_device *)dev;
    linux_if_close(&d->interface);
    if (d->spare) heap_free(d->spare);
    if (dev->fd >= 0) close(dev->fd);
    sys_free(d);
}

#define PRIVILEGES "run as root, setcap cap_net_admin+ep PROGRAM, or first: ip tuntap add IF mode tap user USER"

static const struct netdev_advice advices[] = {
    {-ENOENT, "there is no /dev/net/tun: modprobe tun, or in a container --device /dev/net/tun"},
    {-EACCES, PRIVILEGES},
    {-EPERM, PRIVILEGES},
    {-EBUSY, "another process has it open; ip tuntap show"},
    {-EINVAL, "it is not a TAP interface, or its multi_queue flag differs from the option queues; ip tuntap show"},
    {0, NULL},
};

static int device_open(const struct netdev_args *args, struct netdev **dev) {
    struct tap_options o = {0};
    struct tap_device *d;
    bool may_share;
    int r = netdev_random_mac(o.mac);
    if (r == 0) r = netdev_options(args, options_table, sizeof options_table / sizeof *options_table, &o);
    if (r < 0) return r;
    may_share = args->queues > 1 && !o.queues;
    o.queues |= args->queues > 1;
    d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    netdev_init(&d->dev, &netdev_tap);
    d->interface.sock = -1;
    d->lro = o.lro;
    memcpy(d->dev.mac, o.mac, sizeof o.mac);
    d->dev.offloads = NETDEV_CSUM | NETDEV_TSO4 | NETDEV_TSO6;
    d->dev.tso_bytes = LARGE_FRAME_MAX;
    r = attach(d, &o);
    if (r < 0) {
        device_close(&d->dev);
        if (r == -EINVAL && may_share)
            return netdev_refuse(args, -ECHRNG, "tap: %s has one queue; ip tuntap add %s mode tap multi_queue", o.name,
                                 o.name);
        return netdev_refuse_advised(args, "tap", o.name, r, advices);
    }
    d->dev.interface = d->interface.name;
    *dev = &d->dev;
    return 0;
}

/* Maps an error of read or write: the kernel has several for an interface that was removed or is down. */
static int device_error(struct netdev *dev, int error, uint64_t now_ns) {
    int r = device_update(dev, now_ns);
    if (r < 0 || error == -EBADFD) return -ENODEV;
    return dev->link_up ? error : -ENETDOWN;
}

/* Allocates a buffer for the longest frame plus one byte, which shows that a frame is too long. */
static bool ensure_spare(struct tap_device *d) {
    if (d->spare && d->spare_bytes > d->rx_max) return true;
    if (d->spare) heap_free(d->spare);
    d->spare_bytes = d->rx_max + 1;
    d->spare = heap_alloc(d->spare_bytes);
    return d->spare != NULL;
}

/* Returns 1 for a frame, 0 for a dropped frame, or the error of readv. */
static int read_frame(struct tap_device *d, struct netdev_buffer *b) {
    struct virtio_net_hdr header;
    struct iovec iov[2] = {{&header, sizeof header}, {d->spare, d->spare_bytes}};
    ssize_t n = SYS(readv, d->dev.fd, iov, 2);
    if (n < 0) return (int)n;
    if ((size_t)n < sizeof header + NETDEV_HEADER_BYTES) {
        d->dev.stats.rx_malformed++;
        return 0;
    }
    b->bytes = (uint32_t)((size_t)n - sizeof header);
    if (b->bytes > d->rx_max) {
        d->dev.stats.rx_too_long++;
        return 0;
    }
    b->data = d->spare;
    b->flags = header.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID) ? NETDEV_RX_CSUM_GOOD : 0;
    b->mss = header.gso_type == VIRTIO_NET_HDR_GSO_NONE ? 0 : header.gso_size;
    d->spare = NULL;
    netdev_count_rx(&d->dev, b->bytes);
    return 1;
}

static int device_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    struct tap_device *d = (struct tap_device *)dev;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < n && ensure_spare(d); i++) {
        int r = read_frame(d, &frames[taken]);
        if (r == -EAGAIN || r == -EINTR) break;
        if (r < 0) return taken ? (int)taken : device_error(dev, r, now_ns);
        taken += (uint32_t)r;
    }
    if (taken == 0 && now_ns >= d->next_check_ns) {
        int r = device_update(dev, now_ns);
        if (r < 0) return r;
    }
    return taken || dev->link_up ? (int)taken : -ENETDOWN;
}

static struct virtio_net_hdr describe(const struct netdev_frame *f) {
    struct virtio_net_hdr h = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};
    if (!f->offloads) return h;
    h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    h.csum_start = (uint16_t)(f->l2_bytes + f->l3_bytes);
    h.csum_offset = f->csum_offset;
    if (!(f->offloads & (NETDEV_TSO4 | NETDEV_TSO6))) return h;
    h.gso_type = f->offloads & NETDEV_TSO4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    h.gso_size = f->mss;
    h.hdr_len = (uint16_t)(h.csum_start + f->l4_bytes);
    return h;
}

static int write_frame(const struct tap_device *d, const struct netdev_frame *f) {
    struct virtio_net_hdr header = describe(f);
    struct iovec iov[NETDEV_SEGS_MAX + 1] = {{&header, sizeof header}};
    ssize_t n;
    for (uint32_t i = 0; i < f->segs_count; i++)
        iov[i + 1] = (struct iovec){(void *)(uintptr_t)f->segs[i].data, f->segs[i].bytes};
    n = SYS(writev, d->dev.fd, iov, f->segs_count + 1);
    return n < 0 ? (int)n : 0;
}

static int device_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    struct tap_device *d = (struct tap_device *)dev;
    for (uint32_t i = 0; i < n; i++) {
        int r;
        if (!netdev_frame_fits(dev, &frames[i])) continue;
        r = write_frame(d, &frames[i]);
        if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM || r == -EINTR) return (int)i;
        if (r == -EINVAL)
            dev->stats.tx_errors++;
        else if (r < 0)
            return i ? (int)i : device_error(dev, r, now_ns);
        else
            netdev_count_tx(dev, frames[i].bytes);
    }
    return (int)n;
}

/* The descriptor is readable while there are frames, armed or not. */
static int device_prepare(struct netdev *dev) {
    return device_update(dev, 0);
}

const struct netdev_ops netdev_tap = {
    .name = "tap",
    .text = "A Linux TAP interface: the kernel of the machine is the peer",
    .options = options_table,
    .options_count = sizeof options_table / sizeof *options_table,
    .interface_option = "name",
    .queues_max = 256, /* the kernel's MAX_TAP_QUEUES */
    .open = device_open,
    .close = device_close,
    .rx = device_rx,
    .tx = device_tx,
    .prepare = device_prepare,
    .update = device_update,
};
