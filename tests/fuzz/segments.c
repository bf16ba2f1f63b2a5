/* SPDX-License-Identifier: MIT */
/*
 * A TCP peer that is nearly right: segments made from the connection's own state and a little off, mixed with the
 * application's calls, ICMP errors, a device without room, and time.
 */
#include "inet/tcp/conn.h"
#include "stack.h"

#include "inet/wire/icmp.h"
#include "inet/wire/ip4.h"
#include "leaks.h"

#include <stddef.h>

#define STEPS_MOST 400u

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    return 0;
}

static struct tcp_conn *conn_of(const struct stack *s, uint32_t k) {
    struct inet_flow flow = {inet_addr_ip4(htobe32(0x0a000001)), inet_addr_ip4(htobe32(0x0a000002)), s->conns[k].port,
                             (uint16_t)(PEER_PORT + k)};
    return hash_find(&s->inet->tcp_conns, &flow);
}

/* A sequence number at, or a little off, one of those that matter; seldom any. */
static uint32_t near(struct input *in, const uint32_t *marks, uint32_t count) {
    uint8_t how = take_byte(in);
    uint32_t mark = marks[(how & 7) % count];
    switch (how >> 6) {
    case 0:
    case 1:
        return mark;
    case 2:
        return mark + (uint32_t)((int32_t)(take_byte(in))-128) * ((how & 8) ? 97 : 1);
    default:
        return how & 8 ? take_32(in) : mark + take_16(in);
    }
}

static uint32_t peers_number(struct input *in, const struct tcp_conn *c) {
    if (!c) return take_32(in);
    const struct tcp_receive *r = &c->receive;
    const struct tcp_ooo_run *run = reassembly_first(&r->reassembly);
    const uint32_t marks[] = {r->nxt, r->nxt, r->nxt, r->adv, r->irs, r->last_ack, run ? run->node.key : r->nxt};
    return near(in, marks, sizeof marks / sizeof *marks);
}

static uint32_t our_number(struct input *in, const struct tcp_conn *c) {
    if (!c) return take_32(in);
    const uint32_t marks[] = {c->send.nxt,
                              c->send.nxt,
                              c->send.una,
                              c->send.iss,
                              c->send.end,
                              c->send.una + c->send.mss,
                              c->recovery.flight->scoreboard.recover};
    return near(in, marks, sizeof marks / sizeof *marks);
}

static void segment(struct stack *s, struct input *in) {
    static const uint8_t usual[] = {TCP_ACK,           TCP_ACK, TCP_ACK,           TCP_ACK | TCP_PSH,
                                    TCP_ACK | TCP_FIN, TCP_SYN, TCP_SYN | TCP_ACK, TCP_RST};
    static uint8_t p[FRAME_MOST];
    uint8_t what = take_byte(in), with = take_byte(in);
    uint32_t k = what % STACK_CONNS, len = with & 1 ? take_byte(in) * 6u : 0;
    const struct tcp_conn *c = conn_of(s, k);
    struct tcp_header h = {.from_port = (uint16_t)(PEER_PORT + k), .to_port = s->conns[k].port};
    h.flags = what & 128 ? take_byte(in) : usual[what >> 2 & 7];
    h.seq = h.flags & TCP_SYN && !c ? take_32(in) : peers_number(in, c);
    h.ack = our_number(in, c);
    h.window = with & 2 ? take_16(in) : 65535;
    if (h.flags & TCP_SYN) {
        h.options.mss = with & 4 ? take_16(in) : 1460;
        h.options.sack_permitted = !(with & 8);
        h.options.has_window_shift = !(with & 16);
        h.options.window_shift = with & 16 ? 0 : take_byte(in) & 15;
    }
    if (c ? c->send.timestamps : with & 32) {
        h.options.has_timestamp = !(with & 64);
        h.options.ts_value = (c ? c->ts.recent : 1) + (with & 32 ? take_byte(in) - 64u : 1);
        h.options.ts_echo = s->conns[k].ts - (with & 128 ? take_byte(in) : 0);
    }
    for (uint32_t i = what >> 5 & 3; i > 0 && !(h.flags & TCP_SYN); i--) {
        uint32_t start = our_number(in, c);
        h.options.sack[h.options.sack_count++] = (struct tcp_range){start, start + take_byte(in) * 100u};
    }
    h.header_bytes = (uint8_t)(TCP_HEADER_BYTES + tcp_options_bytes(&h.options));
    tcp_emit(p + ETH_IP_BYTES, &h);
    /* What begins a connection carries the first byte. */
    uint32_t first = c && c->state != TCP_STATE_SYN_SENT ? h.seq + !!(h.flags & TCP_SYN) - c->receive.irs - 1 : 0;
    for (uint32_t i = 0; i < len; i++)
        p[ETH_IP_BYTES + h.header_bytes + i] = (uint8_t)(first + i);
    stack_receive_ip(s, p, IP_TCP, h.header_bytes + len);
}

