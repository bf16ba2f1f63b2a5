/* SPDX-License-Identifier: MIT */
/* Opens a device and reads its addresses, from the options of a libos. */
#include "libos/link.h"

#include "base/sys.h"
#include "core/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define UNSET      "none"
#define REASON_MAX 256

static bool is_set(const char *value) {
    return strcmp(value, UNSET) != 0;
}

static bool parse_ip4(const char *text, struct inet_addr *addr) {
    struct in_addr in;
    if (inet_pton(AF_INET, text, &in) != 1) return false;
    *addr = inet_addr_ip4(in.s_addr);
    return true;
}

static bool parse_mac(const char *text, uint8_t mac[INET_MAC_BYTES]) {
    static const char digits[] = "0123456789abcdefABCDEF";
    for (int i = 0; i < INET_MAC_BYTES; i++, text += 3) {
        if (strspn(text, digits) != 2 || text[2] != (i + 1 < INET_MAC_BYTES ? ':' : '\0')) return false;
        mac[i] = (uint8_t)strtoul(text, NULL, 16);
    }
    return !(mac[0] & 1); /* unicast */
}

/* Ends `text` at the separator; returns the text after it, or NULL. */
static char *split(char *text, char separator) {
    char *at = strchr(text, separator);
    if (at) *at++ = '\0';
    return at;
}

/* "10.0.0.1/24" */
static bool parse_prefix(char *text, struct inet_prefix *prefix) {
    char *bits = split(text, '/'), *end;
    if (!bits || strspn(bits, "0123456789") == 0) return false;
    unsigned long value = strtoul(bits, &end, 10);
    prefix->bits = (uint8_t)value;
    return *end == '\0' && value <= 32 && parse_ip4(text, &prefix->addr);
}

/* "10.0.0.2=02:00:00:00:00:02" */
static bool parse_neighbour(char *text, struct inet_static_neighbour *n) {
    char *mac = split(text, '=');
    return mac && parse_ip4(text, &n->addr) && parse_mac(mac, n->mac);
}

static int refuse(const struct link_options *o, const char *key, const char *value, const char *right) {
    log_error(o->log, "%s.%s cannot be \"%s\"; it takes %s", o->prefix, key, value, right);
    return -EINVAL;
}

static int read_addresses(const struct link_options *o, struct inet_config *c) {
    char text[CONFIG_STRING_MAX];
    memcpy(text, o->address, sizeof text);
    for (char *at = text, *next; at; at = next) {
        next = split(at, ',');
        if (c->addr_count < o->addresses_max && parse_prefix(at, &c->addrs[c->addr_count++])) continue;
        return refuse(o, "address", o->address,
                      o->addresses_max == 1
                          ? "an IPv4 address with its prefix, such as 10.0.0.1/24"
                          : "up to 16 IPv4 addresses with their prefixes, such as 10.0.0.1/24,10.0.1.1/16");
    }
    return 0;
}

static int read_neighbours(const struct link_options *o, struct inet_config *c,
                           struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX]) {
    char text[CONFIG_STRING_MAX];
    if (!is_set(o->neighbours)) return 0;
    memcpy(text, o->neighbours, sizeof text);
    for (char *at = text, *next; at; at = next) {
        next = split(at, ',');
        if (c->neighbour_count == LINK_NEIGHBOURS_MAX || !parse_neighbour(at, &neighbours[c->neighbour_count++]))
            return refuse(o, "neighbours", o->neighbours,
                          "up to 16 addresses with their MAC, such as 10.0.0.2=02:00:00:00:00:02, or none");
    }
    c->neighbours = neighbours;
    return 0;
}

/* Reads the options into `c`; the device sets the other fields. */
static int read_options(const struct link_options *o, struct inet_config *c,
                        struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX]) {
    int r = read_addresses(o, c);
    if (!r) r = read_neighbours(o, c, neighbours);
    if (r) return r;
    if (is_set(o->gateway) && !parse_ip4(o->gateway, &c->gateway))
        return refuse(o, "gateway", o->gateway, "an IPv4 address, or none");
    if (is_set(o->mac) && !parse_mac(o->mac, c->mac))
        return refuse(o, "mac", o->mac, "the address of one station, such as 02:00:00:00:00:01, or none");
    return 0;
}

static int open_queue(const struct link_options *o, struct netdev_args *args, struct netdev **dev) {
    int r = netdev_open(o->device, args, dev);
    if (r != -ECHRNG || !o->shares) return r;
    log_warn(o->log, "%s: %s; the runtimes share one queue, and hand frames over in software", o->prefix, args->why);
    *o->shares = true;
    args->queue = 0;
    args->queues = 1;
    return netdev_open(o->device, args, dev);
}

