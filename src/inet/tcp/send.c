/* SPDX-License-Identifier: MIT */
/* When and how much may be sent (RFC 9293 sections 3.7.1, 3.7.4 and 3.8.6.2.1). */
#include "inet/tcp/send.h"

bool send_set_mss(struct tcp_send *s, uint16_t path_mss) {
    uint16_t mss = path_mss, before = s->mss;
    if (s->offered < mss) mss = s->offered;
    if (s->maxseg > 0 && s->maxseg < mss) mss = s->maxseg;
    s->mss = (uint16_t)(mss - (s->timestamps ? TCP_TIMESTAMP_BYTES : 0));
    return s->mss < before;
}

bool send_next(const struct tcp_send *s, uint32_t *len, bool *fin) {
    if (s->fin_sent || (s->nxt == s->end && !s->fin_queued)) return false;
    uint32_t edge = s->una + s->wnd, unsent = s->end - s->nxt;
    uint32_t room = seq_lt(s->nxt, edge) ? edge - s->nxt : 0;
    *len = unsent < s->mss ? unsent : s->mss;
    if (*len > room) *len = room;
    *fin = s->fin_queued && *len == unsent && room > *len;
    if (*fin) return true;
    if (*len == 0) return false;
    if (*len == s->mss) return true;
    if (*len < unsent) return *len >= s->max_wnd / 2; /* silly window avoidance */
    if (s->fin_queued) return true;
    return !s->more && !s->cork && (s->nodelay || !seq_lt(s->una, s->small_end));
}

uint32_t send_forced(const struct tcp_send *s) {
    uint32_t edge = s->una + s->wnd, unsent = s->end - s->nxt;
    uint32_t len = seq_lt(s->nxt, edge) ? edge - s->nxt : 0;
    if (len > unsent) len = unsent;
    return len < s->mss ? len : s->mss;
}

uint32_t send_together(const struct tcp_send *s, uint32_t most, uint32_t allowed) {
    uint32_t bytes = most, window = s->una + s->wnd - s->nxt, unsent = s->end - s->nxt - s->fin_queued;
    if (bytes > unsent) bytes = unsent;
    if (bytes > window) bytes = window;
    if (bytes > allowed) bytes = allowed;
    return bytes / s->mss;
}

enum tcp_limit send_limited_by(const struct tcp_send *s) {
    uint32_t unsent = send_unsent(s), edge = s->una + s->wnd;
    if (unsent == 0) {
        if (s->una == s->nxt) return TCP_LIMIT_IDLE;
        return s->refused ? TCP_LIMIT_BUFFER : TCP_LIMIT_PATH;
    }
    return seq_lt(edge, s->nxt + (unsent < s->mss ? unsent : s->mss)) ? TCP_LIMIT_WINDOW : TCP_LIMIT_PATH;
}
