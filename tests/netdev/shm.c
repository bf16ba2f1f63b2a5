/* SPDX-License-Identifier: MIT */
/* The device `shm`: frames between processes, peers that die, and malicious peers. */
#include "netdev/shm/ring.h"

#include "base/clock.h"
#include "netdev_test.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS         1000000u
#define GUARD_MS   20000
#define LIES_MAX   50000 /* values that the malicious peer writes at most: it may have broken its connection */
#define LIES_AHEAD 256   /* values that it writes in one round of the reader: with more, the reader sees no frame */

static const char *wire_path(void) {
    static char path[64];
    snprintf(path, sizeof path, "/dev/shm/dmtr-test-wire.%d", (int)getpid());
    return path;
}

static struct netdev *open_wire(const char *path, const char *options) {
    char text[200], why[160] = "";
    struct netdev_args args = {.options = text, .why = why, .why_bytes = sizeof why};
    struct netdev *dev;
    snprintf(text, sizeof text, "path=%s%s", path, options);
    if (netdev_open("shm", &args, &dev) < 0) fail_msg("%s", why);
    return dev;
}

struct pair {
    struct netdev *a, *b;
};

static struct pair make_pair(const char *options) {
    struct pair p = {.a = open_wire(wire_path(), options), .b = open_wire(wire_path(), "")};
    assert_int_equal(netdev_update(p.a, 0), 0);
    assert_int_equal(netdev_update(p.b, 0), 0);
    assert_true(p.a->link_up && p.b->link_up);
    return p;
}

static void free_pair(struct pair *p) {
    netdev_close(p->a);
    netdev_close(p->b);
}

static void frames_arrive_in_order_in_both_directions(void **state) {
    (void)state;
    struct pair p = make_pair(",listen=yes,slots=8");
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(test_send(p.a, mac_b, i, 18 + i % 1500, 0), 1);
        assert_int_equal(test_send(p.b, mac_a, i + 1, 1514, 0), 1);
        if (i % 4 != 3) continue;
        for (uint32_t j = i - 3; j <= i; j++) {
            assert_int_equal(test_receive(p.b, 0), j);
            assert_int_equal(test_receive(p.a, 0), j + 1);
        }
    }
    assert_int_equal(test_receive(p.a, 0), -1);
    assert_int_equal(p.a->stats.tx_frames, 1000);
    assert_int_equal(p.a->stats.rx_frames, 1000);
    free_pair(&p);
}

static void full_ring_accepts_what_fits_and_leaves_the_rest(void **state) {
    (void)state;
    struct pair p = make_pair(",listen=yes,slots=4");
    uint8_t *data = test_frame(mac_b, mac_a, 5, 100);
    struct netdev_seg seg = {data, 100};
    struct netdev_frame frames[6];
    for (int i = 0; i < 6; i++)
        frames[i] = (struct netdev_frame){.segs = &seg, .segs_count = 1, .bytes = 100};
    assert_int_equal(netdev_tx(p.a, frames, 6, 10), 4);
    assert_int_equal(p.a->stats.tx_short, 1);
    assert_int_equal(netdev_next_ns(p.a), 10 + NETDEV_RETRY_NS);
    assert_int_equal(netdev_tx(p.a, frames + 4, 2, 20), 0);
    assert_int_equal(test_receive(p.b, 0), 5);
    assert_int_equal(netdev_tx(p.a, frames + 4, 2, 30), 1);
    assert_int_equal(test_receive(p.b, 0), 5);
    assert_int_equal(netdev_tx(p.a, frames + 5, 1, 40), 1);
    assert_true(netdev_next_ns(p.a) == NETDEV_NEVER);
    heap_free(data); /* the device copied it */
    for (int i = 0; i < 4; i++)
        assert_int_equal(test_receive(p.b, 0), 5);
    free_pair(&p);
}

static void connecting_side_may_start_first_and_uses_the_listeners_mtu(void **state) {
    (void)state;
    struct netdev *b = open_wire(wire_path(), ",mtu=1500"), *a;
    struct netdev_buffer buffer;
    assert_false(b->link_up);
    assert_int_equal(netdev_rx(b, &buffer, 1, 1), -ENETDOWN);
    assert_int_equal(test_send(b, mac_a, 1, 100, 1), -ENETDOWN);
    assert_true(netdev_next_ns(b) < 100 * MS);
    a = open_wire(wire_path(), ",listen=yes,mtu=9000,slots=4");
    for (uint64_t now = 2; !b->link_up && now < 1000 * MS; now += MS) {
        netdev_rx(a, &buffer, 1, now);
        netdev_rx(b, &buffer, 1, now);
    }
    assert_int_equal(b->mtu, 9000);
    assert_int_equal(test_send(b, mac_a, 1, 9014, 0), 1);
    assert_int_equal(test_receive(a, 0), 1);
    netdev_close(a);
    netdev_close(b);
}

