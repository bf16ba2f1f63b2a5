/* SPDX-License-Identifier: MIT */
/*
 * Connections that move from one runtime to another. The stack's connection and the application's settings move; each
 * side has its own stream for it. Arrived connections wait for an accept on the queue that dmtr_handover makes.
 */
#include "core/accept.h"
#include "libos/inet/device_group.h"
#include "libos/inet/stream.h"

#include "base/sys.h"
#include "libos/address.h"

#define ARRIVED_MAX 4096u

/* A connection that moves. */
struct migration {
    struct list link; /* in mailbox.migrations */
    struct tcp_conn *conn;
    struct tcp_settings settings;
    struct flow_key key;
    int linger_s;
    bool shut_read, shut_write, fin_sent;
};

struct handover {
    struct queue q;
    struct net *net;
    struct list waiters; /* waiting accepts */
};

static struct flow_key key_of(const struct tcp_conn *conn) {
    struct inet_endpoint local = tcp_local(conn), remote = tcp_remote(conn);
    struct inet_flow flow = {local.addr, remote.addr, local.port, remote.port};
    return group_key(IPPROTO_TCP, &flow);
}

/*
 * No segment is lost or refused while a connection moves from member A to member B.
 *
 * Before A detaches the connection, it makes sure that the flow table names A. It then puts the migration into B's
 * mailbox, and only then makes B the owner. A member that reads the table sees one of two owners:
 *
 * - A, the old one. The segment goes into A's mailbox, or A has it already. A steers every frame from its mailbox
 * again. A does nothing else during the move, so it does this after the owner has changed, and forwards the segment to
 * B.
 * - B, the new one. The read acquires what A released, so the migration is already in B's mailbox. B checks the mailbox
 *   after it has read that it is the owner and before it passes the segment to its stack, so it has attached the
 *   connection by then.
 *
 * A stays the owner until it names B, and B cannot take the migration before B is the owner, because A holds the mutex
 * of B's migrations. All steps that may fail (room at B, memory for the entry) come before the connection is detached,
 * so a transfer that fails does not change the connection.
 */
static int migrate(struct net_stream *s, struct migration *m, struct mailbox *to, uint32_t member) {
    struct net *net = s->net;
    struct steering *steering = &net->group->steering;
    int r = steering_hold(steering, net->member, &m->key);
    if (r) return r;
    if (tcp_detach(s->conn)) {
        steering_release(steering, net->member, &m->key);
        return -ENOTCONN;
    }
    mailbox_migrate(to, &m->link);
    steering_pass(steering, net->member, &m->key, member);
    net_claim(net, IPPROTO_TCP, m->key.local_port, true); /* until B has attached it */
    tcp_detached(net->stack, m->key.local_port);
    return 0;
}

/* Whether no operation of the stream is outstanding. */
static bool is_idle(const struct stream *s) {
    return list_empty(&s->waiters) && list_empty(&s->pushes) && list_empty(&s->sent);
}

int net_stream_transfer(struct queue *q, uint32_t runtime) {
    struct stream *s = stream_of_queue(q);
    struct net_stream *ns = net_stream_of(s);
    struct net *net = ns->net;
    uint32_t member;
    if (s->state != STREAM_CONNECTED) return -ENOTCONN;
    if (!list_empty(&net->sockets.written)) net_settle(net, clock_now_ns()); /* what was pushed leaves from here */
    if (!is_idle(s)) return -EBUSY;
    if (q->framing) return -EOPNOTSUPP; /* framing may hold part of a message */
    struct mailbox *to = net->group ? group_mailbox(net, runtime, &member) : NULL;
    if (!to) return -EXDEV;
    struct migration *m = sys_calloc(1, sizeof *m);
    if (!m) return -ENOMEM;
    *m = (struct migration){
        .conn = ns->conn,
        .settings = ns->settings,
        .key = key_of(ns->conn),
        .linger_s = s->linger_s,
        .shut_read = s->shut_read,
        .shut_write = s->shut_write,
        .fin_sent = s->fin_sent,
    };
    int r = mailbox_begin(to, runtime);
    if (!r) {
        r = migrate(ns, m, to, member);
        mailbox_end(to);
    }
    if (r) {
        sys_free(m);
        return r;
    }
    ns->conn = NULL; /* the remaining socket is like one that was never connected */
    s->state = STREAM_NEW;
    group_note(net, member);
    group_flush(net);
    return 0;
}

