/* What the kernel says of one of its interfaces. */
#include "netdev/linux_if.h"

#include "base/sys.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ask(const struct linux_if *i, unsigned long what, struct ifreq *reply) {
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
