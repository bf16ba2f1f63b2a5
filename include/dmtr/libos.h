/* SPDX-License-Identifier: MIT */
/*
 * Queues: making them, moving data through them, giving them up. Every call returns 0 or a
 * positive errno and never exits, prints or blocks unless it says so. Common errors, not repeated
 * below:
 *   ENOSYS   dmtr_init was not called on this thread
 *   EINVAL   an out-argument is NULL
 *   EBADF    the descriptor is not open on this thread
 *   ENOBUFS  a configured bound was reached (the counters say which)
 *   ENOMEM   no memory
 *   ENETDOWN the network device is lost for good. What was outstanding ended with this error, once; every call that
 *            would begin something new fails with it. Data that came before can still be popped.
 * Threads: a runtime belongs to the thread that called dmtr_init; its descriptors and tokens are
 * used on that thread alone. dmtr_wake may be called anywhere.
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
 * argc, argv  the program's own; `--dmtr-config FILE`, `--dmtr-set KEY=VALUE` (also written with
 *             `=`) are understood, all else is left alone. 0 and NULL are fine.
 * EEXIST      this thread has a runtime already
 * EINVAL      a configuration file, option or variable is wrong; the log says where and what to
 *             write instead
 * ENOENT      the configuration file does not exist
 * EMFILE      too many runtimes in this process
 * ENOMEM      no memory, also for the handler that exit() runs (see dmtr_fini)
 */
DMTR_EXPORT int dmtr_init(int argc, char *argv[]);

/*
 * Gives back everything this thread's runtime holds: closes queues, cancels operations. Memory
 * that the application holds stays valid. dmtr_init may follow. EBUSY: called inside another call on
 * the runtime, by a callback.
 *
 * A process that calls exit() or returns from main without it gets the same, from a handler that the first
 * dmtr_init registers with atexit, for the runtime of the thread that exits. The handler leaves a runtime alone in
 * a forked child and where exit() was called inside a call on it. A thread that exits gives its runtime back, too,
 * but does not wait for what is not delivered. Runtimes of other threads of a process that exits, and every runtime of
 * a process that ends by _exit() or a signal, stay open: their peers are not told.
 */
DMTR_EXPORT int dmtr_fini(void);

enum dmtr_log_level { DMTR_LOG_ERROR, DMTR_LOG_WARN, DMTR_LOG_INFO, DMTR_LOG_DEBUG };

/*
 * Writes a line to this runtime's log, if log.level takes it: for libraries on top of this one.
 *
 * level   an enum dmtr_log_level; text: the line, without a newline
 * EINVAL  another level, or text is NULL
 */
DMTR_EXPORT int dmtr_log(int level, const char *text);

/* Names this thread's runtime for dmtr_wake. */
DMTR_EXPORT int dmtr_runtime_current(dmtr_runtime_t *runtime_out);

/*
 * Makes a socket on the configured network (the option `libos`).
 *
 * domain    AF_INET, AF_INET6; else EAFNOSUPPORT
 * type      SOCK_STREAM, SOCK_DGRAM; else ESOCKTNOSUPPORT
 * protocol  0 or the matching IPPROTO_; else EPROTONOSUPPORT
 */
DMTR_EXPORT int dmtr_socket(int *qd_out, int domain, int type, int protocol);

/* As dmtr_socket, on the named network. ENODEV: not known, or not part of this build. */
DMTR_EXPORT int dmtr_socket_on(int *qd_out, const char *network, int domain, int type, int protocol);

/*
 * Makes a queue whose dmtr_accept gives the connections that other threads transfer to this runtime. What has arrived
 * and was not accepted is reset by dmtr_close.
 *
 * EOPNOTSUPP  the configured network does not hand connections over: it is not `inet`, or inet.queues is 1
 * EADDRINUSE  this runtime has one already
 */
DMTR_EXPORT int dmtr_handover(int *qd_out);