/* This runtime owns the connection from here on, also after an error. */
static int attach(struct net *net, const struct migration *m, struct net_stream **out, uint64_t now) {
    struct net_stream *ns = NULL;
    int r = net->arrived_count == ARRIVED_MAX || !net->handover ? -ENOBUFS : net_stream_make(net, &ns);
    struct stream *s = r ? NULL : &ns->stream;
    int attached = tcp_attach(net->stack, m->conn, s, now);
    net_claim(net, IPPROTO_TCP, m->key.local_port, false);
    if (attached) {
        steering_lost(&net->group->steering, net->member, &m->key);
        if (s) stream_free(s);
        return attached;
    }
    if (r) { /* reset the peer */
        tcp_abort(m->conn, now);
        return r;
    }
    ns->conn = m->conn;
    ns->settings = m->settings;
    s->state = STREAM_CONNECTED;
    s->written_bytes = tcp_unacked(m->conn); /* pushed before the transfer */
    s->linger_s = m->linger_s;
    s->shut_read = m->shut_read;
    s->shut_write = m->shut_write;
    s->fin_sent = m->fin_sent;
    *out = ns;
    return 0;
}

static void serve(struct net *net) {
    struct handover *h = net->handover;
    for (struct list *l; h && !list_empty(&h->waiters) && (l = list_pop_front(&net->arrived));) {
        struct net_stream *s = list_entry(l, struct net_stream, arrived);
        struct op *op = list_entry(list_pop_front(&h->waiters), struct op, link);
        struct inet_endpoint remote = tcp_remote(s->conn);
        struct sockaddr_in addr = address_make(&remote);
        net->arrived_count--;
        queue_accepted(op, &s->stream.q, (struct sockaddr *)&addr, sizeof addr);
    }
}

static void migration_arrived(struct net *net, struct migration *m, uint64_t now) {
    struct net_stream *s;
    int r = attach(net, m, &s, now);
    sys_free(m);
    if (r) {
        net_count(net, transfers_lost);
        return;
    }
    list_push_back(&net->arrived, &s->arrived);
    net->arrived_count++;
    serve(net);
}

uint32_t migrations_take(struct net *net, uint64_t *now) {
    struct list taken;
    uint32_t n = 0;
    list_init(&taken);
    mailbox_take_migrations(net->mailbox, &taken);
    *now = clock_now_ns(); /* later than all times that other threads have recorded in the connections */
    for (struct list *l; (l = list_pop_front(&taken)); n++)
        migration_arrived(net, list_entry(l, struct migration, link), *now);
    return n;
}

void migrations_end(struct net *net) {
    uint64_t now;
    mailbox_close(net->mailbox);
    migrations_take(net, &now); /* resets them, because the handover queue is closed */
}

static struct handover *to_handover(struct queue *q) {
    return list_entry(q, struct handover, q);
}

static int handover_accept(struct queue *q, struct op *op) {
    struct handover *h = to_handover(q);
    if (h->net->sockets.lost) return -ENETDOWN;
    list_push_back(&h->waiters, &op->link);
    serve(h->net);
    return 0;
}

void handover_lost(struct net *net) {
    if (net->handover) ops_complete(net->rt, &net->handover->waiters, -ENETDOWN);
}

static bool handover_cancel(struct queue *q, struct op *op) {
    (void)q;
    list_remove(&op->link);
    return true;
}

/* Resets arrived connections that were not accepted. */
static void handover_close(struct queue *q, struct op *op) {
    struct handover *h = to_handover(q);
    struct dmtr_runtime *rt = q->rt;
    struct net *net = h->net;
    uint64_t now = clock_now_ns();
    ops_complete(rt, &h->waiters, -ECANCELED);
    for (struct list *l; (l = list_pop_front(&net->arrived));) {
        struct net_stream *s = list_entry(l, struct net_stream, arrived);
        tcp_abort(s->conn, now);
        stream_free(&s->stream);
    }
    net->arrived_count = 0;
    net->handover = NULL;
    sys_free(h);
    if (op) op_complete(rt, op, 0);
    net_settle(net, now);
}

static const struct queue_ops ops = {
    .backend = "inet/handover",
    .socket = true,
    .accept = handover_accept,
    .cancel = handover_cancel,
    .close = handover_close,
};

int handover_new(struct net *net, struct queue **q_out) {
    if (!net->group) return -EOPNOTSUPP;
    if (net->handover) return -EADDRINUSE;
    struct handover *h = sys_calloc(1, sizeof *h);
    if (!h) return -ENOMEM;
    queue_init(&h->q, net->rt, &ops);
    h->net = net;
    list_init(&h->waiters);
    net->handover = h;
    *q_out = &h->q;
    return 0;
}
