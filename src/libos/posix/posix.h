/* SPDX-License-Identifier: MIT */
/*
 * Kernel sockets and files. Sockets are driven directly: sends, connects and datagrams are non-blocking system calls.
 * What differs between the engines is how they learn that a descriptor is ready and who receives and accepts:
 *
 *   epoll     readiness from the runtime's evloop, then recv and accept4
 *   io_uring  the kernel receives streams into provided buffers and accepts connections ahead; readiness from the ring
 *
 * posix.c chooses the engine, socket.c is the table of queue operations, bind.c, recv.c, send.c, connect.c (and accept)
 * and close.c are the life of a socket, file.c is files.
 */
#ifndef POSIX_POSIX_H
#define POSIX_POSIX_H

#include "base/clock.h"
#include "base/sys.h"
#include "core/completion.h"
#include "core/timer.h"
#include "libos/posix/arena.h"
#include "libos/posix/options.h"

#include <netinet/in.h>
#include <sys/uio.h>

/* Entries in the list of one push: the array's segments, each with a frame header, and the message header. */
#define SEGS_MAX (2 * DMTR_SGARRAY_MAXSIZE + 1)

/* Under the spin policy, up to this many sockets that wait for data are received from directly, without the engine. */
#define DIRECT_MAX 4

struct posix;
struct sock;
struct file;
struct uring;

enum sock_event { SOCK_READ = 1, SOCK_WRITE = 2 };

struct engine {
    const char *backend; /* for DMTR_SO_INFO */
    bool fetches;        /* `receive` makes the engine fetch data by itself, so that nobody else may */
    int (*start)(struct posix *px);
    void (*stop)(struct posix *px);

    void (*sock_init)(struct sock *s);
    /* Once: call sock_ready for these events as soon as they hold. Idempotent. Keeps s->engine_reads. */
    int (*want)(struct sock *s, unsigned events);
    /* The same for data of a stream and connections of a listener; the engine may fetch them itself. */
    int (*receive)(struct sock *s);
    int (*accept)(struct sock *s);
    /* Ends what `receive` began. False: the engine may still fetch data; the caller asks again. */
    bool (*stop_receiving)(struct sock *s);
    /*
     * Sends the first unsent segment of op without a copy, then calls sock_sent_zerocopy. False: send it the usual way.
     * NULL: never.
     */
    bool (*send_zerocopy)(struct sock *s, struct op *op);
    /* Ends all requests for s, then calls sock_free, maybe at once. */
    void (*release)(struct sock *s);

    /* Runs the first operation of f: what the system call returned, or -EINPROGRESS and file_done comes later. */
    int64_t (*file_run)(struct file *f, struct op *op);
    /* f is idle and about to be freed. */
    void (*file_release)(struct file *f);
};

extern const struct engine engine_epoll, engine_uring;

struct posix {
    struct dmtr_runtime *rt;
    const struct posix_options *options;
    const struct engine *engine;
    struct uring *uring;                                 /* engine_uring's */
    struct queue_ops stream_ops, datagram_ops, file_ops; /* the tables with the engine's name in them */
    struct recv_arena arena;
    struct list socks, files; /* all, so that stop finds those that linger */
    struct list bound;        /* open sockets whose port a bind named */
    struct list direct;       /* waiting for data, received from directly */
    struct list pausing;      /* listeners that try again later, because the kernel refused */
    uint64_t shortage_ns;     /* when a want of descriptors was last logged; 0: never */
    bool direct_allowed;      /* policy spin */
    bool stopping;
    bool polling;            /* `direct` is being walked */
    uint32_t waiting;        /* sockets with pops that wait */
    struct list chunks_free; /* recv.c */
    uint32_t chunks_free_len;
    struct poller poller; /* the engine's */
};

/* Received data that no pop has asked for yet. */
struct chunk {
    struct list link;
    char *data;
    uint32_t len;
    uint32_t charge; /* memory it keeps, which is what posix.recv_ahead_bytes bounds */
};

/* An address and port that a bind named. */
struct sock_place {
    struct in6_addr addr; /* of IPv4 as ::ffff:a.b.c.d */
    uint16_t port;
    uint8_t families; /* whose ports it takes */
    bool any;         /* all addresses of these families */
};
enum { PLACE_IP4 = 1, PLACE_IP6 = 2 };

enum sock_state { SOCK_NEW, SOCK_LISTENING, SOCK_CONNECTING, SOCK_CONNECTED };