/*
 * Moves a connection to another runtime of this process that uses the same device. On success the descriptor is
 * closed, and the other runtime can accept the connection (dmtr_handover) with all data that was received or is not
 * sent yet. No segment that arrives meanwhile is lost or refused. If that runtime has no such queue, it resets the
 * connection. A failed transfer leaves the connection as it was.
 *
 * runtime     as dmtr_runtime_current tells it on that thread
 * EOPNOTSUPP  not a stream of a network that can; or messages are framed on it
 * ENOTCONN    not connected, or closing
 * EBUSY       pops or pushes are outstanding
 * EXDEV       no runtime of that number is on this device; EINVAL: it is this one
 * EAGAIN      4,096 connections are on their way to that runtime already
 * ENOBUFS     the flow table of the device is full
 */
DMTR_EXPORT int dmtr_transfer(int qd, dmtr_runtime_t runtime);

/*
 * POSIX meanings; wildcard address and port 0 work. size is in bytes.
 * ENOTSOCK: the queue is not a socket. EOPNOTSUPP: not with this kind of socket.
 * An address is bound once in a runtime. A stream socket that names its port gets SO_REUSEADDR, unless the program set
 * that option; SO_REUSEPORT is set on request alone.
 * dmtr_listen binds a socket that is not bound; a second call changes the backlog. EINVAL: the socket connects;
 * EISCONN: it is connected.
 * dmtr_getsockname and dmtr_getpeername cut the address to *size and store its full length there.
 */
DMTR_EXPORT int dmtr_bind(int qd, const struct sockaddr *saddr, socklen_t size);
DMTR_EXPORT int dmtr_listen(int qd, int backlog);
DMTR_EXPORT int dmtr_getsockname(int qd, struct sockaddr *saddr, socklen_t *size);
DMTR_EXPORT int dmtr_getpeername(int qd, struct sockaddr *saddr, socklen_t *size);
DMTR_EXPORT int dmtr_shutdown(int qd, int how);

/*
 * The platform's socket options (SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6) on every
 * backend, and DMTR_SOL_QUEUE on every queue. ENOPROTOOPT: not known here.
 */
DMTR_EXPORT int dmtr_setsockopt(int qd, int level, int name, const void *value, socklen_t size);
DMTR_EXPORT int dmtr_getsockopt(int qd, int level, int name, void *value, socklen_t *size);

/*
 * Makes an in-memory FIFO: a pop gives the oldest push, buffer and all, without a copy; memory that is not the
 * library's is copied. The pushing side frees its buffer and does not write to it again. memory.max_elements bounds it:
 * further pushes wait.
 */
DMTR_EXPORT int dmtr_queue(int *qd_out);

/* Decides whether an element passes a filter. May not call the library. */
typedef bool (*dmtr_filter_fn)(const dmtr_sgarray_t *sga, void *arg);
/* Tells whether a is to be popped before b. A strict order; may not call the library. */
typedef bool (*dmtr_less_fn)(const dmtr_sgarray_t *a, const dmtr_sgarray_t *b, void *arg);
/*
 * Changes an element in place: its bytes, its segments, or the array itself. A replaced buffer is
 * the function's to free. Returns 0, or a positive errno with which the pop then ends. May call
 * the memory functions, nothing else.
 */
typedef int (*dmtr_map_fn)(dmtr_sgarray_t *sga, void *arg);

/*
 * Queue operators. Each makes a new queue over qd1 (and qd2): sources of any kind, other
 * operators included. The sources stay open and are closed by their owner; closing a source ends
 * the operator's operations with ECANCELED, closing the operator leaves the sources open and loses
 * nothing but what it had already taken from them.
 *
 * merge   pop: from whichever source has data, neither starved. push: to both, complete when both are.
 * filter  pop: elements that fn lets pass, the others are released. push: the same on the way in;
 *         an element that does not pass completes at once.
 * sort    pop: the least of the elements that have arrived. push: straight to qd1.
 * map     pop: each element changed by fn. push: straight to qd1.
 * EINVAL: fn is NULL, or qd1 equals qd2.
 */
