/* SPDX-License-Identifier: MIT */
/* TCP headers and options (RFC 9293 section 3.1, RFC 7323, RFC 2018), and the arithmetic of sequence numbers. */
#ifndef INET_WIRE_TCP_H
#define INET_WIRE_TCP_H

#include "inet/wire/wire.h"

#include <stdbool.h>

#define TCP_HEADER_BYTES     20u
#define TCP_OPTIONS_MAX      40u
#define TCP_CHECKSUM_OFFSET  16u
#define TCP_SACK_BLOCKS_MAX  4u
#define TCP_WINDOW_SHIFT_MAX 14u
#define TCP_TIMESTAMP_BYTES  12u         /* with padding */
#define TCP_TIMESTAMP_ALONE  0x0101080au /* its first four bytes if it is the only option: RFC 7323 appendix A */

enum tcp_flags { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

static inline bool seq_lt(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) < 0;
}
static inline bool seq_le(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) <= 0;
}
static inline uint32_t seq_max(uint32_t a, uint32_t b) {
    return seq_lt(a, b) ? b : a;
}

/* Sequence numbers [start, end). */
struct tcp_range {
    uint32_t start, end;
};

struct tcp_options {
    uint16_t mss; /* 0: absent */
    bool has_window_shift, sack_permitted, has_timestamp;
    uint8_t window_shift, sack_count;
    uint32_t ts_value, ts_echo;
    struct tcp_range sack[TCP_SACK_BLOCKS_MAX];
};

struct tcp_header {
    uint16_t from_port, to_port;
    uint32_t seq, ack;
    uint8_t flags, header_bytes;
    uint16_t window; /* as on the wire */
    struct tcp_options options;
};

/*
 * False: the segment is too short. Skips unknown options, and ignores malformed or truncated ones and all behind them.
 */
bool tcp_parse(struct tcp_header *h, const uint8_t *p, uint32_t len);

/* Bytes of the options, a multiple of four. Lowers sack_count if not all SACK blocks fit. */
uint32_t tcp_options_bytes(struct tcp_options *o);

/* The header of most segments: flags ACK or ACK and PSH, and no option except the timestamp. */
struct tcp_plain {
    uint32_t seq, ack, len; /* len: of the payload */
    uint32_t ts_value;
    uint16_t window; /* as on the wire */
};

/* Whether the header has `bytes` bytes, the flag ACK, and no other flag but PSH. */
static inline bool tcp_is_plain(const uint8_t *p, uint32_t bytes) {
    return (wire_load16(p + 12) & htobe16((uint16_t)~TCP_PSH)) == htobe16((uint16_t)(bytes / 4 << 12 | TCP_ACK));
}

/* Parses a segment of `bytes` bytes with such a header, with or without the timestamp. False: it has another header. */
static inline bool tcp_parse_plain(struct tcp_plain *h, const uint8_t *p, uint32_t bytes, bool timestamps) {
    const uint32_t stamped = TCP_HEADER_BYTES + TCP_TIMESTAMP_BYTES;
    if (timestamps) {
        if (bytes < stamped || !tcp_is_plain(p, stamped)) return false;
        if (wire_get32(p + TCP_HEADER_BYTES) != TCP_TIMESTAMP_ALONE) return false;
        h->len = bytes - stamped;
        h->ts_value = wire_get32(p + TCP_HEADER_BYTES + 4);
    } else {
        if (bytes < TCP_HEADER_BYTES || !tcp_is_plain(p, TCP_HEADER_BYTES)) return false;
        h->len = bytes - TCP_HEADER_BYTES;
        h->ts_value = 0;
    }
    h->seq = wire_get32(p + 4);
    h->ack = wire_get32(p + 8);
    h->window = wire_get16(p + 14);
    return true;
}

/* Writes the header without options, with checksum and urgent pointer zero. */
static inline void tcp_emit_fixed(uint8_t *p, uint16_t from_port, uint16_t to_port, uint32_t seq, uint32_t ack,
                                  uint32_t header_bytes, uint8_t flags, uint16_t window) {
    wire_put16(p, from_port);
    wire_put16(p + 2, to_port);
    wire_put32(p + 4, seq);
    wire_put32(p + 8, ack);
    wire_put16(p + 12, (uint16_t)(header_bytes / 4 << 12 | flags));
    wire_put16(p + 14, window);
    wire_put32(p + TCP_CHECKSUM_OFFSET, 0);
}

/* Writes the header with its options, whose length is that of tcp_options_bytes, and a zero checksum. */
void tcp_emit(uint8_t *p, const struct tcp_header *h);

#endif
