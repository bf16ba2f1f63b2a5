/* SPDX-License-Identifier: MIT */
/* One thread, epoll_wait, recv, send. */
#include "baseline.h"
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 256

static char buf[BUFFER_BYTES];

static bool watch(int ep, int op, int fd, uint32_t events, struct peer *p) {
    struct epoll_event ev = {.events = events, .data.ptr = p};
    return epoll_ctl(ep, op, fd, &ev) == 0;
}

static void accept_all(int ep, int listener) {
    int fd;
    while ((fd = peer_accept(listener)) >= 0) { /* NOLINT(clang-analyzer-unix.Malloc): epoll keeps the peer */
        struct peer *p = calloc(1, sizeof *p);
        if (p) p->fd = fd;
        if (p && watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, p)) continue;
        free(p);
        close(fd);
    }
}

static void serve_peer(int ep, struct peer *p) {
    bool was_full = p->rest != NULL;
    enum peer_state state = was_full ? peer_flush(p) : peer_echo(p, buf);
    if (state == PEER_GONE) {
        peer_close(p);
        free(p);
    } else if ((p->rest != NULL) != was_full) {
        watch(ep, EPOLL_CTL_MOD, p->fd, p->rest ? EPOLLOUT : EPOLLIN, p);
    }
}

int serve_epoll(int fd, bool udp) {
    struct epoll_event events[EVENTS];
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0) return baseline_fail("epoll_create1");
    if (!watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, NULL)) return baseline_fail("epoll_ctl");
    for (;;) {
        int n = epoll_wait(ep, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                serve_peer(ep, events[i].data.ptr);
            else if (udp)
                datagram_echo(fd, buf);
            else
                accept_all(ep, fd);
        }
    }
}