DMTR_EXPORT int dmtr_merge(int *qd_out, int qd1, int qd2);
DMTR_EXPORT int dmtr_filter(int *qd_out, int qd1, dmtr_filter_fn fn, void *arg);
DMTR_EXPORT int dmtr_sort(int *qd_out, int qd1, dmtr_less_fn less, void *arg);
DMTR_EXPORT int dmtr_map(int *qd_out, int qd1, dmtr_map_fn fn, void *arg);

/*
 * Forwards all that can be popped from qd_in to qd_out, as long as both are open; end of stream or
 * an error on either side ends it, and an element that could not be pushed is lost. Forwarding is done inside waits.
 */
DMTR_EXPORT int dmtr_qconnect(int qd_in, int qd_out);

/*
 * Files, with open(2)'s flags and modes. A push writes at the cursor, or at the end with O_APPEND,
 * and is durable on completion with O_DSYNC or O_SYNC; a pop reads at the cursor.
 * O_NONBLOCK is set by the library. EINVAL also: pathname is NULL.
 */
DMTR_EXPORT int dmtr_open(int *qd_out, const char *pathname, int flags);
DMTR_EXPORT int dmtr_open2(int *qd_out, const char *pathname, int flags, mode_t mode);
DMTR_EXPORT int dmtr_creat(int *qd_out, const char *pathname, mode_t mode);

/*
 * Control of a file queue. ESPIPE: not a file. EBUSY: pushes or pops are outstanding.
 * dmtr_lseek stores the resulting offset, in bytes from the start. dmtr_fsync blocks until the
 * data of completed pushes is on the device.
 */
DMTR_EXPORT int dmtr_lseek(int qd, off_t offset, int whence, off_t *offset_out);
DMTR_EXPORT int dmtr_truncate(int qd, off_t length);
DMTR_EXPORT int dmtr_fsync(int qd);

/*
 * Closes qd at once: the number may be reused; outstanding operations on it end with ECANCELED,
 * except that pushes already taken are still delivered (SO_LINGER changes that). If data was received
 * that no pop was given, or comes later, the peer sees ECONNRESET behind what was pushed, and else the
 * end of the stream.
 */
DMTR_EXPORT int dmtr_close(int qd);

/*
 * As dmtr_close; the token completes when the peer has acknowledged all that was pushed and the end of
 * the stream. The error is 0 if all that was pushed was acknowledged, also where a reset ended the
 * connection.
 */
DMTR_EXPORT int dmtr_async_close(dmtr_qtoken_t *qt_out, int qd);

/*
 * Sets the pointer that the results of this queue's operations have in qr_user, so that a program need not look its own
 * state up by descriptor. The library never follows it.
 *
 * A result has the pointer that its queue had when its operation was begun: a change holds for operations begun from
 * now on, and each of those outstanding keeps its own (dmtr_set_token_user changes it). The result of an accept has the
 * listener's pointer; a new queue, also an accepted or handed-over one, has NULL. dmtr_close changes nothing in results
 * that are still to come, so the state that the pointer names can be freed when every operation begun with it was
 * returned or dropped. The result that tells of failed quiet pushes never comes after dmtr_close.
 */
DMTR_EXPORT int dmtr_set_user(int qd, void *user);

/* Stores 1 if qd is open on this thread, else 0. */
DMTR_EXPORT int dmtr_is_qd_valid(int *flag_out, int qd);

/*
 * Each begins an operation and gives its token; none blocks. Any number may be outstanding;
 * accepts and pops of one queue are served in the order they were begun. A connection that the peer
 * has reset before it is accepted is accepted as well; its pop fails with ECONNRESET.
 * EOPNOTSUPP: not with this kind of queue.
 */
DMTR_EXPORT int dmtr_accept(dmtr_qtoken_t *qt_out, int qd);
DMTR_EXPORT int dmtr_connect(dmtr_qtoken_t *qt_out, int qd, const struct sockaddr *saddr, socklen_t size);

