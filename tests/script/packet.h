/* SPDX-License-Identifier: MIT */
/*
 * A packet as a script speaks of it: a kind, and fields that are there or not. TCP numbers are relative to the initial
 * ones of their flow, payload follows one pattern, so that a line says all there is to say.
 */
#ifndef TESTS_SCRIPT_PACKET_H
#define TESTS_SCRIPT_PACKET_H

#include "words.h"

#include <stddef.h>

enum packet_kind { PACKET_TCP = 1, PACKET_UDP = 2, PACKET_ICMP = 4, PACKET_ARP = 8, PACKET_IP = 16, PACKET_RAW = 32 };
#define ON_IP  (PACKET_TCP | PACKET_UDP | PACKET_ICMP | PACKET_IP)
#define ON_ETH (ON_IP | PACKET_ARP)

enum field_type { FLAG, NUMBER, ADDRESS, MAC, HEX, OPTIONS, SACK, STAMP, FRAGMENT, INNER };

/* Symbol, word, type, kinds of packet that have it. INNER ones are parts of another's syntax. */
#define PACKET_FIELDS(X)                                                                                               \
    X(FROM, "from", NUMBER, PACKET_TCP | PACKET_UDP | PACKET_ICMP) /* the peer's port, in either direction */          \
    X(AT, "at", NUMBER, PACKET_TCP | PACKET_UDP | PACKET_ICMP)     /* the stack's */                                   \
    X(ACK, "ack", NUMBER, PACKET_TCP)                                                                                  \
    X(WIN, "win", NUMBER, PACKET_TCP) /* as on the wire */                                                             \
    X(MSS, "mss", NUMBER, PACKET_TCP)                                                                                  \
    X(SACK_OK, "sackok", FLAG, PACKET_TCP)                                                                             \
    X(TS, "ts", STAMP, PACKET_TCP)                                                                                     \
    X(TS_VALUE, NULL, INNER, PACKET_TCP)                                                                               \
    X(TS_ECHO, NULL, INNER, PACKET_TCP)                                                                                \
    X(NO_TS, "nots", FLAG, PACKET_TCP) /* although timestamps were agreed on */                                        \
    X(WS, "ws", NUMBER, PACKET_TCP)                                                                                    \
    X(SACKS, "sack", SACK, PACKET_TCP)                                                                                 \
    X(OPTS, "opts", OPTIONS, PACKET_TCP)   /* the kinds, in order */                                                   \
    X(NO_PUSH, "nopush", FLAG, PACKET_TCP) /* no PSH */                                                                \
    X(TCP_RAW, "rawopts", HEX, PACKET_TCP)                                                                             \
    X(LEN, "len", NUMBER, PACKET_UDP | PACKET_ICMP | PACKET_IP) /* of the payload */                                   \
    X(UDP_LEN, "udplen", NUMBER, PACKET_UDP)                    /* what the header says instead */                     \
    X(NO_SUM, "nosum", FLAG, PACKET_UDP)                                                                               \
    X(ICMP_ID, "id", NUMBER, PACKET_ICMP)                                                                              \
    X(ICMP_SEQ, "seq", NUMBER, PACKET_ICMP)                                                                            \
    X(MTU, "mtu", NUMBER, PACKET_ICMP)                                                                                 \
    X(ABOUT_TCP, "about-tcp", NUMBER, PACKET_ICMP) /* quotes the stack's segment that begins there */                  \
    X(ABOUT_UDP, "about-udp", FLAG, PACKET_ICMP)                                                                       \
    X(ICMP_TYPE, NULL, INNER, PACKET_ICMP)                                                                             \
    X(ICMP_CODE, NULL, INNER, PACKET_ICMP)                                                                             \
    X(BAD_SUM, "badsum", FLAG, PACKET_TCP | PACKET_UDP | PACKET_ICMP)                                                  \
    X(OFFLOADED, "offloaded", FLAG, PACKET_TCP | PACKET_UDP) /* the device is to fill the checksum in */               \
    X(TSO, "tso", NUMBER, PACKET_TCP)                        /* and to cut it into segments of so many bytes */        \
    X(PROTO, "proto", NUMBER, PACKET_IP)                                                                               \
    X(SRC, "src", ADDRESS, ON_IP)                                                                                      \
    X(DST, "dst", ADDRESS, ON_IP)                                                                                      \
    X(TTL, "ttl", NUMBER, ON_IP)                                                                                       \
    X(TOS, "tos", NUMBER, ON_IP)                                                                                       \
    X(IP_ID, "ipid", NUMBER, ON_IP)                                                                                    \
    X(DF, "df", FLAG, ON_IP)                                                                                           \
    X(IP_RAW, "ipopts", HEX, ON_IP)                                                                                    \
    X(IP_LEN, "iplen", NUMBER, ON_IP) /* what the header says instead */                                               \
    X(IHL, "ihl", NUMBER, ON_IP)      /* the same, in bytes */                                                         \
    X(BAD_IP_SUM, "badipsum", FLAG, ON_IP)                                                                             \
    X(FRAG, "frag", FRAGMENT, ON_IP)                                                                                   \
    X(FRAG_AT, NULL, INNER, ON_IP)                                                                                     \
    X(FRAG_LEN, NULL, INNER, ON_IP)                                                                                    \
    X(FRAG_MORE, NULL, INNER, ON_IP)                                                                                   \
    X(BAD_DATA, "baddata", FLAG, PACKET_TCP | PACKET_UDP | PACKET_ICMP)                                                \
    X(ARP_OP, NULL, INNER, PACKET_ARP)                                                                                 \
    X(ARP_SENDER, NULL, INNER, PACKET_ARP)                                                                             \
    X(ARP_TARGET, NULL, INNER, PACKET_ARP)                                                                             \
    X(ARP_MAC, "mac", MAC, PACKET_ARP) /* the sender's */                                                              \
    X(ETH_FROM, "eth-from", MAC, ON_ETH)                                                                               \
    X(ETH_TO, "eth-to", MAC, ON_ETH)                                                                                   \
    X(ETH_TYPE, "eth-type", NUMBER, ON_ETH)                                                                            \
    X(CUT, "cut", NUMBER, ON_ETH) /* only so many bytes of the frame arrive */                                         \
    X(PAD, "pad", NUMBER, ON_ETH) /* bytes behind it */

