/* SPDX-License-Identifier: MIT */
/* What the devices share: the common part, refusals with a reason, frames made whole, link state. */
#ifndef NETDEV_DEVICE_H
#define NETDEV_DEVICE_H

#include "netdev/netdev.h"

#include <stdarg.h>

/* Writes args->why; returns `error`. */
int netdev_refuse(const struct netdev_args *args, int error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int netdev_vrefuse(const struct netdev_args *args, int error, const char *fmt, va_list list)
    __attribute__((format(printf, 3, 0)));

/* What mends an error of opening a device; a table of them ends with error 0. */
struct netdev_advice {
    int error;
    const char *text;
};

/* Refuses the device `kind` over `name` for an error, with what mends it, if the table knows; returns `error`. */
int netdev_refuse_advised(const struct netdev_args *args, const char *kind, const char *name, int error,
                          const struct netdev_advice *advices);

/* The common part of a device with its link down, no offloads and no descriptor. */
void netdev_init(struct netdev *dev, const struct netdev_ops *ops);

/* An address for a device that was given none. 0 or why there are no random numbers. */
int netdev_random_mac(uint8_t mac[NETDEV_MAC_BYTES]);

void netdev_set_link(struct netdev *dev, bool up);

/* Longest frame without NETDEV_TSO*, with an 802.1Q tag. */
static inline uint32_t netdev_frame_max(uint32_t mtu) {
    return mtu + NETDEV_HEADER_BYTES + NETDEV_TAG_BYTES;
}

bool netdev_any_frame_fits(struct netdev *dev, const struct netdev_frame *frame);

/* Whether a frame keeps the rules of struct netdev_frame on this device; if not, it is counted as refused. */
static inline bool netdev_frame_fits(struct netdev *dev, const struct netdev_frame *f) {
    if (f->segs_count == 2 && f->offloads == 0 && f->bytes >= NETDEV_HEADER_BYTES &&
        f->bytes <= netdev_frame_max(dev->mtu) && (uint64_t)f->segs[0].bytes + f->segs[1].bytes == f->bytes)
        return true; /* headers and payload, as nearly all */
    return netdev_any_frame_fits(dev, f);
}

/* Copies all segments to `to`, of frame->bytes bytes. */
void netdev_gather(const struct netdev_frame *frame, void *to);

/* Writes the checksum that NETDEV_CSUM asks for into a frame that fits and lies in one piece. */
void netdev_finish_csum(const struct netdev_frame *frame, void *data);

static inline void netdev_count_rx(struct netdev *dev, uint32_t bytes) {
    dev->stats.rx_frames++;
    dev->stats.rx_bytes += bytes;
}

static inline void netdev_count_tx(struct netdev *dev, uint32_t bytes) {
    dev->stats.tx_frames++;
    dev->stats.tx_bytes += bytes;
}

extern const struct netdev_ops netdev_fault;
extern const struct netdev_ops netdev_packet;
extern const struct netdev_ops netdev_pcap;
extern const struct netdev_ops netdev_shm;
extern const struct netdev_ops netdev_sim;
extern const struct netdev_ops netdev_tap;
extern const struct netdev_ops netdev_trace;
extern const struct netdev_ops netdev_xdp;

#endif