/*
 * Sends sga. Its memory belongs to the library until the token completes; memory from the
 * library's own heap (dmtr_sgaalloc, dmtr_malloc, a pop) may be freed as soon as the call has
 * returned. Pushes of one queue are delivered in order.
 * dmtr_pushto gives a datagram its destination.
 * EINVAL    sga is NULL, has no segment or too many, or a segment with bytes and no buffer
 * EMSGSIZE  too large for one message of this queue
 * ENOTCONN  a stream that is not connected
 * EPIPE     the sending side was shut down
 * ENOBUFS   DMTR_SO_PUSH_LIMIT is reached; wait for earlier pushes and try again
 */
DMTR_EXPORT int dmtr_push(dmtr_qtoken_t *qt_out, int qd, const dmtr_sgarray_t *sga);
DMTR_EXPORT int dmtr_pushto(dmtr_qtoken_t *qt_out, int qd, const dmtr_sgarray_t *sga, const struct sockaddr *saddr,
                            socklen_t size);

/*
 * Sends len bytes at buf and takes over the memory. buf points into a block of the library's heap (dmtr_malloc and its
 * kin, dmtr_sgaalloc, a segment of a pop), not necessarily to its beginning, and the caller is an owner of the block.
 * After success the block is the library's: it is freed once the bytes are sent or the push has failed. After an error
 * returned by the call nothing was begun and the block is still the caller's, to try again or to free. With len 0 an
 * empty message is sent (nothing, on a stream) and the block is freed at once.
 * dmtr_push_buf gives a token, as dmtr_push. dmtr_push_buf_quiet gives none, and has a result only if the push fails
 * after the call: dmtr_wait_next_n returns it, with opcode DMTR_OPC_PUSH_FAILED, qr_qd and qr_user of the queue, a
 * qr_qt that no call has given out, and the error. No other wait returns it. A queue has at most one such result at a
 * time: failures before it is fetched are counted in its qr_value.failures. dmtr_close takes it back, and failures
 * after it are not told. A quiet push uses an operation until it is complete, none after.
 * EINVAL    buf is not in a block of the heap, or len reaches past the block's end (dmtr_usable_size) or is more than a
 *           segment's UINT32_MAX
 * Other errors as dmtr_push.
 */
DMTR_EXPORT int dmtr_push_buf(dmtr_qtoken_t *qt_out, int qd, void *buf, size_t len);
DMTR_EXPORT int dmtr_push_buf_quiet(int qd, void *buf, size_t len);

/*
 * As dmtr_push and dmtr_pushto without a token, reporting failures like dmtr_push_buf_quiet. The memory stays the
 * caller's and may be freed as soon as the call has returned; it has to be the library's heap's, because there is
 * no result to tell when other memory is free again.
 * EINVAL    also: a segment with bytes is not in a block of the heap
 */
DMTR_EXPORT int dmtr_push_quiet(int qd, const dmtr_sgarray_t *sga);
DMTR_EXPORT int dmtr_pushto_quiet(int qd, const dmtr_sgarray_t *sga, const struct sockaddr *saddr, socklen_t size);

/*
 * Hands what was pushed to sockets of this runtime before to their devices (to the kernel, for its sockets), as far as
 * they take it now; what they do not take goes as they have room, in later waits. Never blocks and completes nothing by
 * itself. A program that will not wait for a while calls it after its last push, so that what it pushed does not depend
 * on when the library would send it.
 */
DMTR_EXPORT int dmtr_flush(void);

/*
 * Receives. The result is memory of the library's, released with dmtr_sgafree. A stream gives
 * what has arrived, then, at its end, zero segments; a datagram queue one datagram with its sender;
 * a message queue exactly one message.
 * dmtr_pop2 limits a stream or file to count bytes (EINVAL: 0); the rest of a longer datagram is lost, of
 * a message it is EMSGSIZE and the message stays.
 * ENOTCONN: a stream that is not connected.
 */
DMTR_EXPORT int dmtr_pop(dmtr_qtoken_t *qt_out, int qd);
DMTR_EXPORT int dmtr_pop2(dmtr_qtoken_t *qt_out, int qd, size_t count);

#ifdef __cplusplus
}
#endif
#endif
