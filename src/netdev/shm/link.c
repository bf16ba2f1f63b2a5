/* SPDX-License-Identifier: MIT */
/* Connects two processes that share a link's memory. */
#include "netdev/shm/link.h"

#include "base/sys.h"
#include "netdev/device.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAGIC      0x646d747277697265ull /* "dmtrwire" */
#define VERSION    1u
#define WAKES_MAX  64 /* wake-ups read at once */
#define REFUSE_MAX 4  /* further connections refused at once */

/* The message with which the listening side sends the memory. */
struct hello {
    uint64_t magic;
    uint32_t version, slots, mtu, pad;
};

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

void shm_link_drop(struct shm_link *l) {
    if (l->memory) munmap(l->memory, l->memory_bytes);
    l->memory = NULL;
    close_fd(&l->conn);
}

static int watch(const struct shm_link *l, int fd) {
    struct epoll_event e = {.events = EPOLLIN};
    return SYS(epoll_ctl, l->epoll, EPOLL_CTL_ADD, fd, &e);
}

static int unix_socket(void) {
    return SYS(socket, AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int connect_to(int fd, const struct sockaddr_un *address) {
    return SYS(connect, fd, (const struct sockaddr *)address, sizeof *address);
}

/* Removes a socket file on which nobody listens any more: its process died. */
static int remove_stale(const struct sockaddr_un *address) {
    struct stat st;
    int fd, r;
    if (lstat(address->sun_path, &st) < 0) return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode)) return -EADDRINUSE;
    fd = unix_socket();
    if (fd < 0) return fd;
    r = connect_to(fd, address);
    close(fd);
    if (r != -ECONNREFUSED) return -EADDRINUSE;
    return SYS(unlink, address->sun_path);
}

static int start_listening(struct shm_link *l) {
    int r = remove_stale(&l->address);
    if (r < 0) return r;
    l->listener = unix_socket();
    if (l->listener < 0) return l->listener;
    r = SYS(fchmod, l->listener, 0600); /* bind creates the file with this mode */
    if (r == 0) r = SYS(bind, l->listener, (struct sockaddr *)&l->address, sizeof l->address);
    if (r == 0) r = SYS(stat, l->address.sun_path, &l->socket);
    if (r == 0) r = SYS(listen, l->listener, 1);
    return r == 0 ? watch(l, l->listener) : r;
}

int shm_link_open(struct shm_link *l, const char *path, bool listens, uint32_t slots, uint32_t mtu) {
    int r = 0;
    memset(l, 0, sizeof *l);
    l->address.sun_family = AF_UNIX;
    strncpy(l->address.sun_path, path, sizeof l->address.sun_path - 1);
    l->listens = listens;
    l->slots = slots;
    l->mtu = mtu;
    l->listener = l->conn = -1;
    l->epoll = SYS(epoll_create1, EPOLL_CLOEXEC);
    if (l->epoll < 0) return l->epoll;
    if (listens) r = start_listening(l);
    if (r < 0) shm_link_close(l);
    return r;
}

void shm_link_close(struct shm_link *l) {
    struct stat st;
    shm_link_drop(l);
    close_fd(&l->listener);
    close_fd(&l->epoll);
    if (l->socket.st_ino && lstat(l->address.sun_path, &st) == 0 && st.st_ino == l->socket.st_ino &&
        st.st_dev == l->socket.st_dev)
        unlink(l->address.sun_path);
}

/* Only a process of the same user may connect. */
static int check_peer(const struct shm_link *l) {
    struct ucred peer;
    socklen_t len = sizeof peer;
    int r = SYS(getsockopt, l->conn, SOL_SOCKET, SO_PEERCRED, &peer, &len);
    return r < 0 ? r : peer.uid == geteuid() ? 0 : -EPERM;
}

static int map_wire(struct shm_link *l, int memory, uint32_t slots, uint32_t mtu) {
    uint32_t stride = shm_stride(netdev_frame_max(mtu));
    uint64_t ring = shm_ring_bytes(slots, stride);
    struct shm_ring *first = l->listens ? &l->tx : &l->rx, *second = l->listens ? &l->rx : &l->tx;
    int error;
    l->memory_bytes = 2 * ring;
    l->memory = sys_mmap(NULL, l->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, &error);
    if (!l->memory) return -error;
    l->wire_mtu = mtu;
    shm_ring_view(first, l->memory, slots, stride);
    shm_ring_view(second, (char *)l->memory + ring, slots, stride);
    return 0;
}

