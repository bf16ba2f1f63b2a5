/* SPDX-License-Identifier: MIT */
/* TCP sockets over the library's own stack: the calls of the stack, and the options that only it has. */
#include "libos/inet/stream.h"

#include "base/sys.h"
#include "libos/inet/linux_info.h"
#include "libos/socket/option.h"
#include "mem/heap.h"

#define CONGESTION_NAME_BYTES 16 /* Linux's TCP_CA_NAME_MAX */

/* The earlier pieces of a push, which the stack may hold back until the last one arrives, leave room for the next. */
_Static_assert(2 * STREAM_PIECE_BYTES < STREAM_SEND_LEAST, "the smallest send buffer");

static int write_copy(struct net_stream *s, struct inet_segment *piece, bool more, uint64_t now) {
    void *copy = heap_alloc(piece->len);
    if (!copy) return -ENOMEM;
    memcpy(copy, piece->base, piece->len);
    piece->base = copy;
    int r = tcp_push(s->conn, piece, more, now);
    heap_free(copy);
    if (r) return r;
    s->stream.q.copies++;
    counter_add(&s->net->rt->counters, copied_bytes, piece->len);
    return 0;
}

static int stack_write(struct stream *s, const void *base, uint32_t bytes, uint32_t flags, uint64_t now) {
    struct net_stream *ns = net_stream_of(s);
    struct inet_segment piece = {base, bytes};
    bool more = flags & STREAM_WRITE_MORE;
    if (likely(flags & STREAM_WRITE_HELD)) {
        int held = tcp_push_held(ns->conn, &piece, more, now);
        return held ? held : (int)bytes;
    }
    int r = heap_owns(base) ? tcp_push(ns->conn, &piece, more, now) : write_copy(ns, &piece, more, now);
    return r ? r : (int)bytes;
}

static bool stack_readable(const struct stream *s) {
    return tcp_readable(net_stream_of(s)->conn);
}

static int stack_pop(struct stream *s, struct op *op, uint64_t now) {
    struct inet_slice slice = {NULL, 0};
    uint64_t limit = op->flags & OP_LIMITED && op->bytes < UINT32_MAX ? op->bytes : UINT32_MAX;
    int r = tcp_pop(net_stream_of(s)->conn, &slice, (uint32_t)limit, now);
    if (r == 0 && slice.len > 0) op_set_popped(op, slice.base, slice.len);
    return r;
}

static uint64_t stack_unacked(const struct stream *s) {
    return tcp_unacked(net_stream_of(s)->conn);
}

static bool stack_delivered(const struct stream *s) {
    return tcp_delivered(net_stream_of(s)->conn);
}

static int stack_error(const struct stream *s) {
    return tcp_error(net_stream_of(s)->conn);
}

static void stack_shutdown(struct stream *s, uint64_t now) {
    tcp_shutdown(net_stream_of(s)->conn, now);
}

static int stack_can_bind(const struct stream *s, const struct inet_endpoint *local) {
    return tcp_can_listen(net_stream_of(s)->net->stack, local);
}

static int stack_listen(struct stream *s, uint32_t backlog) {
    struct net_stream *ns = net_stream_of(s);
    if (!ns->listener) return tcp_listen(ns->net->stack, &ns->listener, &s->local, backlog, &ns->settings, s);
    tcp_listener_set_backlog(ns->listener, backlog);
    return 0;
}

static int stack_accept(struct stream *s, struct stream **out) {
    struct net_stream *listener = net_stream_of(s), *fresh;
    int r = net_stream_make(listener->net, &fresh);
    if (r) return r;
    r = tcp_accept(listener->listener, &fresh->conn, &fresh->stream);
    if (r) {
        stream_free(&fresh->stream);
        return r;
    }
    fresh->settings = listener->settings;
    fresh->stream.state = STREAM_CONNECTED;
    *out = &fresh->stream;
    return 0;
}

static int stack_connect(struct stream *s, const struct inet_endpoint *remote, uint64_t now) {
    struct net_stream *ns = net_stream_of(s);
    return tcp_connect(ns->net->stack, &ns->conn, remote, &s->local, &ns->settings, s, now);
}

static struct inet_endpoint stack_local(const struct stream *s) {
    const struct net_stream *ns = net_stream_of(s);
    return ns->conn ? tcp_local(ns->conn) : s->local;
}

static struct inet_endpoint stack_remote(const struct stream *s) {
    return tcp_remote(net_stream_of(s)->conn);
}

static void stack_stop_reading(struct stream *s, bool unread) {
    tcp_stop_reading(net_stream_of(s)->conn, unread);
}

static bool stack_unread(const struct stream *s) {
    return tcp_unread(net_stream_of(s)->conn);
}

static bool stack_finished(const struct stream *s) {
    return tcp_finished(net_stream_of(s)->conn);
}

static void stack_close(struct stream *s, uint64_t now) {
    struct net_stream *ns = net_stream_of(s);
    if (ns->listener) tcp_listener_close(ns->listener, now);
    if (ns->conn) tcp_close(ns->conn, now);
    ns->listener = NULL;
    ns->conn = NULL;
}