static void omitted_checksum_is_reported_as_good(void **state) {
    (void)state;
    struct pair p = make_pair(",listen=yes");
    uint8_t *data = test_frame(mac_b, mac_a, 5, 100);
    struct netdev_seg seg = {data, 100};
    struct netdev_frame frame = {.segs = &seg,
                                 .segs_count = 1,
                                 .bytes = 100,
                                 .offloads = NETDEV_CSUM,
                                 .l2_bytes = 14,
                                 .l3_bytes = 20,
                                 .l4_bytes = 20,
                                 .csum_offset = 16};
    struct netdev_buffer b;
    assert_int_equal(netdev_tx(p.a, &frame, 1, 0), 1);
    frame.offloads = 0;
    assert_int_equal(netdev_tx(p.a, &frame, 1, 0), 1);
    assert_int_equal(netdev_rx(p.b, &b, 1, 0), 1);
    assert_int_equal(b.flags, NETDEV_RX_CSUM_GOOD);
    heap_free(b.data);
    assert_int_equal(netdev_rx(p.b, &b, 1, 0), 1);
    assert_int_equal(b.flags, 0);
    heap_free(b.data);
    heap_free(data);
    free_pair(&p);
}

static bool readable(int fd, int timeout_ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static void sleeping_peer_is_woken_once_and_a_polling_peer_never(void **state) {
    (void)state;
    struct pair p = make_pair(",listen=yes");
    test_send(p.a, mac_b, 1, 100, 0);
    assert_int_equal(p.a->stats.wakes, 0);
    assert_int_equal(netdev_prepare(p.b), 1);
    assert_int_equal(test_receive(p.b, 0), 1);
    assert_int_equal(netdev_prepare(p.b), 0);
    assert_false(readable(p.b->fd, 0));
    test_send(p.a, mac_b, 2, 100, 0);
    test_send(p.a, mac_b, 3, 100, 0);
    assert_int_equal(p.a->stats.wakes, 1);
    assert_true(readable(p.b->fd, GUARD_MS));
    assert_int_equal(test_receive(p.b, 0), 2);
    assert_int_equal(test_receive(p.b, 0), 3);
    assert_int_equal(netdev_prepare(p.b), 0);
    assert_false(readable(p.b->fd, 0));
    test_send_burst(p.a, mac_b, 100, 60);
    assert_int_equal(p.a->stats.wakes, 2);
    for (uint32_t i = 0; i < TEST_BURST; i++)
        assert_int_equal(test_receive(p.b, 0), 100 + i);
    assert_int_equal(netdev_prepare(p.b), 0);
    assert_false(readable(p.b->fd, 0));
    free_pair(&p);
}

static void frames_that_were_put_arrive_after_the_kick(void **state) {
    (void)state;
    struct pair p = make_pair(",listen=yes");
    for (uint32_t burst = 0; burst < 40; burst++) { /* twice around the ring */
        test_burst(p.a, mac_b, burst * 100, 60, true);
        assert_int_equal(test_receive(p.b, 0), -1);
        assert_int_equal(p.a->ops->kick(p.a, 0), 0);
        for (uint32_t i = 0; i < TEST_BURST; i++)
            assert_int_equal(test_receive(p.b, 0), burst * 100 + i);
    }
    free_pair(&p);
}

/* Sends every received frame back until the parent ends. Sleeps between frames. */
static void echo_process(const char *path, uint32_t die_after) {
    struct netdev *dev = open_wire(path, "");
    for (uint32_t echoed = 0; echoed < die_after;) {
        struct netdev_buffer b;
        int n = netdev_rx(dev, &b, 1, (uint64_t)echoed * 100 * MS);
        if (n == 1) {
            struct netdev_seg seg = {b.data, b.bytes};
            struct netdev_frame f = {.segs = &seg, .segs_count = 1, .bytes = b.bytes};
            while (netdev_tx(dev, &f, 1, 0) == 0) {
            }
            heap_free(b.data);
            echoed++;
        } else if (netdev_prepare(dev) == 0) {
            readable(dev->fd, dev->link_up ? GUARD_MS : 1);
        }
    }
    _exit(0); /* closes nothing, as when killed */
}

static pid_t start_echo(const char *path, uint32_t die_after) {
    pid_t child = fork();
    if (child == 0) echo_process(path, die_after);
    assert_true(child > 0);
    return child;
}

static void wait_link(struct netdev *dev, bool up) {
    /* Bounded by time, not by turns: a descriptor that is ready for another reason would use up any number of turns. */
    uint64_t end = clock_now_ns() + GUARD_MS * MS;
    while (dev->link_up != up && clock_now_ns() < end) {
        readable(dev->fd, 1);
        netdev_update(dev, 0);
        if (dev->link_up != up) sched_yield();
    }
    assert_int_equal(dev->link_up, up);
}

static void frames_are_echoed_between_sleeping_processes(void **state) {
    (void)state;
    struct netdev *a = open_wire(wire_path(), ",listen=yes");
    pid_t child = start_echo(wire_path(), 500);
    int status;
    wait_link(a, true);
    for (uint32_t i = 0; i < 500; i++) {
        int64_t number;
        assert_int_equal(test_send(a, mac_b, i, 64 + i, 0), 1);
        while ((number = test_receive(a, 0)) < 0)
            if (netdev_prepare(a) == 0) assert_true(readable(a->fd, GUARD_MS));
        assert_int_equal(number, i);
    }
    waitpid(child, &status, 0);
    wait_link(a, false);
    netdev_close(a);
}

static void link_goes_down_when_the_peer_dies_and_up_with_another(void **state) {
    (void)state;
    struct netdev *a = open_wire(wire_path(), ",listen=yes");
    struct netdev_buffer b;
    for (int round = 0; round < 3; round++) {
        pid_t child = start_echo(wire_path(), UINT32_MAX);
        wait_link(a, true);
        test_send(a, mac_b, 1, 100, 0);
        while (test_receive(a, 0) < 0)
            if (netdev_prepare(a) == 0) assert_true(readable(a->fd, GUARD_MS));
        assert_int_equal(netdev_prepare(a), 0);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        assert_true(readable(a->fd, GUARD_MS)); /* a sleeping process is woken */
        assert_int_equal(netdev_rx(a, &b, 1, (uint64_t)(round + 1) * 1000 * MS), -ENETDOWN);
        assert_int_equal(test_send(a, mac_b, 1, 100, 0), -ENETDOWN);
    }
    assert_int_equal(a->stats.link_changes, 6);
    netdev_close(a);
}

static void frames_sent_before_closing_are_received(void **state) {
    (void)state;
    struct pair p = make_pair(",listen=yes");
    struct netdev_buffer b;
    test_send(p.b, mac_a, 1, 100, 0);
    test_send(p.b, mac_a, 2, 100, 0);
    netdev_close(p.b);
    netdev_update(p.a, 0);
    assert_int_equal(netdev_prepare(p.a), 1);
    assert_int_equal(test_receive(p.a, 1000 * MS), 1);
    assert_int_equal(test_receive(p.a, 1000 * MS), 2);
    assert_int_equal(netdev_rx(p.a, &b, 1, 2000 * MS), -ENETDOWN);
    netdev_close(p.a);
}

static void path_is_private_unique_and_cleaned_up(void **state) {
    (void)state;
    char options[160], why[160];
    struct netdev_args args = {.options = options, .why = why, .why_bytes = sizeof why};
    struct netdev *a = open_wire(wire_path(), ",listen=yes"), *other;
    struct stat st;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;
    snprintf(options, sizeof options, "path=%s,listen=yes", wire_path());
    assert_int_equal(stat(wire_path(), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(netdev_open("shm", &args, &other), -EADDRINUSE);
    netdev_close(a);
    assert_int_equal(stat(wire_path(), &st), -1);

    /* a file that is not a socket stays; a socket without a listener is replaced */
    fd = open(wire_path(), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(netdev_open("shm", &args, &other), -EADDRINUSE);
    unlink(wire_path());
    fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    strcpy(address.sun_path, wire_path());
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    a = open_wire(wire_path(), ",listen=yes");
    netdev_close(a);
}

static void third_process_is_refused_and_wakes_nobody(void **state) {
    (void)state;
    struct pair p = make_pair(",listen=yes");
    struct netdev *third = open_wire(wire_path(), "");
    assert_int_equal(netdev_prepare(p.a), 0);
    assert_false(readable(p.a->fd, 0));
    for (int i = 0; i < 5; i++)
        netdev_update(third, 0);
    assert_false(third->link_up);
    test_send(p.a, mac_b, 1, 100, 0);
    assert_int_equal(test_receive(p.b, 0), 1);
    netdev_close(third);
    free_pair(&p);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"",
                                        "listen=yes",
                                        "path=",
                                        "path=/dev/shm/x,slots=3",
                                        "path=/dev/shm/x,slots=1",
                                        "path=/dev/shm/x,slots=131072",
                                        "path=/dev/shm/x,mtu=67",
                                        "path=/dev/shm/x,mtu=-1",
                                        "path=/dev/shm/x,mac=01:00:00:00:00:01",
                                        "path=/dev/shm/x,mac=02:00:00:00:00",
                                        "path=/dev/shm/x,listen=maybe"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct netdev_args args = {.options = wrong[i]};
        struct netdev *dev;
        assert_int_equal(netdev_open("shm", &args, &dev), -EINVAL);
    }
}

struct progress {
    atomic_uint_fast64_t written, read_rounds;
};

/* This peer performs the handshake itself. Then it writes random values to the shared memory until it is killed, at
 * most LIES_AHEAD of them in each round of the reader. */
static void scribble_process(const char *path, uint64_t seed, struct progress *progress) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct {
        uint64_t magic;
        uint32_t version, slots, mtu, pad;
    } hello;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {&hello, sizeof hello};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), memory;
    struct stat st;
    uint32_t *words;
    struct rng r;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    rng_init(&r, seed);
    strcpy(address.sun_path, path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 || recvmsg(fd, &m, 0) != sizeof hello) _exit(1);
    memcpy(&memory, CMSG_DATA(&control.head), sizeof memory);
    if (fstat(memory, &st) < 0 || ftruncate(memory, 0) == 0) _exit(2); /* the memory must be sealed */
    words = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (words == MAP_FAILED) _exit(3);
    uint32_t turn = 0;
    uint64_t ring_words = (uint64_t)st.st_size / 8, stride_words = shm_stride(hello.mtu + 18) / 4;
    for (uint64_t i = 0;; i++) {
        uint32_t *slot = words + rng_below(&r, 2) * ring_words + 16 + rng_below(&r, hello.slots) * stride_words;
        uint32_t number = rng_below(&r, 2) ? (uint32_t)rng_next(&r) : (uint32_t)rng_below(&r, 3000);
        if (i % 1024 == 0) send(fd, &i, 1, MSG_DONTWAIT);
        atomic_store_explicit(&progress->written, i, memory_order_relaxed);
        while (i >= (atomic_load_explicit(&progress->read_rounds, memory_order_relaxed) + 1) * LIES_AHEAD)
            sched_yield();
        switch (rng_below(&r, 4)) {
        case 0: /* anywhere */
            words[rng_below(&r, 2 * ring_words)] = number;
            break;
        case 1: /* a length, flags, or a turn */
            slot[rng_below(&r, 32) ? 2 + rng_below(&r, 2) : 0] = number;
            break;
        default: /* the slot that the reader waits for: full, with random contents */
            slot = words + ring_words + 16 + (turn & (hello.slots - 1)) * stride_words;
            if (*(volatile uint32_t *)slot == turn + hello.slots) {
                turn++;
            } else if (*(volatile uint32_t *)slot != turn + 1) {
                if (rng_below(&r, 2)) *(volatile uint32_t *)(slot + 2) = number;
                *(volatile uint32_t *)slot = turn + 1;
            }
        }
    }
}

static void malicious_peer_corrupts_only_frames(void **state) {
    (void)state;
    struct netdev *a = open_wire(wire_path(), ",listen=yes,slots=16");
    const char *path = wire_path();
    uint64_t received = 0;
    int status;
    struct rng r;
    struct progress *progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(progress, MAP_FAILED);
    rng_init(&r, 1);
    for (uint64_t seed = 0; seed < 4 || (seed < 100 && (received < 100 || a->stats.rx_malformed < 100)); seed++) {
        uint64_t enough = received + 2000, end = clock_now_ns() + GUARD_MS * MS;
        *progress = (struct progress){0};
        pid_t child = fork();
        if (child == 0) scribble_process(path, seed, progress);
        wait_link(a, true);
        for (uint64_t i = 0; atomic_load(&progress->written) < LIES_MAX && received < enough; i++) {
            atomic_store_explicit(&progress->read_rounds, i, memory_order_relaxed);
            assert_true(clock_now_ns() < end);
            struct netdev_buffer b[8];
            int n = netdev_rx(a, b, 8, i);
            assert_uint_in_range(n, 0, 8);
            for (int j = 0; j < n; j++) {
                assert_uint_in_range(b[j].bytes, 14, 1518);
                assert_true(heap_usable_size(b[j].data) >= b[j].bytes);
                assert_int_equal(b[j].flags & ~NETDEV_RX_CSUM_GOOD, 0);
                heap_free(b[j].data);
            }
            received += (uint64_t)n;
            if (i % 4 == 0)
                assert_uint_in_range(test_send(a, mac_b, (uint32_t)i, 18 + (uint32_t)rng_below(&r, 1490), i), 0, 1);
            if (i % 64 == 0) assert_uint_in_range(netdev_prepare(a), 0, 1);
            if (n == 0) sched_yield();
        }
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));               /* it was killed, so it had started to write */
        for (int i = 0; i < 10000 && a->link_up; i++) { /* reads the frames that the dead peer left in the ring */
            struct netdev_buffer b;
            if (netdev_rx(a, &b, 1, (uint64_t)i * 100 * MS) == 1) heap_free(b.data);
        }
        wait_link(a, false);
    }
    assert_true(received >= 100 && a->stats.rx_malformed >= 100);
    munmap(progress, sizeof *progress);
    netdev_close(a);
}

