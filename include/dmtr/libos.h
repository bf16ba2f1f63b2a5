/* SPDX-License-Identifier: MIT */
/*
 * Creating queues, moving data through them, closing them. Every call returns 0 or a positive errno and never exits,
 * prints or blocks unless its comment says so. Errors common to all calls, not repeated below:
 *   ENOSYS   dmtr_init was not called on this thread
 *   EINVAL   an out-argument is NULL
 *   EBADF    the descriptor is not open on this thread
 *   ENOBUFS  a configured limit was reached (the counters show which)
 *   ENOMEM   no memory
 *   ENETDOWN the network device has failed for good. Every outstanding operation has ended with this error, once; every
 *            call that would start a new one fails with it. Data that arrived before can still be popped.
 * Threads: a runtime belongs to the thread that called dmtr_init; only this thread may use its descriptors and tokens.
 * Any thread may call dmtr_wake.
 */
#ifndef DMTR_LIBOS_H
#define DMTR_LIBOS_H

#include <dmtr/types.h>
#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Starts a runtime on this thread.
 *
 * argc, argv  the program's own. The library reads `--dmtr-config FILE` and `--dmtr-set KEY=VALUE` (also written with
 *             `=`) and ignores other arguments. They may be 0 and NULL.
 * EEXIST      this thread already has a runtime
 * EINVAL      a configuration file, option or variable is wrong; the log says where, and what to write instead
 * ENOENT      the configuration file does not exist
 * EMFILE      too many runtimes in this process
 * ENOMEM      no memory, also for the handler that exit() runs (see dmtr_fini)
 */
DMTR_EXPORT int dmtr_init(int argc, char *argv[]);

/*
 * Ends this thread's runtime: closes its queues, cancels its operations and releases what it holds. Memory that the
 * application owns stays valid. dmtr_init may be called again. EBUSY: a callback called it inside another call on the
 * runtime.
 *
 * If a process calls exit() or returns from main without calling it, a handler that the first dmtr_init has registered
 * with atexit does the same for the runtime of the exiting thread. The handler does nothing in a forked child, and if
 * exit() was called inside a call on the runtime. When another thread exits, its runtime ends, too, but without waiting
 * for undelivered data. The runtimes of other threads of an exiting process, and all runtimes of a process that ends by
 * _exit() or a signal, are not ended: their peers are not notified.
 */
DMTR_EXPORT int dmtr_fini(void);

enum dmtr_log_level { DMTR_LOG_ERROR, DMTR_LOG_WARN, DMTR_LOG_INFO, DMTR_LOG_DEBUG };

/*
 * Writes a line to this runtime's log if log.level admits it. For libraries on top of this one.
 *
 * level   an enum dmtr_log_level; text: the line, without a newline
 * EINVAL  another level, or text is NULL
 */
DMTR_EXPORT int dmtr_log(int level, const char *text);

/* Stores the identifier of this thread's runtime, for dmtr_wake and dmtr_transfer. */
DMTR_EXPORT int dmtr_runtime_current(dmtr_runtime_t *runtime_out);

/*
 * Creates a socket on the configured network (the option `libos`).
 *
 * domain    AF_INET or AF_INET6, else EAFNOSUPPORT
 * type      SOCK_STREAM or SOCK_DGRAM, else ESOCKTNOSUPPORT
 * protocol  0 or the matching IPPROTO_ constant, else EPROTONOSUPPORT
 */
DMTR_EXPORT int dmtr_socket(int *qd_out, int domain, int type, int protocol);

/* As dmtr_socket, on the named network. ENODEV: unknown, or not part of this build. */
DMTR_EXPORT int dmtr_socket_on(int *qd_out, const char *network, int domain, int type, int protocol);

/*
 * Creates a queue whose dmtr_accept returns the connections that other threads transfer to this runtime. dmtr_close
 * resets connections that have arrived and were not accepted.
 *
 * EOPNOTSUPP  the configured network does not transfer connections: it is not `inet`, or inet.queues is 1
 * EADDRINUSE  this runtime already has one
 */
DMTR_EXPORT int dmtr_handover(int *qd_out);

