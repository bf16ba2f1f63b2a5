/* TCP headers and options (RFC 9293 section 3.1, RFC 7323, RFC 2018), and the arithmetic of sequence numbers. */
#ifndef INET_WIRE_TCP_H
#define INET_WIRE_TCP_H

#include "inet/wire.h"

#include <stdbool.h>

#define TCP_HEADER_BYTES     20u
#define TCP_OPTIONS_MAX      40u
#define TCP_CHECKSUM_OFFSET  16u
#define TCP_SACK_BLOCKS_MAX  4u
#define TCP_WINDOW_SHIFT_MAX 14u
#define TCP_TIMESTAMP_ALONE                                                                                            \
    0x0101080au /* what a timestamp begins with that is the only option: RFC 7323 appendix A                           \
                 */

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

/* False: too short. Options that are unknown, cut or malformed are passed over, as those behind a malformed one. */
bool tcp_parse(struct tcp_header *h, const uint8_t *p, uint32_t len);

/* Bytes the options take, a multiple of four. SACK blocks that find no room are left out: sack_count is lowered. */
uint32_t tcp_options_bytes(struct tcp_options *o);

/* Writes the header at p, options from tcp_options_bytes; the checksum is filled in later. */
void tcp_emit(uint8_t *p, const struct tcp_header *h);

#endif
