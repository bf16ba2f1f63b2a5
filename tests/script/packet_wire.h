/* SPDX-License-Identifier: MIT */
/* Packets of a script as frames, and back; and what is remembered of each flow so that numbers can be relative. */
#ifndef TESTS_SCRIPT_PACKET_WIRE_H
#define TESTS_SCRIPT_PACKET_WIRE_H

#include "packet.h"

#define PEER_ISN    0xfffff000u /* wraps soon */
#define FLOWS_MAX   512u
#define FRAME_BYTES 66000u

/* A TCP connection by the peer's port. */
struct flow {
    uint16_t peer_port, stack_port;
    bool known;        /* the stack has sent its SYN */
    uint32_t iss;      /* the stack's */
    uint32_t last_ack; /* what the peer's lines take over from the line before */
    uint32_t window;
    bool stamps; /* the peer's SYN had a timestamp: all have */
    uint32_t stamp_base, last_stamp;
};

struct flows {
    struct flow flow[FLOWS_MAX];
    uint32_t count;
};

/* A frame that the stack has sent. */
struct wire_frame {
    uint64_t at_ns;
    uint32_t len;
    bool no_link;   /* begins with its IP header */
    bool offloaded; /* the device is to complete the checksum, as the two below say */
    uint16_t csum_start, csum_offset;
    uint16_t tso_bytes; /* not 0: and to cut it into segments of so many */
    uint8_t bytes[FRAME_BYTES];
};

/* The flow of that port of the peer's, made where there is none. NULL: too many. */
struct flow *flow_of(struct flows *f, uint32_t peer_port);

/* The frame that the peer sends; its length. now_ms: for timestamps. 0: it cannot be made. */
uint32_t packet_encode(struct flows *f, const struct script_packet *p, uint32_t now_ms, uint8_t frame[FRAME_BYTES]);

/* What the stack has sent. */
void packet_decode(struct flows *f, const struct wire_frame *frame, struct script_packet *p);

#endif
