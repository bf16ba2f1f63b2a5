/* SPDX-License-Identifier: MIT */
/* Each function of packetdrill's table, called as packetdrill calls it: through dlopen, by one thread or two. */
#include "../script/names.h"
#include "../script/packet_wire.h"
#include "interface.h"

#include "../base/test.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS_US 1000u
#define GUARD 60000 /* milliseconds and more for another thread to come to its end */

struct drill {
    void *object;
    struct packetdrill_interface t;
    void *u; /* what every function takes first */
    struct flows flows;
    int listener, conn;
};

static packetdrill_interface_init_t *load(void **object) {
    packetdrill_interface_init_t *init;
    *object = dlopen(getenv("PACKETDRILL_PLUGIN"), RTLD_NOW | RTLD_LOCAL);
    void *symbol = *object ? dlsym(*object, "packetdrill_interface_init") : NULL;
    if (!symbol) fail_msg("%s", dlerror());
    memcpy(&init, &symbol, sizeof init);
    return init;
}

static struct drill *drill_new(const char *flags) {
    struct drill *d = calloc(1, sizeof *d);
    assert_non_null(d);
    load (&d->object)(flags, &d->t);
    d->u = d->t.userdata;
    d->listener = d->conn = -1;
    return d;
}

static void drill_delete(struct drill *d) {
    d->t.free(d->u);
    dlclose(d->object);
    free(d);
}

static void packet_of(const char *line, struct script_packet *p) {
    struct words w = {.file = "line"};
    if (!words_split(&w, line) || !packet_parse(&w, p)) fail_msg("%s", w.error);
}

static void peer_sends(struct drill *d, const char *line) {
    static uint8_t frame[FRAME_BYTES];
    struct script_packet p;
    packet_of(line, &p);
    uint32_t len = packet_encode(&d->flows, &p, 0, frame);
    assert_true(len > 14);
    assert_int_equal(d->t.netdev_send(d->u, frame + 14, len - 14), 0);
}

static void stack_sends(struct drill *d, const char *line) {
    static struct wire_frame frame;
    struct script_packet wanted, got;
    char text[1024];
    size_t count = sizeof frame.bytes;
    long long usec = 0;
    assert_int_equal(d->t.netdev_receive(d->u, frame.bytes, &count, &usec), 0);
    frame.no_link = true;
    frame.len = (uint32_t)count;
    packet_of(line, &wanted);
    packet_decode(&d->flows, &frame, &got);
    packet_print(&got, text, sizeof text);
    if (!packet_matches(&wanted, &got)) fail_msg("got > %s\nexpected > %s", text, line);
}

static struct sockaddr_in address(uint16_t port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
}

