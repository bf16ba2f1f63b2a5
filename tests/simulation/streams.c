/* SPDX-License-Identifier: MIT */
/* Connections and their ends. */
#include "streams.h"

#include "inet/tcp/conn.h"
#include "mem/heap.h"

#include <errno.h>
#include <string.h>

#define TOTAL_MAX   (256u << 10)
#define PIECE_MAX   (64u << 10)
#define PIECES_MAX  300u /* pushes or pops of a stream, about */
#define PORT        80
#define KEEP_IDLE_S 30u
#define STOP_NS     (100 * SEC) /* an end does not read for so long, at most */
#define DEAF_NS     (400 * SEC)
#define MEET_NS     (600 * SEC) /* a client that has closed is met by its server within this */

/* Byte i of the stream that end `which` of connection `number` pushes. */
static uint8_t byte_at(const struct end *e, uint64_t i) {
    uint64_t key = e->stream->number * 2u + (e == &e->stream->ends[1]);
    return (uint8_t)(key * 89 + i * 167 + (i >> 8) * 13 + (i >> 16));
}

static struct end *peer_of(const struct end *e) {
    return &e->stream->ends[e == &e->stream->ends[0]];
}

static void end_draw(struct streams *t, struct end *e, struct stream *s, uint64_t total) {
    struct world *w = t->w;
    e->stream = s;
    e->node = &w->nodes[world_below(w, w->node_count)];
    e->total = total;
    e->push_most = 1 + (uint32_t)world_log_below(w, PIECE_MAX);
    e->pop_most = 1 + (uint32_t)world_log_below(w, PIECE_MAX);
    e->pause_percent = world_chance(w, 30) ? 1 + world_below(w, 40) : 0;
    e->pause_most_ns = 1 + world_log_below(w, t->gentle ? SEC : 20 * SEC);
    e->wake_ns = UINT64_MAX;
    if (e->total / e->push_most > PIECES_MAX) e->total = (uint64_t)e->push_most * PIECES_MAX;
}

static void stream_draw(struct streams *t, struct stream *s, uint32_t number, uint64_t spread_ns) {
    struct world *w = t->w;
    uint64_t most = w->nodes[0].config.mtu * 200u < TOTAL_MAX ? w->nodes[0].config.mtu * 200u : TOTAL_MAX;
    s->number = number;
    s->begins_ns = w->now + rng_below(&w->rng, spread_ns + 1);
    /* The client speaks: one that was let in by a cookie and is silent is not known to the server. */
    end_draw(t, &s->ends[0], s, 1 + world_log_below(w, most));
    end_draw(t, &s->ends[1], s, world_chance(w, 30) ? 0 : world_log_below(w, most));
    for (uint32_t i = 0; i < 2; i++) { /* popping in tiny pieces takes as long as pushing in such */
        struct end *e = &s->ends[i], *from = &s->ends[!i];
        if (from->total / e->pop_most > PIECES_MAX) e->pop_most = (uint32_t)(from->total / PIECES_MAX);
    }
    if (s->ends[1].total == 0 && world_chance(w, 30)) s->ends[0].ending = ENDS_BY_CLOSE;
    for (uint32_t i = 0; i < 2; i++) {
        if (!world_chance(w, 10)) continue;
        s->ends[i].stop_at = 1 + world_log_below(w, s->ends[!i].total);
        s->ends[i].stop_ns = 1 + world_log_below(w, t->stop_most_ns);
    }
    if (t->gentle || world_chance(w, 80)) return;
    struct end *e = &s->ends[world_below(w, 2)];
    e->ending = world_chance(w, 70) ? ENDS_BY_ABORT : ENDS_DEAF;
    uint64_t span = e->ending == ENDS_DEAF ? peer_of(e)->total : s->ends[0].total + s->ends[1].total;
    e->abort_at = world_log_below(w, span);
}

void streams_init(struct streams *t, struct world *w, bool gentle, uint64_t spread_ns) {
    *t = (struct streams){.w = w, .gentle = gentle, .listen_port = PORT};
    /* While memory is full data is dropped, and the end that has closed after it gives up within a minute. */
    t->stop_most_ns = gentle && w->nodes[0].config.tcp_memory ? STOP_NS / 20 : STOP_NS;
    t->count = 1 + (uint32_t)world_log_below(w, STREAMS_MAX - 1);
    t->backlog = gentle ? STREAMS_MAX : 1 + (uint32_t)world_log_below(w, STREAMS_MAX - 1);
    for (uint32_t i = 0; i < t->count; i++)
        stream_draw(t, &t->all[i], i, spread_ns);
    for (uint32_t i = 0; i < w->node_count; i++)
        streams_listen(t, &w->nodes[i]);
}

