/* SPDX-License-Identifier: MIT */
/*
 * Any kernel interface through AF_XDP. The driver receives frames for our addresses directly into the heap and
 * transmits from there; the kernel keeps the interface and gets all other frames. An address that the kernel also has
 * is shared: we get TCP and UDP to the ports that are open here, the kernel gets everything else and answers ARP.
 */
#include "netdev/xdp/xdp.h"

#include "netdev/options.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define UMEM_MIN          ((uint64_t)4 << 20)
#define UMEM_MAX          ((uint64_t)64 << 30)
#define BUSY_POLL_MAX     1000000u
#define CHECK_INTERVAL_NS 10000000u /* interval of link checks and statistics while nothing arrives */
#define ARP_EVERY_NS      1000000u  /* interval of reads of ARP replies while nothing arrives */
#define ARP_BYTES_MAX     128u
#define ARP_AT_OPER       20
#define ARP_REPLY         2

struct xdp_device_options {
    char name[IFNAMSIZ];
    char mode[8];
    uint64_t slots, umem, busy_poll;
};

static const struct netdev_option options_table[] = {
    {"name", NETDEV_OPTION_TEXT, offsetof(struct xdp_device_options, name), 0, IFNAMSIZ, "INTERFACE", NULL, NULL,
     "Kernel interface to send and receive on"},
    {"mode", NETDEV_OPTION_TEXT, offsetof(struct xdp_device_options, mode), 0,
     sizeof((struct xdp_device_options *)0)->mode, "auto|native|generic", "auto", NULL,
     "Where the program that filters frames runs: native is in the driver, generic is behind it with any driver and "
     "slower, auto is native if the driver can"},
    {"slots", NETDEV_OPTION_NUMBER, offsetof(struct xdp_device_options, slots), XDP_SLOTS_MIN, XDP_SLOTS_MAX, "frames",
     "1024", NULL, "Frames per ring, a power of two"},
    {"umem", NETDEV_OPTION_NUMBER, offsetof(struct xdp_device_options, umem), UMEM_MIN, UMEM_MAX, "bytes", "67108864",
     NULL, "Memory from the start of the heap that the kernel may read and write; it is locked"},
    {"busy_poll", NETDEV_OPTION_NUMBER, offsetof(struct xdp_device_options, busy_poll), 0, BUSY_POLL_MAX, "us", "0",
     NULL,
     "Time for which the kernel polls the queue when the stack calls it, instead of on interrupts; 0 keeps "
     "interrupts"},
};

static const char *const modes[] = {
    [XDP_MODE_AUTO] = "auto", [XDP_MODE_NATIVE] = "native", [XDP_MODE_GENERIC] = "generic"};

/* ---- error messages ---- */

#define CAPABILITIES "run as root, or setcap cap_net_admin,cap_net_raw,cap_bpf+ep PROGRAM"

/* error 0: any error. The suggested command is before + interface name + after; without `after`, only before. */
static const struct {
    enum xdp_step step;
    int error;
    const char *text, *before, *after;
} advices[] = {
    {XDP_STEP_INTERFACE, -ENODEV, "there is no such interface", "; ip link shows the interfaces", NULL},
    {XDP_STEP_QUEUES, -EBUSY, "this queue is already open", NULL, NULL},
    {XDP_STEP_QUEUES, -ERANGE, "it receives on more queues than are opened, and frames would be lost",
     "; open as many, or: ethtool -L ", " combined 1"},
    {XDP_STEP_QUEUES, -ECHRNG, "it receives on fewer queues than inet.queues", "; ethtool -L ", " combined N"},
    {XDP_STEP_PROGRAM, -EPERM, "its program may not be loaded", "; " CAPABILITIES, NULL},
    {XDP_STEP_PROGRAM, 0, "its program cannot be loaded; Linux 5.9 or later is needed", NULL, NULL},
    {XDP_STEP_ATTACH, -EPERM, "its program may not be attached", "; " CAPABILITIES, NULL},
    {XDP_STEP_ATTACH, -EBUSY, "another XDP program is attached", "; ip link set dev ", " xdp off"},
    {XDP_STEP_ATTACH, -ENOSPC, "it receives on fewer queues than its peer sends on", "; ethtool -L ", " rx N"},
    {XDP_STEP_ATTACH, -EOPNOTSUPP, "its driver has no XDP", "; use mode=auto", NULL},
    {XDP_STEP_ATTACH, 0, "no XDP program can be attached; ethtool -K may have to turn lro off, or its MTU is too large",
     NULL, NULL},
    {XDP_STEP_SOCKET, -EPERM, "AF_XDP is not allowed", "; " CAPABILITIES, NULL},
    {XDP_STEP_SOCKET, -EAFNOSUPPORT, "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)", NULL, NULL},
    {XDP_STEP_MEMORY, -ENOBUFS, "the limit of locked memory is less than umem",
     "; ulimit -l unlimited, or setcap cap_ipc_lock+ep PROGRAM", NULL},
    {XDP_STEP_MEMORY, -ENOMEM, "too little free memory in the UMEM", "; raise umem", NULL},
    {XDP_STEP_BIND, -EBUSY, "another AF_XDP socket uses this queue", "; ss --xdp names its process", NULL},
    {XDP_STEP_BIND, -ENETDOWN, "it is down", "; ip link set dev ", " up"},
    {XDP_STEP_BIND, -EINVAL, "it has no such queue", "; ethtool -l ", " shows how many"},
};

