/* SPDX-License-Identifier: MIT */
/*
 * TCP connections between the nodes of a world, each end with a plan drawn from the seed: how much it pushes, in which
 * pieces, how it pops, and how it ends. An end acts when an event of its socket tells it to, or when a pause of its own
 * is over, so that an event which is not told shows as a connection that never ends.
 */
#ifndef TESTS_SIMULATION_STREAMS_H
#define TESTS_SIMULATION_STREAMS_H

#include "world.h"

#define STREAMS_MAX 24u

enum ending {
    ENDS_BY_SHUTDOWN, /* shuts down after its last byte, reads to the end of the stream, closes */
    ENDS_BY_CLOSE,    /* closes after its last byte; the other end pushes nothing */
    ENDS_BY_ABORT,    /* aborts somewhere on the way */
    ENDS_DEAF,        /* stops reading somewhere on the way, and closes long after, with data unread */
};

struct end {
    struct stream *stream;
    struct node *node;
    struct tcp_conn *conn; /* NULL: not yet, or given up */
    uint64_t total, pushed, popped;
    uint32_t push_most, pop_most;
    uint32_t pause_percent;                    /* chance to pause after a pop */
    uint64_t pause_most_ns, wake_ns, unpaused; /* unpaused: bytes popped since it may have paused */
    uint64_t abort_at;                         /* bytes moved; ENDS_BY_ABORT, ENDS_DEAF */
    uint64_t stop_at, stop_ns;                 /* after so many bytes popped it does not read for a while; 0: it does */
    enum ending ending;
    bool deaf;              /* reads no more */
    bool shut, ended, done; /* ended: has read the end of the peer's stream */
    int error;              /* that ended it */
    uint64_t done_ns;
};

struct stream {
    uint32_t number;
    uint64_t begins_ns;
    bool begun;
    uint16_t port;      /* the client's */
    struct end ends[2]; /* client, server */
};

struct streams {
    struct world *w;
    bool gentle; /* whatever happens must be survived without an error */
    struct stream all[STREAMS_MAX];
    uint32_t count;
    uint32_t backlog;
    uint64_t stop_most_ns;
    uint16_t listen_port;
    struct tcp_listener *listeners[WORLD_NODES_MAX][2]; /* of a node's stacks, on listen_port and the next one */
    uint64_t strays;                                    /* connections accepted that nobody had asked for any more */
};

/* Draws the connections; their begin is spread over spread_ns. */
void streams_init(struct streams *t, struct world *w, bool gentle, uint64_t spread_ns);

void streams_listen(struct streams *t, struct node *n);
void streams_unlisten(struct streams *t, struct node *n);

/* Something happened to a TCP socket. */
void streams_event(struct streams *t, struct node *n, struct inet_socket *k, uint32_t events);

/* Does what has become due; when to call it again, UINT64_MAX: not by itself. */
uint64_t streams_act(struct streams *t);

/* The node is about to lose power: its ends are gone. */
void streams_forget_node(struct streams *t, struct node *n);

bool streams_done(const struct streams *t);

/* What must hold at the end of a run, once all are done. */
void streams_check(const struct streams *t);

/* Whose counters explain it; for a run that does not end. */
void streams_say(const struct streams *t);

#endif
