/* SPDX-License-Identifier: MIT */
/* A cookie: 27 bits of a keyed hash of flow, peer's number, period and MSS; two bits of the period, three of the MSS.
 */
#include "inet/tcp/cookies.h"

#define INFO_BITS   5u
#define MSS_BITS    3u
#define PERIOD_MASK 3u

/* Of a timestamp: the window shift, then whether SACK was permitted. */
#define STAMP_SHIFT_MASK 15u
#define STAMP_NO_SHIFT   15u /* there are none above 14 */
#define STAMP_SACK       16u
#define STAMP_BITS       5u

static const uint16_t mss_table[1u << MSS_BITS] = {TCP_MSS_MIN, 256, 536, 1024, 1220, 1440, 1460, 8960};

/* Written once a second, because other threads read it. */
void cookies_sent(const struct inet *s) {
    uint64_t until = s->now + 2 * COOKIE_PERIOD_NS + NS_PER_S;
    if (until - atomic_load_explicit(s->config.cookies_until_ns, memory_order_relaxed) >= NS_PER_S)
        atomic_store_explicit(s->config.cookies_until_ns, until, memory_order_relaxed);
}

static uint32_t cookie_of(const struct inet *s, const struct inet_flow *flow, uint32_t irs, uint64_t period,
                          uint32_t mss_index) {
    struct {
        struct inet_flow flow;
        uint32_t irs;
        uint64_t period;
        uint64_t mss_index; /* also keeps this apart from what other initial numbers hash */
    } in = {*flow, irs, period, mss_index};
    _Static_assert(sizeof in == 56, "hashed as bytes");
    uint32_t info = (uint32_t)(period & PERIOD_MASK) << MSS_BITS | mss_index;
    return (uint32_t)siphash24(s->secret, &in, sizeof in) << INFO_BITS | info;
}

uint32_t cookie_make(const struct inet *s, const struct inet_flow *flow, uint32_t irs, uint16_t mss) {
    uint32_t i = sizeof mss_table / sizeof *mss_table - 1;
    while (i > 0 && mss_table[i] > mss)
        i--;
    return cookie_of(s, flow, irs, s->now / COOKIE_PERIOD_NS, i);
}

uint16_t cookie_check(const struct inet *s, const struct inet_flow *flow, uint32_t irs, uint32_t cookie) {
    uint64_t now = s->now / COOKIE_PERIOD_NS, age = (now - (cookie >> MSS_BITS)) & PERIOD_MASK;
    uint32_t i = cookie & ((1u << MSS_BITS) - 1);
    if (age > 1 || age > now) return 0;
    return cookie == cookie_of(s, flow, irs, now - age, i) ? mss_table[i] : 0;
}

uint32_t cookie_stamp(uint32_t clock_ms, const struct tcp_options *offered) {
    uint32_t kept = offered->has_window_shift ? offered->window_shift : STAMP_NO_SHIFT;
    if (offered->sack_permitted) kept |= STAMP_SACK;
    uint32_t stamp = clock_ms >> STAMP_BITS << STAMP_BITS | kept;
    return seq_lt(clock_ms, stamp) ? stamp - (1u << STAMP_BITS) : stamp; /* what follows must not be older */
}

void cookie_options(uint32_t stamp, struct tcp_options *o) {
    uint32_t shift = stamp & STAMP_SHIFT_MASK;
    o->has_window_shift = shift != STAMP_NO_SHIFT;
    o->window_shift = o->has_window_shift ? (uint8_t)shift : 0;
    o->sack_permitted = stamp & STAMP_SACK;
}
