/* SPDX-License-Identifier: MIT */
/*
 * The table by which packetdrill drives a stack that lives in a shared object (--so_filename, --so_flags). The order of
 * members is the contract. Socket calls are as in POSIX, behind userdata: -1 and errno.
 */
#ifndef TESTS_PACKETDRILL_INTERFACE_H
#define TESTS_PACKETDRILL_INTERFACE_H

#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

struct packetdrill_interface {
    void *userdata;
    void (*free)(void *userdata);
    int (*socket)(void *userdata, int domain, int type, int protocol);
    int (*bind)(void *userdata, int fd, const struct sockaddr *addr, socklen_t len);
    int (*listen)(void *userdata, int fd, int backlog);
    int (*accept)(void *userdata, int fd, struct sockaddr *addr, socklen_t *len);
    int (*connect)(void *userdata, int fd, const struct sockaddr *addr, socklen_t len);
    ssize_t (*read)(void *userdata, int fd, void *buf, size_t count);
    ssize_t (*readv)(void *userdata, int fd, const struct iovec *iov, int count);
    ssize_t (*recv)(void *userdata, int fd, void *buf, size_t len, int flags);
    ssize_t (*recvfrom)(void *userdata, int fd, void *buf, size_t len, int flags, struct sockaddr *from,
                        socklen_t *from_len);
    ssize_t (*recvmsg)(void *userdata, int fd, struct msghdr *msg, int flags);
    ssize_t (*write)(void *userdata, int fd, const void *buf, size_t count);
    ssize_t (*writev)(void *userdata, int fd, const struct iovec *iov, int count);
    ssize_t (*send)(void *userdata, int fd, const void *buf, size_t len, int flags);
    ssize_t (*sendto)(void *userdata, int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
                      socklen_t to_len);
    ssize_t (*sendmsg)(void *userdata, int fd, const struct msghdr *msg, int flags);
    int (*fcntl)(void *userdata, int fd, int cmd, ...);
    int (*ioctl)(void *userdata, int fd, unsigned long request, ...);
    int (*close)(void *userdata, int fd);
    int (*shutdown)(void *userdata, int fd, int how);
    int (*getsockopt)(void *userdata, int fd, int level, int name, void *value, socklen_t *len);
    int (*setsockopt)(void *userdata, int fd, int level, int name, const void *value, socklen_t len);
    int (*poll)(void *userdata, struct pollfd *fds, nfds_t count, int timeout_ms);
    /* A raw IP packet arrives at the stack, which has processed it when this returns. 0 or -1. */
    int (*netdev_send)(void *userdata, const void *buf, size_t count);
    /* The next IP packet that leaves the stack, and when it left. *count: room, then length; 0: none within a limit. */
    int (*netdev_receive)(void *userdata, void *buf, size_t *count, long long *usec);
    int (*usleep)(void *userdata, useconds_t usec);
    int (*gettimeofday)(void *userdata, struct timeval *tv, struct timezone *tz);
    int (*epoll_create)(void *userdata, int size);
    int (*epoll_ctl)(void *userdata, int epfd, int op, int fd, struct epoll_event *event);
    int (*epoll_wait)(void *userdata, int epfd, struct epoll_event *events, int count, int timeout_ms);
    int (*pipe)(void *userdata, int fds[2]);
    ssize_t (*splice)(void *userdata, int in, loff_t *in_offset, int out, loff_t *out_offset, size_t len,
                      unsigned flags);
};

typedef void packetdrill_interface_init_t(const char *flags, struct packetdrill_interface *table);

/* Fills the table in. What is wrong with the flags is said on standard error, and the process ends. */
packetdrill_interface_init_t packetdrill_interface_init;

#endif
