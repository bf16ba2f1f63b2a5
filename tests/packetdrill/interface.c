/* SPDX-License-Identifier: MIT */
/* The table: each function takes the lock, finds the file, does the call, and turns the result into POSIX's. */
#include "interface.h"

#include "host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the function with the result of `call`, an expression of h and of f, the file of the descriptor. */
#define ON_FILE(descriptor, call)                                                                                      \
    struct host *h = host_enter(userdata);                                                                             \
    struct file *f;                                                                                                    \
    int64_t result = file_get(h, descriptor, &f);                                                                      \
    if (result == 0) {                                                                                                 \
        result = (call);                                                                                               \
        file_put(f);                                                                                                   \
    }                                                                                                                  \
    return (int)host_leave(h, result)

static void drill_free(void *userdata) {
    host_delete(userdata);
}

static int drill_socket(void *userdata, int domain, int type, int protocol) {
    struct host *h = host_enter(userdata);
    (void)protocol;
    return (int)host_leave(h, host_socket(h, domain, type));
}

static int drill_bind(void *userdata, int fd, const struct sockaddr *addr, socklen_t len) {
    ON_FILE(fd, host_bind(f, addr, len));
}

static int drill_listen(void *userdata, int fd, int backlog) {
    ON_FILE(fd, host_listen(h, f, backlog));
}

static int drill_accept(void *userdata, int fd, struct sockaddr *addr, socklen_t *len) {
    ON_FILE(fd, host_accept(h, f, addr, len));
}

static int drill_connect(void *userdata, int fd, const struct sockaddr *addr, socklen_t len) {
    ON_FILE(fd, host_connect(h, f, addr, len));
}

static ssize_t drill_recvmsg(void *userdata, int fd, struct msghdr *msg, int flags) {
    ON_FILE(fd, host_receive(h, f, msg, flags));
}

static ssize_t drill_sendmsg(void *userdata, int fd, const struct msghdr *msg, int flags) {
    ON_FILE(fd, host_send(h, f, msg, flags));
}

static ssize_t drill_readv(void *userdata, int fd, const struct iovec *iov, int count) {
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count < 0 ? 0 : (size_t)count};
    return drill_recvmsg(userdata, fd, &msg, 0);
}

static ssize_t drill_writev(void *userdata, int fd, const struct iovec *iov, int count) {
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count < 0 ? 0 : (size_t)count};
    return drill_sendmsg(userdata, fd, &msg, 0);
}