enum field {
#define X(symbol, word, type, kinds) FIELD_##symbol,
    PACKET_FIELDS(X)
#undef X
        FIELD_COUNT
};
_Static_assert(FIELD_COUNT <= 64, "a bit each");

struct field_value {
    uint32_t number;
    uint8_t count;
    uint8_t bytes[40];
};

struct script_packet {
    enum packet_kind kind;
    uint8_t tcp_flags;
    uint32_t seq, end; /* of a TCP segment: payload [seq, end) */
    uint64_t has;      /* a bit per field */
    struct field_value value[FIELD_COUNT];
};

static inline bool packet_has(const struct script_packet *p, enum field f) {
    return p->has >> f & 1;
}
static inline uint32_t packet_get(const struct script_packet *p, enum field f) {
    return p->value[f].number;
}
static inline uint32_t packet_or(const struct script_packet *p, enum field f, uint32_t otherwise) {
    return packet_has(p, f) ? p->value[f].number : otherwise;
}
static inline void packet_set(struct script_packet *p, enum field f, uint32_t number) {
    p->has |= 1ull << f;
    p->value[f].number = number;
}

struct field_name {
    const char *word;
    enum field_type type;
    uint32_t kinds;
};
extern const struct field_name packet_fields[FIELD_COUNT];

/* Reads the rest of the line; false: w->error says why not. */
bool packet_parse(struct words *w, struct script_packet *p);

/* Writes it as a line of a script would. */
void packet_print(const struct script_packet *p, char *text, size_t bytes);

/* Whether `got` has all that `wanted` asks for, and nothing that is wrong unless asked for. */
bool packet_matches(const struct script_packet *wanted, const struct script_packet *got);

/* Byte i of any payload. */
static inline uint8_t packet_byte(uint32_t i) {
    return (uint8_t)(i ^ i >> 8 ^ i >> 16);
}

#endif
