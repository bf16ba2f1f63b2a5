/* SPDX-License-Identifier: MIT */
/*
 * Reassembly. Fragments stay in their received blocks, sorted by offset. A repeated fragment is ignored; an overlapping
 * one drops the whole packet (RFC 8900 section 3.7). At the memory limit the oldest packet is dropped.
 */
#include "inet/ip/ip4_fragment.h"

#include "base/sys.h"
#include "inet/ip/icmp.h"

struct fragment_key {
    uint32_t from, to;
    uint16_t id, protocol;
};
_Static_assert(sizeof(struct fragment_key) == 12, "hashed as bytes");

struct fragment {
    uint8_t *at;
    uint32_t offset, bytes;
};

struct reassembly {
    struct list link; /* in by_age */
    struct inet_timer timer;
    struct fragment_key key;
    uint32_t count;
    uint32_t have;  /* bytes */
    uint32_t total; /* 0: the last fragment has not arrived */
    size_t charged; /* heap memory */
    bool group, loop;
    const uint8_t *first_ip; /* IP header of the fragment at offset 0, in its block */
    struct fragment fragments[FRAGMENTS_MAX];
};

int fragments_init(struct inet *s) {
    list_init(&s->fragments.by_age);
    return hash_init(&s->fragments.by_id, sizeof(struct fragment_key), offsetof(struct reassembly, key),
                     FRAGMENTED_PACKETS_MAX, s->hash_seed);
}

static void reassembly_free(struct inet *s, struct reassembly *r) {
    for (uint32_t i = 0; i < r->count; i++)
        heap_free(r->fragments[i].at);
    inet_timer_cancel(s, &r->timer);
    list_remove(&r->link);
    s->fragments.bytes -= r->charged;
    hash_remove(&s->fragments.by_id, &r->key);
    sys_free(r);
}

void fragments_fini(struct inet *s) {
    struct list *node;
    while ((node = list_first(&s->fragments.by_age)))
        reassembly_free(s, list_entry(node, struct reassembly, link));
    hash_fini(&s->fragments.by_id);
}

/* RFC 792: only a host that has the first fragment sends time exceeded. */
static void reassembly_fire(struct inet *s, struct inet_timer *t) {
    struct reassembly *r = list_entry(t, struct reassembly, timer);
    inet_count(s, ip_fragment_timeout);
    if (r->first_ip) {
        struct rx_packet p = {
            .data = r->fragments[0].at,
            .len = r->fragments[0].bytes,
            .ip = r->first_ip,
            .from = inet_addr_ip4(r->key.from),
            .to = inet_addr_ip4(r->key.to),
            .multicast = r->group,
        };
        icmp_error(s, &p, ICMP_TIME_EXCEEDED, ICMP_REASSEMBLY_TIMEOUT);
    }
    reassembly_free(s, r);
}

static void fragments_evict(struct inet *s) {
    inet_count(s, ip_fragment_limit);
    reassembly_free(s, list_entry(list_first(&s->fragments.by_age), struct reassembly, link));
}

static struct reassembly *reassembly_get(struct inet *s, const struct rx_packet *p, const struct ip4_header *h) {
    struct fragment_key key = {h->from, h->to, h->id, h->protocol};
    struct reassembly *r = hash_find(&s->fragments.by_id, &key);
    if (r) return r;
    if (hash_count(&s->fragments.by_id) == FRAGMENTED_PACKETS_MAX) fragments_evict(s);
    if (!(r = sys_calloc(1, sizeof *r))) return NULL;
    r->key = key;
    r->loop = p->loop;
    if (hash_insert(&s->fragments.by_id, r)) {
        sys_free(r);
        return NULL;
    }
    r->charged = sizeof *r;
    s->fragments.bytes += r->charged;
    list_push_back(&s->fragments.by_age, &r->link);
    inet_timer_init(&r->timer, reassembly_fire);
    inet_timer_arm(s, &r->timer, s->now + FRAGMENT_TIMEOUT_NS);
    return r;
}

enum placing { PLACED, REPEATED, OVERLAPS, FULL };