static ssize_t drill_recvfrom(void *userdata, int fd, void *buf, size_t len, int flags, struct sockaddr *from,
                              socklen_t *from_len) {
    struct iovec iov = {buf, len};
    struct msghdr msg = {.msg_name = from, .msg_namelen = from_len ? *from_len : 0, .msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = drill_recvmsg(userdata, fd, &msg, flags);
    if (from_len && n >= 0) *from_len = msg.msg_namelen;
    return n;
}

static ssize_t drill_sendto(void *userdata, int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
                            socklen_t to_len) {
    struct iovec iov = {(void *)buf, len};
    struct msghdr msg = {.msg_name = (void *)to, .msg_namelen = to_len, .msg_iov = &iov, .msg_iovlen = 1};
    return drill_sendmsg(userdata, fd, &msg, flags);
}

static ssize_t drill_recv(void *userdata, int fd, void *buf, size_t len, int flags) {
    return drill_recvfrom(userdata, fd, buf, len, flags, NULL, NULL);
}

static ssize_t drill_read(void *userdata, int fd, void *buf, size_t count) {
    return drill_recvfrom(userdata, fd, buf, count, 0, NULL, NULL);
}

static ssize_t drill_send(void *userdata, int fd, const void *buf, size_t len, int flags) {
    return drill_sendto(userdata, fd, buf, len, flags, NULL, 0);
}

static ssize_t drill_write(void *userdata, int fd, const void *buf, size_t count) {
    return drill_sendto(userdata, fd, buf, count, 0, NULL, 0);
}

static int drill_fcntl(void *userdata, int fd, int cmd, ...) {
    va_list args;
    va_start(args, cmd);
    long value = va_arg(args, long);
    va_end(args);
    ON_FILE(fd, file_fcntl(f, cmd, value));
}

static int drill_ioctl(void *userdata, int fd, unsigned long request, ...) {
    va_list args;
    va_start(args, request);
    int *value = va_arg(args, int *);
    va_end(args);
    ON_FILE(fd, file_ioctl(f, request, value));
}

static int drill_close(void *userdata, int fd) {
    struct host *h = host_enter(userdata);
    return (int)host_leave(h, file_close(h, fd));
}

static int drill_shutdown(void *userdata, int fd, int how) {
    ON_FILE(fd, host_shutdown(h, f, how));
}

static int drill_getsockopt(void *userdata, int fd, int level, int name, void *value, socklen_t *len) {
    ON_FILE(fd, host_getsockopt(h, f, level, name, value, len));
}

static int drill_setsockopt(void *userdata, int fd, int level, int name, const void *value, socklen_t len) {
    ON_FILE(fd, host_setsockopt(h, f, level, name, value, len));
}

static int drill_poll(void *userdata, struct pollfd *fds, nfds_t count, int timeout_ms) {
    struct host *h = host_enter(userdata);
    return (int)host_leave(h, host_poll(h, fds, count, timeout_ms));
}

static int drill_netdev_send(void *userdata, const void *buf, size_t count) {
    struct host *h = host_enter(userdata);
    return (int)host_leave(h, wire_send(h, buf, count));
}

static int drill_netdev_receive(void *userdata, void *buf, size_t *count, long long *usec) {
    struct host *h = host_enter(userdata);
    return (int)host_leave(h, wire_receive(h, buf, count, usec));
}

static int drill_usleep(void *userdata, useconds_t usec) {
    struct host *h = host_enter(userdata);
    clock_pass(h, h->now_ns + usec * NS_PER_US, false);
    return (int)host_leave(h, 0);
}

static int drill_gettimeofday(void *userdata, struct timeval *tv, struct timezone *tz) {
    struct host *h = host_enter(userdata);
    if (!h->flags.real_time) clock_pass(h, h->now_ns + NS_PER_US, false);
    uint64_t usec = h->now_ns / NS_PER_US;
    if (tv) *tv = (struct timeval){.tv_sec = (time_t)(usec / 1000000), .tv_usec = (suseconds_t)(usec % 1000000)};
    if (tz) *tz = (struct timezone){.tz_minuteswest = 0};
    return (int)host_leave(h, 0);
}

static int drill_epoll_create(void *userdata, int size) {
    struct host *h = host_enter(userdata);
    struct file *f;
    return (int)host_leave(h, size <= 0 ? -EINVAL : file_new(h, FILE_EPOLL, -1, &f));
}

static int drill_epoll_ctl(void *userdata, int epfd, int op, int fd, struct epoll_event *event) {
    struct host *h = host_enter(userdata);
    struct file *e, *f;
    int64_t result = file_get(h, epfd, &e);
    if (result == 0) {
        if ((result = file_get(h, fd, &f)) == 0) {
            result = host_epoll_ctl(h, e, f, op, event);
            file_put(f);
        }
        file_put(e);
    }
    return (int)host_leave(h, result);
}

static int drill_epoll_wait(void *userdata, int epfd, struct epoll_event *events, int count, int timeout_ms) {
    ON_FILE(epfd, host_epoll_wait(h, f, events, count, timeout_ms));
}

static int drill_pipe(void *userdata, int fds[2]) {
    struct host *h = host_enter(userdata);
    return (int)host_leave(h, host_pipe(h, fds));
}

static ssize_t drill_splice(void *userdata, int in, loff_t *in_offset, int out, loff_t *out_offset, size_t len,
                            unsigned flags) {
    struct host *h = host_enter(userdata);
    struct file *from, *to;
    int64_t result = in_offset || out_offset ? -ESPIPE : file_get(h, in, &from);
    if (result == 0) {
        if ((result = file_get(h, out, &to)) == 0) {
            result = host_splice(h, from, to, len, flags);
            file_put(to);
        }
        file_put(from);
    }
    return (ssize_t)host_leave(h, result);
}

__attribute__((visibility("default"))) void packetdrill_interface_init(const char *flags,
                                                                       struct packetdrill_interface *table) {
    struct flags parsed;
    struct host *h = NULL;
    char why[256] = "no memory";
    if (flags_parse(&parsed, flags, why, sizeof why)) h = host_new(&parsed);
    if (!h) {
        fprintf(stderr, "libdmtr-packetdrill: %s\n", why);
        exit(EXIT_FAILURE);
    }
    *table = (struct packetdrill_interface){
        h,
        drill_free,
        drill_socket,
        drill_bind,
        drill_listen,
        drill_accept,
        drill_connect,
        drill_read,
        drill_readv,
        drill_recv,
        drill_recvfrom,
        drill_recvmsg,
        drill_write,
        drill_writev,
        drill_send,
        drill_sendto,
        drill_sendmsg,
        drill_fcntl,
        drill_ioctl,
        drill_close,
        drill_shutdown,
        drill_getsockopt,
        drill_setsockopt,
        drill_poll,
        drill_netdev_send,
        drill_netdev_receive,
        drill_usleep,
        drill_gettimeofday,
        drill_epoll_create,
        drill_epoll_ctl,
        drill_epoll_wait,
        drill_pipe,
        drill_splice,
    };
}
