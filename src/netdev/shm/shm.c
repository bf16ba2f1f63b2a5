/* SPDX-License-Identifier: MIT */
/*
 * A link between two processes of one machine and one user, through shared memory. The link is up while the peer lives.
 * It goes down when the peer dies, and up again when another one connects. A malicious peer can corrupt only its own
 * frames.
 */
#include "netdev/device.h"
#include "netdev/options.h"
#include "netdev/shm/link.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <string.h>

#define CHECK_INTERVAL_NS 10000000u /* interval of peer checks while nothing arrives */

struct shm_device {
    struct netdev dev;
    struct shm_link link;
    uint64_t next_check_ns;
    bool sleeping; /* the consumer's flag in the ring is set */
};

struct shm_options {
    char path[SHM_PATH_MAX];
    bool listen, csum;
    uint64_t mtu, slots;
    uint8_t mac[NETDEV_MAC_BYTES];
};

static const struct netdev_option options_table[] = {
    {"path", NETDEV_OPTION_TEXT, offsetof(struct shm_options, path), 0, SHM_PATH_MAX, "PATH", NULL, NULL,
     "Socket file through which the two processes connect"},
    {"listen", NETDEV_OPTION_FLAG, offsetof(struct shm_options, listen), 0, 0, "", "no", NULL,
     "Create the socket file and wait for the peer; exactly one of the two processes sets yes"},
    {"csum", NETDEV_OPTION_FLAG, offsetof(struct shm_options, csum), 0, 0, "", "yes", NULL,
     "Omit transport checksums, because the path is memory"},
    {"mtu", NETDEV_OPTION_NUMBER, offsetof(struct shm_options, mtu), NETDEV_MTU_MIN, NETDEV_MTU_MAX, "bytes", "1500",
     NULL, "MTU of the link; the value of the listening process applies"},
    {"slots", NETDEV_OPTION_NUMBER, offsetof(struct shm_options, slots), SHM_SLOTS_MIN, SHM_SLOTS_MAX, "frames", "512",
     NULL, "Frames per direction, a power of two; the value of the listening process applies"},
    {"mac", NETDEV_OPTION_MAC, offsetof(struct shm_options, mac), 0, 0, "", NULL, "random", "Own MAC address"},
};

/* Connects, or checks that the peer lives. Frames that a peer sent before it ended are still received. */
static void check_peer_alive(struct shm_device *d) {
    struct shm_link *l = &d->link;
    bool connected = l->memory ? shm_link_alive(l) || shm_ring_next_full(&l->rx) : shm_link_connect(l) == 1;
    if (l->memory && !connected) shm_link_drop(l);
    if (connected) d->dev.mtu = l->wire_mtu;
    if (connected != d->dev.link_up) d->sleeping = false;
    netdev_set_link(&d->dev, connected);
}

static int device_update(struct netdev *dev, uint64_t now_ns) {
    struct shm_device *d = (struct shm_device *)dev;
    check_peer_alive(d);
    d->next_check_ns = now_ns + CHECK_INTERVAL_NS;
    return 0;
}

static const struct netdev_advice advices[] = {
    {-ENOENT, "create its directory"},
    {-EACCES, "choose a path= that both processes may write to"},
    {-EADDRINUSE, "another process listens there; open the other end without listen=yes"},
    {0, NULL},
};

static int device_open(const struct netdev_args *args, struct netdev **dev) {
    struct shm_options o = {0};
    struct shm_device *d;
    int r = netdev_random_mac(o.mac);
    if (r == 0) r = netdev_options(args, options_table, sizeof options_table / sizeof *options_table, &o);
    if (r < 0) return r;
    if (o.slots & (o.slots - 1)) return netdev_refuse(args, -EINVAL, "shm: slots must be a power of two");
    d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    netdev_init(&d->dev, &netdev_shm);
    d->dev.wire = true;
    r = shm_link_open(&d->link, o.path, o.listen, (uint32_t)o.slots, (uint32_t)o.mtu);
    if (r < 0) {
        sys_free(d);
        return netdev_refuse_advised(args, "shm", o.path, r, advices);
    }
    memcpy(d->dev.mac, o.mac, sizeof o.mac);
    d->dev.mtu = (uint32_t)o.mtu;
    d->dev.offloads = o.csum ? NETDEV_CSUM : 0;
    d->dev.fd = d->link.epoll;
    check_peer_alive(d);
    *dev = &d->dev;
    return 0;
}

