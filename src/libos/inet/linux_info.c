/* SPDX-License-Identifier: MIT */
/* TCP_INFO. The constants are those of Linux's <linux/tcp.h> and include/net/tcp_states.h. */
#include "libos/inet/linux_info.h"

#include <linux/tcp.h>

#define REORDERING_FIRST 3u /* Linux's value before it has seen reordering */

static uint8_t state_of(enum tcp_state state) {
    static const uint8_t states[] = {
        [TCP_STATE_ESTABLISHED] = 1, [TCP_STATE_SYN_SENT] = 2,   [TCP_STATE_SYN_RECEIVED] = 3,
        [TCP_STATE_FIN_WAIT_1] = 4,  [TCP_STATE_FIN_WAIT_2] = 5, [TCP_STATE_TIME_WAIT] = 6,
        [TCP_STATE_CLOSED] = 7,      [TCP_STATE_CLOSE_WAIT] = 8, [TCP_STATE_LAST_ACK] = 9,
        [TCP_STATE_CLOSING] = 11,
    };
    return states[state];
}

static uint8_t recovery_of(const struct tcp_status *s) {
    static const uint8_t states[] = {
        [TCP_OPEN] = TCP_CA_Open, [TCP_RECOVERY] = TCP_CA_Recovery, [TCP_LOSS] = TCP_CA_Loss};
    return s->recovery == TCP_OPEN && s->sacked > 0 ? TCP_CA_Disorder : states[s->recovery];
}

/* mss 0: the connection is not established. */
static uint32_t segments(uint32_t bytes, uint32_t mss) {
    return mss ? (bytes + mss - 1) / mss : 0;
}

static uint32_t ms_since(uint64_t at_ns, uint64_t now_ns) {
    return now_ns > at_ns ? (uint32_t)((now_ns - at_ns) / 1000000) : 0;
}

size_t linux_tcp_info(const struct tcp_status *s, uint64_t now_ns, void *to, size_t room) {
    struct tcp_info info = {
        .tcpi_state = state_of(s->state),
        .tcpi_ca_state = recovery_of(s),
        .tcpi_retransmits = s->backoff,
        .tcpi_probes = s->probes,
        .tcpi_backoff = s->backoff,
        .tcpi_options = (uint8_t)((s->timestamps ? TCPI_OPT_TIMESTAMPS : 0) | (s->sack ? TCPI_OPT_SACK : 0) |
                                  (s->window_scale ? TCPI_OPT_WSCALE : 0)),
        .tcpi_snd_wscale = s->send_shift & 15u,
        .tcpi_rcv_wscale = s->receive_shift & 15u,
        .tcpi_rto = s->rto_us,
        .tcpi_ato = s->delayed_ack_ms * 1000,
        .tcpi_snd_mss = s->mss,
        .tcpi_rcv_mss = s->receive_mss,
        .tcpi_unacked = s->unacked_segments,
        .tcpi_sacked = segments(s->sacked, s->mss),
        .tcpi_lost = segments(s->lost, s->mss),
        .tcpi_retrans = segments(s->again, s->mss),
        .tcpi_last_data_sent = ms_since(s->sent_ns, now_ns),
        .tcpi_last_data_recv = ms_since(s->received_ns, now_ns),
        .tcpi_last_ack_recv = ms_since(s->received_ns, now_ns),
        .tcpi_pmtu = s->path_mtu,
        .tcpi_rcv_ssthresh = s->receive_window,
        .tcpi_rtt = s->srtt_us,
        .tcpi_rttvar = s->rttvar_us,
        .tcpi_snd_ssthresh = s->ssthresh == UINT32_MAX ? INT32_MAX : segments(s->ssthresh, s->mss),
        .tcpi_snd_cwnd = s->mss ? s->cwnd / s->mss : 0,
        .tcpi_advmss = s->advertised_mss,
        .tcpi_reordering = s->reordering_segments > REORDERING_FIRST ? s->reordering_segments : REORDERING_FIRST,
        .tcpi_busy_time = s->busy_us,
        .tcpi_rwnd_limited = s->window_limited_us,
        .tcpi_sndbuf_limited = s->buffer_limited_us,
        .tcpi_rcv_space = s->receive_window,
        .tcpi_total_retrans = s->retransmits,
        .tcpi_pacing_rate = UINT64_MAX,
        .tcpi_max_pacing_rate = UINT64_MAX,
        .tcpi_bytes_acked = s->bytes_acked,
        .tcpi_bytes_received = s->bytes_received,
        .tcpi_segs_out = s->segments_out,
        .tcpi_segs_in = s->segments_in,
        .tcpi_notsent_bytes = s->not_sent,
        .tcpi_min_rtt = s->min_rtt_us,
        .tcpi_snd_wnd = s->send_window,
    };
    if (room > sizeof info) room = sizeof info;
    memcpy(to, &info, room);
    return room;
}