static int refuse(const struct netdev_args *args, const char *name, enum xdp_step step, int error) {
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
        const char *before = advices[i].before, *after = advices[i].after;
        if (advices[i].step != step || (advices[i].error && advices[i].error != error)) continue;
        return netdev_refuse(args, error, "xdp: %s: %s (%s)%s%s%s", name, advices[i].text, strerror(-error),
                             before ? before : "", after ? name : "", after ? after : "");
    }
    return netdev_refuse(args, error, "xdp: %s: %s", name, strerror(-error));
}

/* ---- the link ---- */

static void read_statistics(struct xdp_device *d) {
    struct xdp_statistics now;
    socklen_t len = sizeof now;
    if (SYS(getsockopt, d->socket.fd, SOL_XDP, XDP_STATISTICS, &now, &len) < 0 || len < sizeof now) return;
    d->dev.stats.rx_overrun = now.rx_dropped + now.rx_ring_full + now.rx_fill_ring_empty_descs;
    d->dev.stats.tx_errors = now.tx_invalid_descs;
}

static int device_update(struct netdev *dev, uint64_t now_ns) {
    struct xdp_device *d = (struct xdp_device *)dev;
    struct linux_if_state state;
    int r = linux_if_refresh(&d->interface, dev, &state);
    d->next_check_ns = now_ns + CHECK_INTERVAL_NS;
    if (r < 0) return r;
    memcpy(dev->mac, state.mac, sizeof state.mac);
    dev->mtu = state.mtu < d->mtu_max ? state.mtu : d->mtu_max;
    read_statistics(d);
    return 0;
}

/* ---- opening ---- */

/*
 * The kernel answers ARP at an address that it shares with us, and receives the replies. A second socket receives a
 * copy of the replies.
 */
