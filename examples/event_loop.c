/* SPDX-License-Identifier: MIT */
/*
 * The library inside another event loop, here epoll with a timer of its own. The loop watches the descriptor of
 * dmtr_event_fd, and fetches results without blocking when it is readable.
 */
#include "check.h"
#include <dmtr/dmtr.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int ticks, messages;

/* The foreign part of the loop: each tick sends a datagram. */
static void tick(int timer, int client) {
    static const char text[] = "tick";
    uint64_t expirations;
    if (read(timer, &expirations, sizeof expirations) != sizeof expirations) return;
    char *buf;
    check(dmtr_malloc((void **)&buf, sizeof text));
    memcpy(buf, text, sizeof text);
    check(dmtr_push_buf_quiet(client, buf, sizeof text));
    check(dmtr_flush()); /* sends it now, not in the next wait */
    ticks++;
}

/* Fetches all results. A timeout of 0 polls, and ETIMEDOUT says that there is no further result. */
static void fetch(int server) {
    dmtr_qresult_t qr;
    int count, error;
    while ((error = dmtr_wait_next_n(&qr, 1, &count, 0)) == 0) {
        dmtr_qtoken_t qt;
        if (qr.qr_opcode != DMTR_OPC_POP) continue;
        check(qr.qr_error);
        check(dmtr_sgafree(&qr.qr_value.sga));
        check(dmtr_pop(&qt, server));
        messages++;
    }
    if (error != ETIMEDOUT) check(error);
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) check(errno);
}

int main(int argc, char *argv[]) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct itimerspec period = {.it_value.tv_nsec = 10000000, .it_interval.tv_nsec = 10000000};
    socklen_t len = sizeof addr;
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int server, client, events;

    check(dmtr_init(argc, argv));
    check(dmtr_socket(&server, AF_INET, SOCK_DGRAM, 0));
    check(dmtr_bind(server, (struct sockaddr *)&addr, len));
    check(dmtr_getsockname(server, (struct sockaddr *)&addr, &len));
    check(dmtr_socket(&client, AF_INET, SOCK_DGRAM, 0));
    check(dmtr_connect(&qt, client, (struct sockaddr *)&addr, len));
    check(dmtr_wait(&qr, qt));
    check(dmtr_pop(&qt, server));
    check(dmtr_event_fd(&events));

    int epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (epoll < 0 || timer < 0 || timerfd_settime(timer, 0, &period, NULL) != 0) check(errno);
    watch(epoll, events);
    watch(epoll, timer);
    while (messages < 3) {
        struct epoll_event ready;
        if (epoll_wait(epoll, &ready, 1, -1) < 1) continue;
        if (ready.data.fd == timer)
            tick(timer, client);
        else
            fetch(server);
    }
    printf("received %d messages\n", messages);
    close(timer);
    close(epoll);
    check(dmtr_fini());
    return 0;
}
