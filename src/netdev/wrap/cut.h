/* SPDX-License-Identifier: MIT */
/* TCP segmentation in software, as a device with NETDEV_TSO4 does it in hardware. */
#ifndef NETDEV_WRAP_CUT_H
#define NETDEV_WRAP_CUT_H

#include "netdev/netdev.h"

/* The number of segments of a frame that requests NETDEV_TSO4 and passed netdev_frame_fits. */
uint32_t netdev_cut_count(const struct netdev_frame *f);

/* The length of segment i's frame. */
uint32_t netdev_cut_bytes(const struct netdev_frame *f, uint32_t i);

/* Writes segment i's frame with its checksums. whole: the frame, contiguous. */
void netdev_cut(const struct netdev_frame *f, const void *whole, uint32_t i, void *to);

#endif