/* Inserts the fragment in the order of offsets. */
static enum placing fragment_place(struct reassembly *r, const struct fragment *f) {
    uint32_t i = r->count;
    while (i > 0 && r->fragments[i - 1].offset >= f->offset)
        i--;
    const struct fragment *before = i > 0 ? &r->fragments[i - 1] : NULL;
    const struct fragment *after = i < r->count ? &r->fragments[i] : NULL;
    if (after && after->offset == f->offset && after->bytes == f->bytes) return REPEATED;
    if ((before && before->offset + before->bytes > f->offset) || (after && f->offset + f->bytes > after->offset))
        return OVERLAPS;
    if (r->count == FRAGMENTS_MAX) return FULL;
    memmove(&r->fragments[i + 1], &r->fragments[i], (r->count - i) * sizeof *f);
    r->fragments[i] = *f;
    r->count++;
    return PLACED;
}

/* Copies a complete packet into one block, with the header of an unfragmented packet. */
static bool reassembly_finish(struct inet *s, struct reassembly *r, struct rx_packet *p) {
    uint8_t *frame = heap_alloc(ETH_HEADER_BYTES + IP4_HEADER_BYTES + r->total), *whole = frame + ETH_HEADER_BYTES;
    struct ip4_header h;
    if (!frame || !ip4_parse(&h, r->first_ip, IP4_PACKET_MAX)) {
        inet_count(s, no_memory);
        reassembly_free(s, r);
        if (frame) heap_free(frame);
        return false;
    }
    eth_emit(frame, s->config.mac, s->config.mac, ETH_TYPE_IP4); /* for the case that another stack gets it */
    h.total_bytes = (uint16_t)(IP4_HEADER_BYTES + r->total);
    h.fragment_flags = 0;
    ip4_emit(whole, &h);
    for (uint32_t i = 0; i < r->count; i++)
        memcpy(whole + IP4_HEADER_BYTES + r->fragments[i].offset, r->fragments[i].at, r->fragments[i].bytes);
    /* The device could not check the transport checksum of fragments. */
    *p = (struct rx_packet){
        .data = whole + IP4_HEADER_BYTES,
        .len = r->total,
        .flags = r->loop ? INET_INPUT_CSUM_OK : 0,
        .ip = whole,
        .from = inet_addr_ip4(r->key.from),
        .to = inet_addr_ip4(r->key.to),
        .multicast = r->group,
        .loop = r->loop,
    };
    inet_count(s, ip_reassembled);
    reassembly_free(s, r);
    return true;
}

bool ip4_reassemble(struct inet *s, struct rx_packet *p, const struct ip4_header *h, struct rx_packet *whole) {
    struct fragment f = {.at = p->data, .offset = h->fragment_offset, .bytes = p->len};
    bool last = !(h->fragment_flags & IP4_MF);
    inet_count(s, ip_fragments_in);
    if (f.bytes == 0 || (!last && f.bytes % 8 != 0) || f.offset + f.bytes > IP4_PACKET_MAX - IP4_HEADER_BYTES) {
        inet_count(s, ip_fragment_bad);
        return false;
    }
    struct reassembly *r = reassembly_get(s, p, h);
    if (!r) {
        inet_count(s, no_memory);
        return false;
    }
    uint32_t end = f.offset + f.bytes, reach = r->count ? r->fragments[r->count - 1].offset + 1 : 0;
    if ((r->total && (end > r->total || (last && end != r->total))) || (last && reach > end)) {
        inet_count(s, ip_fragment_bad);
        reassembly_free(s, r);
        return false;
    }
    switch (fragment_place(r, &f)) {
    case REPEATED:
        return false;
    case OVERLAPS:
        inet_count(s, ip_fragment_overlap);
        reassembly_free(s, r);
        return false;
    case FULL:
        inet_count(s, ip_fragment_limit);
        reassembly_free(s, r);
        return false;
    case PLACED:
        break;
    }
    rx_keep(p);
    r->group |= p->multicast;
    r->have += f.bytes;
    if (last) r->total = end;
    if (f.offset == 0) r->first_ip = p->ip;
    size_t charge = heap_usable_size(heap_block(p->data));
    r->charged += charge;
    s->fragments.bytes += charge;
    if (r->total && r->have == r->total) return reassembly_finish(s, r, whole);
    while (s->fragments.bytes > s->config.limits.fragment_bytes)
        fragments_evict(s);
    return false;
}
