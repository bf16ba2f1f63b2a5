/* SPDX-License-Identifier: MIT */
/*
 * A Linux TAP interface: the kernel is the peer. We leave checksums and segmentation to the kernel, and the kernel
 * leaves checksums to us.
 */
#include "netdev/device.h"
#include "netdev/linux_if.h"
#include "netdev/options.h"
#include "netdev/tap/io.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LARGE_FRAME_MAX   (65535u + NETDEV_HEADER_BYTES)
#define CHECK_INTERVAL_NS 10000000u /* interval of link checks while nothing arrives */
#define TX_IOVS           256u      /* of one batch; a frame has at most NETDEV_SEGS_MAX + 1 */

struct tap_device {
    struct netdev dev;
    struct linux_if interface;
    struct tap_io io;
    void *spare[TAP_BATCH_MAX]; /* receive buffers that are still empty */
    uint32_t spare_count, spare_bytes;
    uint32_t expected; /* frames that the next read is likely to find */
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

static void free_spares(struct tap_device *d) {
    while (d->spare_count > 0)
        heap_free(d->spare[--d->spare_count]);
}

static void device_close(struct netdev *dev) {
    struct tap_device *d = (struct tap_device *)dev;
    linux_if_close(&d->interface);
    tap_io_close(&d->io);
    free_spares(d);
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
    tap_io_open(&d->io, d->dev.fd);
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

/* Allocates n buffers for the longest frame plus one byte, which shows that a frame is too long. Returns how many. */
static uint32_t ensure_spares(struct tap_device *d, uint32_t n) {
    if (d->spare_bytes <= d->rx_max) free_spares(d);
    if (d->spare_count == 0) d->spare_bytes = d->rx_max + 1;
    for (; d->spare_count < n; d->spare_count++)
        if (!(d->spare[d->spare_count] = heap_alloc(d->spare_bytes))) break;
    return d->spare_count < n ? d->spare_count : n;
}

/* Whether n bytes that were read are a valid frame; if so, describes it. */
static bool accept_frame(struct tap_device *d, const struct virtio_net_hdr *header, uint32_t n,
                         struct netdev_buffer *b) {
    if (n < sizeof *header + NETDEV_HEADER_BYTES) {
        d->dev.stats.rx_malformed++;
        return false;
    }
    b->bytes = n - (uint32_t)sizeof *header;
    if (b->bytes > d->rx_max) {
        d->dev.stats.rx_too_long++;
        return false;
    }
    b->flags = header->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID) ? NETDEV_RX_CSUM_GOOD : 0;
    b->mss = header->gso_type == VIRTIO_NET_HDR_GSO_NONE ? 0 : header->gso_size;
    netdev_count_rx(&d->dev, b->bytes);
    return true;
}

/* Reads up to n frames. Returns their number; if none was read, *error is the error of the first read. */
static uint32_t read_frames(struct tap_device *d, struct netdev_buffer *frames, uint32_t n, int *error) {
    struct virtio_net_hdr headers[TAP_BATCH_MAX];
    struct iovec iov[TAP_BATCH_MAX][2];
    struct tap_transfer reads[TAP_BATCH_MAX];
    uint32_t taken = 0, got = 0, kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        iov[i][0] = (struct iovec){&headers[i], sizeof headers[i]};
        iov[i][1] = (struct iovec){d->spare[i], d->spare_bytes};
        reads[i] = (struct tap_transfer){.iov = iov[i], .iov_count = 2};
    }
    (void)tap_io_read(&d->io, reads, n);
    for (uint32_t i = 0; i < d->spare_count; i++) {
        bool read = i < n && reads[i].result >= 0;
        got += read;
        if (read && accept_frame(d, &headers[i], (uint32_t)reads[i].result, &frames[taken]))
            frames[taken++].data = d->spare[i];
        else
            d->spare[kept++] = d->spare[i];
    }
    d->spare_count = kept;
    d->expected = got == n ? 2 * n : got > d->expected / 2 ? got : d->expected / 2;
    *error = got == 0 ? reads[0].result : 0;
    return taken;
}

/*
 * One system call. It asks for one frame more than are likely to be there, so that a lone frame costs a single read:
 * the next call finds out whether there are more.
 */
static int device_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    struct tap_device *d = (struct tap_device *)dev;
    uint32_t taken = 0;
    int error = 0;
    if (n > TAP_BATCH_MAX) n = TAP_BATCH_MAX;
    n = ensure_spares(d, n > d->expected ? d->expected + 1 : n);
    if (n > 0) taken = read_frames(d, frames, n, &error);
    if (error < 0 && error != -EAGAIN && error != -EINTR) return device_error(dev, error, now_ns);
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

/* The frames of one system call. */
struct tx_batch {
    uint32_t count, iov_count;
    struct tap_transfer writes[TAP_BATCH_MAX];
    uint32_t frame_of[TAP_BATCH_MAX + 1]; /* of each write, and of the first frame after the batch */
    struct virtio_net_hdr headers[TAP_BATCH_MAX];
    struct iovec iov[TX_IOVS];
};

/* Collects frames from `first` on. Drops those that break the rules. */
static void tx_collect(struct tap_device *d, const struct netdev_frame *frames, uint32_t first, uint32_t n,
                       struct tx_batch *b) {
    uint32_t i;
    b->count = b->iov_count = 0;
    for (i = first; i < n && b->count < TAP_BATCH_MAX; i++) {
        const struct netdev_frame *f = &frames[i];
        struct iovec *iov = &b->iov[b->iov_count];
        if (!netdev_frame_fits(&d->dev, f)) continue;
        if (b->iov_count + f->segs_count + 1 > TX_IOVS) break;
        b->headers[b->count] = describe(f);
        iov[0] = (struct iovec){&b->headers[b->count], sizeof *b->headers};
        for (uint32_t k = 0; k < f->segs_count; k++)
            iov[k + 1] = (struct iovec){(void *)(uintptr_t)f->segs[k].data, f->segs[k].bytes};
        b->iov_count += f->segs_count + 1;
        b->writes[b->count] = (struct tap_transfer){.iov = iov, .iov_count = f->segs_count + 1};
        b->frame_of[b->count++] = i;
    }
    b->frame_of[b->count] = i;
}

/*
 * Counts what was sent. Returns how many writes are done with: those up to the last one that the kernel has accepted,
 * or rejected for good. A frame before it that failed is lost, because it would otherwise be sent out of order.
 */
static uint32_t tx_count(struct tap_device *d, const struct netdev_frame *frames, const struct tx_batch *b) {
    uint32_t done = b->count;
    while (done > 0 && b->writes[done - 1].result < 0 && b->writes[done - 1].result != -EINVAL)
        done--;
    for (uint32_t i = 0; i < done; i++)
        if (b->writes[i].result < 0)
            d->dev.stats.tx_errors++;
        else
            netdev_count_tx(&d->dev, frames[b->frame_of[i]].bytes);
    return done;
}

static int device_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    struct tap_device *d = (struct tap_device *)dev;
    struct tx_batch b;
    uint32_t i = 0, done;
    while (i < n) {
        tx_collect(d, frames, i, n, &b);
        dev->stats.tx_kicks += tap_io_write(&d->io, b.writes, b.count);
        done = tx_count(d, frames, &b);
        i = b.frame_of[done];
        if (done == 0 && b.count > 0) {
            int r = b.writes[0].result;
            if (i > 0 || r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM || r == -EINTR) return (int)i;
            return device_error(dev, r, now_ns);
        }
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