static int open_arp_socket(struct xdp_device *d) {
    struct sock_filter replies[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ARP_AT_OPER),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARP_REPLY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, ARP_BYTES_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_fprog filter = {.len = sizeof replies / sizeof *replies, .filter = replies};
    const struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = d->interface.index};
    const int one = 1;
    int r;
    d->arp = SYS(socket, AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->arp < 0) return d->arp;
    r = SYS(setsockopt, d->arp, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
    if (r == 0) r = SYS(setsockopt, d->arp, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
    if (r == 0) r = SYS(bind, d->arp, (const struct sockaddr *)&address, sizeof address);
    return r;
}

/* Creates one descriptor to wait for both sockets. */
static int join_descriptors(struct xdp_device *d) {
    const int sockets[] = {d->socket.fd, d->arp};
    struct epoll_event event = {.events = EPOLLIN};
    int r = 0;
    d->dev.fd = SYS(epoll_create1, EPOLL_CLOEXEC);
    if (d->dev.fd < 0) return d->dev.fd;
    for (size_t i = 0; r == 0 && i < 2; i++)
        r = SYS(epoll_ctl, d->dev.fd, EPOLL_CTL_ADD, sockets[i], &event);
    return r;
}

static int open_socket(struct xdp_device *d, const struct xdp_device_options *o, uint32_t mtu, enum xdp_step *step) {
    size_t bytes = o->umem;
    void *others = NULL;
    struct xdp_socket_args args = {
        .interface = d->interface.index,
        .queue = d->queue,
        .slots = d->slots,
        .chunk_bytes = netdev_frame_max(mtu) + XDP_HEADROOM_BYTES <= XDP_GRAIN ? XDP_GRAIN : 2 * XDP_GRAIN,
        .busy_poll_us = (uint32_t)o->busy_poll,
        .zero_copy = d->shared->native,
    };
    uint32_t tries = 0;
    int r;
    *step = XDP_STEP_MEMORY;
    r = heap_pin(&bytes, &args.base);
    if (r < 0) return r;
    d->pinned = true;
    args.bytes = bytes;
    do
        r = xdp_socket_open(&d->socket, &args, step);
    while (r == -EBUSY && xdp_wait_busy(&tries));
    if (r < 0) return r;
    d->mtu_max =
        (d->socket.multi_buffer ? XDP_PIECES_MAX : 1) * (args.chunk_bytes - XDP_HEADROOM_BYTES) - netdev_frame_max(0);
    *step = XDP_STEP_MEMORY;
    r = xdp_rx_start(d, &others);
    if (r == 0) r = xdp_tx_start(d, &others);
    xdp_free_blocks(others);
    return r;
}

static int attach(struct xdp_device *d, const struct netdev_args *args, const struct xdp_device_options *o,
                  enum xdp_mode mode, enum xdp_step *step) {
    struct linux_if_state state;
    int r;
    *step = XDP_STEP_INTERFACE;
    r = linux_if_open(&d->interface, o->name);
    if (r == 0) r = linux_if_read(&d->interface, &state);
    if (r == 0) r = xdp_interface_join(&d->shared, args, &d->interface, mode, step);
    if (r == 0) r = open_socket(d, o, state.mtu, step);
    if (r < 0) return r;
    *step = XDP_STEP_SOCKET;
    d->dev.fd = d->socket.fd;
    if (d->shared->shares) {
        r = open_arp_socket(d);
        if (r == 0) r = join_descriptors(d);
    }
    if (r == 0) r = xdp_program_set_socket(&d->shared->program, d->queue, d->socket.fd);
    return r == 0 ? device_update(&d->dev, 0) : r;
}

static void device_close(struct netdev *dev) {
    struct xdp_device *d = (struct xdp_device *)dev;
    if (d->shared) xdp_interface_leave(d->shared, d->queue);
    if (dev->fd >= 0 && dev->fd != d->socket.fd) close(dev->fd);
    if (d->arp >= 0) close(d->arp);
    xdp_socket_close(&d->socket);
    xdp_tx_stop(d);
    xdp_rx_stop(d);
    if (d->pinned) heap_unpin();
    linux_if_close(&d->interface);
    sys_free(d);
}

static int find_mode(const char *name) {
    for (int mode = 0; mode < (int)(sizeof modes / sizeof *modes); mode++)
        if (strcmp(modes[mode], name) == 0) return mode;
    return -EINVAL;
}

static int device_open(const struct netdev_args *args, struct netdev **dev) {
    struct xdp_device_options o = {0};
    enum xdp_step step;
    struct xdp_device *d;
    int r = netdev_options(args, options_table, sizeof options_table / sizeof *options_table, &o), mode;
    if (r < 0) return r;
    mode = find_mode(o.mode);
    if (mode < 0) return netdev_refuse(args, mode, "mode=%s: expected auto, native or generic", o.mode);
    if (o.slots & (o.slots - 1)) return netdev_refuse(args, -EINVAL, "xdp: slots must be a power of two");
    d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    netdev_init(&d->dev, &netdev_xdp);
    d->interface.sock = d->arp = d->socket.fd = -1;
    d->slots = (uint32_t)o.slots;
    d->queue = args->queue;
    r = attach(d, args, &o, (enum xdp_mode)mode, &step);
    if (r < 0) {
        device_close(&d->dev);
        return refuse(args, o.name, step, r);
    }
    if (args->log)
        log_info(args->log, "xdp: %s: queue %u, program %s, %s, frames in %s%s", o.name, d->queue,
                 d->shared->native ? "in the driver" : "generic", d->socket.zero_copy ? "no copy" : "the kernel copies",
                 d->socket.multi_buffer ? "several buffers" : "one buffer",
                 d->socket.busy_poll ? ", busy polling" : "");
    if (args->log && o.busy_poll > 0 && !d->socket.busy_poll)
        log_warn(args->log,
                 "xdp: %s: the kernel does not support busy_poll (Linux 5.11 or later does): it uses interrupts",
                 o.name);
    d->dev.interface = d->interface.name;
    d->dev.engine = modes[d->shared->native ? XDP_MODE_NATIVE : XDP_MODE_GENERIC];
    *dev = &d->dev;
    return 0;
}

/* ---- frames ---- */

static uint32_t receive_arp(struct xdp_device *d, struct netdev_buffer *frames, uint32_t n) {
    uint32_t received = 0;
    while (received < n) {
        void *data = heap_alloc(ARP_BYTES_MAX);
        ssize_t bytes = data ? SYS(recv, d->arp, data, ARP_BYTES_MAX, MSG_DONTWAIT) : -ENOMEM;
        if (bytes < 0) {
            if (data) heap_free(data);
            break;
        }
        frames[received++] = (struct netdev_buffer){.data = data, .bytes = (uint32_t)bytes};
        netdev_count_rx(&d->dev, (uint32_t)bytes);
    }
    return received;
}

static int device_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    struct xdp_device *d = (struct xdp_device *)dev;
    uint32_t received = xdp_receive(d, frames, n);
    int error;
    xdp_reap(d);
    if (received > 0) return (int)received;
    (void)xdp_send_rest(d, &error);
    if (d->arp >= 0 && now_ns >= d->next_arp_ns) {
        d->next_arp_ns = now_ns + ARP_EVERY_NS;
        received = receive_arp(d, frames, n);
    }
    if (now_ns >= d->next_check_ns && device_update(dev, now_ns) < 0) return -ENODEV;
    return received || dev->link_up ? (int)received : -ENETDOWN;
}