/*
 * Moves a connection to another runtime of this process that uses the same device. On success the descriptor is
 * closed, and the other runtime can accept the connection (dmtr_handover) with all data that was received or is not
 * sent yet. No segment that arrives meanwhile is lost or refused. If that runtime has no such queue, it resets the
 * connection. A failed transfer leaves the connection as it was.
 *
 * runtime     as stored by dmtr_runtime_current on that thread
 * EOPNOTSUPP  not a stream, or its network does not transfer connections, or its messages are framed
 * ENOTCONN    not connected, or closing
 * EBUSY       pops or pushes are outstanding
 * EXDEV       no such runtime uses this device; EINVAL: it is this runtime
 * EAGAIN      4,096 connections are already in transit to that runtime
 * ENOBUFS     the flow table of the device is full
 */
DMTR_EXPORT int dmtr_transfer(int qd, dmtr_runtime_t runtime);

/*
 * As in POSIX; the wildcard address and port 0 are valid. size is in bytes. ENOTSOCK: the queue is not a socket.
 * EOPNOTSUPP: not supported by this kind of socket.
 *
 * An address can be bound once per runtime. A stream socket bound to an explicit port gets SO_REUSEADDR, unless the
 * program has set that option; SO_REUSEPORT is set only by the program.
 *
 * dmtr_listen binds a socket that is not bound; a second call changes the backlog. EINVAL: the socket is connecting;
 * EISCONN: it is connected.
 *
 * dmtr_getsockname and dmtr_getpeername truncate the address to *size and store its full length there.
 */
DMTR_EXPORT int dmtr_bind(int qd, const struct sockaddr *saddr, socklen_t size);
DMTR_EXPORT int dmtr_listen(int qd, int backlog);
DMTR_EXPORT int dmtr_getsockname(int qd, struct sockaddr *saddr, socklen_t *size);
DMTR_EXPORT int dmtr_getpeername(int qd, struct sockaddr *saddr, socklen_t *size);
DMTR_EXPORT int dmtr_shutdown(int qd, int how);

/*
 * The platform's socket options (SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6) on every backend, and
 * DMTR_SOL_QUEUE on every queue. ENOPROTOOPT: not known.
 */
DMTR_EXPORT int dmtr_setsockopt(int qd, int level, int name, const void *value, socklen_t size);
DMTR_EXPORT int dmtr_getsockopt(int qd, int level, int name, void *value, socklen_t *size);

/*
 * Creates an in-memory FIFO. A pop returns the oldest pushed element in its own buffer, without a copy; memory outside
 * the library's heap is copied. The pushing program frees its buffer and must not write to it any more.
 * memory.max_elements limits the queue: further pushes wait.
 */
DMTR_EXPORT int dmtr_queue(int *qd_out);

/* Returns whether an element passes a filter. Must not call the library. */
typedef bool (*dmtr_filter_fn)(const dmtr_sgarray_t *sga, void *arg);
/* Returns whether a must be popped before b: a strict order. Must not call the library. */
typedef bool (*dmtr_less_fn)(const dmtr_sgarray_t *a, const dmtr_sgarray_t *b, void *arg);
/*
 * Changes an element in place: its bytes, its segments, or the array itself. The function frees a buffer that it
 * replaces. Returns 0, or a positive errno with which the pop fails. May call only the memory functions.
 */
typedef int (*dmtr_map_fn)(dmtr_sgarray_t *sga, void *arg);

/*
 * Queue operators. Each creates a queue over qd1 (and qd2), the sources: queues of any kind, including other operators.
 * The sources stay open, and their owner closes them. Closing a source ends the operator's operations with ECANCELED.
 * Closing the operator leaves the sources open and loses only the elements that it has already popped from them.
 *
 * merge   pop: from the source that has data first; neither starves. push: to both sources; completes when both pushes
 *         have.
 * filter  pop: elements for which fn returns true; others are released. push: the same before the push; an element that
 *         does not pass completes at once.
 * sort    pop: the least of the elements that have arrived. push: directly to qd1.
 * map     pop: each element changed by fn. push: directly to qd1.
 * EINVAL: fn is NULL, or qd1 equals qd2.
 */
