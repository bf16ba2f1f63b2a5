/* SPDX-License-Identifier: MIT */
/* Non-blocking echo of one socket. */
#include "peer.h"

#include "baseline.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int peer_accept(int listener) {
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static bool again(void) {
    return errno == EAGAIN || errno == EINTR;
}

enum peer_state peer_echo(struct peer *p, char *buf) {
    ssize_t n = recv(p->fd, buf, BUFFER_BYTES, 0), sent;
    if (n < 0 && again()) return PEER_IDLE;
    if (n <= 0) return PEER_GONE;
    sent = send(p->fd, buf, (size_t)n, MSG_NOSIGNAL);
    if (sent == n) return PEER_ACTIVE;
    if (sent < 0 && !again()) return PEER_GONE;
    if (sent < 0) sent = 0;
    p->rest_len = (size_t)(n - sent);
    p->rest_done = 0;
    p->rest = malloc(p->rest_len);
    if (!p->rest) return PEER_GONE;
    memcpy(p->rest, buf + sent, p->rest_len);
    return PEER_FULL;
}

enum peer_state peer_flush(struct peer *p) {
    ssize_t n = send(p->fd, p->rest + p->rest_done, p->rest_len - p->rest_done, MSG_NOSIGNAL);
    if (n < 0) return again() ? PEER_FULL : PEER_GONE;
    p->rest_done += (size_t)n;
    if (p->rest_done < p->rest_len) return PEER_FULL;
    free(p->rest);
    p->rest = NULL;
    return PEER_ACTIVE;
}

void peer_close(struct peer *p) {
    free(p->rest);
    close(p->fd);
}

bool datagram_echo(int fd, char *buf) {
    struct sockaddr_in6 from;
    socklen_t len = sizeof from;
    ssize_t n = recvfrom(fd, buf, BUFFER_BYTES, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
    if (n < 0) return false;
    sendto(fd, buf, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&from, len);
    return true;
}