void streams_listen(struct streams *t, struct node *n) {
    struct inet *stacks[] = {n->stack, n->second};
    for (uint32_t i = 0; i < 2 && stacks[i]; i++) {
        struct inet_endpoint any = {.port = (uint16_t)(t->listen_port + i)};
        struct tcp_listener **l = &t->listeners[n - t->w->nodes][i];
        world_must(t->w, world_try(t->w, tcp_listen(stacks[i], l, &any, t->backlog, NULL, NULL)) == 0);
    }
}

void streams_unlisten(struct streams *t, struct node *n) {
    struct tcp_listener **l = t->listeners[n - t->w->nodes];
    for (uint32_t i = 0; i < 2; i++) {
        if (l[i]) tcp_listener_close(l[i], t->w->now);
        l[i] = NULL;
    }
}

static void end_finish(struct streams *t, struct end *e, int error) {
    world_say(t->w, "stream %u end %d: done, error %d, pushed %llu popped %llu", e->stream->number,
              e == &e->stream->ends[1], error, (unsigned long long)e->pushed, (unsigned long long)e->popped);
    world_must(t->w, !t->gentle || error == 0);
    e->conn = NULL;
    e->error = error;
    e->done = true;
    e->done_ns = t->w->now;
    e->wake_ns = UINT64_MAX;
}

static void end_options(struct streams *t, struct end *e) {
    struct world *w = t->w;
    const struct {
        enum tcp_option option;
        uint32_t percent, least, range;
    } choices[] = {
        {TCP_OPTION_KEEP_IDLE_S, 100, KEEP_IDLE_S, 0},
        {TCP_OPTION_KEEP_INTERVAL_S, 100, 5, 0},
        {TCP_OPTION_KEEPALIVE, 100, !t->gentle, 0},
        {TCP_OPTION_NODELAY, 50, 1, 0},
        {TCP_OPTION_QUICKACK, 10, 0, 1},
        {TCP_OPTION_CORK, 5, 1, 0},
        {TCP_OPTION_DELAYED_ACK_MS, 10, 0, 500},
        {TCP_OPTION_MAXSEG, 10, 88, 9088},
        {TCP_OPTION_SEND_LIMIT, 20, 1, 1 << 20},
        {TCP_OPTION_RECEIVE_LIMIT, 20, 1000, 1 << 20},
        {TCP_OPTION_CONGESTION, 100, 0, 1},
        {TCP_OPTION_PMTU_DISCOVER, 5, 0, 0},
    };
    for (uint32_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        uint32_t value = choices[i].least + (uint32_t)world_log_below(w, choices[i].range);
        if (world_chance(w, choices[i].percent))
            world_must(w, tcp_set_option(e->conn, choices[i].option, value, w->now) == 0);
    }
}

static void client_begin(struct streams *t, struct stream *s) {
    struct end *e = &s->ends[0];
    if (!e->node->stack || !s->ends[1].node->stack) { /* later, when there is power */
        s->begins_ns = t->w->now + SEC;
        return;
    }
    bool second = s->ends[1].node->second && world_chance(t->w, 50);
    struct inet_endpoint to = {s->ends[1].node->addr, (uint16_t)(t->listen_port + second)};
    s->begun = true;
    world_must(t->w, world_try(t->w, tcp_connect(e->node->stack, &e->conn, &to, NULL, NULL, e, t->w->now)) == 0);
    s->port = tcp_local(e->conn).port;
    world_say(t->w, "stream %u begins: node %u port %u to node %u, %llu bytes, %llu back", s->number,
              (unsigned)(e->node - t->w->nodes), s->port, (unsigned)(s->ends[1].node - t->w->nodes),
              (unsigned long long)e->total, (unsigned long long)s->ends[1].total);
    end_options(t, e);
}

static bool end_aborts(struct streams *t, struct end *e) {
    if (e->ending != ENDS_BY_ABORT || e->pushed + e->popped < e->abort_at) return false;
    tcp_abort(e->conn, t->w->now);
    end_finish(t, e, 0);
    return true;
}