DMTR_EXPORT int dmtr_merge(int *qd_out, int qd1, int qd2);
DMTR_EXPORT int dmtr_filter(int *qd_out, int qd1, dmtr_filter_fn fn, void *arg);
DMTR_EXPORT int dmtr_sort(int *qd_out, int qd1, dmtr_less_fn less, void *arg);
DMTR_EXPORT int dmtr_map(int *qd_out, int qd1, dmtr_map_fn fn, void *arg);

/*
 * Forwards all elements that can be popped from qd_in to qd_out, inside waits, as long as both are open. The end of a
 * stream or an error on either side ends it; an element that could not be pushed is lost.
 */
DMTR_EXPORT int dmtr_qconnect(int qd_in, int qd_out);

/*
 * Files, with the flags and modes of open(2). A push writes at the cursor, or at the end with O_APPEND, and is durable
 * on completion with O_DSYNC or O_SYNC. A pop reads at the cursor. The library sets O_NONBLOCK. EINVAL also: pathname
 * is NULL.
 */
DMTR_EXPORT int dmtr_open(int *qd_out, const char *pathname, int flags);
DMTR_EXPORT int dmtr_open2(int *qd_out, const char *pathname, int flags, mode_t mode);
DMTR_EXPORT int dmtr_creat(int *qd_out, const char *pathname, mode_t mode);

/*
 * Control of a file queue. ESPIPE: not a file. EBUSY: pushes or pops are outstanding. dmtr_lseek stores the resulting
 * offset, in bytes from the start. dmtr_fsync blocks until the data of completed pushes is on the device.
 */
DMTR_EXPORT int dmtr_lseek(int qd, off_t offset, int whence, off_t *offset_out);
DMTR_EXPORT int dmtr_truncate(int qd, off_t length);
DMTR_EXPORT int dmtr_fsync(int qd);

/*
 * Closes qd at once: its number may be reused. Outstanding operations on it end with ECANCELED, but accepted pushes are
 * still delivered (SO_LINGER changes that). If received data was never popped, or arrives later, the peer gets
 * ECONNRESET after the pushed data; otherwise it gets the end of the stream.
 */
DMTR_EXPORT int dmtr_close(int qd);

/*
 * As dmtr_close; the token completes when the peer has acknowledged all pushed data and the end of the stream. The
 * error is 0 if all pushed data was acknowledged, even if a reset ended the connection.
 */
DMTR_EXPORT int dmtr_async_close(dmtr_qtoken_t *qt_out, int qd);

/*
 * Sets the pointer that results of this queue's operations contain in qr_user, so that a program need not look up its
 * own state by descriptor. The library never dereferences it.
 *
 * A result contains the pointer that its queue had when the operation was started: a change applies to operations
 * started from now on, and outstanding ones keep theirs (dmtr_set_token_user changes it). The result of an accept has
 * the listener's pointer; a new queue, including an accepted or transferred one, has NULL. dmtr_close does not change
 * outstanding results, so the program can free the state behind the pointer when every operation started with it was
 * returned or dropped. The result that reports failed quiet pushes is never returned after dmtr_close.
 */
DMTR_EXPORT int dmtr_set_user(int qd, void *user);

/* Stores 1 if qd is open on this thread, else 0. */
DMTR_EXPORT int dmtr_is_qd_valid(int *flag_out, int qd);

/*
 * Each starts an operation and stores its token; none blocks. Any number may be outstanding; accepts and pops of one
 * queue are served in the order in which they were started. A connection that the peer has reset before the accept is
 * accepted as well; its pop fails with ECONNRESET. EOPNOTSUPP: not supported by this kind of queue.
 */
DMTR_EXPORT int dmtr_accept(dmtr_qtoken_t *qt_out, int qd);
DMTR_EXPORT int dmtr_connect(dmtr_qtoken_t *qt_out, int qd, const struct sockaddr *saddr, socklen_t size);