/* What each push and pop touches comes first: with many connections the cache lines of a socket are what it costs. */
struct sock {
    struct queue q;
    struct posix *px;
    int fd;
    uint8_t state;
    bool stream;
    bool closed;           /* by the application */
    bool eof;              /* the peer has finished sending, or we do not listen any more */
    bool more;             /* the last receive filled its buffer: try again before waiting */
    bool waits;            /* counted in px->waiting */
    bool engine_reads;     /* the engine looks out for data */
    bool sending;          /* the first of pushes is with the engine */
    bool shut_wr;          /* the application will push no more */
    bool fin_sent;         /* ... and the kernel was told */
    bool unread;           /* closed with data that no pop was given, or some came since */
    bool push_failed;      /* ... with the connection */
    int error, send_error; /* why receiving and sending ended, negative; 0: they go on */
    struct list waiters;   /* pops, or accepts of a listener */
    struct list chunks;
    struct list pushes;  /* not yet all in the kernel, in order */
    struct list sent;    /* in the kernel, but not complete: zero-copy, or not acknowledged */
    struct list direct;  /* px->direct, self-linked if not in it */
    uint64_t sent_bytes; /* taken by the kernel so far */
    uint64_t held_bytes; /* sum of the chunks' charges */
    union {
        struct {
            struct evloop_item item;
        } epoll;
        struct {
            uint16_t wanted, armed; /* enum uring_request bits */
            uint32_t inflight;      /* requests whose last completion is to come */
            bool pausing;           /* the receive is being cancelled */
            bool released;
            struct list todo;
        } uring;
    };

    bool linger_on; /* SO_LINGER */
    int linger_s;
    uint16_t zerocopy_copied; /* zero-copy sends in a row that were copies */
    bool reuse_chosen;        /* SO_REUSEADDR is as the application set it */
    int close_error;
    struct op *connect_op, *close_op;
    struct list link;  /* px->socks */
    struct list bound; /* px->bound */
    struct sock_place place;
    struct list backlog; /* listener: connections accepted ahead; such a connection: its link */
    uint32_t backlog_len;
    struct list pausing;        /* listener: px->pausing, self-linked if not in it */
    struct runtime_timer timer; /* acknowledgements, lingering, accepting again */
    uint64_t timer_ns;          /* its present interval; 0: not running */
    uint64_t linger_deadline_ns, outq;
};

/* Phases of a push in op->backend. */
#define PUSH_SENT(op)     ((op)->backend[0]) /* bytes the kernel has taken */
#define PUSH_NOTIFIES(op) ((op)->backend[1]) /* zero-copy sends whose memory is still in use */
#define PUSH_END(op)      ((op)->backend[2]) /* sock.sent_bytes when it must be acknowledged; 0: need not be */

/* A system call of this queue. Interrupted ones are made again. */
#define POSIX_SYS(queue, call, ...)                                                                                    \
    __extension__({                                                                                                    \
        __typeof__(call(__VA_ARGS__)) posix_r_;                                                                        \
        do {                                                                                                           \
            (queue)->syscalls++;                                                                                       \
            counter_inc(&(queue)->rt->counters, posix_syscalls);                                                       \
            posix_r_ = SYS(call, __VA_ARGS__);                                                                         \
        } while (posix_r_ == -EINTR);                                                                                  \
        posix_r_;                                                                                                      \
    })

static inline struct sock *to_sock(struct queue *q) {
    return list_entry(q, struct sock, q);
}

/* Accepting failed, and is tried again when the timer fires or a descriptor is free. */
static inline bool sock_is_pausing(const struct sock *s) {
    return s->state == SOCK_LISTENING && s->timer.timer.armed;
}

/* posix.c */
/* Logs a want of descriptors, once in a while; other errors are the application's to report. */
void posix_log_shortage(struct posix *px, int error);
/* A descriptor was closed: a listener that pauses for want of one tries again. */
void posix_descriptor_freed(struct posix *px);

/* Fills iov with what is left of op after `skip` bytes; the number of entries, at most SEGS_MAX. */
int push_iov(const struct op *op, uint64_t skip, struct iovec iov[SEGS_MAX]);

