/* SPDX-License-Identifier: MIT */
/*
 * A host of one stack with POSIX sockets in front: one lock, a clock, descriptors, and callers that sleep. All
 * functions but host_new and host_delete are called with the lock held, and return a negative errno where they fail.
 */
#ifndef TESTS_PACKETDRILL_HOST_H
#define TESTS_PACKETDRILL_HOST_H

#include "base/list.h"
#include "inet/tcp/tcp.h"
#include "inet/udp/udp.h"
#include "interface.h"

#include <netinet/in.h>
#include <pthread.h>

#define NEVER            UINT64_MAX
#define NS_PER_US        1000ull
#define NS_PER_MS        1000000ull
#define NS_PER_S         1000000000ull
#define HOST_FDS         4096
#define HOST_PACKETS     4096u
#define HOST_PACKET_MAX  65535u
#define HOST_WATCHES_MAX 1024u

struct flags {
    uint32_t local; /* network order */
    uint16_t mtu;
    bool real_time;
    bool tso;                     /* packets leave as a device that cuts them would get them */
    struct tcp_settings settings; /* of all connections */
};

/* Parses "key=value,...". False: `why` says what is wrong. */
bool flags_parse(struct flags *f, const char *text, char *why, size_t bytes);

enum file_kind { FILE_STREAM, FILE_LISTENER, FILE_CONN, FILE_DATAGRAM, FILE_EPOLL, FILE_PIPE };

/* An open descriptor. It lives as long as a call works on it, also when it is closed meanwhile. */
struct file {
    int fd; /* of the kernel: a placeholder, or a pipe's end */
    enum file_kind kind;
    uint32_t refs;
    bool closed;
    bool nonblock;
    bool shut_read, shut_write;
    bool connect_told; /* connect has returned 0, or does not need to */
    bool error_told;   /* what ended the connection */
    bool full;         /* somebody waits for room */
    bool reuse;
    struct linger linger;
    struct tcp_settings settings;
    struct inet_endpoint bound;
    union {
        struct tcp_listener *listener;
        struct tcp_conn *conn;
        struct udp_socket *udp;
    };
    uint64_t in_edges, out_edges; /* how often it became readable, writable: for edge-triggered watches */
    struct list watches;          /* FILE_EPOLL */
    uint32_t watch_count;
};

struct out_packet {
    uint64_t at_ns;
    uint32_t bytes;
    uint8_t *data;
};

struct waiter {
    struct list link;
    uint64_t deadline_ns;
    bool woken;
};

struct host {
    pthread_mutex_t lock;
    pthread_cond_t wake;    /* waiters look whether they are woken */
    pthread_cond_t settled; /* no woken one has yet to run; or nobody is inside any more */
    pthread_cond_t rearm;   /* the timer thread looks when it is needed next */
    struct flags flags;
    struct inet *stack;
    uint64_t now_ns;
    struct list waiters;
    uint32_t waking;  /* woken and not yet running */
    uint32_t callers; /* calls under way */
    bool changed;     /* since those who sleep have last been told */
    bool ending;
    pthread_t timers; /* real time only */
    struct file *files[HOST_FDS];
    struct out_packet packets[HOST_PACKETS]; /* a ring */
    uint32_t packet_first, packet_count;
};

/* host.c */
struct host *host_new(const struct flags *f);
void host_delete(struct host *h);
/* Around every call. leave turns the sign of an error. */
struct host *host_enter(void *userdata);
int64_t host_leave(struct host *h, int64_t result);
/* What the stack has to tell goes to its files; who sleeps looks again, where anything has changed. */
void host_tell(struct host *h);
/* Sleeps until something may have changed. -ETIMEDOUT: the deadline has come; -EINTR: the host ends. */
int host_wait(struct host *h, uint64_t deadline_ns);

/* clock.c */
int clock_start(struct host *h);
void clock_stop(struct host *h);
uint64_t clock_read(struct host *h);
/* Lets time pass until `until`, or until a packet leaves if `packet`. */
void clock_pass(struct host *h, uint64_t until, bool packet);
/* NEVER for a negative number. */
uint64_t clock_deadline(const struct host *h, int timeout_ms);

/* wire.c */
int wire_transmit(void *ctx, const struct inet_frame *frame);
int wire_send(struct host *h, const void *buf, size_t count);
int wire_receive(struct host *h, void *buf, size_t *count, long long *usec);
int wire_start(struct host *h);

/* files.c */
int file_new(struct host *h, enum file_kind kind, int fd, struct file **out); /* fd -1: a placeholder is made */
/* Takes a reference; -EBADF. */
int file_get(struct host *h, int fd, struct file **out);
void file_put(struct file *f);
int file_close(struct host *h, int fd);
/* What poll tells of it. */
uint32_t file_ready(const struct file *f);
int file_fcntl(struct file *f, int cmd, long value);
int file_ioctl(struct file *f, unsigned long request, int *value);

/* connect.c */
int host_socket(struct host *h, int domain, int type);
int host_bind(struct file *f, const struct sockaddr *addr, socklen_t len);
int host_listen(struct host *h, struct file *f, int backlog);
int host_accept(struct host *h, struct file *f, struct sockaddr *addr, socklen_t *len);
int host_connect(struct host *h, struct file *f, const struct sockaddr *addr, socklen_t len);
int host_shutdown(struct host *h, struct file *f, int how);
int endpoint_read(struct inet_endpoint *e, const struct sockaddr *addr, socklen_t len);
void endpoint_write(const struct inet_endpoint *e, struct sockaddr *addr, socklen_t *len);

/* data.c */
int64_t host_receive(struct host *h, struct file *f, struct msghdr *msg, int flags);
int64_t host_send(struct host *h, struct file *f, const struct msghdr *msg, int flags);
/* Pushes what there is room for; how much, or -EAGAIN. */
int64_t conn_push(struct host *h, struct file *f, const void *from, size_t bytes, bool more);
/* How the connection ended, told once: then it is at its end. */
int conn_failure(struct file *f);

/* options.c */
int host_getsockopt(const struct host *h, struct file *f, int level, int name, void *value, socklen_t *len);
int host_setsockopt(struct host *h, struct file *f, int level, int name, const void *value, socklen_t len);

/* poll.c */
int host_poll(struct host *h, struct pollfd *fds, nfds_t count, int timeout_ms);
int host_epoll_ctl(struct host *h, struct file *e, struct file *f, int op, const struct epoll_event *event);
int host_epoll_wait(struct host *h, struct file *e, struct epoll_event *events, int count, int timeout_ms);
bool epoll_ready(const struct file *e);
void epoll_clear(struct file *e);
void epoll_forget(struct host *h, const struct file *f);

/* pipe.c */
int host_pipe(struct host *h, int fds[2]);
int64_t pipe_move(struct host *h, struct file *f, const struct iovec *iov, size_t count, bool out);
int64_t host_splice(struct host *h, struct file *in, struct file *out, size_t len, unsigned flags);

#endif