static void device_close(struct netdev *dev) {
    struct shm_device *d = (struct shm_device *)dev;
    shm_link_close(&d->link);
    sys_free(d);
}

/* Copies the frame out of a slot. Returns false if it is invalid or there is no memory. */
static bool read_slot(struct shm_device *d, struct shm_slot *slot, struct netdev_buffer *b) {
    uint64_t meta = atomic_load_explicit(&slot->meta, memory_order_relaxed);
    b->bytes = (uint32_t)meta;
    b->flags = (uint16_t)(meta >> 32) & NETDEV_RX_CSUM_GOOD;
    b->mss = 0;
    if (b->bytes < NETDEV_HEADER_BYTES || b->bytes > netdev_frame_max(d->link.wire_mtu)) {
        d->dev.stats.rx_malformed++;
        return false;
    }
    b->data = heap_alloc(b->bytes);
    if (!b->data) {
        d->dev.stats.rx_no_memory++;
        return false;
    }
    memcpy(b->data, slot->data, b->bytes);
    return true;
}

/* Not inlined, so that a call that finds nothing needs no stack frame. Reads at most n slots, even if the peer sends
 * invalid frames without end. */
static __attribute__((noinline)) uint32_t read_ring(struct shm_device *d, struct netdev_buffer *frames, uint32_t n) {
    struct shm_ring *ring = &d->link.rx;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct shm_slot *slot = shm_ring_next_full(ring);
        if (!slot) break;
        if (read_slot(d, slot, &frames[taken])) netdev_count_rx(&d->dev, frames[taken++].bytes);
        shm_ring_release(ring, slot);
    }
    if (taken && d->sleeping) {
        shm_ring_awake(ring);
        d->sleeping = false;
    }
    return taken;
}

static int device_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    struct shm_device *d = (struct shm_device *)dev;
    if (d->link.memory && shm_ring_next_full(&d->link.rx)) return (int)read_ring(d, frames, n);
    if (now_ns >= d->next_check_ns) device_update(dev, now_ns);
    return dev->link_up ? 0 : -ENETDOWN;
}

static int device_put(struct netdev *dev, const struct netdev_frame *frame) {
    struct shm_device *d = (struct shm_device *)dev;
    struct shm_ring *ring = &d->link.tx;
    if (!d->link.memory) return -ENETDOWN;
    if (!netdev_frame_fits(dev, frame)) return 1;
    struct shm_slot *slot = shm_ring_next_free(ring);
    if (!slot) return 0;
    netdev_gather(frame, slot->data);
    shm_ring_fill(ring, slot, frame->bytes, frame->offloads & NETDEV_CSUM ? NETDEV_RX_CSUM_GOOD : 0);
    netdev_count_tx(dev, frame->bytes);
    return 1;
}

static int device_kick(struct netdev *dev, uint64_t now_ns) {
    struct shm_device *d = (struct shm_device *)dev;
    (void)now_ns;
    if (!d->link.memory) return -ENETDOWN;
    shm_ring_publish(&d->link.tx);
    if (shm_ring_must_wake(&d->link.tx)) {
        dev->stats.wakes++;
        shm_link_wake(&d->link);
    }
    return 0;
}

/* Reads pending wake-ups first; a later one leaves the descriptor readable. */
static int device_prepare(struct netdev *dev) {
    struct shm_device *d = (struct shm_device *)dev;
    check_peer_alive(d);
    if (!d->link.memory) return 0;
    if (shm_ring_sleep(&d->link.rx)) {
        d->sleeping = true;
        return 0;
    }
    shm_ring_awake(&d->link.rx);
    return 1;
}

/* A side that is not connected has no descriptor to sleep on, so it retries by time. */
static uint64_t device_next_ns(const struct netdev *dev) {
    const struct shm_device *d = (const struct shm_device *)dev;
    return dev->link_up ? NETDEV_NEVER : d->next_check_ns;
}

const struct netdev_ops netdev_shm = {
    .name = "shm",
    .text = "A link between two processes of one machine and one user, through shared memory",
    .options = options_table,
    .options_count = sizeof options_table / sizeof *options_table,
    .open = device_open,
    .close = device_close,
    .rx = device_rx,
    .tx = netdev_tx_by_put,
    .put = device_put,
    .kick = device_kick,
    .prepare = device_prepare,
    .update = device_update,
    .next_ns = device_next_ns,
};
