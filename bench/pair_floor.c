/* SPDX-License-Identifier: MIT */
/*
 * The floor of a pair: the least code that serves an echo with the duties of the library's stack, for TCP and UDP. It
 * checks and builds every header, finds the flow in a keyed hash table, keeps sequence numbers, windows, timestamps,
 * RTT and a congestion window, queues received data, holds sent data until it is acknowledged, and retransmits. As in
 * the other kinds, the device would make and check the checksums of TCP and UDP. It takes segments in order only.
 */
#include "mem/heap.h"
#include "pair.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TABLE     1024u /* entries of the flow table, a power of two */
#define RECORDS   64u   /* messages queued in each direction, a power of two */
#define IP_FIRST  14u
#define IP_BYTES  20u
#define L4_FIRST  (IP_FIRST + IP_BYTES)
#define UDP_BYTES 8u
#define TCP_BYTES 32u /* with timestamps */
#define SYN_BYTES 36u
#define NEVER     UINT64_MAX
#define WINDOW    UINT16_MAX
#define STAMPS    htonl(0x0101080au) /* NOP, NOP, timestamps */
#define STAMP_NS  1000000u
#define RTO_LEAST 200000000u

enum protocols { TCP = 6, UDP = 17 };
enum flags { SYN = 2, PSH = 8, ACK = 16 };

struct __attribute__((packed)) head {
    uint8_t to[6], from[6];
    uint16_t type;
    uint8_t version, tos;
    uint16_t length, id, fragment;
    uint8_t ttl, protocol;
    uint16_t ip_sum;
    uint32_t source, destination;
    uint16_t source_port, destination_port;
    union __attribute__((packed)) {
        struct __attribute__((packed)) {
            uint32_t seq, ack;
            uint8_t offset, flags;
            uint16_t window, sum, urgent;
            uint32_t option, stamp, echo, mss; /* mss: of a SYN */
        } tcp;
        struct __attribute__((packed)) {
            uint16_t length, sum;
        } udp;
    };
};

struct record {
    char *data; /* in the heap, held */
    uint32_t bytes;
    uint32_t end; /* sequence number after it */
    uint64_t sent_ns;
};

struct queue {
    struct record records[RECORDS];
    uint32_t head, tail;
};

struct flow {
    uint64_t key;
    struct flow *next; /* of those that are ready */
    bool ready;
    bool owes; /* an ACK */
    uint32_t una, nxt, end, wnd, cwnd, rcv_nxt, queued, stamp;
    uint32_t sent; /* position in `out`: all before were sent */
    uint64_t srtt, rttvar, rto, deadline;
    uint32_t ip_part, l4_part; /* sums of the fields that do not change */
    struct head head;          /* template of what is sent */
    struct queue in, out;
};

struct floor {
    pair_send *send;
    void *wire;
    uint8_t mac[6], protocol;
    uint16_t id, least; /* least: bytes of the shortest valid IP packet */
    uint32_t address;
    uint64_t secret, deadline;
    struct flow *ready;
    struct flow *table[TABLE];
};

/* Sum of 32-bit words, folded to 32 bits. */
static uint32_t sum_of(const void *words, uint32_t count) {
    uint64_t sum = 0;
    for (uint32_t i = 0, word; i < count; i++) {
        memcpy(&word, (const char *)words + (size_t)4 * i, sizeof word);
        sum += word;
    }
    sum = (sum & UINT32_MAX) + (sum >> 32);
    return (uint32_t)(sum + (sum >> 32));
}

static uint16_t fold(uint64_t sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)(sum + (sum >> 16));
}

static uint64_t key_of(const struct head *h) {
    return (uint64_t)h->source << 32 | (uint32_t)h->source_port << 16 | h->destination_port;
}

/* The hash is keyed, so that a peer cannot choose flows that collide. */
static struct flow **slot_of(struct floor *f, uint64_t key) {
    unsigned __int128 product = (unsigned __int128)(key ^ f->secret) * 0x9e3779b97f4a7c15ull;
    uint32_t i = (uint32_t)((uint64_t)(product >> 64) ^ (uint64_t)product);
    while (f->table[i % TABLE] && f->table[i % TABLE]->key != key)
        i++;
    return &f->table[i % TABLE];
}

