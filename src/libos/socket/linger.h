/* SPDX-License-Identifier: MIT */
/* SO_LINGER as a number of seconds, and the time for which a closed socket waits for its peer. */
#ifndef LIBOS_SOCKET_LINGER_H
#define LIBOS_SOCKET_LINGER_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define LINGER_OFF (-1) /* SO_LINGER is off */

/* Without SO_LINGER a closed socket gives up a peer that acknowledges nothing for this time. */
#define LINGER_STALL_NS 60000000000u

/* Reads a value of SO_LINGER. 0; -EINVAL: too short, or negative. */
static inline int linger_parse(int *linger_s, const void *value, socklen_t len) {
    struct linger l;
    if (len < sizeof l) return -EINVAL;
    memcpy(&l, value, sizeof l);
    if (l.l_onoff && l.l_linger < 0) return -EINVAL;
    *linger_s = l.l_onoff ? l.l_linger : LINGER_OFF;
    return 0;
}

static inline struct linger linger_format(int linger_s) {
    return (struct linger){.l_onoff = linger_s >= 0, .l_linger = linger_s >= 0 ? linger_s : 0};
}

/* How long a closed socket waits; without SO_LINGER, since the last acknowledgement. */
static inline uint64_t linger_wait_ns(int linger_s) {
    return linger_s < 0 ? LINGER_STALL_NS : (uint64_t)linger_s * 1000000000;
}

#endif