/* Pushes up to what the stack takes. False: the connection has ended. */
static bool end_push(struct streams *t, struct end *e) {
    while (e->pushed < e->total) {
        uint64_t left = e->total - e->pushed;
        uint32_t n = 1 + world_below(t->w, e->push_most);
        if (n > left) n = (uint32_t)left;
        uint8_t *p = world_alloc(t->w, n);
        for (uint32_t k = 0; k < n; k++)
            p[k] = byte_at(e, e->pushed + k);
        struct inet_segment data = {p, n};
        bool more = n < left && world_chance(t->w, 10);
        int error = world_try(t->w, tcp_push(e->conn, &data, more, t->w->now));
        heap_free(p);
        if (error == -EAGAIN || error == -ENOTCONN) return true;
        if (error) return false;
        e->pushed += n;
        if (end_aborts(t, e)) return true;
    }
    if (!e->shut && e->ending == ENDS_BY_SHUTDOWN) e->shut = tcp_shutdown(e->conn, t->w->now) == 0;
    return true;
}

/* Reads nothing for a while, or until it closes. False: it goes on reading. */
static bool end_stops(struct streams *t, struct end *e) {
    uint64_t now = t->w->now;
    if (e->ending == ENDS_DEAF && e->popped >= e->abort_at) {
        e->deaf = true;
        e->wake_ns = now + 1 + rng_below(&t->w->rng, DEAF_NS);
    } else if (e->stop_at && e->popped >= e->stop_at) {
        e->stop_at = 0;
        e->wake_ns = now + e->stop_ns;
    } else {
        return false;
    }
    world_say(t->w, "stream %u end %d stops reading after %llu", e->stream->number, e == &e->stream->ends[1],
              (unsigned long long)e->popped);
    return true;
}

static void end_pause(struct streams *t, struct end *e) {
    e->wake_ns = t->w->now + 1 + rng_below(&t->w->rng, e->pause_most_ns);
}

/* Pops what there is. False: the connection has ended with an error. */
static bool end_pop(struct streams *t, struct end *e) {
    const struct end *from = peer_of(e);
    struct inet_slice s;
    while (!e->ended) {
        if (end_stops(t, e)) return true;
        int error = tcp_pop(e->conn, &s, 1 + world_below(t->w, e->pop_most), t->w->now);
        if (error == -EAGAIN || error == -ENOTCONN) return true;
        if (error) return false;
        if (s.len == 0) {
            e->ended = true;
            world_must(t->w, e->popped == from->pushed && from->ending != ENDS_BY_ABORT);
            return true;
        }
        world_must(t->w, e->popped + s.len <= from->pushed);
        for (uint32_t k = 0; k < s.len; k++)
            world_must(t->w, ((uint8_t *)s.base)[k] == byte_at(from, e->popped + k));
        e->popped += s.len;
        heap_free(s.base);
        if (end_aborts(t, e)) return true;
        e->unpaused += s.len; /* slices may be tiny: pauses go by bytes, or a run takes too long */
        if (e->unpaused * PIECES_MAX < from->total) continue;
        e->unpaused = 0;
        if (e->pause_percent && world_chance(t->w, e->pause_percent)) {
            end_pause(t, e);
            return true;
        }
    }
    return true;
}

/* To the node's other stack. */
static void end_transfer(struct streams *t, struct end *e) {
    struct inet *first = e->node->stack, *to = e->conn->stack == first ? e->node->second : first;
    if (!to || t->w->failing || !world_chance(t->w, 5) || tcp_detach(e->conn)) return;
    world_say(t->w, "stream %u end %d is transferred", e->stream->number, e == &e->stream->ends[1]);
    tcp_detached(to == first ? e->node->second : first, tcp_local(e->conn).port);
    world_must(t->w, tcp_attach(to, e->conn, e, t->w->now) == 0);
}

static void end_act(struct streams *t, struct end *e) {
    if (!e->conn || end_aborts(t, e)) return;
    end_transfer(t, e);
    bool alive = end_push(t, e);
    if (e->done) return;
    if (e->deaf && (!alive || e->wake_ns <= t->w->now)) {
        tcp_close(e->conn, t->w->now);
        end_finish(t, e, 0);
        return;
    }
    if (e->wake_ns <= t->w->now) e->wake_ns = UINT64_MAX;
    if (e->wake_ns == UINT64_MAX) alive = end_pop(t, e) && alive;
    if (e->done) return;
    bool sent = e->pushed == e->total && (e->shut || e->ending == ENDS_BY_CLOSE);
    if (!alive && !e->ended && e->wake_ns != UINT64_MAX) return; /* what came before the error is still read */
    if (!alive || (sent && (e->ended || e->ending == ENDS_BY_CLOSE))) {
        int error = tcp_error(e->conn);
        tcp_close(e->conn, t->w->now);
        end_finish(t, e, error);
    }
}

