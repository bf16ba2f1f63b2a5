/* From the configuration to a device and a stack. */
#include "libos/inet/net.h"

#include "base/clock.h"
#include "base/sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NEIGHBOURS_MAX 16u
#define UNSET          "none"
#define REASON_MAX     256

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
    return !(mac[0] & 1); /* one station's */
}

/* Cuts `text` at the separator; what follows it, or NULL. */
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

static int refuse(const struct net *net, const char *key, const char *value, const char *right) {
    log_error(&net->rt->log, "inet.%s cannot be \"%s\"; it takes %s", key, value, right);
    return -EINVAL;
}

static int read_addresses(const struct net *net, struct inet_config *c) {
    char text[CONFIG_STRING_MAX];
    const char *value = net->rt->config.inet_address;
    memcpy(text, value, sizeof text);
    for (char *at = text, *next; at; at = next) {
        next = split(at, ',');
        if (c->addr_count == INET_ADDRS_MAX || !parse_prefix(at, &c->addrs[c->addr_count++]))
            return refuse(net, "address", value,
                          "up to 16 IPv4 addresses with their prefixes, such as 10.0.0.1/24,10.0.1.1/16");
    }
    return 0;
}

static int read_neighbours(const struct net *net, struct inet_config *c, struct inet_static_neighbour *neighbours) {
    char text[CONFIG_STRING_MAX];
    const char *value = net->rt->config.inet_neighbours;
    if (!is_set(value)) return 0;
    memcpy(text, value, sizeof text);
    for (char *at = text, *next; at; at = next) {
        next = split(at, ',');
        if (c->neighbour_count == NEIGHBOURS_MAX || !parse_neighbour(at, &neighbours[c->neighbour_count++]))
            return refuse(net, "neighbours", value,
                          "up to 16 addresses with their MAC, such as 10.0.0.2=02:00:00:00:00:02, or none");
    }
    c->neighbours = neighbours;
    return 0;
}

/* What the options say; the rest of `c` is the device's. */
static int read_options(const struct net *net, struct inet_config *c, struct inet_static_neighbour *neighbours) {
    const struct config *config = &net->rt->config;
    int r = read_addresses(net, c);
    if (!r) r = read_neighbours(net, c, neighbours);
    if (r) return r;
    if (is_set(config->inet_gateway) && !parse_ip4(config->inet_gateway, &c->gateway))
        return refuse(net, "gateway", config->inet_gateway, "an IPv4 address, or none");
    if (is_set(config->inet_mac) && !parse_mac(config->inet_mac, c->mac))
        return refuse(net, "mac", config->inet_mac, "the address of one station, such as 02:00:00:00:00:01, or none");
    c->limits.neighbours = (uint32_t)config->inet_max_neighbours;
    c->limits.fragment_bytes = (uint32_t)config->inet_fragment_bytes;
    c->limits.icmp_per_second = (uint32_t)config->inet_icmp_per_second;
    return 0;
}

static int open_device(struct net *net) {
    const struct config *config = &net->rt->config;
    char why[REASON_MAX] = "";
    struct netdev_args args = {.log = &net->rt->log, .why = why, .why_bytes = sizeof why};
    if (is_set(config->inet_device_options)) args.options = config->inet_device_options;
    int r = netdev_open(config->inet_device, &args, &net->dev);
    if (r && !is_set(config->inet_device))
        log_error(&net->rt->log, "inet: no device is configured (%s); choose one with --dmtr-set inet.device=NAME",
                  why);
    else if (r)
        log_error(&net->rt->log, "inet: device %s cannot be opened: %s; see inet.device and inet.device_options",
                  config->inet_device, why[0] ? why : strerror(-r));
    return r;
}

static void join_device(struct net *net, struct inet_config *c) {
    const struct config *config = &net->rt->config;
    uint64_t mtu = config->inet_mtu < net->dev->mtu ? config->inet_mtu : net->dev->mtu;
    c->mtu = (uint16_t)mtu;
    net->mtu = c->mtu;
    if (!is_set(config->inet_mac)) memcpy(c->mac, net->dev->mac, sizeof c->mac);
    if (net->dev->offloads & NETDEV_CSUM) c->offloads |= INET_OFFLOAD_CSUM;
    c->announce = true;
    c->transmit = transmit_frame;
    c->transmit_ctx = net;
}

int net_setup(struct net *net) {
    struct inet_static_neighbour neighbours[NEIGHBOURS_MAX];
    struct inet_config c = {.mtu = 0};
    ssize_t n = SYS(getrandom, c.seed, sizeof c.seed, 0);
    if (n != (ssize_t)sizeof c.seed) {
        log_error(&net->rt->log, "inet: no random numbers");
        return n < 0 ? (int)n : -EIO;
    }
    int r = open_device(net);
    if (!r) r = read_options(net, &c, neighbours);
    if (r) return r;
    join_device(net, &c);
    r = inet_new(&net->stack, &c, clock_now_ns());
    if (r == -EINVAL)
        log_error(&net->rt->log, "inet: address %s, gateway %s, MTU %u do not go together",
                  net->rt->config.inet_address, net->rt->config.inet_gateway, c.mtu);
    else if (r)
        log_error(&net->rt->log, "inet: no stack can be made: %s", strerror(-r));
    return r;
}