struct lie {
    uint64_t magic;
    uint32_t version, slots, mtu;
    off_t bytes; /* of the memory; -1: no descriptor is sent */
    bool sealed;
    size_t cut; /* bytes omitted from the message */
};

static int create_memory(const struct lie *lie) {
    int fd = memfd_create("dmtr-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, lie->bytes), 0);
    if (lie->sealed) assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    return fd;
}

static void send_lie(int listener, const struct lie *lie) {
    struct {
        uint64_t magic;
        uint32_t version, slots, mtu, pad;
    } hello = {lie->magic, lie->version, lie->slots, lie->mtu, 0};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec iov = {&hello, sizeof hello - lie->cut};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    int fd = accept(listener, NULL, NULL), memory = -1;
    if (lie->bytes >= 0) {
        memory = create_memory(lie);
        memcpy(CMSG_DATA(&control.head), &memory, sizeof memory);
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
    }
    assert_int_equal(sendmsg(fd, &m, 0), iov.iov_len);
    close(memory);
    close(fd);
}

static void invalid_handshakes_are_rejected(void **state) {
    (void)state;
    const uint64_t magic = 0x646d747277697265;
    const off_t enough = 1 << 20;
    const struct lie lies[] = {
        {magic, 1, 16, 1500, -1, true, 0},           {magic, 1, 16, 1500, enough, false, 0},
        {magic, 1, 16, 1500, 4096, true, 0},         {magic, 1, 15, 1500, enough, true, 0},
        {magic, 1, 0, 1500, enough, true, 0},        {magic, 1, 1, 1500, enough, true, 0},
        {magic, 1, 1u << 31, 1500, enough, true, 0}, {magic, 1, 16, 67, enough, true, 0},
        {magic, 1, 16, UINT32_MAX, enough, true, 0}, {magic, 2, 16, 1500, enough, true, 0},
        {magic + 1, 1, 16, 1500, enough, true, 0},   {magic, 1, 16, 1500, enough, true, 8},
    };
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct netdev *b;
    strcpy(address.sun_path, wire_path());
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    b = open_wire(wire_path(), "");
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        send_lie(listener, &lies[i]);
        netdev_update(b, 0); /* reads the message */
        assert_false(b->link_up);
        netdev_update(b, 0); /* connects again */
    }
    netdev_close(b);
    close(listener);
    unlink(wire_path());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_in_order_in_both_directions),
        cmocka_unit_test(full_ring_accepts_what_fits_and_leaves_the_rest),
        cmocka_unit_test(connecting_side_may_start_first_and_uses_the_listeners_mtu),
        cmocka_unit_test(omitted_checksum_is_reported_as_good),
        cmocka_unit_test(sleeping_peer_is_woken_once_and_a_polling_peer_never),
        cmocka_unit_test(frames_that_were_put_arrive_after_the_kick),
        cmocka_unit_test(frames_are_echoed_between_sleeping_processes),
        cmocka_unit_test(link_goes_down_when_the_peer_dies_and_up_with_another),
        cmocka_unit_test(frames_sent_before_closing_are_received),
        cmocka_unit_test(path_is_private_unique_and_cleaned_up),
        cmocka_unit_test(third_process_is_refused_and_wakes_nobody),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(malicious_peer_corrupts_only_frames),
        cmocka_unit_test(invalid_handshakes_are_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