/* About a packet that the stack may have sent. */
static void icmp_error(struct stack *s, struct input *in) {
    static uint8_t p[FRAME_MOST];
    uint8_t what = take_byte(in);
    uint32_t k = what % STACK_CONNS, bytes = ICMP_HEADER_BYTES + IP4_HEADER_BYTES + ICMP_QUOTE_MIN;
    uint8_t *icmp = p + ETH_IP_BYTES, *quoted = icmp + ICMP_HEADER_BYTES;
    struct ip4_header ip = {.from = htobe32(0x0a000001),
                            .to = htobe32(0x0a000002),
                            .ttl = 64,
                            .protocol = IP_TCP,
                            .fragment_flags = IP4_DF,
                            .total_bytes = take_16(in) | IP4_HEADER_BYTES};
    icmp_emit(icmp, what & 4 ? ICMP_UNREACHABLE : ICMP_TIME_EXCEEDED, what >> 3 & 7);
    wire_put16(icmp + 6, take_16(in));
    ip4_emit(quoted, &ip);
    wire_put16(quoted + IP4_HEADER_BYTES, s->conns[k].port);
    wire_put16(quoted + IP4_HEADER_BYTES + 2, (uint16_t)(PEER_PORT + k));
    wire_put32(quoted + IP4_HEADER_BYTES + 4, our_number(in, conn_of(s, k)));
    wire_store16(icmp + 2, csum_finish(csum_add(0, icmp, bytes)));
    stack_receive_ip(s, p, IP_ICMP, bytes);
}

static void option(struct stack *s, struct input *in, uint32_t k) {
    uint32_t which = take_byte(in) % TCP_OPTION_COUNT, value = take_16(in);
    if (s->conns[k].conn) tcp_set_option(s->conns[k].conn, (enum tcp_option)which, value, s->now);
}

static void step(struct stack *s, struct input *in) {
    uint8_t what = take_byte(in);
    uint32_t k = what >> 4 & (STACK_CONNS - 1);
    switch (what & 15) {
    case 0:
        stack_push(s, k, 1 + take_16(in) % 20000, what & 64);
        break;
    case 1:
        stack_pop(s, k, 1 + take_16(in));
        break;
    case 2:
        stack_pass(s, take_byte(in) * 1000000ull);
        break;
    case 3:
        stack_pass(s, take_byte(in) * 1000000000ull);
        break;
    case 4:
        stack_connect(s, k);
        break;
    case 5:
        if (s->conns[k].conn) tcp_shutdown(s->conns[k].conn, s->now);
        break;
    case 6:
        stack_close(s, k, what & 64);
        break;
    case 7:
        option(s, in, k);
        break;
    case 8:
        icmp_error(s, in);
        break;
    case 9:
        s->refuse = take_byte(in) % 8;
        break;
    default:
        segment(s, in);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {.data = data, .left = size};
    struct stack s;
    uint64_t used = heap_used();
    stack_begin(&s);
    for (uint32_t i = 0; in.left && i < STEPS_MOST; i++)
        step(&s, &in);
    stack_end(&s);
    must(heap_used() == used);
    return 0;
}
