/* SPDX-License-Identifier: MIT */
/*
 * Binding. The kernel lets sockets with SO_REUSEADDR or SO_REUSEPORT bind the same address, as a restarted server and
 * the threads of one server need. Within a runtime an address can be bound only once, whatever the options.
 */
#include "libos/posix/posix.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

static uint16_t port_of(const struct sockaddr *addr) {
    struct sockaddr_in in; /* sockaddr_in6 has its port at the same offset */
    memcpy(&in, addr, sizeof in);
    return ntohs(in.sin_port);
}

/*
 * Computes the address and port that the socket binds, in IPv6 form. An IPv6 socket bound to the wildcard may occupy
 * IPv4 ports, too.
 */
static void address_of(struct sock *s, const struct sockaddr *addr, struct bound_address *bound_addr) {
    int only = 0;
    socklen_t len = sizeof only;
    struct sockaddr_in in;
    *bound_addr =
        (struct bound_address){.port = port_of(addr), .families = addr->sa_family == AF_INET ? BOUND_IP4 : BOUND_IP6};
    if (addr->sa_family == AF_INET) {
        memcpy(&in, addr, sizeof in);
        bound_addr->any = in.sin_addr.s_addr == htonl(INADDR_ANY);
        bound_addr->addr.s6_addr[10] = bound_addr->addr.s6_addr[11] = 0xff;
        memcpy(&bound_addr->addr.s6_addr[12], &in.sin_addr, sizeof in.sin_addr);
        return;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, addr, sizeof in6);
    bound_addr->addr = in6.sin6_addr;
    bound_addr->any = IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
    (void)POSIX_SYS(s, getsockopt, s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len);
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) bound_addr->families = BOUND_IP4;
    if (bound_addr->any && !only) bound_addr->families |= BOUND_IP4;
}

static bool overlap(const struct bound_address *a, const struct bound_address *b) {
    if (a->port != b->port || !(a->families & b->families)) return false;
    return a->any || b->any || memcmp(&a->addr, &b->addr, sizeof a->addr) == 0;
}

static bool bound_here(const struct posix *px, bool stream, const struct bound_address *bound_addr) {
    struct list *l, *tmp;
    list_for_each (&px->bound, l, tmp) {
        const struct sock *other = list_entry(l, struct sock, bound);
        if (other->stream == stream && overlap(&other->bound_addr, bound_addr)) return true;
    }
    return false;
}

/*
 * Whether a socket outside this runtime has the address: for streams, a listener (old connections do not count); for
 * datagrams, any socket. Tests it by binding a socket that does not share addresses.
 */
static bool bound_elsewhere(struct sock *s, const struct sockaddr *addr, socklen_t len) {
    const int one = 1;
    int fd = POSIX_SYS(s, socket, addr->sa_family, (s->stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0), r = 0;
    if (fd < 0) return false;
    if (s->stream) r = POSIX_SYS(s, setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!r) r = POSIX_SYS(s, bind, fd, addr, len);
    close(fd);
    return r == -EADDRINUSE;
}

static void log_other_binders(struct sock *s, const struct sockaddr *addr, socklen_t len,
                              const struct bound_address *bound_addr) {
    const struct log *log = &s->q.rt->log;
    char text[INET6_ADDRSTRLEN] = "";
    if (log->level < LOG_LEVEL_INFO || !bound_elsewhere(s, addr, len)) return;
    if (bound_addr->families == BOUND_IP4)
        inet_ntop(AF_INET, &bound_addr->addr.s6_addr[12], text, sizeof text);
    else
        inet_ntop(AF_INET6, &bound_addr->addr, text, sizeof text);
    log_info(log,
             "posix: another socket also has %s port %u of %s, and the kernel distributes the traffic between the two",
             s->stream ? "TCP" : "UDP", bound_addr->port, text);
}

static int has_option(struct sock *s, int name) {
    int value = 0;
    socklen_t len = sizeof value;
    return POSIX_SYS(s, getsockopt, s->fd, SOL_SOCKET, name, &value, &len) ? 0 : value;
}

int sock_bind(struct queue *q, const struct sockaddr *addr, socklen_t len) {
    struct sock *s = to_sock(q);
    struct bound_address bound_addr;
    const int one = 1, off = 0;
    bool explicit =
        len >= sizeof(struct sockaddr_in) &&
        (addr->sa_family == AF_INET || (addr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))) &&
        port_of(addr) != 0;
    if (!explicit) return POSIX_SYS(s, bind, s->fd, addr, len);
    address_of(s, addr, &bound_addr);
    if (bound_here(s->px, s->stream, &bound_addr)) return -EADDRINUSE;
    bool reuse = s->stream && !s->reuse_chosen;
    int r = reuse ? POSIX_SYS(s, setsockopt, s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) : 0;
    if (!r && has_option(s, SO_REUSEPORT)) log_other_binders(s, addr, len, &bound_addr);
    if (!r) r = POSIX_SYS(s, bind, s->fd, addr, len);
    if (r) {
        if (reuse) (void)POSIX_SYS(s, setsockopt, s->fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof off);
        return r;
    }
    s->bound_addr = bound_addr;
    list_push_back(&s->px->bound, &s->bound);
    return 0;
}
