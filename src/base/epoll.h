/* SPDX-License-Identifier: MIT */
/* epoll with nanosecond timeouts, also where the C library has no wrapper for epoll_pwait2. */
#ifndef BASE_EPOLL_H
#define BASE_EPOLL_H

#include <sys/epoll.h>

#ifdef LACKS_EPOLL_PWAIT2
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline int epoll_pwait2(int fd, struct epoll_event *events, int n, const struct timespec *timeout,
                               const sigset_t *set) {
    return (int)syscall(SYS_epoll_pwait2, fd, events, n, timeout, set, _NSIG / 8);
}
#endif

#endif