/* A flow to the sender of `got`, and its template. */
static struct flow *flow_new(const struct floor *f, const struct head *got) {
    struct flow *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    struct head *h = &c->head;
    memcpy(h, got, offsetof(struct head, tcp));
    memcpy(h->to, got->from, sizeof h->to);
    memcpy(h->from, f->mac, sizeof h->from);
    h->length = h->id = h->ip_sum = 0;
    h->source = got->destination;
    h->destination = got->source;
    h->source_port = got->destination_port;
    h->destination_port = got->source_port;
    c->key = key_of(got);
    c->deadline = NEVER;
    c->rto = RTO_LEAST;
    c->cwnd = 10 * PAIR_MTU;
    c->ip_part = sum_of(&h->version, IP_BYTES / 4);
    c->l4_part = fold((uint64_t)sum_of(&h->source, 2) + htons(h->protocol));
    return c;
}

/* Sends the template with a header of l4 bytes and a record, which may be NULL. */
static bool emit(struct floor *f, struct flow *c, uint32_t l4, uint32_t sum_at, const struct record *r) {
    struct pair_run runs[2] = {{&c->head, L4_FIRST + l4}};
    uint32_t bytes = r ? r->bytes : 0;
    if (r) runs[1] = (struct pair_run){r->data, bytes};
    c->head.length = htons((uint16_t)(IP_BYTES + l4 + bytes));
    c->head.id = f->id++;
    c->head.ip_sum = (uint16_t)~fold((uint64_t)c->ip_part + c->head.length + c->head.id);
    uint16_t sum = fold((uint64_t)c->l4_part + htons((uint16_t)(l4 + bytes)));
    memcpy((char *)&c->head + sum_at, &sum, sizeof sum);
    return f->send(f->wire, runs, r ? 2 : 1);
}

static bool emit_segment(struct floor *f, struct flow *c, const struct record *r, uint64_t now) {
    c->head.tcp.seq = htonl(r ? r->end - r->bytes : c->nxt);
    c->head.tcp.ack = htonl(c->rcv_nxt);
    c->head.tcp.offset = TCP_BYTES / 4 << 4;
    c->head.tcp.flags = r ? ACK | PSH : ACK;
    c->head.tcp.window = htons((uint16_t)(WINDOW - c->queued));
    c->head.tcp.stamp = htonl((uint32_t)(now / STAMP_NS));
    c->head.tcp.echo = htonl(c->stamp);
    return emit(f, c, TCP_BYTES, offsetof(struct head, tcp.sum), r);
}

static void arm(struct floor *f, struct flow *c, uint64_t deadline) {
    c->deadline = deadline;
    if (deadline < f->deadline) f->deadline = deadline;
}

/* False: the queue is full. */
static bool enqueue(struct queue *q, char *data, uint32_t bytes, uint32_t end) {
    if (q->tail - q->head == RECORDS) return false;
    q->records[q->tail++ % RECORDS] = (struct record){data, bytes, end, 0};
    return true;
}

/* Offers timestamps, without which tcp_input takes no segment, and no window scale. */
static void answer_syn(struct floor *f, struct flow *c, const struct head *got, uint64_t now) {
    c->rcv_nxt = ntohl(got->tcp.seq) + 1;
    c->una = c->nxt = c->end = (uint32_t)f->secret + 1;
    c->head.tcp.seq = htonl(c->nxt - 1);
    c->head.tcp.ack = htonl(c->rcv_nxt);
    c->head.tcp.offset = SYN_BYTES / 4 << 4;
    c->head.tcp.flags = SYN | ACK;
    c->head.tcp.window = htons(WINDOW);
    c->head.tcp.option = STAMPS;
    c->head.tcp.stamp = htonl((uint32_t)(now / STAMP_NS));
    c->head.tcp.mss = htonl(0x02040000u | (PAIR_MTU - 40));
    emit(f, c, SYN_BYTES, offsetof(struct head, tcp.sum), NULL);
}

