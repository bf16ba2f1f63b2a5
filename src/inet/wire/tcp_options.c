/* SPDX-License-Identifier: MIT */
/* Parses and writes TCP headers and options. The order of options is that of Linux. */
#include "inet/wire/tcp.h"

enum option_kind {
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_MSS = 2,
    OPTION_WINDOW_SHIFT = 3,
    OPTION_SACK_PERMITTED = 4,
    OPTION_SACK = 5,
    OPTION_TIMESTAMP = 8,
};

static void sack_parse(struct tcp_options *o, const uint8_t *p, uint32_t len) {
    for (uint32_t i = 2; i + 8 <= len && o->sack_count < TCP_SACK_BLOCKS_MAX; i += 8)
        o->sack[o->sack_count++] = (struct tcp_range){wire_get32(p + i), wire_get32(p + i + 4)};
}

/* Parses one option of len bytes, at least 2. An option with a wrong length is ignored. */
static void option_parse(struct tcp_options *o, const uint8_t *p, uint32_t len) {
    switch (p[0]) {
    case OPTION_MSS:
        if (len == 4) o->mss = wire_get16(p + 2);
        break;
    case OPTION_WINDOW_SHIFT:
        if (len != 3) break;
        o->has_window_shift = true;
        o->window_shift = p[2] < TCP_WINDOW_SHIFT_MAX ? p[2] : TCP_WINDOW_SHIFT_MAX; /* RFC 7323 section 2.3 */
        break;
    case OPTION_SACK_PERMITTED:
        if (len == 2) o->sack_permitted = true;
        break;
    case OPTION_SACK:
        sack_parse(o, p, len);
        break;
    case OPTION_TIMESTAMP:
        if (len != 10) break;
        o->has_timestamp = true;
        o->ts_value = wire_get32(p + 2);
        o->ts_echo = wire_get32(p + 6);
        break;
    default:
        break;
    }
}

static void options_parse(struct tcp_options *o, const uint8_t *p, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes && p[i] != OPTION_END;) {
        if (p[i] == OPTION_NOP) {
            i++;
            continue;
        }
        if (i + 1 >= bytes || p[i + 1] < 2 || p[i + 1] > bytes - i) return;
        option_parse(o, p + i, p[i + 1]);
        i += p[i + 1];
    }
}

/* Blocks beyond sack_count have no meaning. */
static void options_clear(struct tcp_options *o) {
    o->mss = 0;
    o->has_window_shift = o->sack_permitted = o->has_timestamp = false;
    o->window_shift = o->sack_count = 0;
    o->ts_value = o->ts_echo = 0;
}

bool tcp_parse(struct tcp_header *h, const uint8_t *p, uint32_t len) {
    if (len < TCP_HEADER_BYTES) return false;
    h->from_port = wire_get16(p);
    h->to_port = wire_get16(p + 2);
    h->seq = wire_get32(p + 4);
    h->ack = wire_get32(p + 8);
    h->header_bytes = (uint8_t)((p[12] >> 4) * 4);
    h->flags = p[13];
    h->window = wire_get16(p + 14);
    options_clear(&h->options);
    if (h->header_bytes < TCP_HEADER_BYTES || h->header_bytes > len) return false;
    p += TCP_HEADER_BYTES;
    if (h->header_bytes == TCP_HEADER_BYTES + 12 && wire_get32(p) == TCP_TIMESTAMP_ALONE) {
        h->options.has_timestamp = true;
        h->options.ts_value = wire_get32(p + 4);
        h->options.ts_echo = wire_get32(p + 8);
        return true;
    }
    options_parse(&h->options, p, h->header_bytes - TCP_HEADER_BYTES);
    return true;
}

uint32_t tcp_options_bytes(struct tcp_options *o) {
    uint32_t bytes = (o->mss ? 4u : 0) + (o->has_timestamp ? 12u : 0) + (o->has_window_shift ? 4u : 0);
    if (o->sack_permitted && !o->has_timestamp) bytes += 4; /* with a timestamp it replaces that option's padding */
    uint32_t room = (TCP_OPTIONS_MAX - bytes - 4) / 8;
    if (o->sack_count > room) o->sack_count = (uint8_t)room;
    return bytes + (o->sack_count ? 4 + 8u * o->sack_count : 0);
}

static uint8_t *put(uint8_t *p, uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
    p[0] = a;
    p[1] = b;
    p[2] = c;
    p[3] = d;
    return p + 4;
}

static void options_emit(uint8_t *p, const struct tcp_options *o) {
    uint8_t first = o->sack_permitted ? OPTION_SACK_PERMITTED : OPTION_NOP;
    uint8_t second = o->sack_permitted ? 2 : OPTION_NOP;
    if (o->mss) p = put(p, OPTION_MSS, 4, (uint8_t)(o->mss >> 8), (uint8_t)o->mss);
    if (o->has_timestamp) {
        p = put(p, first, second, OPTION_TIMESTAMP, 10);
        wire_put32(p, o->ts_value);
        wire_put32(p + 4, o->ts_echo);
        p += 8;
    } else if (o->sack_permitted) {
        p = put(p, OPTION_NOP, OPTION_NOP, first, second);
    }
    if (o->has_window_shift) p = put(p, OPTION_NOP, OPTION_WINDOW_SHIFT, 3, o->window_shift);
    if (o->sack_count == 0) return;
    p = put(p, OPTION_NOP, OPTION_NOP, OPTION_SACK, (uint8_t)(2 + 8 * o->sack_count));
    for (uint32_t i = 0; i < o->sack_count; i++, p += 8) {
        wire_put32(p, o->sack[i].start);
        wire_put32(p + 4, o->sack[i].end);
    }
}

void tcp_emit(uint8_t *p, const struct tcp_header *h) {
    tcp_emit_fixed(p, h->from_port, h->to_port, h->seq, h->ack, h->header_bytes, h->flags, h->window);
    options_emit(p + TCP_HEADER_BYTES, &h->options);
}
