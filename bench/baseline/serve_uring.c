/* SPDX-License-Identifier: MIT */
/* One thread on io_uring: multishot accept and receive with provided buffers; waiting or spinning. */
#include "baseline.h"
#include "uring.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 256

/* user_data: what completed, with the descriptor and the buffer that is sent. */
enum what { ACCEPT, RECV, SEND, DATAGRAM_RECV, DATAGRAM_SEND };
#define DATA(what, fd, buffer) ((unsigned long long)(what) << 56 | (unsigned long long)(buffer) << 32 | (uint32_t)(fd))

/* A datagram that is sent back from the buffer it was received in. */
struct slot {
    struct msghdr msg;
    struct iovec iov;
};

/* The bytes to send from each buffer, and the next buffer of the same client. */
static struct {
    unsigned done, len, next;
} sends[URING_BUFFERS];

/* By descriptor: the buffers to send, of which one send is in flight at a time, because two could be reordered; and
 * whether the client has finished. */
static struct {
    unsigned last; /* of its buffers to send */
    bool sending, ended;
} peers[MAX_CONNECTIONS];

static struct uring u;
static struct slot slots[URING_BUFFERS];
static struct msghdr layout = {.msg_namelen = sizeof(struct sockaddr_in6)}; /* the layout of a datagram's buffer */

static void arm_accept(int listener) {
    struct io_uring_sqe *sqe = uring_sqe(&u);
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, DATA(ACCEPT, listener, 0));
}

static void arm_send(int fd, unsigned buffer) {
    struct io_uring_sqe *sqe = uring_sqe(&u);
    char *p = uring_buffer(&u, buffer) + sends[buffer].done;
    io_uring_prep_send(sqe, fd, p, sends[buffer].len - sends[buffer].done, MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, DATA(SEND, fd, buffer));
}

static void arm_datagrams(int fd) {
    struct io_uring_sqe *sqe = uring_sqe(&u);
    io_uring_prep_recvmsg_multishot(sqe, fd, &layout, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_GROUP;
    io_uring_sqe_set_data64(sqe, DATA(DATAGRAM_RECV, fd, 0));
}

static void datagram(int fd, const struct io_uring_cqe *cqe) {
    if (!(cqe->flags & IORING_CQE_F_MORE)) arm_datagrams(fd);
    if (!(cqe->flags & IORING_CQE_F_BUFFER)) return;
    unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(uring_buffer(&u, buffer), cqe->res, &layout);
    if (!out) {
        uring_give_back(&u, buffer);
        return;
    }
    struct io_uring_sqe *sqe = uring_sqe(&u);
    struct slot *s = &slots[buffer];
    s->iov =
        (struct iovec){io_uring_recvmsg_payload(out, &layout), io_uring_recvmsg_payload_length(out, cqe->res, &layout)};
    s->msg = (struct msghdr){
        .msg_name = io_uring_recvmsg_name(out), .msg_namelen = out->namelen, .msg_iov = &s->iov, .msg_iovlen = 1};
    io_uring_prep_sendmsg(sqe, fd, &s->msg, MSG_NOSIGNAL);
    io_uring_sqe_set_data64(sqe, DATA(DATAGRAM_SEND, fd, buffer));
}

static void accepted(int listener, const struct io_uring_cqe *cqe) {
    int one = 1;
    if (!(cqe->flags & IORING_CQE_F_MORE)) arm_accept(listener);
    if (cqe->res < 0) return;
    if (cqe->res >= MAX_CONNECTIONS) {
        close(cqe->res);
        return;
    }
    peers[cqe->res].sending = peers[cqe->res].ended = false;
    setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    uring_recv(&u, cqe->res, DATA(RECV, cqe->res, 0));
}

static void enqueue(int fd, unsigned buffer, unsigned len) {
    sends[buffer].done = 0;
    sends[buffer].len = len;
    if (peers[fd].sending)
        sends[peers[fd].last].next = buffer;
    else
        arm_send(fd, buffer);
    peers[fd].last = buffer;
    peers[fd].sending = true;
}

static void received(int fd, const struct io_uring_cqe *cqe) {
    if (cqe->res > 0) {
        unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        enqueue(fd, buffer, (unsigned)cqe->res);
    }
    if (cqe->flags & IORING_CQE_F_MORE) return;
    if (cqe->res > 0 || cqe->res == -ENOBUFS)
        uring_recv(&u, fd, DATA(RECV, fd, 0));
    else if (peers[fd].sending)
        peers[fd].ended = true;
    else
        close(fd);
}

static void sent(int fd, unsigned buffer, int res) {
    if (res > 0) sends[buffer].done += (unsigned)res;
    if (res > 0 && sends[buffer].done < sends[buffer].len) {
        arm_send(fd, buffer);
        return;
    }
    uring_give_back(&u, buffer);
    peers[fd].sending = buffer != peers[fd].last;
    if (peers[fd].sending)
        arm_send(fd, sends[buffer].next);
    else if (peers[fd].ended)
        close(fd);
}

static void dispatch(const struct io_uring_cqe *cqe) {
    int fd = (int)(uint32_t)cqe->user_data;
    unsigned buffer = (unsigned)(cqe->user_data >> 32 & 0xffffff);
    switch ((enum what)(cqe->user_data >> 56)) {
    case ACCEPT:
        accepted(fd, cqe);
        break;
    case RECV:
        received(fd, cqe);
        break;
    case SEND:
        sent(fd, buffer, cqe->res);
        break;
    case DATAGRAM_RECV:
        datagram(fd, cqe);
        break;
    case DATAGRAM_SEND:
        uring_give_back(&u, buffer);
        break;
    }
}

int serve_uring(int fd, bool udp, bool spin) {
    struct io_uring_cqe *cqes[BATCH];
    if (uring_init(&u, udp) != 0) return -1;
    if (udp)
        arm_datagrams(fd);
    else
        arm_accept(fd);
    for (;;) {
        unsigned n = uring_wait(&u, spin, UINT64_MAX, cqes, BATCH);
        for (unsigned i = 0; i < n; i++)
            dispatch(cqes[i]);
        io_uring_cq_advance(&u.ring, n);
    }
}
