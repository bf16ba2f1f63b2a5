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

/* Most segments that one scatter-gather array holds. */
#define DMTR_SGARRAY_MAXSIZE 10

/* First word of a framed message on a stream (see DMTR_SO_FRAMED). */
#define DMTR_HEADER_MAGIC 0x10102010

/*
 * Names an operation until a wait returns its result or dmtr_drop gives it up; a timer with a period, until dmtr_drop.
 * 0 is never a token. A token is used on the thread that got it.
 */
typedef uint64_t dmtr_qtoken_t;

/* Names a runtime (what dmtr_init made on one thread), for dmtr_wake. */
typedef uint32_t dmtr_runtime_t;

/* One piece of contiguous memory: sgaseg_len bytes at sgaseg_buf. */
typedef struct dmtr_sgaseg {
    void *sgaseg_buf;
    uint32_t sgaseg_len;
} dmtr_sgaseg_t;

/*
 * A scatter-gather array: the unit that is pushed and popped.
 *
 * sga_buf      set by the library where one allocation holds all segments, else NULL; an
 *              application that builds its own array leaves it NULL.
 * sga_numsegs  segments in use, 0 ... DMTR_SGARRAY_MAXSIZE.
 * sga_addr     after a pop from a datagram socket: the sender. sga_addr6 where the family
 *              (sga_addr.sin_family, the same place in both) is AF_INET6.
 * sga_addrlen  bytes of the address in use; 0 where there is none.
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

/* What an operation was. */
typedef enum dmtr_opcode {
    DMTR_OPC_INVALID = 0,
    DMTR_OPC_PUSH,
    DMTR_OPC_POP,
    DMTR_OPC_ACCEPT,
    DMTR_OPC_CONNECT,
    DMTR_OPC_CLOSE,
    DMTR_OPC_WATCH,
    DMTR_OPC_TIMER,
    DMTR_OPC_PUSH_FAILED, /* of quiet pushes; see dmtr_push_buf_quiet */
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
 * The result of an operation. qr_opcode, qr_qd and qr_qt are valid whether it succeeded or not;
 * qr_qd is -1 for operations without a queue. qr_error is 0 or a positive errno, equal to the
 * return value of a wait for one token. qr_user is the program's pointer (dmtr_set_user, dmtr_set_token_user), also
 * where the operation failed or its queue was closed meanwhile; NULL if none was set. qr_value is valid after success,
 * and `failures` always:
 *   sga          pop: the data, released with dmtr_sgafree. Zero segments: end of stream.
 *   ares         accept
 *   events       watch: the poll(2) events that are ready
 *   expirations  timer: how often it has expired since its last result; 1 for a timer without period
 *   failures     DMTR_OPC_PUSH_FAILED: how many quiet pushes of the queue failed; qr_error is the first one's
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

/* Header of a framed message; every field in network byte order on the wire. */
typedef struct dmtr_header {
    uint32_t h_magic;
    uint32_t h_bytes;
    uint32_t h_sgasegs;
} dmtr_header_t;

/* Level of the library's own options for dmtr_setsockopt and dmtr_getsockopt. */
#define DMTR_SOL_QUEUE 0x646d

enum {
    /* int, stream queues, before the first push or pop: keep message borders (dmtr_setsockopt(3)). */
    DMTR_SO_FRAMED = 1,
    /* int: a push completes when the peer's transport has acknowledged it. */
    DMTR_SO_PUSH_ACKED,
    /* size_t: most bytes of pushes outstanding on this queue; a push beyond it is ENOBUFS. */
    DMTR_SO_PUSH_LIMIT,
    /* struct dmtr_queue_info, read only: who carries this queue. */
    DMTR_SO_INFO,
};

/* What carries a queue and what it has cost so far (DMTR_SO_INFO). */
struct dmtr_queue_info {
    char backend[32];  /* e.g. "posix/io_uring", "memory" */
    uint64_t pushes;   /* operations begun */
    uint64_t pops;     /* operations begun */
    uint64_t copies;   /* payload bytes copied by the library, not by the kernel */
    uint64_t syscalls; /* system calls made for this queue alone */
};

#ifdef __cplusplus
}
#endif
#endif
