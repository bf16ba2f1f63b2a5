/* SPDX-License-Identifier: MIT */
/* Code that all devices share: initialisation, refusals with a reason, gathering segments, checksums, link state. */
#ifndef NETDEV_DEVICE_H
#define NETDEV_DEVICE_H

#include "netdev/netdev.h"

#include <stdarg.h>

/* Writes args->why and returns `error`. */
int netdev_refuse(const struct netdev_args *args, int error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int netdev_vrefuse(const struct netdev_args *args, int error, const char *fmt, va_list list)
    __attribute__((format(printf, 3, 0)));

/* Advice for an error of opening a device. A table of them ends with error 0. */
struct netdev_advice {
    int error;
    const char *text;
};

/*
 * Refuses device `kind` over `name` because of an error. Adds the advice for the error if the table has any. Returns
 * `error`.
 */
int netdev_refuse_advised(const struct netdev_args *args, const char *kind, const char *name, int error,
                          const struct netdev_advice *advices);

/* Initialises the common part of a device: link down, no offloads, no descriptor. */
void netdev_init(struct netdev *dev, const struct netdev_ops *ops);

/* Generates a MAC address for a device that has no configured one. Returns 0 or a negative errno of getrandom. */
int netdev_random_mac(uint8_t mac[NETDEV_MAC_BYTES]);

void netdev_set_link(struct netdev *dev, bool up);

/* Longest frame without NETDEV_TSO*, including an 802.1Q tag. */
static inline uint32_t netdev_frame_max(uint32_t mtu) {
    return mtu + NETDEV_HEADER_BYTES + NETDEV_TAG_BYTES;
}

bool netdev_any_frame_fits(struct netdev *dev, const struct netdev_frame *frame);

/* Whether a frame obeys the rules of struct netdev_frame on this device; if not, it is counted as refused. */
static inline bool netdev_frame_fits(struct netdev *dev, const struct netdev_frame *f) {
    /* The common case: headers and payload, without offloads or with a checksum that lies in the headers. */
    uint32_t transport = (uint32_t)f->l2_bytes + f->l3_bytes;
    bool csum =
        f->offloads == 0 || (f->offloads == NETDEV_CSUM && dev->offloads & NETDEV_CSUM &&
                             (uint32_t)f->csum_offset + 2 <= f->l4_bytes && transport + f->l4_bytes <= f->bytes);
    if (f->segs_count == 2 && csum && f->bytes >= NETDEV_HEADER_BYTES && f->bytes <= netdev_frame_max(dev->mtu) &&
        (uint64_t)f->segs[0].bytes + f->segs[1].bytes == f->bytes)
        return true;
    return netdev_any_frame_fits(dev, f);
}

/* netdev_ops.tx of a device that has put and kick. */
int netdev_tx_by_put(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns);

/* Copies all segments to `to`, which has room for frame->bytes bytes. */
void netdev_gather(const struct netdev_frame *frame, void *to);

/* Writes the checksum that NETDEV_CSUM requests into a contiguous frame that passed netdev_frame_fits. */
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
extern const struct netdev_ops netdev_null;
extern const struct netdev_ops netdev_packet;
extern const struct netdev_ops netdev_pcap;
extern const struct netdev_ops netdev_shm;
extern const struct netdev_ops netdev_sim;
extern const struct netdev_ops netdev_tap;
extern const struct netdev_ops netdev_trace;
extern const struct netdev_ops netdev_xdp;

#endif
