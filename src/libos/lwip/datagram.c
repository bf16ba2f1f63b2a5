/* SPDX-License-Identifier: MIT */
/* UDP sockets over lwIP, which does not report ICMP errors to them. */
#include "libos/lwip/net.h"

#include "base/clock.h"
#include "base/sys.h"
#include "libos/address.h"
#include "libos/lwip/host.h"
#include "mem/heap.h"

#include "lwip/udp.h"

#define RECEIVE_LIMIT 212992 /* bytes of datagrams held until they are popped; Linux's default */
#define PAYLOAD_MAX   65507u

struct lw_datagram {
    struct queue q;
    struct lw_net *net;
    struct udp_pcb *pcb;
    struct list link;     /* net->datagrams */
    struct list received; /* struct message */
    struct list pushes;   /* waiting for room at the device */
    struct list pops;
    struct op *close_op;
    uint32_t received_bytes;
    int receive_limit; /* bytes */
    bool connected, shut_read, shut_write, closed;
};

/* A received datagram, contiguous. */
struct message {
    struct list link;
    struct pbuf *p;
    struct sockaddr_in from;
};

static struct lw_datagram *to_datagram(struct queue *q) {
    return list_entry(q, struct lw_datagram, q);
}

static struct message *unlink_message(struct lw_datagram *d) {
    struct list *l = list_pop_front(&d->received);
    if (!l) return NULL;
    struct message *m = list_entry(l, struct message, link);
    d->received_bytes -= m->p->len;
    return m;
}

static void free_message(struct message *m) {
    pbuf_free(m->p);
    heap_free(m);
}

/* Fills a pop; it becomes an owner of the datagram's memory. */
static void pop_fill(struct lw_datagram *d, struct op *op, const struct message *m) {
    uint32_t len = m->p->len;
    if (op->flags & OP_LIMITED && op->bytes < len) {
        len = (uint32_t)op->bytes;
        lw_count(d->net, datagrams_truncated);
    }
    heap_share(m->p->payload);
    op->sga.sga_buf = m->p->payload;
    op->sga.sga_numsegs = 1;
    op->sga.sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = m->p->payload, .sgaseg_len = len};
    op->sga.sga_addr = m->from;
    op->sga.sga_addrlen = sizeof op->sga.sga_addr;
}

static void serve_pops(struct lw_datagram *d) {
    for (struct op *op; (op = op_first(&d->pops));) {
        struct message *m = unlink_message(d);
        if (!m && !d->shut_read) return;
        if (m) {
            pop_fill(d, op, m);
            free_message(m);
        }
        list_remove(&op->link);
        op_complete(d->q.rt, op, 0);
    }
}

static int datagram_pop(struct queue *q, struct op *op) {
    struct lw_datagram *d = to_datagram(q);
    list_push_back(&d->pops, &op->link);
    if (op_first(&d->pops) == op) serve_pops(d);
    if (!d->net->lost || op->state != OP_PENDING) return 0;
    list_remove(&op->link); /* datagrams that arrived before the device was lost have been popped */
    return -ENETDOWN;
}

/* Copies a datagram that was reassembled from fragments into one pbuf. Returns NULL if there is no memory. */
static struct pbuf *make_contiguous(struct lw_datagram *d, struct pbuf *p) {
    if (!p->next) return p;
    struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
    if (copy) counter_add(&d->q.rt->counters, copied_bytes, p->tot_len);
    pbuf_free(p);
    return copy;
}

static void on_received(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip, uint16_t port) {
    struct lw_datagram *d = arg;
    (void)pcb;
    if (d->received_bytes + p->tot_len > (uint32_t)d->receive_limit) {
        lw_count(d->net, receive_limit);
        pbuf_free(p);
        return;
    }
    struct message *m = heap_alloc(sizeof *m);
    p = make_contiguous(d, p);
    if (!m || !p) {
        if (m) heap_free(m);
        if (p) pbuf_free(p);
        return;
    }
    *m =
        (struct message){.p = p, .from = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = ip->addr}};
    d->received_bytes += p->len;
    list_push_back(&d->received, &m->link);
    serve_pops(d); /* completes operations without callbacks */
}

/*
 * Builds the pbufs of a push. They refer to the pushed memory, unless some of it is outside the heap: then all of it is
 * copied, because a device accepts only heap memory.
 */