static int open_device(const struct link_options *o, const struct inet_config *c, struct netdev **dev) {
    char why[REASON_MAX] = "";
    uint32_t ip4[INET_ADDRS_MAX];
    struct netdev_args args = {
        .log = o->log,
        .why = why,
        .why_bytes = sizeof why,
        .ip4 = ip4,
        .ip4_count = c->addr_count,
        .queue = o->queue,
        .queues = o->queues,
    };
    for (uint32_t i = 0; i < c->addr_count; i++)
        ip4[i] = inet_addr_to_ip4(&c->addrs[i].addr);
    if (is_set(o->device_options)) args.options = o->device_options;
    int r = open_queue(o, &args, dev);
    if (r && !is_set(o->device))
        log_error(o->log, "%s: no device is configured (%s); choose one with --dmtr-set %s.device=NAME", o->prefix, why,
                  o->prefix);
    else if (r)
        log_error(o->log, "%s: device %s cannot be opened: %s; see %s.device and %s.device_options", o->prefix,
                  o->device, why[0] ? why : strerror(-r), o->prefix, o->prefix);
    return r;
}

bool link_is_wrapped(const struct link_options *o) {
    return is_set(o->wrappers);
}

/* Logs of the wrapper `trace`, which neither the configured level nor the rate limit suppresses. */
static const struct log trace_logs[] = {
    [LOG_SINK_STDERR] = {LOG_LEVEL_INFO, LOG_SINK_STDERR},
    [LOG_SINK_SYSLOG] = {LOG_LEVEL_INFO, LOG_SINK_SYSLOG},
    [LOG_SINK_NONE] = {LOG_LEVEL_INFO, LOG_SINK_NONE},
};

static void trace_line(void *ctx, const char *line) {
    log_write(ctx, LOG_LEVEL_INFO, &(struct log_site){.in_window = 0}, "%s", line);
}

/* *dev becomes the outermost wrapper; on failure, the outermost one made so far. */
static int wrap_device(const struct link_options *o, struct netdev **dev) {
    char text[CONFIG_STRING_MAX];
    if (!link_is_wrapped(o)) return 0;
    memcpy(text, o->wrappers, sizeof text);
    for (char *at = text, *next; at; at = next) {
        char why[REASON_MAX] = "";
        struct netdev *wrapped;
        struct netdev_args args = {
            .log = o->log,
            .lower = *dev,
            .trace = trace_line,
            .trace_ctx = (void *)(uintptr_t)&trace_logs[o->log->sink],
            .why = why,
            .why_bytes = sizeof why,
        };
        next = split(at, ';');
        args.options = split(at, ':');
        int r = netdev_open(at, &args, &wrapped);
        if (r) {
            log_error(o->log, "%s: device %s cannot be wrapped in \"%s\": %s; see %s.wrappers", o->prefix, o->device,
                      at, why[0] ? why : strerror(-r), o->prefix);
            return r;
        }
        *dev = wrapped;
    }
    return 0;
}

int link_open(const struct link_options *o, struct inet_config *c,
              struct inet_static_neighbour neighbours[LINK_NEIGHBOURS_MAX], struct netdev **dev) {
    ssize_t n = SYS(getrandom, c->seed, sizeof c->seed, 0);
    if (n != (ssize_t)sizeof c->seed) {
        log_error(o->log, "%s: no random numbers", o->prefix);
        return n < 0 ? (int)n : -EIO;
    }
    /* A missing device is reported before wrong options. */
    bool opens = !*dev;
    int r = netdev_find(o->device) ? read_options(o, c, neighbours) : 0;
    if (!r && !*dev) {
        r = open_device(o, c, dev);
        if (!r) r = wrap_device(o, dev);
    }
    if (r) return r;
    c->mtu = (uint16_t)(o->mtu < (*dev)->mtu ? o->mtu : (*dev)->mtu);
    if (!is_set(o->mac)) memcpy(c->mac, (*dev)->mac, sizeof c->mac);
    if ((*dev)->offloads & NETDEV_CSUM) c->offloads |= INET_OFFLOAD_CSUM;
    if (o->tso && ((*dev)->offloads & NETDEV_TSO4)) c->offloads |= INET_OFFLOAD_TSO;
    c->tso_frame_bytes = (*dev)->tso_bytes;
    if (opens) link_log_open(o, *dev, c);
    return 0;
}
