/* SPDX-License-Identifier: MIT */
/*
 * Kernel sockets and files. Sends, connects and datagrams are non-blocking system calls. The engines differ in how they
 * learn that a descriptor is ready, and in who receives and accepts:
 *
 *   epoll readiness from the runtime's evloop, then recv and accept4
 *   io_uring the kernel receives streams into provided buffers and accepts connections ahead; readiness from the ring
 *
 * posix.c chooses the engine. socket.c has the table of queue operations. bind.c, recv.c, send.c, connect.c (with
 * accept) and close.c implement the life of a socket, file.c implements files.
 */
#ifndef POSIX_POSIX_H
#define POSIX_POSIX_H

#include "base/clock.h"
#include "base/sys.h"
#include "core/completion.h"
#include "core/timer.h"
#include "libos/posix/arena.h"
#include "libos/posix/counters.h"
#include "libos/posix/options.h"
#include "libos/socket/linger.h"

#include <netinet/in.h>
#include <sys/uio.h>

/* Entries in the iovec of one push: the array's segments, each with a frame header, and the message header. */
#define SEGS_MAX (2 * DMTR_SGARRAY_MAXSIZE + 1)

/* With the spin policy, at most this many sockets that wait for data are received from directly, without the engine. */
#define DIRECT_MAX 4

struct posix;
struct sock;
struct file;
struct uring;

enum sock_event { SOCK_READ = 1, SOCK_WRITE = 2 };

struct engine {
    const char *backend; /* for DMTR_SO_INFO */
    bool fetches;        /* `receive` makes the engine read the data itself; nothing else may then read it */
    int (*start)(struct posix *px);
    void (*stop)(struct posix *px);

    void (*sock_init)(struct sock *s);
    /* Calls sock_ready once, as soon as one of these events holds. Idempotent. Updates s->engine_reads. */
    int (*want)(struct sock *s, unsigned events);
    /* The same for stream data and for a listener's connections; the engine may read or accept them itself. */
    int (*receive)(struct sock *s);
    int (*accept)(struct sock *s);
    /* Ends `receive`. Returns false if the engine may still read data; the caller then calls again. */
    bool (*stop_receiving)(struct sock *s);
    /*
     * Sends the first unsent segment of op without a copy, then calls sock_sent_zerocopy. Returns false if the caller
     * must send it normally. NULL: never.
     */
    bool (*send_zerocopy)(struct sock *s, struct op *op);
    /* Ends all requests for s, then calls sock_free, possibly before it returns. */
    void (*release)(struct sock *s);

    /* Runs the first operation of f. Returns the result of the system call, or -EINPROGRESS; file_done follows then. */
    int64_t (*file_run)(struct file *f, struct op *op);
    /* Called when f is idle and about to be freed. */
    void (*file_release)(struct file *f);
};

extern const struct engine engine_epoll, engine_uring;

struct posix {
    struct dmtr_runtime *rt;
    const struct posix_options *options;
    uint64_t *counters; /* [POSIX_COUNTER_COUNT] */
    const struct engine *engine;
    struct uring *uring;                                 /* for engine_uring */
    struct queue_ops stream_ops, datagram_ops, file_ops; /* with the engine's name in them */
    struct recv_arena arena;
    struct list socks, files; /* all of them, so that stop finds those that linger */
    struct list bound;        /* open sockets bound to an explicit port */
    struct list direct;       /* sockets that wait for data and are received from directly */
    struct list pausing;      /* listeners that retry later, because the kernel refused an accept */
    uint64_t shortage_ns;     /* when a lack of descriptors was last logged; 0: never */
    bool direct_allowed;      /* the policy is spin */
    bool stopping;
    bool polling;            /* `direct` is being traversed */
    uint32_t waiting;        /* sockets with waiting pops */
    struct list chunks_free; /* recv.c */
    uint32_t chunks_free_len;
    struct poller poller; /* the engine's */
    struct sender sender;
    struct list unsent;  /* sockets with pushes that wait for the end of the turn */
    uint64_t held_bytes; /* sum over all sockets */
};

/* Received data that no pop has requested yet. */
struct chunk {
    struct list link;
    char *data;
    uint32_t len;
    uint32_t charge; /* memory that it pins; posix.recv_ahead_bytes bounds the sum */
};

/* An address and port bound explicitly. */
struct bound_address {
    struct in6_addr addr; /* IPv4 as ::ffff:a.b.c.d */
    uint16_t port;
    uint8_t families; /* address families whose ports it occupies */
    bool any;         /* wildcard: all addresses of these families */
};
enum { BOUND_IP4 = 1, BOUND_IP6 = 2 };

