/* SPDX-License-Identifier: MIT */
/* From socket to connection, and its end. */
#include "host.h"

#include "inet/tcp/conn.h"

#include <errno.h>
#include <string.h>

int endpoint_read(struct inet_endpoint *e, const struct sockaddr *addr, socklen_t len) {
    struct sockaddr_in in;
    if (!addr) return -EFAULT;
    if (len < sizeof in) return -EINVAL;
    memcpy(&in, addr, sizeof in);
    if (in.sin_family != AF_INET) return -EAFNOSUPPORT;
    *e = (struct inet_endpoint){inet_addr_ip4(in.sin_addr.s_addr), ntohs(in.sin_port)};
    return 0;
}

void endpoint_write(const struct inet_endpoint *e, struct sockaddr *addr, socklen_t *len) {
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(e->port), .sin_addr.s_addr = inet_addr_to_ip4(&e->addr)};
    if (!addr || !len) return;
    memcpy(addr, &in, *len < sizeof in ? *len : sizeof in);
    *len = sizeof in;
}

int host_socket(struct host *h, int domain, int type) {
    int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct udp_socket *udp = NULL;
    struct file *f;
    if (domain != AF_INET) return -EAFNOSUPPORT;
    if (kind != SOCK_STREAM && kind != SOCK_DGRAM) return -EPROTONOSUPPORT;
    int error = kind == SOCK_DGRAM ? udp_open(h->stack, &udp, NULL) : 0;
    if (error) return error;
    int fd = file_new(h, udp ? FILE_DATAGRAM : FILE_STREAM, -1, &f);
    if (fd < 0) {
        if (udp) udp_close(udp);
        return fd;
    }
    f->nonblock = type & SOCK_NONBLOCK;
    f->udp = udp;
    if (udp) ((struct inet_socket *)udp)->user = f;
    return fd;
}

int host_bind(struct file *f, const struct sockaddr *addr, socklen_t len) {
    struct inet_endpoint at;
    int error = endpoint_read(&at, addr, len);
    if (error) return error;
    if (f->kind == FILE_DATAGRAM) return udp_bind(f->udp, &at);
    if (f->kind != FILE_STREAM || f->bound.port) return -EINVAL;
    f->bound = at;
    return 0;
}

int host_listen(struct host *h, struct file *f, int backlog) {
    struct tcp_listener *l;
    if (f->kind == FILE_LISTENER) return 0;
    if (f->kind != FILE_STREAM) return f->kind == FILE_CONN ? -EINVAL : -EOPNOTSUPP;
    int error = tcp_listen(h->stack, &l, &f->bound, backlog < 1 ? 1 : (uint32_t)backlog, &f->settings, f);
    if (error) return error;
    f->kind = FILE_LISTENER;
    f->listener = l;
    return 0;
}

int host_accept(struct host *h, struct file *f, struct sockaddr *addr, socklen_t *len) {
    struct tcp_conn *conn;
    struct file *accepted;
    int error;
    if (f->kind != FILE_LISTENER) return f->kind == FILE_DATAGRAM ? -EOPNOTSUPP : -EINVAL;
    while ((error = f->closed ? -EBADF : tcp_accept(f->listener, &conn, NULL)) == -EAGAIN) {
        if (f->nonblock) return -EAGAIN;
        if ((error = host_wait(h, NEVER))) return error;
    }
    if (error) return error;
    int fd = file_new(h, FILE_CONN, -1, &accepted);
    if (fd < 0) {
        tcp_abort(conn, h->now_ns);
        return fd;
    }
    accepted->conn = conn;
    accepted->connect_told = true;
    accepted->settings = f->settings;
    accepted->linger = f->linger;
    conn->socket.user = accepted;
    struct inet_endpoint remote = tcp_remote(conn);
    endpoint_write(&remote, addr, len);
    return fd;
}

/* 0: it stands; -EALREADY: not yet; or why it does not. */
static int connect_state(const struct file *f) {
    struct tcp_status s;
    tcp_get_status(f->conn, &s);
    if (s.state == TCP_STATE_SYN_SENT || s.state == TCP_STATE_SYN_RECEIVED) return -EALREADY;
    return tcp_error(f->conn);
}

static int connect_end(struct host *h, struct file *f) {
    int error;
    while ((error = f->closed ? -EBADF : connect_state(f)) == -EALREADY)
        if ((error = host_wait(h, NEVER))) return error;
    f->connect_told = true;
    f->error_told |= error != 0;
    return error;
}

int host_connect(struct host *h, struct file *f, const struct sockaddr *addr, socklen_t len) {
    struct inet_endpoint to;
    struct tcp_conn *conn;
    int error = endpoint_read(&to, addr, len);
    if (error) return error;
    if (f->kind == FILE_DATAGRAM) return udp_connect(f->udp, &to);
    if (f->kind == FILE_CONN && f->connect_told) return -EISCONN;
    if (f->kind == FILE_CONN) return f->nonblock && connect_state(f) == -EALREADY ? -EALREADY : connect_end(h, f);
    if (f->kind != FILE_STREAM) return -EINVAL;
    if ((error = tcp_connect(h->stack, &conn, &to, &f->bound, &f->settings, f, h->now_ns))) return error;
    f->kind = FILE_CONN;
    f->conn = conn;
    return f->nonblock ? -EINPROGRESS : connect_end(h, f);
}

int host_shutdown(struct host *h, struct file *f, int how) {
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return -EINVAL;
    if (f->kind != FILE_CONN || tcp_error(f->conn)) return -ENOTCONN;
    if (how != SHUT_WR) f->shut_read = true;
    h->changed = true;
    if (how == SHUT_RD) return 0;
    f->shut_write = true;
    return tcp_shutdown(f->conn, h->now_ns);
}
