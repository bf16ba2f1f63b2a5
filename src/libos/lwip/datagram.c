/* SPDX-License-Identifier: MIT */
/* UDP sockets over lwIP, which does not report ICMP errors to them: the calls of the stack. */
#include "libos/socket/datagram.h"

#include "base/sys.h"
#include "libos/lwip/net.h"
#include "mem/heap.h"

#include "lwip/udp.h"

struct lw_datagram {
    struct datagram datagram;
    struct lw_net *net;
    struct udp_pcb *pcb;
    struct list received; /* struct message */
    uint32_t received_bytes;
};

/* A received datagram, contiguous. */
struct message {
    struct list link;
    struct pbuf *p;
    struct inet_endpoint from;
};

static struct lw_datagram *lw_datagram_of(const struct datagram *d) {
    return list_entry(d, struct lw_datagram, datagram);
}

static struct inet_endpoint endpoint_of(const ip_addr_t *ip, uint16_t port) {
    return (struct inet_endpoint){inet_addr_ip4(ip->addr), port};
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

/* The pop becomes an owner of the datagram's memory. */
static int lw_receive(struct datagram *d, struct op *op) {
    struct lw_datagram *ld = lw_datagram_of(d);
    struct message *m = unlink_message(ld);
    if (!m) return -EAGAIN;
    heap_share(m->p->payload);
    if (datagram_set_popped(op, m->p->payload, m->p->len, &m->from)) lw_count(ld->net, datagrams_truncated);
    free_message(m);
    return 0;
}

/* Copies a datagram that was reassembled from fragments into one pbuf. Returns NULL if there is no memory. */
static struct pbuf *make_contiguous(struct lw_datagram *d, struct pbuf *p) {
    if (!p->next) return p;
    struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
    if (copy) counter_add(&d->net->rt->counters, copied_bytes, p->tot_len);
    pbuf_free(p);
    return copy;
}

static void on_received(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip, uint16_t port) {
    struct lw_datagram *d = arg;
    (void)pcb;
    if (d->received_bytes + p->tot_len > (uint32_t)d->datagram.receive_limit) {
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
    *m = (struct message){.p = p, .from = endpoint_of(ip, port)};
    d->received_bytes += p->len;
    list_push_back(&d->received, &m->link);
    datagram_ready(&d->datagram); /* completes operations without callbacks */
}

/* Builds pbufs that refer to the pushed memory. NULL: there is no memory. */
static struct pbuf *make_pbufs(const struct op *op) {
    struct pbuf *all = op->bytes ? NULL : pbuf_alloc(PBUF_TRANSPORT, 0, PBUF_RAM);
    for (uint32_t i = 0; i < op->numsegs; i++) {
        if (op->segs[i].sgaseg_len == 0) continue;
        struct pbuf *p = pbuf_alloc_reference(op->segs[i].sgaseg_buf, (uint16_t)op->segs[i].sgaseg_len, PBUF_REF);
        if (!p) {
            if (all) pbuf_free(all);
            return NULL;
        }
        if (all)
            pbuf_cat(all, p);
        else
            all = p;
    }
    return all;
}

static int lw_send(struct datagram *d, const struct op *op, const struct inet_endpoint *to, uint64_t now) {
    struct udp_pcb *pcb = lw_datagram_of(d)->pcb;
    (void)now;
    struct pbuf *p = make_pbufs(op);
    if (!p) return -ENOMEM;
    err_t err;
    if (to) {
        ip_addr_t ip = {inet_addr_to_ip4(&to->addr)};
        err = udp_sendto(pcb, p, &ip, to->port);
    } else {
        err = udp_send(pcb, p);
    }
    pbuf_free(p);
    return err == ERR_IF ? 0 : lw_error(err); /* while the link is down the datagram is lost, as on the wire */
}

static void lw_free(struct datagram *d) {
    struct lw_datagram *ld = lw_datagram_of(d);
    for (struct message *m; (m = unlink_message(ld));)
        free_message(m);
    udp_remove(ld->pcb);
    sys_free(ld);
}

static int lw_bind(struct datagram *d, const struct inet_endpoint *local) {
    struct lw_datagram *ld = lw_datagram_of(d);
    ip_addr_t ip = {inet_addr_is_any(&local->addr) ? 0 : inet_addr_to_ip4(&local->addr)};
    if (ld->pcb->local_port) return -EINVAL;
    int r = lw_net_local(ld->net, local);
    return r ? r : lw_error(udp_bind(ld->pcb, &ip, local->port));
}

static int lw_connect(struct datagram *d, const struct inet_endpoint *remote) {
    ip_addr_t ip = {inet_addr_to_ip4(&remote->addr)};
    return lw_error(udp_connect(lw_datagram_of(d)->pcb, &ip, remote->port));
}

static void lw_disconnect(struct datagram *d) {
    udp_disconnect(lw_datagram_of(d)->pcb);
}

static struct inet_endpoint lw_local(const struct datagram *d) {
    const struct udp_pcb *pcb = lw_datagram_of(d)->pcb;
    return endpoint_of(&pcb->local_ip, pcb->local_port);
}

static struct inet_endpoint lw_remote(const struct datagram *d) {
    const struct udp_pcb *pcb = lw_datagram_of(d)->pcb;
    return endpoint_of(&pcb->remote_ip, pcb->remote_port);
}

/* on_received reads the limit itself. */
static void lw_configure(struct datagram *d) {
    struct udp_pcb *pcb = lw_datagram_of(d)->pcb;
    pcb->tos = (uint8_t)d->tos;
    pcb->ttl = (uint8_t)d->ttl;
}

static const struct datagram_transport transport = {
    .send = lw_send,
    .receive = lw_receive,
    .bind = lw_bind,
    .connect = lw_connect,
    .disconnect = lw_disconnect,
    .local = lw_local,
    .remote = lw_remote,
    .configure = lw_configure,
    .free = lw_free,
};

static const struct queue_ops ops = {.backend = "lwip/udp", DATAGRAM_OPS};

int lw_datagram_new(struct lw_net *net, struct queue **q_out) {
    struct lw_datagram *d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    if (!(d->pcb = udp_new())) {
        sys_free(d);
        return -ENOBUFS;
    }
    udp_recv(d->pcb, on_received, d);
    d->net = net;
    list_init(&d->received);
    datagram_init(&d->datagram, net->rt, &net->sockets, &ops, &transport, d->pcb->ttl);
    *q_out = &d->datagram.q;
    return 0;
}