static struct pbuf *make_pbufs(struct lw_datagram *d, const struct op *op) {
    bool foreign = op->numsegs == 0;
    for (uint32_t i = 0; i < op->numsegs; i++)
        foreign |= !heap_owns(op->segs[i].sgaseg_buf);
    struct pbuf *all = foreign ? pbuf_alloc(PBUF_TRANSPORT, (uint16_t)op->bytes, PBUF_RAM) : NULL;
    uint16_t at = 0;
    for (uint32_t i = 0; i < op->numsegs; i++) {
        void *base = op->segs[i].sgaseg_buf;
        uint16_t bytes = (uint16_t)op->segs[i].sgaseg_len;
        if (foreign) {
            if (all && bytes) pbuf_take_at(all, base, bytes, at);
            at = (uint16_t)(at + bytes);
            continue;
        }
        struct pbuf *p = pbuf_alloc_reference(base, bytes, PBUF_REF);
        if (!p) {
            if (all) pbuf_free(all);
            return NULL;
        }
        if (all)
            pbuf_cat(all, p);
        else
            all = p;
    }
    if (foreign && all) {
        d->q.copies++;
        counter_add(&d->q.rt->counters, copied_bytes, op->bytes);
    }
    return all;
}

/* Returns -EAGAIN if the device has no room. */
static int send_datagram(struct lw_datagram *d, struct op *op) {
    struct inet_endpoint to = {.port = 0};
    struct pbuf *p = make_pbufs(d, op);
    if (!p) return -ENOMEM;
    err_t err;
    if (op->flags & OP_TO) {
        address_take(&to, (const struct sockaddr *)&op->sga.sga_addr, op->sga.sga_addrlen);
        ip_addr_t ip = {inet_addr_to_ip4(&to.addr)};
        err = udp_sendto(d->pcb, p, &ip, to.port);
    } else {
        err = udp_send(d->pcb, p);
    }
    pbuf_free(p);
    return err == ERR_IF ? 0 : lw_error(err); /* while the link is down the datagram is lost, as on the wire */
}

static int push_refused(const struct lw_datagram *d, const struct op *op) {
    struct inet_endpoint to;
    if (d->shut_write) return -EPIPE;
    if (d->net->lost) return -ENETDOWN;
    if (!(op->flags & OP_TO)) return d->connected ? 0 : -EDESTADDRREQ;
    int r = address_take(&to, (const struct sockaddr *)&op->sga.sga_addr, op->sga.sga_addrlen);
    return r ? r : to.port == 0 ? -EINVAL : 0;
}

static int datagram_push(struct queue *q, struct op *op) {
    struct lw_datagram *d = to_datagram(q);
    int r = push_refused(d, op);
    if (r) return r;
    host_set_time(clock_now_ns());
    r = list_empty(&d->pushes) ? send_datagram(d, op) : -EAGAIN;
    if (r == -EAGAIN)
        list_push_back(&d->pushes, &op->link);
    else
        op_complete(q->rt, op, r);
    return 0;
}

static void datagram_free(struct lw_datagram *d) {
    for (struct message *m; (m = unlink_message(d));)
        free_message(m);
    udp_remove(d->pcb);
    list_remove(&d->link);
    if (d->closed) d->q.rt->lingering--;
    sys_free(d);
}

/* All pushes have completed, the last one with `error`. */
static void pushes_ended(struct lw_datagram *d, int error) {
    if (!d->closed) return;
    if (d->close_op) op_complete(d->q.rt, d->close_op, error);
    datagram_free(d);
}

static void send_waiting(struct lw_datagram *d) {
    int r = 0;
    if (list_empty(&d->pushes)) return;
    for (struct op *op; (op = op_first(&d->pushes));) {
        r = send_datagram(d, op);
        if (r == -EAGAIN) return;
        list_remove(&op->link);
        op_complete(d->q.rt, op, r);
    }
    pushes_ended(d, r);
}

void lw_datagram_retry(struct lw_net *net) {
    struct list *l, *tmp;
    list_for_each (&net->datagrams, l, tmp)
        send_waiting(list_entry(l, struct lw_datagram, link));
}

static void end_pushes(struct lw_datagram *d, int error) {
    if (list_empty(&d->pushes)) return;
    ops_complete(d->q.rt, &d->pushes, error);
    pushes_ended(d, error);
}

void lw_datagram_lost(struct lw_net *net) {
    struct list *l, *tmp;
    list_for_each (&net->datagrams, l, tmp) {
        struct lw_datagram *d = list_entry(l, struct lw_datagram, link);
        serve_pops(d);
        ops_complete(d->q.rt, &d->pops, -ENETDOWN);
        end_pushes(d, -ENETDOWN);
    }
}

void lw_datagram_fini(struct lw_net *net) {
    for (struct list *l; (l = list_first(&net->datagrams));)
        end_pushes(list_entry(l, struct lw_datagram, link), -ETIMEDOUT);
}

static bool datagram_cancel(struct queue *q, struct op *op) {
    (void)q;
    list_remove(&op->link);
    return true;
}

static void datagram_close(struct queue *q, struct op *op) {
    struct lw_datagram *d = to_datagram(q);
    d->closed = true;
    d->close_op = op;
    q->rt->lingering++;
    ops_complete(q->rt, &d->pops, -ECANCELED);
    if (list_empty(&d->pushes)) pushes_ended(d, 0);
}

