/* SPDX-License-Identifier: MIT */
/* A message over the kernel's loopback within one thread: with system calls, and with the library. */
#include "component.h"

#include <dmtr/dmtr.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE 64

static struct sockaddr_in loopback(void) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int fds[3] = {-1, -1, -1}; /* listener and the two ends */

static void end_kernel(uint64_t unused) {
    (void)unused;
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) close(fds[i]);
        fds[i] = -1;
    }
}

static int begin_kernel(uint64_t unused) {
    struct sockaddr_in a = loopback();
    socklen_t len = sizeof a;
    int one = 1;
    (void)unused;
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fds[0] < 0 || fds[1] < 0) return errno;
    if (bind(fds[0], (struct sockaddr *)&a, sizeof a) || listen(fds[0], 1) ||
        getsockname(fds[0], (struct sockaddr *)&a, &len) || connect(fds[1], (struct sockaddr *)&a, sizeof a))
        return errno;
    fds[2] = accept4(fds[0], NULL, NULL, SOCK_CLOEXEC);
    if (fds[2] < 0) return errno;
    setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return 0;
}

static uint64_t run_kernel(uint64_t n, uint64_t unused) {
    char buf[MESSAGE] = {0};
    uint64_t begin = dmtr_now_ns();
    (void)unused;
    for (uint64_t i = 0; i < n; i++)
        if (send(fds[1], buf, sizeof buf, 0) != MESSAGE || recv(fds[2], buf, sizeof buf, MSG_WAITALL) != MESSAGE)
            return COMPONENT_FAILED;
    return dmtr_now_ns() - begin;
}

static int qds[3] = {-1, -1, -1};
static dmtr_sgarray_t message;

static void end_dmtr(uint64_t unused) {
    (void)unused;
    for (int i = 0; i < 3; i++) {
        if (qds[i] >= 0) dmtr_close(qds[i]);
        qds[i] = -1;
    }
    dmtr_sgafree(&message);
}

static int begin_dmtr(uint64_t unused) {
    struct sockaddr_in a = loopback();
    socklen_t len = sizeof a;
    dmtr_qtoken_t qts[2];
    dmtr_qresult_t qrs[2];
    int one = 1, r;
    (void)unused;
    message = dmtr_sgaalloc(MESSAGE);
    if (message.sga_numsegs == 0) return ENOMEM;
    memset(message.sga_segs[0].sgaseg_buf, 0, MESSAGE);
    if ((r = dmtr_socket(&qds[0], AF_INET, SOCK_STREAM, 0)) || (r = dmtr_socket(&qds[1], AF_INET, SOCK_STREAM, 0)) ||
        (r = dmtr_bind(qds[0], (struct sockaddr *)&a, sizeof a)) || (r = dmtr_listen(qds[0], 1)) ||
        (r = dmtr_getsockname(qds[0], (struct sockaddr *)&a, &len)) || (r = dmtr_accept(&qts[0], qds[0])) ||
        (r = dmtr_connect(&qts[1], qds[1], (struct sockaddr *)&a, sizeof a)) || (r = dmtr_wait_all(qrs, qts, 2)))
        return r;
    qds[2] = qrs[0].qr_value.ares.qd;
    return dmtr_setsockopt(qds[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static uint64_t run_dmtr(uint64_t n, uint64_t unused) {
    uint64_t begin = dmtr_now_ns();
    (void)unused;
    for (uint64_t i = 0; i < n; i++) {
        dmtr_qtoken_t qts[2];
        dmtr_qresult_t qrs[2];
        if (dmtr_push(&qts[0], qds[1], &message) || dmtr_pop(&qts[1], qds[2]) || dmtr_wait_all(qrs, qts, 2))
            return COMPONENT_FAILED;
        dmtr_sgafree(&qrs[1].qr_value.sga);
    }
    return dmtr_now_ns() - begin;
}

const struct component socket_components[] = {
    {"tcp-kernel", "send and recv over loopback, 64 bytes, for comparison", 0, begin_kernel, run_kernel, end_kernel},
    {"tcp-dmtr", "dmtr_push, dmtr_pop, dmtr_wait_all over loopback, 64 bytes", 0, begin_dmtr, run_dmtr, end_dmtr},
    {0}};