/* The peer has acknowledged what is before `ack`. */
static void acknowledged(struct floor *f, struct flow *c, uint32_t ack, uint64_t now) {
    uint64_t sent_ns = 0;
    for (struct record *r; c->out.head != c->sent; c->out.head++) {
        r = &c->out.records[c->out.head % RECORDS];
        if ((int32_t)(ack - r->end) < 0) break;
        sent_ns = r->sent_ns;
        heap_release(r->data);
    }
    c->cwnd += ack - c->una;
    c->una = ack;
    if (sent_ns) {
        uint64_t rtt = now - sent_ns, off = rtt > c->srtt ? rtt - c->srtt : c->srtt - rtt;
        c->rttvar += (off >> 2) - (c->rttvar >> 2);
        c->srtt += (rtt >> 3) - (c->srtt >> 3);
        c->rto = c->srtt + 4 * c->rttvar > RTO_LEAST ? c->srtt + 4 * c->rttvar : RTO_LEAST;
    }
    arm(f, c, c->out.head != c->sent ? now + c->rto : NEVER);
}

static bool udp_input(struct flow *c, struct head *got, uint32_t bytes) {
    uint32_t length = ntohs(got->udp.length);
    return length >= UDP_BYTES && length <= bytes &&
           enqueue(&c->in, (char *)got + L4_FIRST + UDP_BYTES, length - UDP_BYTES, 0);
}

/* False: the caller keeps the frame. */
static bool tcp_input(struct floor *f, struct flow *c, struct head *got, uint32_t bytes, uint64_t now) {
    uint32_t seq = ntohl(got->tcp.seq), ack = ntohl(got->tcp.ack), stamp = ntohl(got->tcp.stamp);
    uint32_t payload = bytes - TCP_BYTES;
    if (got->tcp.flags == SYN) answer_syn(f, c, got, now);
    if ((got->tcp.flags & ~PSH) != ACK || got->tcp.offset != TCP_BYTES / 4 << 4 || got->tcp.option != STAMPS)
        return false;
    c->owes |= seq != c->rcv_nxt || payload > 0;
    if (seq != c->rcv_nxt || (int32_t)(stamp - c->stamp) < 0 || ack - c->una > c->nxt - c->una) return false;
    c->stamp = stamp;
    c->wnd = ntohs(got->tcp.window);
    if (ack != c->una) acknowledged(f, c, ack, now);
    if (payload == 0 || payload > WINDOW - c->queued) return false;
    if (!enqueue(&c->in, (char *)got + L4_FIRST + TCP_BYTES, payload, 0)) return false;
    c->rcv_nxt += payload;
    c->queued += payload;
    return true;
}

/* Bytes after the IP header of a packet for this end; 0: it is not right. */
static uint32_t ip_input(const struct floor *f, const struct head *h, uint32_t bytes) {
    uint32_t length = ntohs(h->length);
    bool ok = h->type == htons(0x0800) && memcmp(h->to, f->mac, sizeof f->mac) == 0 && h->version == 0x45 &&
              (h->fragment & htons(0x3fff)) == 0 && h->destination == f->address && h->protocol == f->protocol &&
              h->destination_port == htons(PAIR_PORT) && length >= f->least && length <= bytes - IP_FIRST &&
              fold(sum_of(&h->version, IP_BYTES / 4)) == 0xffff;
    return ok ? length - IP_BYTES : 0;
}

static void floor_input(void *end, void *frame, uint32_t bytes, uint64_t now) {
    struct floor *f = end;
    struct head *h = frame;
    uint32_t rest = bytes < L4_FIRST + UDP_BYTES ? 0 : ip_input(f, h, bytes);
    struct flow **slot = rest ? slot_of(f, key_of(h)) : NULL;
    if (slot && !*slot) *slot = flow_new(f, h);
    if (!slot || !*slot || !(f->protocol == TCP ? tcp_input(f, *slot, h, rest, now) : udp_input(*slot, h, rest)))
        heap_free(frame);
    if (!slot || !*slot || (*slot)->ready) return;
    (*slot)->ready = true;
    (*slot)->next = f->ready;
    f->ready = *slot;
}