static int device_put(struct netdev *dev, const struct netdev_frame *frame) {
    return dev->link_up ? xdp_put((struct xdp_device *)dev, frame) : -ENETDOWN;
}

static int device_kick(struct netdev *dev, uint64_t now_ns) {
    struct xdp_device *d = (struct xdp_device *)dev;
    int error;
    xdp_ring_produce(&d->socket.tx);
    return !xdp_send_rest(d, &error) && error < 0 && device_update(dev, now_ns) < 0 ? -ENODEV : 0;
}

/* Checks the link before any frame enters the ring, because an error can be returned only if no frame was accepted. */
static int device_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    if (!dev->link_up && device_update(dev, now_ns) < 0) return -ENODEV;
    if (!dev->link_up) return -ENETDOWN;
    uint32_t accepted = xdp_transmit((struct xdp_device *)dev, frames, n);
    int r = device_kick(dev, now_ns);
    return r < 0 ? r : (int)accepted;
}

/* If frames are still unsent, returns 1: no event would wake us to send them. */
static int device_prepare(struct netdev *dev) {
    struct xdp_device *d = (struct xdp_device *)dev;
    bool sent;
    int error;
    if (device_update(dev, 0) < 0) return -ENODEV;
    sent = xdp_send_rest(d, &error);
    xdp_reap(d);
    return xdp_ring_ready(&d->socket.rx) > 0 || (!sent && dev->link_up);
}

static int device_claim(struct netdev *dev, uint8_t protocol, uint16_t port, bool on) {
    xdp_interface_claim(((struct xdp_device *)dev)->shared, protocol, port, on);
    return 0;
}

const struct netdev_ops netdev_xdp = {
    .name = "xdp",
    .text = "Any kernel interface through AF_XDP, shared with the kernel",
    .options = options_table,
    .options_count = sizeof options_table / sizeof *options_table,
    .interface_option = "name",
    .queues_max = XDP_QUEUES_MAX,
    .open = device_open,
    .close = device_close,
    .rx = device_rx,
    .tx = device_tx,
    .put = device_put,
    .kick = device_kick,
    .prepare = device_prepare,
    .update = device_update,
    .claim = device_claim,
};
