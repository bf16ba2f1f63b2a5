/* SPDX-License-Identifier: MIT */
/* Reads messages from the pieces in which they arrive, and makes them. */
#include "message.h"

#include <netinet/tcp.h>
#include <string.h>

static size_t take_header(struct reader *r, const uint8_t *data, size_t len) {
    size_t n = sizeof r->message - r->have;
    if (n > len) n = len;
    memcpy((uint8_t *)&r->message + r->have, data, n);
    r->have += (uint32_t)n;
    if (r->have == sizeof r->message) r->left = r->message.kind == MESSAGE_GET ? 0 : r->message.bytes;
    return n;
}

static size_t take_value(struct reader *r, const uint8_t *data, size_t len) {
    size_t n = len < r->left ? len : (size_t)r->left;
    if (r->message.kind != MESSAGE_DISCARD) memcpy(r->value + (r->message.bytes - r->left), data, n);
    r->left -= n;
    return n;
}

static bool valid(const struct message *m) {
    return m->kind <= MESSAGE_ANSWER && m->key < KEYS && (m->kind == MESSAGE_DISCARD || m->bytes <= VALUE_BYTES);
}

bool reader_take(struct reader *r, const dmtr_sgarray_t *sga) {
    for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
        const uint8_t *data = sga->sga_segs[i].sgaseg_buf;
        for (size_t len = sga->sga_segs[i].sgaseg_len, n; len; data += n, len -= n) {
            n = r->have < sizeof r->message ? take_header(r, data, len) : take_value(r, data, len);
            if (r->have < sizeof r->message) continue;
            if (!valid(&r->message)) return false;
            if (r->left) continue;
            r->have = 0;
            r->complete(r);
        }
    }
    return true;
}

dmtr_sgarray_t message_make(const struct message *m, const void *value) {
    uint64_t bytes = value ? m->bytes : 0;
    dmtr_sgarray_t sga = dmtr_sgaalloc(sizeof *m + bytes);
    if (sga.sga_numsegs == 0) return sga;
    memcpy(sga.sga_segs[0].sgaseg_buf, m, sizeof *m);
    if (bytes) memcpy((uint8_t *)sga.sga_segs[0].sgaseg_buf + sizeof *m, value, bytes);
    return sga;
}

int message_send_at_once(int qd, bool datagrams) {
    int one = 1;
    return datagrams ? 0 : dmtr_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}
