/* SPDX-License-Identifier: MIT */
/* AF_XDP sockets: created, bound in the best mode that the driver supports, woken up. */
#include "netdev/xdp/socket.h"

#include "base/sys.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif

#define BUSY_POLL_FRAMES 64
#define KICK_FRAMES      16u /* at least, that the kernel sends for one call */

static int set_option(const struct xdp_socket *s, int level, int option, const void *value, size_t bytes) {
    return SYS(setsockopt, s->fd, level, option, value, (socklen_t)bytes);
}

/* ---- rings ---- */

static int map_ring(struct xdp_socket *s, struct xdp_ring *ring, const struct xdp_ring_offset *at, size_t entry_bytes,
                    uint32_t slots, uint64_t page) {
    int error;
    ring->slots = slots;
    ring->map_bytes = at->desc + slots * entry_bytes;
    ring->map = sys_map_shared(ring->map_bytes, s->fd, (off_t)page, &error);
    if (!ring->map) return -error;
    ring->producer = (void *)((char *)ring->map + at->producer);
    ring->consumer = (void *)((char *)ring->map + at->consumer);
    ring->flags = (void *)((char *)ring->map + at->flags);
    ring->entries = (char *)ring->map + at->desc;
    return 0;
}

static int create_rings(struct xdp_socket *s, uint32_t slots) {
    struct xdp_mmap_offsets at;
    socklen_t len = sizeof at;
    const struct {
        struct xdp_ring *ring;
        const struct xdp_ring_offset *at;
        size_t entry_bytes;
        uint64_t page;
        int option;
    } rings[] = {
        {&s->rx, &at.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING, XDP_RX_RING},
        {&s->tx, &at.tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING, XDP_TX_RING},
        {&s->fill, &at.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING, XDP_UMEM_FILL_RING},
        {&s->completion, &at.cr, sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_COMPLETION_RING},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof rings / sizeof *rings; i++)
        r = set_option(s, SOL_XDP, rings[i].option, &slots, sizeof slots);
    if (r == 0) r = SYS(getsockopt, s->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &len);
    for (size_t i = 0; r == 0 && i < sizeof rings / sizeof *rings; i++)
        r = map_ring(s, rings[i].ring, rings[i].at, rings[i].entry_bytes, slots, rings[i].page);
    return r;
}

/* ---- opening ---- */

/* Flags of bind, the best first. */
static const uint16_t modes[] = {XDP_ZEROCOPY | XDP_USE_SG, XDP_ZEROCOPY, XDP_COPY | XDP_USE_SG, XDP_COPY};

/* Returns whether the kernel supports it (Linux 5.11 or later). */
static bool prefer_busy_poll(const struct xdp_socket *s, uint32_t us) {
    const int one = 1, budget = BUSY_POLL_FRAMES;
    return set_option(s, SOL_SOCKET, SO_PREFER_BUSY_POLL, &one, sizeof one) == 0 &&
           set_option(s, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof us) == 0 &&
           set_option(s, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof budget) == 0;
}

/* A failed bind leaves state in the socket, so each mode is tried with a new socket. */
static int try_open(struct xdp_socket *s, const struct xdp_socket_args *args, uint16_t flags, enum xdp_step *step) {
    const struct xdp_umem_reg memory = {.addr = (uintptr_t)args->base,
                                        .len = args->bytes,
                                        .chunk_size = args->chunk_bytes,
                                        .flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG};
    const struct sockaddr_xdp address = {.sxdp_family = AF_XDP,
                                         .sxdp_flags = flags | XDP_USE_NEED_WAKEUP,
                                         .sxdp_ifindex = (uint32_t)args->interface,
                                         .sxdp_queue_id = args->queue};
    int r;
    *s = (struct xdp_socket){.base = args->base,
                             .bytes = args->bytes,
                             .chunk_bytes = args->chunk_bytes,
                             .zero_copy = (flags & XDP_ZEROCOPY) != 0,
                             .multi_buffer = (flags & XDP_USE_SG) != 0};
    *step = XDP_STEP_SOCKET;
    s->fd = SYS(socket, AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (s->fd < 0) return s->fd;
    *step = XDP_STEP_MEMORY;
    r = set_option(s, SOL_XDP, XDP_UMEM_REG, &memory, sizeof memory);
    if (r == 0) r = create_rings(s, args->slots);
    if (r == 0) {
        *step = XDP_STEP_BIND;
        s->busy_poll = args->busy_poll_us && prefer_busy_poll(s, args->busy_poll_us);
        r = SYS(bind, s->fd, (const struct sockaddr *)&address, sizeof address);
    }
    if (r < 0) xdp_socket_close(s);
    return r;
}

int xdp_socket_open(struct xdp_socket *s, const struct xdp_socket_args *args, enum xdp_step *step) {
    int r = -EOPNOTSUPP;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (modes[i] & XDP_ZEROCOPY && !args->zero_copy) continue;
        r = try_open(s, args, modes[i], step);
        if (r == 0 || r == -EBUSY || *step != XDP_STEP_BIND) break;
    }
    return r;
}

void xdp_socket_close(struct xdp_socket *s) {
    struct xdp_ring *const rings[] = {&s->rx, &s->tx, &s->fill, &s->completion};
    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++) {
        if (rings[i]->map) munmap(rings[i]->map, rings[i]->map_bytes);
        rings[i]->map = NULL;
    }
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}

/* ---- calls ---- */

int xdp_socket_kick(struct xdp_socket *s) {
    uint32_t calls = s->tx.slots / KICK_FRAMES;
    ssize_t r = 0;
    while (calls-- > 0 && xdp_ring_room(&s->tx) < s->tx.slots) {
        uint32_t before = s->tx.other;
        s->kicks++;
        r = SYS(send, s->fd, NULL, 0, MSG_DONTWAIT);
        if (r >= 0 || s->zero_copy) break;
        if (r != -EAGAIN || xdp_ring_room(&s->tx) == s->tx.slots - (s->tx.at - before)) break; /* no progress */
    }
    return r < 0 ? (int)r : 0;
}

void xdp_socket_poll(struct xdp_socket *s) {
    (void)SYS(recvfrom, s->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}