/* Sends what the windows allow, or the ACK that is owed. */
static void flow_flush(struct floor *f, struct flow *c, uint64_t now) {
    for (; c->sent != c->out.tail; c->sent++) {
        struct record *r = &c->out.records[c->sent % RECORDS];
        uint32_t flight = r->end - c->una;
        if (flight > c->wnd || flight > c->cwnd || !emit_segment(f, c, r, now)) break;
        r->sent_ns = now;
        c->nxt = r->end;
        c->owes = false;
        if (c->deadline == NEVER) arm(f, c, now + c->rto);
    }
    if (c->owes) c->owes = !emit_segment(f, c, NULL, now);
}

/* The application's part: takes each message, and pushes it back. */
static void echo(struct floor *f, struct flow *c) {
    for (; c->in.head != c->in.tail && c->out.tail - c->out.head < RECORDS; c->in.head++) {
        struct record got = c->in.records[c->in.head % RECORDS];
        c->queued -= got.bytes;
        if (f->protocol == UDP) {
            c->head.udp.length = htons((uint16_t)(UDP_BYTES + got.bytes));
            emit(f, c, UDP_BYTES, offsetof(struct head, udp.sum), &got);
        } else {
            enqueue(&c->out, got.data, got.bytes, c->end += got.bytes);
            heap_hold(got.data);
        }
        heap_free(got.data);
    }
}

/* After a timeout the oldest segment is sent again. */
static void run_timers(struct floor *f, uint64_t now) {
    f->deadline = NEVER;
    for (uint32_t i = 0; i < TABLE; i++) {
        struct flow *c = f->table[i];
        if (!c || c->deadline == NEVER) continue;
        if (now >= c->deadline) {
            emit_segment(f, c, &c->out.records[c->out.head % RECORDS], now);
            c->cwnd = PAIR_MTU;
            c->rto *= 2;
            c->deadline = now + c->rto;
        }
        arm(f, c, c->deadline);
    }
}

static void floor_settle(void *end, uint64_t now) {
    struct floor *f = end;
    if (now >= f->deadline) run_timers(f, now);
    for (struct flow *c; (c = f->ready);) {
        f->ready = c->next;
        c->ready = false;
        echo(f, c);
        if (f->protocol == TCP) flow_flush(f, c, now);
    }
}

static void *floor_open(uint32_t end, bool stream, pair_send *send, void *wire, uint64_t now) {
    struct floor *f = calloc(1, sizeof *f);
    (void)now;
    if (!f) return NULL;
    *f = (struct floor){.send = send, .wire = wire, .mac = {2, 0, 0, 0, 0, PAIR_MAC_LAST(end)}};
    f->address = htonl(PAIR_ADDRESS(end));
    f->protocol = stream ? TCP : UDP;
    f->least = (uint16_t)(IP_BYTES + (stream ? TCP_BYTES : UDP_BYTES));
    f->secret = 0xd1b54a32d192ed03ull; /* a program would draw it */
    f->deadline = NEVER;
    return f;
}

static void floor_close(void *end) {
    struct floor *f = end;
    for (uint32_t i = 0; i < TABLE; i++) {
        struct flow *c = f->table[i];
        for (; c && c->out.head != c->out.tail; c->out.head++)
            heap_release(c->out.records[c->out.head % RECORDS].data);
        free(c);
    }
    free(f);
}

static void *floor_buffer(void *end, uint32_t bytes) {
    (void)end;
    return heap_alloc(bytes);
}

const struct pair_kind pair_floor = {
    .name = "floor",
    .open = floor_open,
    .close = floor_close,
    .buffer = floor_buffer,
    .input = floor_input,
    .settle = floor_settle,
};