/*
 * Sends sga. Its memory belongs to the library until the token completes; memory from the library's heap
 * (dmtr_sgaalloc, dmtr_malloc, a pop) may be freed as soon as the call has returned. Pushes of one queue are delivered
 * in order. dmtr_pushto specifies a datagram's destination.
 * EINVAL    sga is NULL, has no or too many segments, or has a segment with bytes and no buffer
 * EMSGSIZE  too large for one message of this queue
 * ENOTCONN  a stream that is not connected
 * EPIPE     the sending side was shut down
 * ENOBUFS   DMTR_SO_PUSH_LIMIT is reached; wait for earlier pushes and try again
 */
DMTR_EXPORT int dmtr_push(dmtr_qtoken_t *qt_out, int qd, const dmtr_sgarray_t *sga);
DMTR_EXPORT int dmtr_pushto(dmtr_qtoken_t *qt_out, int qd, const dmtr_sgarray_t *sga, const struct sockaddr *saddr,
                            socklen_t size);

/*
 * Sends len bytes at buf and takes over their memory. buf points into a block of the library's heap (dmtr_malloc and
 * related calls, dmtr_sgaalloc, a segment of a pop), not necessarily to its start, and the caller is an owner of the
 * block. After success the library owns the block and frees it once the bytes are sent or the push has failed. If the
 * call returns an error, nothing was started and the caller still owns the block, to try again or to free it. With len
 * 0 the call sends an empty message (nothing, on a stream) and frees the block at once.
 *
 * dmtr_push_buf stores a token, as dmtr_push. dmtr_push_buf_quiet has no token, and has a result only if the push fails
 * after the call: dmtr_wait_next_n returns it, with opcode DMTR_OPC_PUSH_FAILED, qr_qd and qr_user of the queue, a
 * qr_qt that no call has stored, and the error. No other wait returns it. A queue has at most one such result at a
 * time: its qr_value.failures counts the failures until it is returned. dmtr_close discards it, and later failures are
 * not reported. A quiet push uses an operation until it is complete.
 * EINVAL    buf is not in a block of the heap, or len exceeds the end of the block (dmtr_usable_size) or UINT32_MAX
 * Other errors as dmtr_push.
 */
DMTR_EXPORT int dmtr_push_buf(dmtr_qtoken_t *qt_out, int qd, void *buf, size_t len);
DMTR_EXPORT int dmtr_push_buf_quiet(int qd, void *buf, size_t len);

/*
 * As dmtr_push and dmtr_pushto without a token; failures are reported as for dmtr_push_buf_quiet. The memory stays the
 * caller's, who may free it as soon as the call has returned. It must be from the library's heap, because no result
 * reports when other memory may be reused.
 * EINVAL    also: a segment with bytes is not in a block of the heap
 */
DMTR_EXPORT int dmtr_push_quiet(int qd, const dmtr_sgarray_t *sga);
DMTR_EXPORT int dmtr_pushto_quiet(int qd, const dmtr_sgarray_t *sga, const struct sockaddr *saddr, socklen_t size);

/*
 * Passes everything that was pushed to sockets of this runtime to their devices (for kernel sockets, to the kernel), as
 * far as they accept it now. The rest is sent as they have room, in later waits. Never blocks, and completes no
 * operation by itself. A program that will not wait for a while calls it after its last push, so that the pushed data
 * is sent without delay.
 */
DMTR_EXPORT int dmtr_flush(void);

/*
 * Receives. The library allocates the result's memory; release it with dmtr_sgafree. A stream returns the data that has
 * arrived and, at its end, zero segments; a datagram queue returns one datagram with its sender; a message queue
 * exactly one message. dmtr_pop2 limits a stream or file to count bytes (EINVAL: 0). If a datagram is longer, the rest
 * is lost; if a message is longer, the pop fails with EMSGSIZE and the message stays. ENOTCONN: a stream that is not
 * connected.
 */
DMTR_EXPORT int dmtr_pop(dmtr_qtoken_t *qt_out, int qd);
DMTR_EXPORT int dmtr_pop2(dmtr_qtoken_t *qt_out, int qd, size_t count);

#ifdef __cplusplus
}
#endif
#endif
