/* SPDX-License-Identifier: MIT */
/* Wrapper that passes one line per frame to args->trace: direction, length, addresses, type. */
#include "netdev/options.h"
#include "netdev/wrap/wrapper.h"

#include "base/sys.h"

#include <stdio.h>

#define LINE_MAX_BYTES 96

struct trace_device {
    struct netdev_wrapper wrapper;
    void (*line)(void *ctx, const char *line);
    void *ctx;
};

/* head: the 14 bytes of the Ethernet header. */
static void trace_line(const struct trace_device *d, const char *direction, const uint8_t *head, uint32_t bytes,
                       uint64_t now_ns) {
    char line[LINE_MAX_BYTES];
    const uint8_t *to = head, *from = head + NETDEV_MAC_BYTES, *type = head + NETDEV_MACS_BYTES;
    snprintf(line, sizeof line, "%llu %s %u %02x:%02x:%02x:%02x:%02x:%02x > %02x:%02x:%02x:%02x:%02x:%02x %02x%02x",
             (unsigned long long)now_ns, direction, bytes, from[0], from[1], from[2], from[3], from[4], from[5], to[0],
             to[1], to[2], to[3], to[4], to[5], type[0], type[1]);
    d->line(d->ctx, line);
}

static int trace_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    struct trace_device *d = (struct trace_device *)dev;
    int count = wrapper_rx(&d->wrapper, frames, n, now_ns);
    for (int i = 0; i < count; i++)
        trace_line(d, "rx", frames[i].data, frames[i].bytes, now_ns);
    return count;
}

static int trace_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    struct trace_device *d = (struct trace_device *)dev;
    int count = wrapper_tx(&d->wrapper, frames, n, now_ns);
    for (int i = 0; i < count; i++) /* skips a frame whose Ethernet header is in several segments */
        if (frames[i].segs_count && frames[i].segs[0].bytes >= NETDEV_HEADER_BYTES)
            trace_line(d, "tx", frames[i].segs[0].data, frames[i].bytes, now_ns);
    return count;
}

static void trace_close(struct netdev *dev) {
    struct trace_device *d = (struct trace_device *)dev;
    netdev_close(d->wrapper.lower);
    sys_free(d);
}

static int trace_open(const struct netdev_args *args, struct netdev **dev) {
    struct trace_device *d;
    int r = netdev_options(args, NULL, 0, NULL);
    if (r < 0) return r;
    if (!args->trace) return netdev_refuse(args, -EINVAL, "trace: there is no trace callback");
    d = sys_calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    wrapper_init(&d->wrapper, &netdev_trace, args->lower);
    d->line = args->trace;
    d->ctx = args->trace_ctx;
    *dev = &d->wrapper.dev;
    return 0;
}

const struct netdev_ops netdev_trace = {
    .name = "trace",
    .text = "A wrapper that prints a line for each frame",
    .wraps = true,
    .open = trace_open,
    .close = trace_close,
    .rx = trace_rx,
    .tx = trace_tx,
    .prepare = wrapper_prepare,
    .claim = wrapper_claim,
    .own = wrapper_own,
    .update = wrapper_update,
    .next_ns = wrapper_next_ns,
};
