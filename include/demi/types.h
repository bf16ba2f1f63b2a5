/* SPDX-License-Identifier: MIT */
/*
 * Types of the demi calls. The structures are packed: their layout is the binary interface, the same for every backend
 * and compiler. Do not take the address of a member that may be unaligned.
 */
#ifndef DEMI_TYPES_H
#define DEMI_TYPES_H

#include <demi/cc.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Segments of a scatter-gather array. */
#define DEMI_SGARRAY_MAXSIZE 1

/* Limit of a segment's bytes. */
#define DEMI_SGASEG_MAXLEN 65535

/* Identifies an operation until a wait returns its result. 0 is never a token. */
typedef uint64_t demi_qtoken_t;

/* Contiguous memory: sgaseg_len bytes at sgaseg_buf. */
typedef struct ATTR_PACKED demi_sgaseg {
    void *sgaseg_buf;
    uint32_t sgaseg_len;
} demi_sgaseg_t;

/*
 * The unit that is pushed and popped. sga_buf belongs to the library; an application that describes other memory sets
 * it to NULL. After a pop from an IPv4 datagram socket, sga_addr is the sender.
 */
typedef struct ATTR_PACKED demi_sgarray {
    void *sga_buf;
    uint32_t sga_numsegs;
    demi_sgaseg_t sga_segs[DEMI_SGARRAY_MAXSIZE];
    struct sockaddr_in sga_addr;
} demi_sgarray_t;

/* The kind of an operation; DEMI_OPC_FAILED for any operation that failed. */
typedef enum demi_opcode {
    DEMI_OPC_INVALID = 0,
    DEMI_OPC_PUSH,
    DEMI_OPC_POP,
    DEMI_OPC_ACCEPT,
    DEMI_OPC_CONNECT,
    DEMI_OPC_CLOSE,
    DEMI_OPC_FAILED,
} demi_opcode_t;

/* An accepted connection and its peer. For an IPv6 peer only family and port are valid (see demi_getpeername). */
typedef struct ATTR_PACKED demi_accept_result {
    int32_t qd;
    struct sockaddr_in addr;
} demi_accept_result_t;

/*
 * The result of an operation. qr_ret is 0 or, with DEMI_OPC_FAILED, a positive errno. qr_value contains sga after
 * DEMI_OPC_POP, ares after DEMI_OPC_ACCEPT, and otherwise zeros.
 */
typedef struct ATTR_PACKED demi_qresult {
    enum demi_opcode qr_opcode;
    int32_t qr_qd;
    demi_qtoken_t qr_qt;
    int64_t qr_ret;
    union {
        demi_sgarray_t sga;
        demi_accept_result_t ares;
    } qr_value;
} demi_qresult_t;

/* Called with a name, its length in bytes and a duration by builds that profile themselves. */
typedef void (*demi_callback_t)(const char *name, uint32_t name_len, uint64_t duration);

/* Arguments of demi_init. */
struct ATTR_PACKED demi_args {
    int argc;
    char *const *argv;
    demi_callback_t callback;
};

#ifdef __cplusplus
}
#endif
#endif
