/* SPDX-License-Identifier: MIT */
/*
 * Sleeping on a queue. The descriptor is an epoll instance over the queue's interrupt and a timer. The interrupt is
 * edge-triggered, because drivers differ in whether its counter must be read. The timer ends a sleep regularly, because
 * no interrupt reports link changes and device removal.
 */
#include "netdev/dpdk/dpdk.h"

#include "base/sys.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CLOCK_NS   100000000
#define MISSED_MAX 4u /* consecutive sleeps that only the timer ended although frames had arrived */

enum { WOKEN_BY_CLOCK = 1, WOKEN_BY_QUEUE = 2 };

static int watch(const struct dpdk_sleep *s, int fd, uint32_t who) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = who};
    return SYS(epoll_ctl, s->fd, EPOLL_CTL_ADD, fd, &event);
}

static int start_clock(struct dpdk_sleep *s) {
    const struct itimerspec every = {{0, CLOCK_NS}, {0, CLOCK_NS}};
    int r;
    s->clock_fd = SYS(timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (s->clock_fd < 0) return s->clock_fd;
    r = SYS(timerfd_settime, s->clock_fd, 0, &every, NULL);
    return r < 0 ? r : watch(s, s->clock_fd, WOKEN_BY_CLOCK);
}

int dpdk_sleep_open(struct dpdk_sleep *s) {
    int r;
    *s = (struct dpdk_sleep){.fd = -1, .clock_fd = -1};
    s->fd = SYS(epoll_create1, EPOLL_CLOEXEC);
    r = s->fd < 0 ? s->fd : start_clock(s);
    if (r < 0) dpdk_sleep_close(s);
    return r;
}

void dpdk_sleep_close(struct dpdk_sleep *s) {
    rte_pktmbuf_free_bulk(s->kept, s->kept_count);
    if (s->clock_fd >= 0) close(s->clock_fd);
    if (s->fd >= 0) close(s->fd);
    *s = (struct dpdk_sleep){.fd = -1, .clock_fd = -1};
}

/* A queue has an interrupt only after its port has started. */
static bool attach(struct dpdk_sleep *s, uint16_t port, uint16_t queue) {
    int fd;
    if (s->attached) return true;
    fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port, queue);
    s->attached = fd >= 0 && watch(s, fd, WOKEN_BY_QUEUE) == 0;
    return s->attached;
}

bool dpdk_sleep_prepare(struct dpdk_sleep *s, uint16_t port, uint16_t queue) {
    if (s->kept_count > 0) return true;
    if (s->missed == MISSED_MAX || !attach(s, port, queue)) return false;
    if (!s->armed && rte_eth_dev_rx_intr_enable(port, queue) < 0) return false;
    s->armed = true;
    /*
     * Frames that arrived before the interrupt was enabled raise none. Receives them, because not all drivers can
     * report whether there are any.
     */
    s->kept_count = rte_eth_rx_burst(port, queue, s->kept, DPDK_BURST);
    return true;
}

/* Returns what ended the sleep: WOKEN_BY_*. */
static uint32_t wake_sources(const struct dpdk_sleep *s) {
    struct epoll_event events[2];
    uint64_t ticks;
    uint32_t sources = 0;
    int n = SYS(epoll_wait, s->fd, events, 2, 0);
    for (int i = 0; i < n; i++)
        sources |= events[i].data.u32;
    if (sources & WOKEN_BY_CLOCK)
        (void)SYS(read, s->clock_fd, &ticks, sizeof ticks); /* re-arms the edge-triggered event */
    return sources;
}

bool dpdk_sleep_end(struct dpdk_sleep *s, uint16_t port, uint16_t queue) {
    uint32_t sources;
    if (!s->armed) return true;
    sources = wake_sources(s);
    if (sources & WOKEN_BY_QUEUE) s->missed = 0;
    if (sources == WOKEN_BY_CLOCK && s->kept_count == 0) {
        s->kept_count = rte_eth_rx_burst(port, queue, s->kept, DPDK_BURST);
        s->missed += s->kept_count > 0;
    }
    (void)rte_eth_dev_rx_intr_disable(port, queue);
    s->armed = false;
    return s->missed < MISSED_MAX;
}

uint32_t dpdk_sleep_pop(struct dpdk_sleep *s, struct rte_mbuf **to, uint32_t n) {
    if (n > s->kept_count) n = s->kept_count;
    for (uint32_t i = 0; i < n; i++)
        to[i] = s->kept[i];
    s->kept_count -= n;
    for (uint32_t i = 0; i < s->kept_count; i++)
        s->kept[i] = s->kept[n + i];
    return n;
}