enum sock_state { SOCK_NEW, SOCK_LISTENING, SOCK_CONNECTING, SOCK_CONNECTED };

/* The fields that each push and pop use come first, to reduce cache misses with many connections. */
struct sock {
    struct queue q;
    struct posix *px;
    int fd;
    uint8_t state;
    bool stream;
    bool closed;           /* by the application */
    bool eof;              /* the peer has finished sending, or we have ended receiving */
    bool more;             /* the last receive filled its buffer: try again before waiting */
    bool waits;            /* counted in px->waiting */
    bool engine_reads;     /* the engine watches for data */
    bool sending;          /* the first push is with the engine */
    bool shut_wr;          /* the application will push no more */
    bool fin_sent;         /* ... and the kernel was told to send the FIN */
    bool unread;           /* data was not popped before the close, or arrived after it */
    bool push_failed;      /* ... with the connection */
    int error, send_error; /* why receiving and sending ended, negative; 0: not ended */
    struct list waiters;   /* pops; for a listener, accepts */
    struct list chunks;
    struct list pushes;  /* not yet completely in the kernel, in order */
    struct list sent;    /* in the kernel but not completed: zero-copy, or not acknowledged */
    struct list direct;  /* px->direct, self-linked if not in it */
    struct list unsent;  /* px->unsent, likewise */
    uint64_t sent_bytes; /* accepted by the kernel so far */
    uint64_t held_bytes; /* sum of the chunks' charges */
    union {
        struct {
            struct evloop_item item;
        } epoll;
        struct {
            uint16_t wanted, armed; /* enum uring_request bits */
            uint32_t inflight;      /* requests whose last completion is outstanding */
            bool pausing;           /* the receive is being cancelled */
            bool released;
            struct list todo;
        } uring;
    };

    int linger_s;             /* LINGER_OFF, or as set by SO_LINGER */
    uint16_t zerocopy_copied; /* consecutive zero-copy sends that the kernel copied */
    bool reuse_chosen;        /* the application has set SO_REUSEADDR */
    int close_error;
    struct op *connect_op, *close_op;
    struct list link;  /* px->socks */
    struct list bound; /* px->bound */
    struct bound_address bound_addr;
    struct list backlog; /* listener: connections accepted ahead; such a connection: its link */
    uint32_t backlog_len;
    struct list pausing;        /* listener: px->pausing, self-linked if not in it */
    struct runtime_timer timer; /* polls for acknowledgements, lingers, or retries accepting */
    uint64_t timer_ns;          /* its current interval; 0: not running */
    uint64_t linger_deadline_ns, outq;
};

/* Per-push state in op->backend. */
#define PUSH_SENT(op)     ((op)->backend[0]) /* bytes that the kernel has accepted */
#define PUSH_NOTIFIES(op) ((op)->backend[1]) /* zero-copy sends whose memory is still in use */
#define PUSH_END(op)      ((op)->backend[2]) /* the value of sock.sent_bytes that must be acknowledged; 0: none */

/* Makes a system call on behalf of a queue and counts it. Repeats interrupted calls. */
#define POSIX_SYS(owner, call, ...)                                                                                    \
    __extension__({                                                                                                    \
        __typeof__(call(__VA_ARGS__)) posix_r_;                                                                        \
        do {                                                                                                           \
            (owner)->q.syscalls++;                                                                                     \
            posix_count((owner)->px, syscalls);                                                                        \
            posix_r_ = SYS(call, __VA_ARGS__);                                                                         \
        } while (posix_r_ == -EINTR);                                                                                  \
        posix_r_;                                                                                                      \
    })

static inline struct sock *to_sock(struct queue *q) {
    return list_entry(q, struct sock, q);
}

/* Whether accepting failed and is retried when the timer fires or a descriptor is closed. */
static inline bool sock_is_pausing(const struct sock *s) {
    return s->state == SOCK_LISTENING && s->timer.timer.armed;
}

/* ---- posix.c ---- */
/* Logs a lack of descriptors, rate-limited. Other errors are left to the application. */
void posix_log_shortage(struct posix *px, int error);
/* Called when a descriptor was closed: the first listener that pauses for lack of one retries. */
void posix_descriptor_freed(struct posix *px);

/* Fills iov with the rest of op after `skip` bytes. Returns the number of entries, at most SEGS_MAX. */
int push_iov(const struct op *op, uint64_t skip, struct iovec iov[SEGS_MAX]);