static void stack_abort(struct stream *s, uint64_t now) {
    struct net_stream *ns = net_stream_of(s);
    if (ns->conn) tcp_abort(ns->conn, now);
    ns->conn = NULL;
}

static void stack_free(struct stream *s) {
    sys_free(net_stream_of(s));
}

static int stack_set_option(struct stream *s, enum tcp_option option, uint32_t value, uint64_t now) {
    struct net_stream *ns = net_stream_of(s);
    int r = tcp_option_check(option, value);
    if (r) return r;
    ns->settings.values[option] = value;
    if (ns->listener) tcp_listener_configure(ns->listener, &ns->settings);
    return ns->conn ? tcp_set_option(ns->conn, option, value, now) : 0;
}

static int stack_get_option(const struct stream *s, enum tcp_option option, uint32_t *value) {
    const struct net_stream *ns = net_stream_of(s);
    struct tcp_status status;
    *value = ns->settings.values[option];
    if (ns->conn) tcp_get_option(ns->conn, option, value);
    if (ns->conn && option == TCP_OPTION_MAXSEG) {
        tcp_get_status(ns->conn, &status);
        *value = status.mss;
    }
    return 0;
}

static const struct stream_transport transport = {
    .write = stack_write,
    .takes_holds = true,
    .readable = stack_readable,
    .pop = stack_pop,
    .unacked = stack_unacked,
    .delivered = stack_delivered,
    .error = stack_error,
    .shutdown = stack_shutdown,
    .can_bind = stack_can_bind,
    .listen = stack_listen,
    .accept = stack_accept,
    .connect = stack_connect,
    .local = stack_local,
    .remote = stack_remote,
    .stop_reading = stack_stop_reading,
    .unread = stack_unread,
    .finished = stack_finished,
    .close = stack_close,
    .abort = stack_abort,
    .free = stack_free,
    .set_option = stack_set_option,
    .get_option = stack_get_option,
};

static int set_congestion(struct stream *s, const void *value, socklen_t len) {
    char name[CONGESTION_NAME_BYTES] = "";
    memcpy(name, value, len < sizeof name ? len : sizeof name - 1);
    int number = tcp_congestion_find(name);
    return number < 0 ? number : stream_set_option(s, TCP_OPTION_CONGESTION, (uint32_t)number);
}

static int net_stream_setsockopt(struct queue *q, int level, int name, const void *value, socklen_t len) {
    if (stream_option_named(level, name) == STREAM_NAMED_CONGESTION)
        return set_congestion(stream_of_queue(q), value, len);
    return stream_setsockopt(q, level, name, value, len);
}

static int get_congestion(const struct stream *s, void *value, socklen_t *len) {
    char name[CONGESTION_NAME_BYTES] = "";
    uint32_t number;
    stack_get_option(s, TCP_OPTION_CONGESTION, &number);
    strncpy(name, tcp_congestion_name(number), sizeof name - 1);
    return option_give(name, sizeof name, value, len);
}

static int get_info(const struct stream *s, void *value, socklen_t *len) {
    const struct net_stream *ns = net_stream_of(s);
    struct tcp_status status;
    if (!ns->conn) return -ENOTCONN;
    tcp_get_status(ns->conn, &status);
    *len = (socklen_t)linux_tcp_info(&status, clock_now_ns(), value, *len);
    return 0;
}

static int net_stream_getsockopt(struct queue *q, int level, int name, void *value, socklen_t *len) {
    enum stream_named named = stream_option_named(level, name);
    if (named == STREAM_NAMED_CONGESTION) return get_congestion(stream_of_queue(q), value, len);
    if (named == STREAM_NAMED_INFO) return get_info(stream_of_queue(q), value, len);
    return stream_getsockopt(q, level, name, value, len);
}

static const struct queue_ops ops = {
    .backend = "inet/tcp",
    STREAM_OPS,
    .transfer = net_stream_transfer,
    .setsockopt = net_stream_setsockopt,
    .getsockopt = net_stream_getsockopt,
};

int net_stream_make(struct net *net, struct net_stream **out) {
    struct net_stream *s = sys_calloc(1, sizeof *s);
    if (!s) return -ENOMEM;
    stream_init(&s->stream, net->rt, &net->sockets, &ops, &transport);
    s->net = net;
    s->settings = tcp_settings_default;
    list_init(&s->arrived);
    list_push_back(&net->sockets.streams, &s->stream.link);
    *out = s;
    return 0;
}

int net_stream_new(struct net *net, struct queue **q_out) {
    struct net_stream *s;
    int r = net_stream_make(net, &s);
    if (!r) *q_out = &s->stream.q;
    return r;
}

void net_stream_ready(void *socket, uint32_t events, uint64_t now) {
    struct stream *s = socket;
    if (unlikely(s->state == STREAM_CONNECTING) && events & (INET_EVENT_CONNECTED | INET_EVENT_CLOSED))
        stream_connected(s, stack_error(s), now);
    stream_ready(s, now);
}
