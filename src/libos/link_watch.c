/* SPDX-License-Identifier: MIT */
/* Logs about a device: when it is opened, when its link changes, and when received frames are incomplete. */
#include "libos/link.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TELL_EVERY_NS 10000000000u
#define NAME_BYTES    64

/* "packet (eth0)" */
static const char *name_of(const char *device, const char *interface, char text[NAME_BYTES]) {
    snprintf(text, NAME_BYTES, "%s%s%s%s", device, interface ? " (" : "", interface ? interface : "",
             interface ? ")" : "");
    return text;
}

void link_log_open(const struct link_options *o, const struct netdev *dev, const struct inet_config *c) {
    const uint8_t *m = c->mac;
    char name[NAME_BYTES];
    log_info(o->log,
             "%s: device %s%s%s%s%s, queue %u of %u: address %s, MAC %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, offloads: "
             "%s%s%s, link %s",
             o->prefix, name_of(o->device, dev->interface, name), dev->engine ? ", " : "",
             dev->engine ? dev->engine : "", link_is_wrapped(o) ? ", wrapped in " : "",
             link_is_wrapped(o) ? o->wrappers : "", o->queue, o->queues ? o->queues : 1, o->address, m[0], m[1], m[2],
             m[3], m[4], m[5], c->mtu, c->offloads & INET_OFFLOAD_CSUM ? "checksums" : "",
             c->offloads & INET_OFFLOAD_TSO ? ", segmentation" : "", c->offloads ? "" : "none",
             dev->link_up ? "up" : "down");
}

void link_watch_begin(struct link_watch *w, const struct log *log, const char *prefix, const char *device,
                      const struct netdev *dev, const struct link_state *state) {
    *w = (struct link_watch){.log = log,
                             .prefix = prefix,
                             .device = device,
                             .interface = dev->interface,
                             .mtu = state->mtu,
                             .changes = state->changes,
                             .too_long = state->too_long,
                             .bad_checksums = state->bad_checksums};
}

static void tell_link(struct link_watch *w, const struct link_state *s) {
    char name[NAME_BYTES];
    if (s->changes != w->changes && !w->others_tell)
        log_info(w->log, "%s: device %s: the link is %s%s", w->prefix, name_of(w->device, w->interface, name),
                 s->up ? "up" : "down", (s->changes - w->changes) % 2 ? "" : " again");
    if (s->mtu != w->mtu && !w->others_tell)
        log_info(w->log, "%s: device %s: the MTU is %" PRIu32 " now, and was %" PRIu32, w->prefix,
                 name_of(w->device, w->interface, name), s->mtu, w->mtu);
    w->changes = s->changes;
    w->mtu = s->mtu;
}

/* The sender, a veth or a virtual machine, relies on checksum or segmentation offloads that its interface lacks. */
static void tell_frames(struct link_watch *w, const struct link_state *s) {
    const char *interface = w->interface ? w->interface : w->device;
    char name[NAME_BYTES];
    name_of(w->device, w->interface, name);
    if (s->bad_checksums > w->bad_checksums)
        log_warn(
            w->log,
            "%s: device %s: %" PRIu64 " received packets are dropped because of their checksums; if the sender is on "
            "this machine, its interface does not write them: run `ethtool -K IF tx off`, where IF is the interface "
            "at the other end of %s",
            w->prefix, name, s->bad_checksums - w->bad_checksums, interface);
    if (s->too_long > w->too_long)
        log_warn(
            w->log,
            "%s: device %s: %" PRIu64 " received frames are dropped because they are longer than the MTU of %" PRIu32
            "; if the sender is on this machine, its interface does not cut them: run `ethtool -K IF tx off`, where "
            "IF is the interface at the other end of %s; else %s puts them together: run `ethtool -K %s gro off lro "
            "off`",
            w->prefix, name, s->too_long - w->too_long, s->mtu, interface, interface, interface);
    w->bad_checksums = s->bad_checksums;
    w->too_long = s->too_long;
}

void link_watch(struct link_watch *w, const struct link_state *s, uint64_t now_ns) {
    if (s->changes != w->changes || s->mtu != w->mtu) tell_link(w, s);
    if (s->bad_checksums == w->bad_checksums && s->too_long == w->too_long) return;
    if (w->told_ns && now_ns - w->told_ns < TELL_EVERY_NS) return;
    w->told_ns = now_ns;
    tell_frames(w, s);
}
