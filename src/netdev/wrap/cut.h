/* SPDX-License-Identifier: MIT */
/* Segmentation in software: what a device that offers NETDEV_TSO4 does in hardware. */
#ifndef NETDEV_WRAP_CUT_H
#define NETDEV_WRAP_CUT_H

#include "netdev/netdev.h"

/* How many frames become of one that asks for NETDEV_TSO4 and fits (netdev_frame_fits). */
uint32_t netdev_cut_count(const struct netdev_frame *f);

/* The length of the ith of them. */
uint32_t netdev_cut_bytes(const struct netdev_frame *f, uint32_t i);

/* Writes the ith of them, checksums and all. whole: the frame in one piece. */
void netdev_cut(const struct netdev_frame *f, const void *whole, uint32_t i, void *to);

#endif
