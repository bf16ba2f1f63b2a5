/* SPDX-License-Identifier: MIT */
/* CUBIC's window (RFC 9438): a cubic function of the time since the last loss, never below what Reno would have. */
#include "inet/tcp/cc.h"

#include <math.h>

#define C          0.4f
#define BETA       0.7f
#define ALPHA      (3 * (1 - BETA) / (1 + BETA)) /* section 4.3 */
#define NS_PER_S_F 1e9f

static void epoch_begin(struct tcp_cc *cc, float cwnd, uint64_t now) {
    cc->cubic.epoch_ns = now;
    cc->cubic.credit = 0;
    cc->cubic.cwnd_epoch = cwnd;
    cc->cubic.w_est = cwnd;
    if (cc->cubic.w_max < cwnd) cc->cubic.w_max = cwnd;
    cc->cubic.k = cbrtf((cc->cubic.w_max - cwnd) / C); /* equation 2 */
}

static void cubic_avoid(struct tcp_cc *cc, uint32_t bytes, uint32_t mss, uint32_t srtt_us, uint64_t now) {
    float cwnd = (float)cc->cwnd / (float)mss, acked = (float)bytes / (float)mss;
    if (cc->cubic.epoch_ns == 0) epoch_begin(cc, cwnd, now);
    float t = (float)(now - cc->cubic.epoch_ns) / NS_PER_S_F + (float)srtt_us / 1e6f - cc->cubic.k;
    float target = C * t * t * t + cc->cubic.w_max;
    if (target < cwnd) target = cwnd;
    if (target > 1.5f * cwnd) target = 1.5f * cwnd;
    cc->cubic.w_est += ALPHA * acked / cwnd; /* as Linux: also beyond the window of the last loss */
    /* Reno-friendly region (section 4.3), else concave and convex (4.4, 4.5). */
    float credit =
        cc->cubic.w_est > target ? cc->cubic.w_est - cwnd : cc->cubic.credit + (target - cwnd) / cwnd * acked;
    float most = cc->cubic.credit + acked; /* never faster than slow start */
    cc->cubic.credit = credit < most ? credit : most;
    if (cc->cubic.credit < 1) return;
    uint32_t whole = (uint32_t)cc->cubic.credit;
    cc->cwnd += whole * mss;
    cc->cubic.credit -= (float)whole;
}

static uint32_t cubic_reduce(struct tcp_cc *cc, uint32_t flight, uint32_t mss) {
    float cwnd = (float)cc->cwnd / (float)mss;
    (void)flight;
    /* Fast convergence (section 4.7): lower than last time means that others want room. */
    cc->cubic.w_max = cwnd < cc->cubic.w_max ? cwnd * (1 + BETA) / 2 : cwnd;
    cc->cubic.epoch_ns = 0;
    float reduced = cwnd * BETA;
    return (uint32_t)((reduced > 2 ? reduced : 2) * (float)mss);
}

/* Section 4.8: the next epoch begins with the window as it then is. */
static void cubic_timeout(struct tcp_cc *cc) {
    cc->cubic.w_max = 0;
}

static void cubic_idle(struct tcp_cc *cc, uint64_t idle_ns) {
    if (cc->cubic.epoch_ns) cc->cubic.epoch_ns += idle_ns;
}

const struct tcp_cc_ops cc_cubic = {"cubic", cubic_avoid, cubic_reduce, cubic_timeout, cubic_idle};