/* The connection that this client's port belongs to, waiting for its server's end. */
static struct end *server_end(struct streams *t, const struct node *n, const struct inet_endpoint *client) {
    for (uint32_t i = 0; i < t->count; i++) {
        struct stream *s = &t->all[i];
        if (s->begun && s->ends[1].node == n && s->port == client->port && !s->ends[1].conn && !s->ends[1].done &&
            inet_addr_equal(&s->ends[0].node->addr, &client->addr))
            return &s->ends[1];
    }
    return NULL;
}

static void accept_all(struct streams *t, struct node *n, struct tcp_listener *l) {
    struct tcp_conn *c;
    while (tcp_accept(l, &c, NULL) == 0) {
        struct inet_endpoint client = tcp_remote(c);
        struct end *e = server_end(t, n, &client);
        if (!e) {
            t->strays++;
            tcp_abort(c, t->w->now);
            continue;
        }
        e->conn = c;
        c->socket.user = e;
        end_options(t, e);
        end_act(t, e);
    }
}

void streams_event(struct streams *t, struct node *n, struct inet_socket *k, uint32_t events) {
    (void)events;
    if (k->kind == INET_TCP_LISTENER)
        accept_all(t, n, list_entry(k, struct tcp_listener, socket));
    else if (k->user)
        end_act(t, k->user);
}

/* A server's end whose client is gone before they met has nobody to wait for. */
static void settle(struct streams *t, struct stream *s) {
    struct end *client = &s->ends[0], *server = &s->ends[1];
    if (t->gentle || !client->done || server->done || server->conn) return;
    bool closed = client->ending == ENDS_BY_CLOSE && client->error == 0;
    if (!closed || t->w->now > client->done_ns + MEET_NS) end_finish(t, server, -ENOTCONN);
}

uint64_t streams_act(struct streams *t) {
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < t->count; i++) {
        struct stream *s = &t->all[i];
        if (!s->begun && s->begins_ns <= t->w->now) client_begin(t, s);
        if (!s->begun && s->begins_ns < next) next = s->begins_ns;
        for (uint32_t k = 0; k < 2; k++) {
            struct end *e = &s->ends[k];
            if (e->wake_ns <= t->w->now) end_act(t, e);
            if (e->wake_ns < next) next = e->wake_ns;
        }
        settle(t, s);
        if (s->ends[0].done && !s->ends[1].done && t->w->now + SEC < next) next = t->w->now + SEC;
    }
    return next;
}

void streams_forget_node(struct streams *t, struct node *n) {
    for (uint32_t i = 0; i < t->count; i++)
        for (uint32_t k = 0; k < 2; k++) {
            struct end *e = &t->all[i].ends[k];
            if (e->node != n || !t->all[i].begun || e->done) continue;
            if (e->conn) tcp_abort(e->conn, t->w->now);
            end_finish(t, e, -ECONNABORTED);
        }
    streams_unlisten(t, n);
}

bool streams_done(const struct streams *t) {
    for (uint32_t i = 0; i < t->count; i++)
        if (!t->all[i].ends[0].done || !t->all[i].ends[1].done) return false;
    return true;
}

void streams_check(const struct streams *t) {
    for (uint32_t i = 0; i < t->count; i++) {
        const struct end *a = &t->all[i].ends[0], *b = &t->all[i].ends[1];
        bool whole = a->error == 0 && b->error == 0 && a->ending < ENDS_BY_ABORT && b->ending < ENDS_BY_ABORT;
        if (t->gentle) world_must(t->w, whole);
        if (!whole) continue;
        world_must(t->w, b->popped == a->total && a->popped == b->total);
    }
}

void streams_say(const struct streams *t) {
    for (uint32_t i = 0; i < t->count; i++)
        for (uint32_t k = 0; k < 2; k++) {
            const struct end *e = &t->all[i].ends[k];
            if (e->done) continue;
            struct tcp_status info = {0};
            if (e->conn) tcp_get_status(e->conn, &info);
            fprintf(stderr,
                    "stream %u end %u: pushed %llu/%llu popped %llu, state %d, recovery %d, unacked %u, window %u\n", i,
                    k, (unsigned long long)e->pushed, (unsigned long long)e->total, (unsigned long long)e->popped,
                    (int)info.state, (int)info.recovery, e->conn ? tcp_unacked(e->conn) : 0, info.send_window);
        }
}
