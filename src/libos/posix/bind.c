/* SPDX-License-Identifier: MIT */
/*
 * Binding. The kernel lets sockets with SO_REUSEADDR or SO_REUSEPORT have one address, as a restarted server and the
 * threads of one server want it; within a runtime an address is bound once, whatever the options.
 */
#include "libos/posix/posix.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

static uint16_t port_of(const struct sockaddr *addr) {
    struct sockaddr_in in; /* with the port where struct sockaddr_in6 has it */
    memcpy(&in, addr, sizeof in);
    return ntohs(in.sin_port);
}

/* Where the socket stands, as IPv6 has it. A socket of IPv6 whose address is the wildcard may have IPv4's ports too. */
static void place_of(struct sock *s, const struct sockaddr *addr, struct sock_place *place) {
    int only = 0;
    socklen_t len = sizeof only;
    struct sockaddr_in in;
    *place = (struct sock_place){.port = port_of(addr), .families = addr->sa_family == AF_INET ? PLACE_IP4 : PLACE_IP6};
    if (addr->sa_family == AF_INET) {
        memcpy(&in, addr, sizeof in);
        place->any = in.sin_addr.s_addr == htonl(INADDR_ANY);
        place->addr.s6_addr[10] = place->addr.s6_addr[11] = 0xff;
        memcpy(&place->addr.s6_addr[12], &in.sin_addr, sizeof in.sin_addr);
        return;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, addr, sizeof in6);
    place->addr = in6.sin6_addr;
    place->any = IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
    (void)POSIX_SYS(&s->q, getsockopt, s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len);
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) place->families = PLACE_IP4;
    if (place->any && !only) place->families |= PLACE_IP4;
}

static bool overlap(const struct sock_place *a, const struct sock_place *b) {
    if (a->port != b->port || !(a->families & b->families)) return false;
    return a->any || b->any || memcmp(&a->addr, &b->addr, sizeof a->addr) == 0;
}

static bool bound_here(const struct posix *px, bool stream, const struct sock_place *place) {
    struct list *l, *tmp;
    list_for_each (&px->bound, l, tmp) {
        const struct sock *other = list_entry(l, struct sock, bound);
        if (other->stream == stream && overlap(&other->place, place)) return true;
    }
    return false;
}

/*
 * Whether a socket outside of this runtime has the address, found with one that does not share: of streams, a listener
 * (connections of before are not in the way), of datagrams, any.
 */
static bool bound_elsewhere(struct sock *s, const struct sockaddr *addr, socklen_t len) {
    const int one = 1;
    int fd = POSIX_SYS(&s->q, socket, addr->sa_family, (s->stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0), r = 0;
    if (fd < 0) return false;
    if (s->stream) r = POSIX_SYS(&s->q, setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!r) r = POSIX_SYS(&s->q, bind, fd, addr, len);
    close(fd);
    return r == -EADDRINUSE;
}

static void tell_of_others(struct sock *s, const struct sockaddr *addr, socklen_t len, const struct sock_place *place) {
    const struct log *log = &s->q.rt->log;
    char text[INET6_ADDRSTRLEN] = "";
    if (log->level < LOG_LEVEL_INFO || !bound_elsewhere(s, addr, len)) return;
    if (place->families == PLACE_IP4)
        inet_ntop(AF_INET, &place->addr.s6_addr[12], text, sizeof text);
    else
        inet_ntop(AF_INET6, &place->addr, text, sizeof text);
    log_info(log, "posix: another socket has %s port %u of %s already, and the two share what comes for it",
             s->stream ? "TCP" : "UDP", place->port, text);
}

static int has_option(struct sock *s, int name) {
    int value = 0;
    socklen_t len = sizeof value;
    return POSIX_SYS(&s->q, getsockopt, s->fd, SOL_SOCKET, name, &value, &len) ? 0 : value;
}

int sock_bind(struct queue *q, const struct sockaddr *addr, socklen_t len) {
    struct sock *s = to_sock(q);
    struct sock_place place;
    const int one = 1, off = 0;
    bool given = len >= sizeof(struct sockaddr_in) &&
                 (addr->sa_family == AF_INET || (addr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))) &&
                 port_of(addr) != 0;
    if (!given) return POSIX_SYS(q, bind, s->fd, addr, len);
    place_of(s, addr, &place);
    if (bound_here(s->px, s->stream, &place)) return -EADDRINUSE;
    bool reuse = s->stream && !s->reuse_chosen;
    int r = reuse ? POSIX_SYS(q, setsockopt, s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) : 0;
    if (!r && has_option(s, SO_REUSEPORT)) tell_of_others(s, addr, len, &place);
    if (!r) r = POSIX_SYS(q, bind, s->fd, addr, len);
    if (r) {
        if (reuse) (void)POSIX_SYS(q, setsockopt, s->fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof off);
        return r;
    }
    s->place = place;
    list_push_back(&s->px->bound, &s->bound);
    return 0;
}