static int create_memory(const struct shm_link *l) {
    int fd = SYS(memfd_create, "dmtr-wire", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;
    if (fd < 0) return fd;
    r = SYS(ftruncate, fd, 2 * (off_t)shm_ring_bytes(l->slots, shm_stride(netdev_frame_max(l->mtu))));
    if (r == 0) r = SYS(fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    if (r < 0) close_fd(&fd);
    return r < 0 ? r : fd;
}

/* One message with one descriptor; the padding leaves room for a second one. */
union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

static int send_hello(const struct shm_link *l, int memory) {
    struct hello hello = {.magic = MAGIC, .version = VERSION, .slots = l->slots, .mtu = l->mtu};
    struct iovec iov = {&hello, sizeof hello};
    union control c = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    ssize_t n;
    memcpy(CMSG_DATA(&c.head), &memory, sizeof memory);
    n = SYS(sendmsg, l->conn, &m, MSG_NOSIGNAL);
    return n < 0 ? (int)n : 0;
}

static int offer_wire(struct shm_link *l) {
    int memory = create_memory(l), r;
    if (memory < 0) return memory;
    r = map_wire(l, memory, l->slots, l->mtu);
    if (r == 0) {
        shm_ring_clear(&l->tx);
        shm_ring_clear(&l->rx);
        r = send_hello(l, memory);
    }
    close(memory);
    return r;
}

/* Returns the first received descriptor, or -1. Closes further ones. */
static int receive_descriptor(struct msghdr *m) {
    int first = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (first < 0)
                first = fd;
            else
                close(fd);
        }
    }
    return first;
}

/* Whether the memory matches the message and cannot shrink. */
static bool memory_fits(int memory, const struct hello *h) {
    struct stat st;
    int seals = SYS(fcntl, memory, F_GET_SEALS);
    if (h->magic != MAGIC || h->version != VERSION || h->mtu < NETDEV_MTU_MIN || h->mtu > NETDEV_MTU_MAX) return false;
    if (h->slots < SHM_SLOTS_MIN || h->slots > SHM_SLOTS_MAX || (h->slots & (h->slots - 1))) return false;
    return seals >= 0 && (seals & F_SEAL_SHRINK) && SYS(fstat, memory, &st) == 0 &&
           (uint64_t)st.st_size >= 2 * shm_ring_bytes(h->slots, shm_stride(netdev_frame_max(h->mtu)));
}

static int accept_wire(struct shm_link *l) {
    struct hello hello = {0};
    struct iovec iov = {&hello, sizeof hello};
    union control c;
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    ssize_t n = SYS(recvmsg, l->conn, &m, MSG_CMSG_CLOEXEC);
    int memory, r = -EPROTO;
    if (n < 0) return (int)n;
    memory = receive_descriptor(&m);
    if (memory < 0) return -EPROTO;
    if (n == sizeof hello && memory_fits(memory, &hello)) r = map_wire(l, memory, hello.slots, hello.mtu);
    close(memory);
    return r;
}

/* Creates a connection. -EAGAIN and other errors: not now. */
static int connect_peer(struct shm_link *l) {
    int r;
    l->conn = l->listens ? SYS(accept4, l->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : unix_socket();
    if (l->conn < 0) return l->conn;
    r = l->listens ? 0 : connect_to(l->conn, &l->address);
    if (r == 0) r = check_peer(l);
    return r == 0 ? watch(l, l->conn) : r;
}

int shm_link_connect(struct shm_link *l) {
    int r = l->conn < 0 ? connect_peer(l) : 0;
    if (r == 0) r = l->listens ? offer_wire(l) : accept_wire(l);
    if (r == 0) return 1;
    if (r != -EAGAIN || l->listens) shm_link_drop(l);
    return 0;
}

/* A link has one peer. Waiting connections would keep the descriptor readable, so they are closed. */
static void refuse_others(const struct shm_link *l) {
    for (int i = 0; i < REFUSE_MAX; i++) {
        int fd = SYS(accept4, l->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) return;
        close(fd);
    }
}

bool shm_link_alive(const struct shm_link *l) {
    char bytes[8];
    if (l->listens) refuse_others(l);
    for (int i = 0; i < WAKES_MAX; i++) {
        ssize_t n = SYS(recv, l->conn, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == -EAGAIN || n == -EINTR) return true;
        if (n <= 0) return false;
    }
    return true;
}

void shm_link_wake(const struct shm_link *l) {
    char byte = 0;
    /* A full socket also wakes the peer; shm_link_alive detects a peer that has ended. */
    (void)SYS(send, l->conn, &byte, sizeof byte, MSG_DONTWAIT | MSG_NOSIGNAL);
}