static int datagram_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len) {
    struct lw_datagram *d = to_datagram(q);
    struct inet_endpoint remote;
    bool undo = addr->sa_family == AF_UNSPEC;
    int r = undo ? 0 : address_take(&remote, addr, len);
    if (undo) {
        udp_disconnect(d->pcb);
    } else if (!r) {
        ip_addr_t ip = {inet_addr_to_ip4(&remote.addr)};
        r = lw_error(udp_connect(d->pcb, &ip, remote.port));
    }
    if (!r) d->connected = !undo;
    op_complete(q->rt, op, r);
    return 0;
}

static int datagram_bind(struct queue *q, const struct sockaddr *addr, socklen_t len) {
    struct lw_datagram *d = to_datagram(q);
    struct inet_endpoint local;
    int r = address_take(&local, addr, len);
    if (!r && d->pcb->local_port) r = -EINVAL;
    if (!r) r = lw_net_local(d->net, &local);
    if (r) return r;
    ip_addr_t ip = {inet_addr_is_any(&local.addr) ? 0 : inet_addr_to_ip4(&local.addr)};
    return lw_error(udp_bind(d->pcb, &ip, local.port));
}

static int datagram_shutdown(struct queue *q, int how) {
    struct lw_datagram *d = to_datagram(q);
    if (!d->connected) return -ENOTCONN;
    d->shut_read |= how != SHUT_WR;
    d->shut_write |= how != SHUT_RD;
    serve_pops(d);
    return 0;
}

static void copy_address(const ip_addr_t *ip, uint16_t port, struct sockaddr *addr, socklen_t *len) {
    struct inet_endpoint e = {inet_addr_ip4(ip->addr), port};
    address_give(&e, addr, len);
}

static int datagram_getsockname(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    const struct udp_pcb *pcb = to_datagram(q)->pcb;
    copy_address(&pcb->local_ip, pcb->local_port, addr, len);
    return 0;
}

static int datagram_getpeername(struct queue *q, struct sockaddr *addr, socklen_t *len) {
    struct lw_datagram *d = to_datagram(q);
    if (!d->connected) return -ENOTCONN;
    copy_address(&d->pcb->remote_ip, d->pcb->remote_port, addr, len);
    return 0;
}

static int datagram_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len) {
    int number;
    bool reuse = name == SO_REUSEADDR || name == SO_REUSEPORT; /* always on */
    if (level != SOL_SOCKET || (name != SO_RCVBUF && !reuse)) return -ENOPROTOOPT;
    if (len < sizeof number) return -EINVAL;
    if (reuse) return 0;
    memcpy(&number, value, sizeof number);
    if (number <= 0) return -EINVAL;
    to_datagram(q)->receive_limit = number;
    return 0;
}

static int datagram_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len) {
    const struct {
        int name, value;
    } options[] = {{SO_RCVBUF, to_datagram(q)->receive_limit},
                   {SO_REUSEADDR, 1},
                   {SO_REUSEPORT, 1},
                   {SO_TYPE, SOCK_DGRAM},
                   {SO_DOMAIN, AF_INET},
                   {SO_PROTOCOL, IPPROTO_UDP},
                   {SO_ACCEPTCONN, 0}};
    for (size_t i = 0; level == SOL_SOCKET && i < sizeof options / sizeof *options; i++) {
        if (options[i].name != name) continue;
        if (*len > sizeof(int)) *len = sizeof(int);
        memcpy(value, &options[i].value, *len);
        return 0;
    }
    return -ENOPROTOOPT;
}

static const struct queue_ops ops = {
    .backend = "lwip/udp",
    .socket = true,
    .push = datagram_push,
    .pop = datagram_pop,
    .connect = datagram_connect,
    .cancel = datagram_cancel,
    .close = datagram_close,
    .bind = datagram_bind,
    .shutdown = datagram_shutdown,
    .getsockname = datagram_getsockname,
    .getpeername = datagram_getpeername,
    .setsockopt = datagram_setsockopt,
    .getsockopt = datagram_getsockopt,
};

int lw_datagram_new(struct lw_net *net, struct queue **q_out) {
    struct lw_datagram *d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    if (!(d->pcb = udp_new())) {
        sys_free(d);
        return -ENOBUFS;
    }
    udp_recv(d->pcb, on_received, d);
    queue_init(&d->q, net->rt, &ops);
    d->q.message_limit_bytes = PAYLOAD_MAX;
    d->net = net;
    d->receive_limit = RECEIVE_LIMIT;
    list_init(&d->received);
    list_init(&d->pushes);
    list_init(&d->pops);
    list_push_back(&net->datagrams, &d->link);
    *q_out = &d->q;
    return 0;
}
