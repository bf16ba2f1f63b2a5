/* SPDX-License-Identifier: MIT */
/* Descriptors: each of our files has one of the kernel's, so that no number is taken twice. */
#include "host.h"

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

int file_new(struct host *h, enum file_kind kind, int fd, struct file **out) {
    struct file *f = sys_calloc(1, sizeof *f);
    if (!f) return -ENOMEM;
    if (fd < 0) fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0 || fd >= HOST_FDS) {
        int error = fd < 0 ? -errno : -EMFILE;
        if (fd >= 0) close(fd);
        sys_free(f);
        return error;
    }
    f->fd = fd;
    f->kind = kind;
    f->refs = 1;
    f->settings = h->flags.settings;
    list_init(&f->watches);
    h->files[fd] = f;
    *out = f;
    return fd;
}

int file_get(struct host *h, int fd, struct file **out) {
    if (fd < 0 || fd >= HOST_FDS || !h->files[fd]) return -EBADF;
    *out = h->files[fd];
    (*out)->refs++;
    return 0;
}

void file_put(struct file *f) {
    if (--f->refs == 0) sys_free(f);
}

static void conn_close(struct host *h, struct file *f) {
    if (f->linger.l_onoff && f->linger.l_linger == 0)
        tcp_abort(f->conn, h->now_ns);
    else
        tcp_close(f->conn, h->now_ns);
}

int file_close(struct host *h, int fd) {
    if (fd < 0 || fd >= HOST_FDS || !h->files[fd]) return -EBADF;
    struct file *f = h->files[fd];
    h->files[fd] = NULL;
    f->closed = true;
    epoll_forget(h, f);
    if (f->kind == FILE_LISTENER) tcp_listener_close(f->listener, h->now_ns);
    if (f->kind == FILE_CONN) conn_close(h, f);
    if (f->kind == FILE_DATAGRAM) udp_close(f->udp);
    if (f->kind == FILE_EPOLL) epoll_clear(f);
    close(f->fd);
    file_put(f);
    h->changed = true;
    return 0;
}

static uint32_t conn_ready(const struct file *f) {
    struct tcp_status s;
    uint32_t ready = 0, limit = 0;
    tcp_get_status(f->conn, &s);
    tcp_get_option(f->conn, TCP_OPTION_SEND_LIMIT, &limit);
    bool opening = s.state == TCP_STATE_SYN_SENT || s.state == TCP_STATE_SYN_RECEIVED;
    bool peer_done = s.state == TCP_STATE_CLOSE_WAIT || s.state == TCP_STATE_CLOSING || s.state == TCP_STATE_LAST_ACK ||
                     s.state == TCP_STATE_TIME_WAIT || s.state == TCP_STATE_CLOSED;
    if (opening) return 0;
    if (tcp_available(f->conn) > 0 || peer_done || f->shut_read) ready |= POLLIN | POLLRDNORM;
    if (peer_done || f->shut_read) ready |= POLLRDHUP;
    if (tcp_unacked(f->conn) < limit || f->shut_write || s.state == TCP_STATE_CLOSED) ready |= POLLOUT | POLLWRNORM;
    if (s.state == TCP_STATE_CLOSED || (peer_done && f->shut_write)) ready |= POLLHUP;
    if (tcp_error(f->conn) && !f->error_told) ready |= POLLERR;
    return ready;
}

uint32_t file_ready(const struct file *f) {
    struct pollfd real = {.fd = f->fd, .events = POLLIN | POLLOUT};
    switch (f->kind) {
    case FILE_STREAM:
        return POLLOUT | POLLHUP;
    case FILE_LISTENER:
        return tcp_acceptable(f->listener) ? POLLIN | POLLRDNORM : 0;
    case FILE_CONN:
        return conn_ready(f);
    case FILE_DATAGRAM:
        return POLLOUT | POLLWRNORM | (udp_readable(f->udp) ? POLLIN | POLLRDNORM : 0u);
    case FILE_EPOLL:
        return epoll_ready(f) ? POLLIN | POLLRDNORM : 0;
    default:
        return poll(&real, 1, 0) > 0 ? (uint32_t)real.revents : 0;
    }
}

int file_fcntl(struct file *f, int cmd, long value) {
    switch (cmd) {
    case F_GETFL:
        return O_RDWR | (f->nonblock ? O_NONBLOCK : 0);
    case F_SETFL:
        f->nonblock = value & O_NONBLOCK;
        return 0;
    case F_GETFD:
    case F_SETFD:
        return SYS(fcntl, f->fd, cmd, value);
    default:
        return -EINVAL;
    }
}

int file_ioctl(struct file *f, unsigned long request, int *value) {
    struct tcp_status s;
    if (!value) return -EFAULT;
    if (request == FIONBIO) {
        f->nonblock = *value != 0;
        return 0;
    }
    if (f->kind == FILE_PIPE) return SYS(ioctl, f->fd, request, value);
    if (f->kind != FILE_CONN) return -EINVAL;
    switch (request) {
    case SIOCINQ:
        *value = (int)tcp_available(f->conn);
        return 0;
    case SIOCOUTQ:
        *value = (int)tcp_unacked(f->conn);
        return 0;
    case SIOCOUTQNSD:
        tcp_get_status(f->conn, &s);
        *value = (int)s.not_sent;
        return 0;
    default:
        return -ENOTTY;
    }
}
