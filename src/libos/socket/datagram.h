/* SPDX-License-Identifier: MIT */
/*
 * Datagram sockets over a user-space stack. A libos embeds a struct datagram in its own structure and supplies a struct
 * datagram_transport, the calls of its stack. A closed socket is kept until its pushes have left. datagram.c has
 * creation, names and options; datagram_data.c has pushes, pops and closing.
 *
 * Functions return 0 or a negative errno. Only the thread of the socket's runtime calls them.
 */
#ifndef LIBOS_SOCKET_DATAGRAM_H
#define LIBOS_SOCKET_DATAGRAM_H

#include "core/completion.h"
#include "libos/address.h"
#include "libos/socket/socket_set.h"

#define DATAGRAM_BYTES_MAX 65507u /* the largest payload of UDP over IPv4 */

struct datagram;

/* The calls of a stack. They call nothing back that frees the socket. */
struct datagram_transport {
    /*
     * Sends the segments of a push, which are in the heap, and holds their memory as long as needed; `to` NULL: to the
     * connected peer. Binds the socket if it is not bound. -EAGAIN: no room, and datagrams_unblock follows; any other
     * error fails only this push.
     */
    int (*send)(struct datagram *d, const struct op *op, const struct inet_endpoint *to, uint64_t now);
    /* A push was appended to those that wait for room. NULL: nothing to do. */
    void (*waits)(struct datagram *d);
    /* Fills a pop (datagram_set_popped) with the oldest datagram. -EAGAIN: there is none. */
    int (*receive)(struct datagram *d, struct op *op);
    /* Port 0 chooses a port. -EINVAL: bound already; -EADDRNOTAVAIL, -EADDRINUSE, -ENOMEM. */
    int (*bind)(struct datagram *d, const struct inet_endpoint *local);
    int (*connect)(struct datagram *d, const struct inet_endpoint *remote);
    void (*disconnect)(struct datagram *d);
    struct inet_endpoint (*local)(const struct datagram *d);
    struct inet_endpoint (*remote)(const struct datagram *d);
    /* The application has changed receive_limit, tos or ttl. */
    void (*configure)(struct datagram *d);
    /* Frees the structure and the stack's socket; the datagram is in no list. */
    void (*free)(struct datagram *d);
};

/* The transport only reads it. */
struct datagram {
    struct queue q;
    const struct datagram_transport *transport;
    struct socket_set *set;
    struct list pushes;  /* pushes that wait for room at the device */
    struct list pops;    /* waiting pops */
    struct list link;    /* set->datagrams */
    struct list blocked; /* set->blocked, while `pushes` is not empty */
    struct op *close_op;
    int receive_limit; /* bytes of received datagrams that the stack keeps */
    int tos, ttl;
    bool connected, shut_read, shut_write, closed;
};

/* The entries of a struct queue_ops. */
#define DATAGRAM_OPS                                                                                                   \
    .socket = true, .pop_call = datagram_pop_call, .push = datagram_push, .pop = datagram_pop,                         \
    .connect = datagram_connect, .cancel = datagram_cancel, .close = datagram_close, .bind = datagram_bind,            \
    .shutdown = datagram_shutdown, .getsockname = datagram_getsockname, .getpeername = datagram_getpeername,           \
    .setsockopt = datagram_setsockopt, .getsockopt = datagram_getsockopt

static inline struct datagram *datagram_of_queue(struct queue *q) {
    return list_entry(q, struct datagram, q);
}

/* ---- for the libos ---- */

/* Adds a zeroed structure to the set. `ttl`: the stack's. */
void datagram_init(struct datagram *d, struct dmtr_runtime *rt, struct socket_set *set, const struct queue_ops *ops,
                   const struct datagram_transport *transport, int ttl);
/* The stack has a datagram or an error for the socket. */
void datagram_ready(struct datagram *d);
/* The device has room: continues waiting pushes. May free sockets. */
void datagrams_unblock(struct socket_set *set, uint64_t now);
/* set->lost has become true: fails the outstanding operations of all sockets. */
void datagrams_lost(struct socket_set *set);
/* The runtime ends: ends the waiting pushes of closed sockets, and frees these. */
void datagrams_fini(struct socket_set *set);

/*
 * Makes a datagram in a heap block the result of a pop, which then owns the block; cuts it to the pop's limit. Returns
 * whether it was cut.
 */
static inline bool datagram_set_popped(struct op *op, void *base, uint32_t len, const struct inet_endpoint *from) {
    bool cut = op->flags & OP_LIMITED && op->bytes < len;
    op_set_popped(op, base, cut ? (uint32_t)op->bytes : len);
    op->sga.sga_addr = address_make(from);
    op->sga.sga_addrlen = sizeof op->sga.sga_addr;
    return cut;
}

/* ---- queue operations; see core/queue.h ---- */

int datagram_pop_call(struct queue *q, dmtr_qtoken_t *qt_out);
int datagram_push(struct queue *q, struct op *op);
int datagram_pop(struct queue *q, struct op *op);
int datagram_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len);
bool datagram_cancel(struct queue *q, struct op *op);
void datagram_close(struct queue *q, struct op *op);
int datagram_bind(struct queue *q, const struct sockaddr *addr, socklen_t len);
int datagram_shutdown(struct queue *q, int how);
int datagram_getsockname(struct queue *q, struct sockaddr *addr, socklen_t *len);
int datagram_getpeername(struct queue *q, struct sockaddr *addr, socklen_t *len);
int datagram_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len);
int datagram_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len);

#endif
