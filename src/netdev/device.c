/* SPDX-License-Identifier: MIT */
/* Code that all devices share. */
#include "netdev/device.h"

#include "base/csum.h"
#include "base/rng.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int netdev_vrefuse(const struct netdev_args *args, int error, const char *fmt, va_list list) {
    if (args->why && args->why_bytes) vsnprintf(args->why, args->why_bytes, fmt, list);
    return error;
}

int netdev_refuse(const struct netdev_args *args, int error, const char *fmt, ...) {
    va_list list;
    va_start(list, fmt);
    netdev_vrefuse(args, error, fmt, list);
    va_end(list);
    return error;
}

int netdev_refuse_advised(const struct netdev_args *args, const char *kind, const char *name, int error,
                          const struct netdev_advice *advices) {
    while (advices->error && advices->error != error)
        advices++;
    return netdev_refuse(args, error, "%s: %s: %s%s%s", kind, name, strerror(-error), advices->error ? "; " : "",
                         advices->error ? advices->text : "");
}

void netdev_init(struct netdev *dev, const struct netdev_ops *ops) {
    memset(dev, 0, sizeof *dev);
    dev->ops = ops;
    dev->fd = -1;
    dev->retry_ns = NETDEV_NEVER;
}

int netdev_random_mac(uint8_t mac[NETDEV_MAC_BYTES]) {
    struct rng rng;
    uint64_t bits;
    int r = rng_init_random(&rng);
    if (r < 0) return r;
    bits = rng_next(&rng);
    memcpy(mac, &bits, NETDEV_MAC_BYTES);
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 2); /* unicast, locally administered */
    return 0;
}

void netdev_set_link(struct netdev *dev, bool up) {
    dev->stats.link_changes += dev->link_up != up;
    dev->link_up = up;
}

static bool segments_fit(const struct netdev_frame *f) {
    uint64_t bytes = 0;
    if (f->segs_count == 0 || f->segs_count > NETDEV_SEGS_MAX) return false;
    for (uint32_t i = 0; i < f->segs_count; i++)
        bytes += f->segs[i].bytes;
    return bytes == f->bytes;
}

static bool offloads_fit(const struct netdev *dev, const struct netdev_frame *f) {
    uint32_t transport = (uint32_t)f->l2_bytes + f->l3_bytes;
    if (f->offloads & ~dev->offloads) return false;
    if ((uint32_t)f->csum_offset + 2 > f->l4_bytes || transport + f->l4_bytes > f->bytes) return false;
    if (!(f->offloads & (NETDEV_TSO4 | NETDEV_TSO6))) return true;
    transport += f->l4_bytes;
    return f->mss > 0 && f->bytes > transport && transport + f->mss <= netdev_frame_max(dev->mtu);
}

bool netdev_any_frame_fits(struct netdev *dev, const struct netdev_frame *f) {
    uint32_t most = netdev_frame_max(dev->mtu);
    if (f->offloads & (NETDEV_TSO4 | NETDEV_TSO6)) most = dev->tso_bytes;
    if (f->bytes >= NETDEV_HEADER_BYTES && f->bytes <= most && segments_fit(f) &&
        (f->offloads == 0 || offloads_fit(dev, f)))
        return true;
    dev->stats.tx_refused++;
    return false;
}

int netdev_tx_by_put(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    uint32_t i = 0;
    int r = 1;
    while (i < n && (r = dev->ops->put(dev, &frames[i])) > 0)
        i++;
    if (i == 0 && r < 0) return r;
    r = dev->ops->kick(dev, now_ns); /* also if there is no room, so that the device makes some */
    return i == 0 && r < 0 ? r : (int)i;
}

void netdev_gather(const struct netdev_frame *f, void *to) {
    char *at = to;
    for (uint32_t i = 0; i < f->segs_count; i++) {
        memcpy(at, f->segs[i].data, f->segs[i].bytes);
        at += f->segs[i].bytes;
    }
}

void netdev_finish_csum(const struct netdev_frame *f, void *data) {
    uint32_t transport = (uint32_t)f->l2_bytes + f->l3_bytes;
    char *from = (char *)data + transport;
    uint16_t check = csum_finish(csum_add(0, from, f->bytes - transport));
    /* In UDP a checksum of zero means none (RFC 768). 0xffff is the same sum and also valid for TCP. */
    if (check == 0) check = 0xffff;
    memcpy(from + f->csum_offset, &check, sizeof check);
}
