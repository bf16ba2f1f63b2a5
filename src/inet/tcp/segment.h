/* SPDX-License-Identifier: MIT */
/* A received segment with its header and options. */
#ifndef INET_TCP_SEGMENT_H
#define INET_TCP_SEGMENT_H

#include "inet/wire/tcp.h"

struct tcp_segment {
    struct tcp_header h;
    uint32_t seq, end; /* payload [seq, seq + len), and one more for SYN and for FIN */
    uint32_t len;
    bool fin;
};

#endif