/* A connection from the peer, accepted; neither blocks. */
static struct drill *connected(const char *flags) {
    struct drill *d = drill_new(flags);
    struct sockaddr_in at = address(80);
    d->listener = d->t.socket(d->u, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
    assert_int_equal(d->t.bind(d->u, d->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(d->t.listen(d->u, d->listener, 5), 0);
    assert_int_equal(d->t.accept(d->u, d->listener, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    peer_sends(d, "S 0:0 win 65535 mss 1000");
    stack_sends(d, "S. 0:0 ack 1");
    assert_int_equal(d->t.usleep(d->u, 10 * MS_US), 0);
    peer_sends(d, ". 1:1 ack 1");
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    d->conn = d->t.accept(d->u, d->listener, (struct sockaddr *)&from, &len);
    assert_true(d->conn >= 0);
    assert_int_equal(from.sin_addr.s_addr, PEER_IP);
    assert_int_equal(ntohs(from.sin_port), PEER_PORT);
    assert_int_equal(d->t.fcntl(d->u, d->conn, F_SETFL, (long)(O_RDWR | O_NONBLOCK)), 0);
    return d;
}

#define USUAL "local=10.0.0.1"

static int exit_of_init(const char *flags) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct packetdrill_interface t;
        void *object;
        if (!freopen("/dev/null", "w", stderr)) _exit(3);
        load (&object)(flags, &t);
        t.free(t.userdata);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void flags_are_read_strictly(void **state) {
    static const char *const good[] = {
        "",        "mtu=9000", "local=192.0.2.1,mtu=1280,rcvbuf=100000,cc=reno", "ecn=no,delack=0,time=virtual",
        "tso=yes", "time=real"};
    static const char *const bad[] = {"mut=9000",  "mtu",       "mtu=",     "mtu=67",  "mtu=9217",
                                      "mtu=1500x", "local=one", "cc=vegas", "ecn=yes", "delack=501",
                                      "time=slow", "tso=1",     "rcvbuf=-1"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(exit_of_init(good[i]), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_not_equal(exit_of_init(bad[i]), 0);
}

static void descriptors_are_the_kernels(void **state) {
    (void)state;
    struct drill *d = connected(USUAL);
    assert_int_equal(fcntl(d->conn, F_GETFD), FD_CLOEXEC);
    assert_int_equal(d->t.fcntl(d->u, d->conn, F_GETFL, 0L), O_RDWR | O_NONBLOCK);
    assert_int_equal(d->t.close(d->u, d->conn), 0);
    assert_int_equal(fcntl(d->conn, F_GETFD), -1);
    assert_int_equal(d->t.close(d->u, d->conn), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(d->t.read(d->u, 100000, NULL, 0), -1);
    assert_int_equal(errno, EBADF);
    drill_delete(d);
}

static void calls_without_memory_fail(void **state) {
    struct iovec nowhere = {NULL, 10}, nothing = {NULL, 0};
    (void)state;
    struct drill *d = connected(USUAL);
    assert_int_equal(d->t.write(d->u, d->conn, NULL, 10), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(d->t.writev(d->u, d->conn, &nowhere, 1), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(d->t.writev(d->u, d->conn, &nothing, 1), 0);
    peer_sends(d, "P. 1:11 ack 1");
    assert_int_equal(d->t.recv(d->u, d->conn, NULL, 10, 0), -1);
    assert_int_equal(errno, EFAULT);
    stack_sends(d, ". 1:1 ack 11");
    drill_delete(d);
}

static void bytes_go_by_every_call(void **state) {
    char out[600], in[600];
    struct iovec halves[] = {{out, 100}, {out + 100, 200}}, back[] = {{in, 50}, {in + 50, 550}};
    struct msghdr msg = {.msg_iov = halves, .msg_iovlen = 2};
    int value;
    (void)state;
    struct drill *d = connected(USUAL);
    for (uint32_t i = 0; i < sizeof out; i++)
        out[i] = (char)packet_byte(i);
    assert_int_equal(d->t.writev(d->u, d->conn, halves, 2), 300);
    stack_sends(d, "P. 1:301");
    assert_int_equal(d->t.ioctl(d->u, d->conn, SIOCOUTQ, &value), 0);
    assert_int_equal(value, 300);
    peer_sends(d, "P. 1:301 ack 301");
    stack_sends(d, ". 301:301 ack 301");
    assert_int_equal(d->t.ioctl(d->u, d->conn, SIOCINQ, &value), 0);
    assert_int_equal(value, 300);
    assert_int_equal(d->t.recv(d->u, d->conn, in, sizeof in, MSG_PEEK), 300);
    assert_int_equal(d->t.read(d->u, d->conn, in, 10), 10);
    assert_memory_equal(in, out, 10);
    assert_int_equal(d->t.readv(d->u, d->conn, back, 2), 290);
    assert_memory_equal(in, out + 10, 290);
    for (uint32_t i = 0; i < 300; i++)
        out[i] = (char)packet_byte(300 + i);
    assert_int_equal(d->t.sendmsg(d->u, d->conn, &msg, 0), 300);
    stack_sends(d, "P. 301:601");
    peer_sends(d, "P. 301:401 ack 601");
    stack_sends(d, ". 601:601 ack 401");
    msg = (struct msghdr){.msg_iov = back, .msg_iovlen = 2};
    assert_int_equal(d->t.recvmsg(d->u, d->conn, &msg, 0), 100);
    assert_int_equal(d->t.recv(d->u, d->conn, in, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(d->t.shutdown(d->u, d->conn, SHUT_WR), 0);
    stack_sends(d, "F. 601:601");
    assert_int_equal(d->t.write(d->u, d->conn, out, 1), -1);
    assert_int_equal(errno, EPIPE);
    drill_delete(d);
}

static void segments_leave_together_where_asked(void **state) {
    char bytes[4500];
    (void)state;
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)packet_byte(i);
    struct drill *d = connected(USUAL ",tso=yes");
    assert_int_equal(d->t.write(d->u, d->conn, bytes, sizeof bytes), sizeof bytes);
    stack_sends(d, "P. 1:4001 ack 1");
    stack_sends(d, "P. 4001:4501 ack 1");
    drill_delete(d);
}

static void datagrams_go_and_come(void **state) {
    uint8_t bytes[100];
    struct sockaddr_in at = address(5000), to = address(2000), from;
    socklen_t len = sizeof from;
    (void)state;
    struct drill *d = drill_new(USUAL);
    int fd = d->t.socket(d->u, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    to.sin_addr.s_addr = PEER_IP;
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = packet_byte(i);
    assert_int_equal(d->t.bind(d->u, fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(d->t.sendto(d->u, fd, bytes, 100, 0, (struct sockaddr *)&to, sizeof to), 100);
    stack_sends(d, "udp at 5000 len 100");
    peer_sends(d, "udp at 5000 len 80");
    assert_int_equal(d->t.recvfrom(d->u, fd, bytes, 50, MSG_TRUNC, (struct sockaddr *)&from, &len), 80);
    assert_int_equal(ntohs(from.sin_port), 2000);
    assert_int_equal(d->t.connect(d->u, fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(d->t.send(d->u, fd, bytes, 50, 0), 50);
    stack_sends(d, "udp at 5000 len 50");
    drill_delete(d);
}

static int get(struct drill *d, int fd, int level, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    if (d->t.getsockopt(d->u, fd, level, name, &value, &len)) return -errno;
    assert_int_equal(len, sizeof value);
    return value;
}

static void options_are_kept(void **state) {
    static const struct {
        int level, name, value;
    } all[] = {
        {SOL_SOCKET, SO_REUSEADDR, 1},    {SOL_SOCKET, SO_KEEPALIVE, 1},  {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_CORK, 1},       {IPPROTO_TCP, TCP_QUICKACK, 0}, {IPPROTO_TCP, TCP_KEEPIDLE, 30},
        {IPPROTO_TCP, TCP_KEEPINTVL, 5},  {IPPROTO_TCP, TCP_KEEPCNT, 3},  {IPPROTO_TCP, TCP_USER_TIMEOUT, 900},
        {IPPROTO_TCP, TCP_SYNCNT, 3},     {IPPROTO_IP, IP_TOS, 16},       {IPPROTO_IP, IP_TTL, 9},
        {IPPROTO_IP, IP_MTU_DISCOVER, 0}, {IPPROTO_TCP, TCP_MAXSEG, 900},
    };
    struct linger linger = {1, 5}, kept = {0, 0};
    socklen_t len = sizeof kept;
    char name[16];
    (void)state;
    struct drill *d = connected(USUAL);
    int fresh = d->t.socket(d->u, AF_INET, SOCK_STREAM, 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int value = all[i].value;
        assert_int_equal(d->t.setsockopt(d->u, fresh, all[i].level, all[i].name, &value, sizeof value), 0);
        assert_int_equal(get(d, fresh, all[i].level, all[i].name), all[i].value);
        assert_int_equal(d->t.setsockopt(d->u, d->conn, all[i].level, all[i].name, &value, sizeof value), 0);
    }
    uint8_t byte = 12;
    assert_int_equal(d->t.setsockopt(d->u, fresh, IPPROTO_IP, IP_TOS, &byte, 1), 0);
    assert_int_equal(get(d, fresh, IPPROTO_IP, IP_TOS), 12);
    assert_int_equal(d->t.setsockopt(d->u, fresh, IPPROTO_TCP, TCP_NODELAY, &byte, 1), -1);
    for (size_t i = 0; i < 2; i++) { /* told doubled, as the platform counts them */
        int option = i == 0 ? SO_SNDBUF : SO_RCVBUF, value = 100000;
        assert_int_equal(d->t.setsockopt(d->u, fresh, SOL_SOCKET, option, &value, sizeof value), 0);
        assert_int_equal(get(d, fresh, SOL_SOCKET, option), 200000);
    }
    assert_int_equal(d->t.setsockopt(d->u, fresh, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    assert_int_equal(d->t.getsockopt(d->u, fresh, SOL_SOCKET, SO_LINGER, &kept, &len), 0);
    assert_int_equal(kept.l_linger, 5);
    assert_int_equal(d->t.setsockopt(d->u, fresh, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    len = sizeof name;
    assert_int_equal(d->t.getsockopt(d->u, fresh, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    assert_string_equal(name, "reno");
    assert_int_equal(d->t.setsockopt(d->u, fresh, IPPROTO_TCP, TCP_CONGESTION, "vegas", 5), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(get(d, fresh, SOL_SOCKET, SO_ERROR), 0);
    assert_int_equal(get(d, d->listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    assert_int_equal(get(d, fresh, SOL_SOCKET, 9999), -ENOPROTOOPT);
    drill_delete(d);
}

static void a_connection_shows_itself_as_linux_does(void **state) {
    static char bytes[3000];
    struct tcp_info info = {.tcpi_state = 0};
    socklen_t len = sizeof info;
    (void)state;
    struct drill *d = connected(USUAL);
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)packet_byte(i);
    assert_int_equal(d->t.send(d->u, d->conn, bytes, 3000, 0), 3000);
    assert_int_equal(d->t.getsockopt(d->u, d->conn, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    assert_int_equal(info.tcpi_state, 1);
    assert_int_equal(info.tcpi_ca_state, TCP_CA_Open);
    assert_int_equal(info.tcpi_snd_mss, 1000);
    assert_int_equal(info.tcpi_snd_cwnd, 10);
    assert_int_equal(info.tcpi_unacked, 3);
    assert_int_equal(info.tcpi_options, 0);
    assert_uint_in_range(info.tcpi_rtt, 9900, 10100);
    assert_int_equal(info.tcpi_pmtu, 1500);
    assert_int_equal(info.tcpi_snd_ssthresh, INT32_MAX);
    len = 1;
    assert_int_equal(d->t.getsockopt(d->u, d->listener, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    assert_int_equal(info.tcpi_state, 10);
    assert_int_equal(len, 1);
    drill_delete(d);
}

/* A call in a second thread. */
struct other {
    struct drill *d;
    int fd, timeout_ms, result, error;
    struct epoll_event event;
    atomic_int done;
    pthread_t thread;
};

static void *poll_run(void *arg) {
    struct other *o = arg;
    struct pollfd p = {.fd = o->fd, .events = POLLIN};
    o->result = o->d->t.poll(o->d->u, &p, 1, o->timeout_ms);
    o->error = errno;
    atomic_store(&o->done, 1);
    return NULL;
}

static void *epoll_run(void *arg) {
    struct other *o = arg;
    o->result = o->d->t.epoll_wait(o->d->u, o->fd, &o->event, 1, o->timeout_ms);
    o->error = errno;
    return NULL;
}

static void *read_run(void *arg) {
    struct other *o = arg;
    char byte;
    o->result = (int)o->d->t.read(o->d->u, o->fd, &byte, 1);
    o->error = errno;
    return NULL;
}

static void other_begins(struct other *o, void *(*run)(void *)) {
    assert_int_equal(pthread_create(&o->thread, NULL, run, o), 0);
    usleep(20 * MS_US); /* it may be asleep now; nothing below depends on it */
}

static void poll_tells_and_times_out(void **state) {
    (void)state;
    struct drill *d = connected(USUAL);
    struct pollfd p[] = {{.fd = d->conn, .events = POLLIN | POLLOUT}, {.fd = -1}, {.fd = 4000, .events = POLLIN}};
    assert_int_equal(d->t.poll(d->u, p, 3, 0), 2);
    assert_int_equal(p[0].revents, POLLOUT);
    assert_int_equal(p[2].revents, POLLNVAL);
    struct other o = {.d = d, .fd = d->conn, .timeout_ms = 1000};
    other_begins(&o, poll_run);
    for (int i = 0; i < GUARD && !atomic_load(&o.done); i++) { /* however late it begins */
        assert_int_equal(d->t.usleep(d->u, 100 * MS_US), 0);
        usleep(MS_US);
    }
    pthread_join(o.thread, NULL);
    assert_int_equal(o.result, 0);
    o.timeout_ms = -1;
    other_begins(&o, poll_run);
    peer_sends(d, "F. 1:1 ack 1");
    pthread_join(o.thread, NULL);
    assert_int_equal(o.result, 1);
    p[0].events = POLLIN | POLLRDHUP;
    assert_int_equal(d->t.poll(d->u, p, 1, 0), 1);
    assert_int_equal(p[0].revents, POLLIN | POLLRDHUP);
    drill_delete(d);
}

static int events_now(struct drill *d, int ep) {
    struct epoll_event e[4];
    int n = d->t.epoll_wait(d->u, ep, e, 4, 0);
    assert_uint_in_range(n, 0, 1);
    return n > 0 ? (int)e[0].events : 0;
}

static void epoll_by_level_by_edge_and_once(void **state) {
    char bytes[100];
    (void)state;
    struct drill *d = connected(USUAL);
    int ep = d->t.epoll_create(d->u, 1);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 7};
    assert_int_equal(d->t.epoll_ctl(d->u, ep, EPOLL_CTL_ADD, d->conn, &e), 0);
    assert_int_equal(d->t.epoll_ctl(d->u, ep, EPOLL_CTL_ADD, d->conn, &e), -1);
    assert_int_equal(errno, EEXIST);
    struct other o = {.d = d, .fd = ep, .timeout_ms = -1};
    other_begins(&o, epoll_run);
    peer_sends(d, "P. 1:11 ack 1");
    pthread_join(o.thread, NULL);
    assert_int_equal(o.result, 1);
    assert_int_equal(o.event.data.u64, 7);
    assert_int_equal(events_now(d, ep), EPOLLIN); /* by level: still */
    e.events = EPOLLIN | EPOLLET;
    assert_int_equal(d->t.epoll_ctl(d->u, ep, EPOLL_CTL_MOD, d->conn, &e), 0);
    assert_int_equal(events_now(d, ep), EPOLLIN);
    assert_int_equal(events_now(d, ep), 0); /* by edge: told */
    peer_sends(d, "P. 11:21 ack 1");
    assert_int_equal(events_now(d, ep), EPOLLIN);
    e.events = EPOLLIN | EPOLLONESHOT;
    assert_int_equal(d->t.epoll_ctl(d->u, ep, EPOLL_CTL_MOD, d->conn, &e), 0);
    assert_int_equal(events_now(d, ep), EPOLLIN);
    peer_sends(d, "P. 21:31 ack 1");
    assert_int_equal(events_now(d, ep), 0);
    assert_int_equal(d->t.read(d->u, d->conn, bytes, 100), 30);
    assert_int_equal(d->t.epoll_ctl(d->u, ep, EPOLL_CTL_DEL, d->conn, NULL), 0);
    assert_int_equal(d->t.epoll_ctl(d->u, ep, EPOLL_CTL_DEL, d->conn, NULL), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(d->t.epoll_ctl(d->u, ep, EPOLL_CTL_ADD, d->conn, &e), 0);
    assert_int_equal(d->t.close(d->u, d->conn), 0);
    assert_int_equal(events_now(d, ep), 0); /* what is closed is watched no more */
    drill_delete(d);
}

static void splice_moves_through_a_pipe(void **state) {
    int fds[2];
    char bytes[1000];
    (void)state;
    struct drill *d = connected(USUAL);
    assert_int_equal(d->t.pipe(d->u, fds), 0);
    peer_sends(d, "P. 1:501 ack 1");
    stack_sends(d, ". 1:1 ack 501");
    assert_int_equal(d->t.splice(d->u, d->conn, NULL, fds[1], NULL, 1000, 0), 500);
    assert_int_equal(d->t.splice(d->u, d->conn, NULL, fds[1], NULL, 1000, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(d->t.splice(d->u, fds[0], NULL, d->conn, NULL, 200, 0), 200);
    stack_sends(d, "P. 1:201 ack 501");
    assert_int_equal(d->t.read(d->u, fds[0], bytes, sizeof bytes), 300);
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal((uint8_t)bytes[i], packet_byte(200 + i));
    assert_int_equal(d->t.write(d->u, fds[1], bytes, 5), 5);
    assert_int_equal(d->t.read(d->u, fds[0], bytes, 10), 5);
    assert_int_equal(d->t.splice(d->u, fds[0], NULL, fds[1], NULL, 1, 0), -1);
    assert_int_equal(errno, EINVAL);
    drill_delete(d);
}

static uint64_t now_us(struct drill *d) {
    struct timeval tv;
    assert_int_equal(d->t.gettimeofday(d->u, &tv, NULL), 0);
    return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

static void virtual_time_creeps_and_jumps(void **state) {
    uint8_t packet[100];
    size_t count = sizeof packet;
    long long usec;
    (void)state;
    struct drill *d = drill_new(USUAL);
    uint64_t before = now_us(d);
    assert_int_equal(now_us(d), before + 1);
    d->t.usleep(d->u, 1000000);
    assert_int_equal(now_us(d), before + 1000002);
    assert_int_equal(d->t.netdev_receive(d->u, packet, &count, &usec), 0);
    assert_int_equal(count, 0);
    assert_int_equal(d->t.netdev_send(d->u, packet, 0), -1);
    memset(packet, 0, sizeof packet);
    assert_int_equal(d->t.netdev_send(d->u, packet, sizeof packet), 0);
    drill_delete(d);
}

static void closing_and_ending_wake_who_waits(void **state) {
    (void)state;
    struct drill *d = connected(USUAL);
    assert_int_equal(d->t.fcntl(d->u, d->conn, F_SETFL, (long)O_RDWR), 0);
    struct other o = {.d = d, .fd = d->conn};
    other_begins(&o, read_run);
    assert_int_equal(d->t.close(d->u, d->conn), 0);
    pthread_join(o.thread, NULL);
    assert_int_equal(o.result, -1);
    assert_int_equal(o.error, EBADF);
    drill_delete(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_read_strictly),
        cmocka_unit_test(descriptors_are_the_kernels),
        cmocka_unit_test(calls_without_memory_fail),
        cmocka_unit_test(bytes_go_by_every_call),
        cmocka_unit_test(segments_leave_together_where_asked),
        cmocka_unit_test(datagrams_go_and_come),
        cmocka_unit_test(options_are_kept),
        cmocka_unit_test(a_connection_shows_itself_as_linux_does),
        cmocka_unit_test(poll_tells_and_times_out),
        cmocka_unit_test(epoll_by_level_by_edge_and_once),
        cmocka_unit_test(splice_moves_through_a_pipe),
        cmocka_unit_test(virtual_time_creeps_and_jumps),
        cmocka_unit_test(closing_and_ending_wake_who_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
