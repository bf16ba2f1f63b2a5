/* SPDX-License-Identifier: MIT */
/* Types shared by all calls: scatter-gather arrays, tokens, results, options. */
#ifndef DMTR_TYPES_H
#define DMTR_TYPES_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks a symbol that the shared library exports. */
#define DMTR_EXPORT __attribute__((visibility("default")))

/* Limit of segments in one scatter-gather array. */
#define DMTR_SGARRAY_MAXSIZE 10

/* First word of a framed message on a stream (see DMTR_SO_FRAMED). */
#define DMTR_HEADER_MAGIC 0x10102010

/*
 * Identifies an operation until a wait returns its result or dmtr_drop abandons it; a timer with a period, until
 * dmtr_drop. 0 is never a token. Only the thread that received a token may use it.
 */
typedef uint64_t dmtr_qtoken_t;

/* Identifies a runtime (created by dmtr_init on one thread), for dmtr_wake and dmtr_transfer. */
typedef uint32_t dmtr_runtime_t;

/* Contiguous memory: sgaseg_len bytes at sgaseg_buf. */
typedef struct dmtr_sgaseg {
    void *sgaseg_buf;
    uint32_t sgaseg_len;
} dmtr_sgaseg_t;

/*
 * A scatter-gather array: the unit that is pushed and popped.
 *
 * sga_buf      set by the library if one allocation holds all segments, else NULL; an application that builds its own
 *              array sets it to NULL.
 * sga_numsegs  segments in use, 0 ... DMTR_SGARRAY_MAXSIZE.
 * sga_addr     after a pop from a datagram socket: the sender. It is sga_addr6 if the family (sga_addr.sin_family, at
 *              the same offset in both) is AF_INET6.
 * sga_addrlen  bytes of the address; 0 if there is none.
 */
typedef struct dmtr_sgarray {
    void *sga_buf;
    uint32_t sga_numsegs;
    socklen_t sga_addrlen;
    dmtr_sgaseg_t sga_segs[DMTR_SGARRAY_MAXSIZE];
    union {
        struct sockaddr_in sga_addr;
        struct sockaddr_in6 sga_addr6;
    };
} dmtr_sgarray_t;

/* The kind of an operation. */
typedef enum dmtr_opcode {
    DMTR_OPC_INVALID = 0,
    DMTR_OPC_PUSH,
    DMTR_OPC_POP,
    DMTR_OPC_ACCEPT,
    DMTR_OPC_CONNECT,
    DMTR_OPC_CLOSE,
    DMTR_OPC_WATCH,
    DMTR_OPC_TIMER,
    DMTR_OPC_PUSH_FAILED, /* failed quiet pushes; see dmtr_push_buf_quiet */
} dmtr_opcode_t;

/* An accepted connection: its descriptor and the peer's address (addr6 for AF_INET6). */
typedef struct dmtr_accept_result {
    int qd;
    socklen_t len;
    union {
        struct sockaddr_in addr;
        struct sockaddr_in6 addr6;
    };
} dmtr_accept_result_t;

/*
 * The result of an operation. qr_opcode, qr_qd and qr_qt are valid whether it succeeded or not; qr_qd is -1 for
 * operations without a queue. qr_error is 0 or a positive errno, equal to the return value of a wait for one token.
 * qr_user is the program's pointer (dmtr_set_user, dmtr_set_token_user), or NULL if none was set; it is also valid if
 * the operation failed or its queue was closed meanwhile. qr_value is valid after success, and `failures` always:
 *   sga          pop: the data, to be released with dmtr_sgafree. Zero segments: end of stream.
 *   ares         accept
 *   events       watch: the poll(2) events that are ready
 *   expirations  timer: the number of expirations since its last result; 1 for a timer without a period
 *   failures     DMTR_OPC_PUSH_FAILED: the number of the queue's quiet pushes that failed; qr_error is the error of the
 *                first
 */
typedef struct dmtr_qresult {
    dmtr_opcode_t qr_opcode;
    int qr_qd;
    dmtr_qtoken_t qr_qt;
    int qr_error;
    void *qr_user;
    union {
        dmtr_sgarray_t sga;
        dmtr_accept_result_t ares;
        uint32_t events;
        uint64_t expirations;
        uint64_t failures;
    } qr_value;
} dmtr_qresult_t;

/* Header of a framed message. On the wire every field is in network byte order. */
typedef struct dmtr_header {
    uint32_t h_magic;
    uint32_t h_bytes;
    uint32_t h_sgasegs;
} dmtr_header_t;

/* Level of the library's own options for dmtr_setsockopt and dmtr_getsockopt. */
#define DMTR_SOL_QUEUE 0x646d

enum {
    /* int, stream queues, before the first push or pop: keep message boundaries (dmtr_setsockopt(3)). */
    DMTR_SO_FRAMED = 1,
    /* int: a push completes when the peer's transport has acknowledged it. */
    DMTR_SO_PUSH_ACKED,
    /* size_t: limit of the bytes in outstanding pushes on this queue; a push beyond it fails with ENOBUFS. */
    DMTR_SO_PUSH_LIMIT,
    /* struct dmtr_queue_info, read only: the queue's backend and costs. */
    DMTR_SO_INFO,
};

/* The backend of a queue and the queue's costs so far (DMTR_SO_INFO). */
struct dmtr_queue_info {
    char backend[32];  /* e.g. "posix/io_uring", "memory" */
    uint64_t pushes;   /* operations started */
    uint64_t pops;     /* operations started */
    uint64_t copies;   /* payload bytes copied by the library, not counting the kernel's copies */
    uint64_t syscalls; /* system calls made only for this queue */
};

#ifdef __cplusplus
}
#endif
#endif
