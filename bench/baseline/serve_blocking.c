/* SPDX-License-Identifier: MIT */
/* A thread per connection, blocking receives and sends. */
#include "baseline.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

static bool send_all(int fd, const char *p, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static void *serve_one(void *arg) {
    int fd = (int)(intptr_t)arg;
    char buf[BUFFER_BYTES];
    for (;;) {
        ssize_t n = recv(fd, buf, sizeof buf, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0 || !send_all(fd, buf, (size_t)n)) break;
    }
    close(fd);
    return NULL;
}

_Noreturn static void serve_datagrams(int fd) {
    char buf[BUFFER_BYTES];
    struct sockaddr_in6 from;
    for (;;) {
        socklen_t len = sizeof from;
        ssize_t n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
        if (n >= 0) sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
    }
}

int serve_blocking(int fd, bool udp) {
    pthread_attr_t attr;
    pthread_t thread;
    int one = 1;
    if (udp) serve_datagrams(fd);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, (size_t)4 * BUFFER_BYTES);
    for (;;) {
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (peer < 0 && errno == EINTR) continue;
        if (peer < 0) {
            usleep(10000); /* out of descriptors: wait until a client leaves */
            continue;
        }
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (pthread_create(&thread, &attr, serve_one, (void *)(intptr_t)peer) != 0) close(peer);
    }
}
