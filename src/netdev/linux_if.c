/* SPDX-License-Identifier: MIT */
/* Reads the state of a kernel interface. */
#include "netdev/linux_if.h"
#include "netdev/device.h"

#include "base/sys.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES_MAX 256 /* on all interfaces together */

static int ask(const struct linux_if *i, unsigned what, struct ifreq *reply) {
    memset(reply, 0, sizeof *reply);
    memcpy(reply->ifr_name, i->name, sizeof reply->ifr_name);
    return SYS(ioctl, i->sock, what, reply);
}

int linux_if_open(struct linux_if *i, const char *name) {
    struct ifreq reply;
    int r;
    memset(i, 0, sizeof *i);
    memcpy(i->name, name, strnlen(name, sizeof i->name - 1));
    i->sock = SYS(socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (i->sock < 0) return i->sock;
    r = ask(i, SIOCGIFINDEX, &reply);
    if (r < 0) linux_if_close(i);
    i->index = reply.ifr_ifindex;
    return r;
}

void linux_if_close(struct linux_if *i) {
    if (i->sock >= 0) close(i->sock);
    i->sock = -1;
}

int linux_if_read(const struct linux_if *i, struct linux_if_state *state) {
    struct ifreq reply;
    int r = ask(i, SIOCGIFINDEX, &reply);
    if (r == 0 && reply.ifr_ifindex != i->index) r = -ENODEV;
    if (r == 0) r = ask(i, SIOCGIFFLAGS, &reply);
    state->up = r == 0 && (reply.ifr_flags & IFF_UP) && (reply.ifr_flags & IFF_RUNNING);
    if (r == 0) r = ask(i, SIOCGIFMTU, &reply);
    state->mtu = r == 0 ? (uint32_t)reply.ifr_mtu : 0;
    if (r == 0) r = ask(i, SIOCGIFHWADDR, &reply);
    if (r == 0) memcpy(state->mac, reply.ifr_hwaddr.sa_data, sizeof state->mac);
    return r;
}

int linux_if_refresh(const struct linux_if *i, struct netdev *dev, struct linux_if_state *state) {
    int r = linux_if_read(i, state);
    netdev_set_link(dev, r == 0 && state->up);
    return r;
}

/*
 * Whether the label belongs to the interface: an address's label starts with the interface's name, possibly followed by
 * a colon and more.
 */
static bool is_label_of(const struct linux_if *i, const char *label) {
    size_t len = strlen(i->name);
    return strncmp(label, i->name, len) == 0 && (label[len] == '\0' || label[len] == ':');
}

int linux_if_has_address(const struct linux_if *i, uint32_t ip4) {
    struct ifreq all[ADDRESSES_MAX];
    struct ifconf reply = {.ifc_len = sizeof all, .ifc_req = all};
    int r = SYS(ioctl, i->sock, SIOCGIFCONF, &reply);
    if (r < 0) return r;
    for (size_t k = 0; k < (size_t)reply.ifc_len / sizeof *all; k++) {
        struct sockaddr_in address;
        memcpy(&address, &all[k].ifr_addr, sizeof address);
        if (address.sin_addr.s_addr == ip4 && is_label_of(i, all[k].ifr_name)) return 1;
    }
    return 0;
}

uint32_t linux_if_queues(const struct linux_if *i) {
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq request = {.ifr_data = (void *)&channels};
    uint32_t queues;
    memcpy(request.ifr_name, i->name, sizeof request.ifr_name);
    if (SYS(ioctl, i->sock, SIOCETHTOOL, &request) < 0) return 1;
    queues = channels.combined_count + channels.rx_count;
    return queues ? queues : 1;
}

#ifndef SO_NETNS_COOKIE /* missing in older C libraries; PA-RISC and SPARC use another number */
#define SO_NETNS_COOKIE 71
#endif

uint64_t linux_if_network(const struct linux_if *i) {
    uint64_t cookie = 0; /* not changed by kernels before Linux 5.14 */
    socklen_t len = sizeof cookie;
    (void)SYS(getsockopt, i->sock, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len);
    return cookie;
}