/* ---- socket.c ---- */
extern const struct queue_ops stream_ops, datagram_ops;
int sock_create(struct dmtr_runtime *rt, void *state, int domain, int type, int protocol, struct queue **q_out);
/* Creates a socket around fd; closes fd on failure. */
int sock_new(struct posix *px, int fd, bool stream, struct sock **s_out);
/* Called when an event that `want` requested holds. May free s. */
void sock_ready(struct sock *s, unsigned events);
/*
 * Completes the remaining operations with s->close_error, closes the descriptor and frees s. The engine must not refer
 * to s any more.
 */
void sock_free(struct sock *s);
/* Arms the socket's timer with first_ns; sock_timer_next doubles the interval, up to max_ns. */
void sock_timer_start(struct sock *s, uint64_t first_ns);
void sock_timer_next(struct sock *s, uint64_t max_ns);
void sock_timer_stop(struct sock *s);

/* ---- bind.c ---- */
int sock_bind(struct queue *q, const struct sockaddr *addr, socklen_t len);

/* ---- recv.c ---- */
int sock_pop(struct queue *q, struct op *op);
/* Receives for the waiting pops. Asks the engine for the rest. */
void sock_receive(struct sock *s, bool try_first);
/* Passes data from the engine, in the heap; takes over its ownership. `charge`: see struct chunk. */
void sock_received(struct sock *s, char *data, uint32_t len, uint32_t charge);
/* Ends a stream (error 0), or fails it with the error of a receive. */
void sock_receive_ended(struct sock *s, int error);
/* Passes chunks, the end and errors to waiting pops. Returns whether some still wait. */
bool sock_serve_pops(struct sock *s);
void sock_stop_waiting(struct sock *s);
void sock_free_chunks(struct sock *s);
uint32_t posix_direct_poll(struct posix *px);
/* Passes the directly received sockets to the engine: before a sleep, or when there are too many. */
void posix_direct_end(struct posix *px);
void posix_chunks_fini(struct posix *px);

/* ---- send.c ---- */
int sock_push(struct queue *q, struct op *op);
/* Passes the queued pushes to the kernel, as far as it has room, and then a FIN if one is due. May free s. */
void sock_send(struct sock *s);
/* Sends pushes that wait for the end of the turn, before the program changes the socket. */
void sock_send_unsent(struct sock *s);
void sock_sent_zerocopy(struct sock *s, struct op *op, int64_t result);
void sock_zerocopy_notified(struct sock *s, struct op *op);
/* Ends sending for good. */
void sock_fail_pushes(struct sock *s, int error);
/* Completes acknowledged pushes, and arranges a later check of the others. */
void sock_check_acked(struct sock *s);
/* The same without a timer. Returns whether acknowledgements are outstanding. */
bool sock_poll_acked(struct sock *s, bool *progress);
/* Whether the connection was reset, timed out, or was closed by both sides. */
bool sock_is_dead(struct sock *s);
/* Returns the error that ended the connection; 0: it has not ended, or ended without error. */
int sock_connection_error(struct sock *s);
/* Returns the bytes that the peer has not acknowledged, including the FIN, or a negative errno. */
int64_t sock_outq(struct sock *s);

/* ---- connect.c ---- */
int sock_connect(struct queue *q, struct op *op, const struct sockaddr *addr, socklen_t len);
void sock_connect_ready(struct sock *s);
int sock_accept(struct queue *q, struct op *op);
/* Accepts for the waiting operations. Asks the engine for the rest. */
void sock_accept_ready(struct sock *s);
/* Whether an error of accept concerns a connection that died in the kernel's queue, not the listener. */
bool sock_connection_gone(int error);
/* Passes a connection, or a negative errno, from the engine. */
void sock_accepted(struct sock *s, int fd);

/* ---- close.c ---- */
void sock_close(struct queue *q, struct op *op);
/* Continues closing; called when something was sent, acknowledged or received. */
void sock_linger(struct sock *s);
/* Makes the kernel drop the connection, with a reset if it is open. */
void sock_disconnect(struct sock *s);
/* Destroys s at once, with whatever is left. */
void sock_destroy(struct sock *s, int error);
/*
 * As sock_destroy, when the runtime ends. The close fails unless all data was acknowledged; unread data causes a reset.
 */
void sock_abort(struct sock *s);

/* ---- file.c ---- */
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
    char *buf; /* buffer of the first operation, a pop */
    uint32_t buf_len;
    struct iovec iov[SEGS_MAX]; /* of the first operation, a push */
    int iovcnt;
    uint32_t slot; /* engine_uring: index among the registered descriptors */
};

extern const struct queue_ops file_ops;
int file_open(struct dmtr_runtime *rt, void *state, const char *path, int flags, mode_t mode, struct queue **q_out);
void file_done(struct file *f, int64_t result);
int64_t file_run_blocking(struct file *f, struct op *op);

#endif