/* socket.c */
extern const struct queue_ops stream_ops, datagram_ops;
int sock_create(struct dmtr_runtime *rt, void *state, int domain, int type, int protocol, struct queue **q_out);
/* A socket around fd, which is closed on failure. */
int sock_new(struct posix *px, int fd, bool stream, struct sock **s_out);
/* What `want` asked for holds. May free s. */
void sock_ready(struct sock *s, unsigned events);
/* Ends what is left of s with s->close_error, closes the descriptor and frees s, which the engine does not refer to any
 * more. */
void sock_free(struct sock *s);
/* Arms the socket's timer, from first_ns on doubling up to most_ns. */
void sock_timer_start(struct sock *s, uint64_t first_ns);
void sock_timer_next(struct sock *s, uint64_t most_ns);
void sock_timer_stop(struct sock *s);

/* bind.c */
int sock_bind(struct queue *q, const struct sockaddr *addr, socklen_t len);

/* recv.c */
int sock_pop(struct queue *q, struct op *op);
/* Receives for the waiting pops; asks the engine for what is missing. */
void sock_receive(struct sock *s, bool try_first);
/* Data from the engine, in the heap, owned by the caller until here. `charge`: see struct chunk. */
void sock_received(struct sock *s, char *data, uint32_t len, uint32_t charge);
/* The stream is at its end (0) or failed, as a receive returned it. */
void sock_receive_ended(struct sock *s, int error);
/* Hands chunks, the end and errors to waiting pops; true if some still wait. */
bool sock_serve_pops(struct sock *s);
void sock_stop_waiting(struct sock *s);
void sock_free_chunks(struct sock *s);
uint32_t posix_direct_poll(struct posix *px);
/* Gives the directly received sockets to the engine: before a sleep, or when they are too many. */
void posix_direct_end(struct posix *px);
void posix_chunks_fini(struct posix *px);

/* send.c */
int sock_push(struct queue *q, struct op *op);
void sock_send(struct sock *s);
void sock_sent_zerocopy(struct sock *s, struct op *op, int64_t result);
void sock_zerocopy_notified(struct sock *s, struct op *op);
/* Sending has failed for good. */
void sock_fail_pushes(struct sock *s, int error);
/* Completes what the peer has acknowledged and sees to it that the rest will be. */
void sock_check_acked(struct sock *s);
/* The same without a timer. True: acknowledgements are outstanding. */
bool sock_poll_acked(struct sock *s, bool *progress);
/* The connection was reset, timed out, or both sides have closed it. */
bool sock_is_dead(struct sock *s);
/* Why the connection is gone; 0: it is not, or it ended well. */
int sock_connection_error(struct sock *s);
/* Bytes the peer has not acknowledged, FIN included, or a negative errno. */
int64_t sock_outq(struct sock *s);

/* connect.c */
int sock_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len);
void sock_connect_ready(struct sock *s);
int sock_accept(struct queue *q, struct op *op);
/* Accepts for the waiting operations; asks the engine for the rest. */
void sock_accept_ready(struct sock *s);
/* Whether an accept's error is that of a connection which died in the kernel's queue, not the listener's. */
bool sock_connection_gone(int error);
/* A connection, or a negative errno, from the engine. */
void sock_accepted(struct sock *s, int fd);

/* close.c */
void sock_close(struct queue *q, struct op *op);
/* Goes on with closing: called when something was sent, acknowledged or received. */
void sock_linger(struct sock *s);
/* Makes the kernel forget the connection, resetting it if it lives. */
void sock_disconnect(struct sock *s);
/* Gives s up at once, whatever is left. */
void sock_destroy(struct sock *s, int error);
/* The same when the runtime ends: what was acknowledged is no error, and unread data is told by a reset. */
void sock_give_up(struct sock *s);

/* file.c */
struct file {
    struct queue q;
    struct posix *px;
    struct list link; /* px->files */
    int fd;
    bool busy; /* the first operation is with the engine */
    bool append;
    off_t cursor;
    bool closed;
    struct list ops; /* in order; they run one after another */
    struct op *close_op;
    char *buf; /* of the first operation, a pop */
    uint32_t buf_len;
    struct iovec iov[SEGS_MAX]; /* of the first operation, a push */
    int iovcnt;
    uint32_t slot; /* engine_uring: of the registered descriptors */
};

extern const struct queue_ops file_ops;
int file_open(struct dmtr_runtime *rt, void *state, const char *path, int flags, mode_t mode, struct queue **q_out);
void file_done(struct file *f, int64_t result);
int64_t file_run_blocking(struct file *f, struct op *op);

#endif
