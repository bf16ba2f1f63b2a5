/* SPDX-License-Identifier: MIT */
/* The device `xdp` on one end of a veth pair, with raw sockets on both ends. */
#include "netns_test.h"

#include "netdev/xdp/xdp.h"

#include "base/fault.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define OURS   "\x0a\x09\x00\x03" /* 10.9.0.3, an address that the kernel does not have */
#define SHARED "\x0a\x09\x00\x01" /* 10.9.0.1, which the kernel may have */
#define OTHERS "\x0a\x09\x00\x07"

#define MARK_AT 42 /* after Ethernet, IPv4 and UDP */

static uint32_t address(const char *bytes) {
    uint32_t ip4;
    memcpy(&ip4, bytes, sizeof ip4);
    return ip4;
}

static int try_open(const char *options, uint32_t queue, uint32_t queues, char *why, size_t why_bytes,
                    struct netdev **dev) {
    const uint32_t ip4[] = {address(OURS), address(SHARED)};
    const struct netdev_args args = {.options = options,
                                     .why = why,
                                     .why_bytes = why_bytes,
                                     .ip4 = ip4,
                                     .ip4_count = 2,
                                     .queue = queue,
                                     .queues = queues};
    return netdev_open("xdp", &args, dev);
}

static struct netdev *open_xdp(const char *options) {
    char why[256] = "";
    struct netdev *dev;
    if (try_open(options, 0, 0, why, sizeof why, &dev) < 0) fail_msg("%s", why);
    await_link(dev);
    return dev;
}

static void make_veth(uint32_t mtu, uint32_t queues) {
    char command[320];
    snprintf(command, sizeof command,
             "ip link add v0 numrxqueues %u numtxqueues %u type veth peer name v1 numrxqueues %u numtxqueues %u && "
             "ip link set v0 mtu %u up && ip link set v1 mtu %u up",
             queues, queues, queues, queues, mtu, mtu);
    netns_run(command);
}

static void remove_veth(void) {
    netns_run("! ip link show v0 | grep -q xdp"); /* the XDP program is detached */
    netns_run("ip link del v0");
}

/* Opens a raw socket that receives everything that reaches the kernel on an interface. */
static int receive_all(const char *interface) {
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(3)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    at.sll_ifindex = (int)if_nametoindex(interface);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

struct sent {
    const char *to;
    uint8_t protocol;
    uint16_t port, fragment;
    uint32_t number, bytes;
};

/*
 * Sends a frame with a number in it to port `port` of an address. The UDP header also serves as the start of a TCP
 * header.
 */
static void send_ip4(int raw, const struct netdev *dev, const struct sent *s) {
    uint8_t *p = test_frame(dev->mac, mac_b, s->number, s->bytes);
    static const uint8_t header[] = {0x08, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64};
    const uint16_t fragment = htons(s->fragment), from = htons(1000), port = htons(s->port);
    memcpy(p + 12, header, sizeof header);
    memcpy(p + 20, &fragment, 2);
    p[23] = s->protocol;
    memcpy(p + 30, s->to, 4);
    memcpy(p + 34, &from, 2);
    memcpy(p + 36, &port, 2);
    memcpy(p + MARK_AT, &s->number, 4);
    assert_int_equal(send(raw, p, s->bytes, 0), s->bytes);
    heap_free(p);
}

static void send_arp(int raw, const uint8_t to[6], uint8_t operation, const char *target, uint32_t number) {
    uint8_t *p = test_frame(to, mac_b, number, 60);
    static const uint8_t header[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0};
    memcpy(p + 12, header, sizeof header);
    p[21] = operation;
    memcpy(p + 28, OTHERS, 4);
    memcpy(p + 38, target, 4);
    memcpy(p + MARK_AT, &number, 4);
    assert_int_equal(send(raw, p, 60, 0), 60);
    heap_free(p);
}

static int64_t number_in(const void *data, uint32_t bytes) {
    uint32_t number;
    if (bytes < MARK_AT + 4) return -1;
    memcpy(&number, (const char *)data + MARK_AT, 4);
    return number;
}

/* Waits for the frame with this number at the device; skips the kernel's own frames. Returns its memory. */
static uint8_t *await_number(struct netdev *dev, uint32_t number, uint32_t bytes) {
    static uint64_t now;
    for (int i = 0; i < 100000; i++) {
        struct netdev_buffer b;
        struct pollfd p = {.fd = dev->fd, .events = POLLIN};
        int n = netdev_rx(dev, &b, 1, now += 1000000);
        assert_true(n >= 0);
        if (n == 1) {
            if (number_in(b.data, b.bytes) == number) {
                assert_true(bytes == 0 || b.bytes == bytes);
                return b.data;
            }
            heap_free(b.data);
        } else if (netdev_prepare(dev) == 0) {
            assert_int_equal(poll(&p, 1, GUARD_MS), 1);
        }
    }
    fail_msg("frame %u does not come", number);
    return NULL;
}

static void receive_number(struct netdev *dev, uint32_t number, uint32_t bytes) {
    uint8_t *p = await_number(dev, number, bytes);
    for (uint32_t i = MARK_AT + 4; i < bytes; i++)
        if (p[i] != (uint8_t)(number * 31 + i)) fail_msg("byte %u of frame %u is wrong", i, number);
    assert_int_equal(heap_free(p), 0);
}

static void kernel_receives_number(int fd, uint32_t number) {
    for (int i = 0; i < 100000; i++) {
        uint8_t data[2048];
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;
        assert_int_equal(poll(&p, 1, GUARD_MS), 1);
        n = recv(fd, data, sizeof data, 0);
        if (n > 0 && number_in(data, (uint32_t)n) == number) return;
    }
    fail_msg("frame %u does not come", number);
}

/* Whether the kernel has received the frame. Call it after a frame that was sent later has arrived. */
static bool kernel_received(int fd, uint32_t number) {
    uint8_t data[2048];
    ssize_t n;
    while ((n = recv(fd, data, sizeof data, 0)) > 0)
        if (number_in(data, (uint32_t)n) == number) return true;
    return false;
}

static void frames_pass_without_a_copy(void **state) {
    (void)state;
    static const char *const modes[] = {"generic", "native", "native,busy_poll=20"};
    static const uint32_t mtus[] = {576, 1500, 3400};
    for (size_t m = 0; m < sizeof mtus / sizeof *mtus * 3; m++) {
        char options[80];
        uint32_t mtu = mtus[m / 3];
        struct netdev *dev;
        int raw;
        make_veth(mtu, 1);
        snprintf(options, sizeof options, "name=v0,slots=64,mode=%s", modes[m % 3]);
        dev = open_xdp(options);
        assert_int_equal(dev->mtu, mtu);
        assert_int_equal(((struct xdp_device *)dev)->socket.busy_poll, m % 3 == 2);
        raw = raw_open("v1");
        for (uint32_t i = 0; i < 300; i++) { /* several times around the rings */
            uint32_t bytes = i % 4 ? mtu + 14 : 60 + i;
            assert_int_equal(test_send(dev, mac_b, i, bytes, 0), 1);
            assert_int_equal(raw_receive(raw), i);
            send_ip4(raw, dev, &(struct sent){OURS, 17, 5, 0, i, bytes});
            receive_number(dev, i, bytes);
        }
        assert_int_equal(dev->stats.tx_copied, 0);
        assert_int_equal(dev->stats.rx_copied, 0);
        assert_int_equal(dev->stats.rx_overrun, 0);
        close(raw);
        netdev_close(dev);
        remove_veth();
    }
}

static void a_burst_costs_one_system_call(void **state) {
    (void)state;
    static const char *const options[] = {"name=v0,slots=256,mode=generic", "name=v0,slots=256,mode=native"};
    for (size_t m = 0; m < sizeof options / sizeof *options; m++) {
        make_veth(1500, 1);
        struct netdev *dev = open_xdp(options[m]);
        int raw = raw_open("v1");
        expect_bursts(dev, raw, 10, 1);
        close(raw);
        netdev_close(dev);
        remove_veth();
    }
}

static void frames_larger_than_a_page_use_several_buffers(void **state) {
    (void)state;
    struct netdev *dev;
    int raw;
    make_veth(9000, 1);
    dev = open_xdp("name=v0,slots=64");
    raw = raw_open("v1");
    if (dev->mtu < 9000) { /* a kernel before 6.6 has no multi-buffer support */
        assert_int_equal(test_send(dev, mac_b, 1, 9014, 0), 1);
        assert_int_equal(dev->stats.tx_refused, 1);
    } else {
        for (uint32_t i = 0; i < 100; i++) {
            assert_int_equal(test_send(dev, mac_b, i, 9014, 0), 1);
            assert_int_equal(raw_receive(raw), i);
            send_ip4(raw, dev, &(struct sent){OURS, 17, 5, 0, i, 9014});
            receive_number(dev, i, 9014);
        }
        assert_int_equal(dev->stats.tx_copied, 0);
        assert_int_equal(dev->stats.rx_copied, 100);
    }
    close(raw);
    netdev_close(dev);
    remove_veth();
}

static void frames_for_others_reach_the_kernel(void **state) {
    (void)state;
    struct netdev *dev;
    int raw, kernel;
    make_veth(1500, 1);
    dev = open_xdp("name=v0");
    raw = raw_open("v1");
    kernel = receive_all("v0");
    send_ip4(raw, dev, &(struct sent){OURS, 17, 5, 0, 1, 100});
    send_arp(raw, mac_all, 1, OURS, 2);
    send_ip4(raw, dev, &(struct sent){OTHERS, 17, 5, 0, 3, 100});
    kernel_receives_number(kernel, 3);
    send_arp(raw, mac_all, 1, OTHERS, 4);
    kernel_receives_number(kernel, 4);
    send_ip4(raw, dev,
             &(struct sent){OURS, 6, 5, 0x2000, 5,
                            100}); /* everything to an address that only we have, including fragments */
    receive_number(dev, 1, 100);
    receive_number(dev, 2, 60);
    receive_number(dev, 5, 100); /* and 3 and 4 did not arrive before it */
    assert_false(kernel_received(kernel, 1));
    assert_int_equal(dev->stats.rx_frames, 3);
    close(kernel);
    close(raw);
    netdev_close(dev);
    remove_veth();
}

static void at_a_shared_address_we_receive_only_our_open_ports(void **state) {
    (void)state;
    struct netdev *dev;
    int raw, kernel;
    make_veth(1500, 1);
    netns_run("ip addr add 10.9.0.1/24 dev v0");
    dev = open_xdp("name=v0");
    raw = raw_open("v1");
    kernel = receive_all("v0");
    for (uint8_t protocol = 6; protocol <= 17; protocol += 11) {
        const uint16_t ports[] = {80, 0, 63, 64, 65535};
        for (uint32_t i = 0; i < sizeof ports / sizeof *ports; i++) {
            struct sent s = {SHARED, protocol, ports[i], 0, 100 + i, 100};
            send_ip4(raw, dev, &s);
            kernel_receives_number(kernel, 100 + i);
            assert_int_equal(netdev_claim(dev, protocol, ports[i], true), 0);
            assert_int_equal(netdev_claim(dev, protocol, ports[i], true), 0);
            assert_int_equal(netdev_claim(dev, protocol, ports[i], false), 0); /* it was opened twice */
            s.number = 200 + i;
            send_ip4(raw, dev, &s);
            receive_number(dev, 200 + i, 100);
            s.number = 300 + i; /* fragments carry no ports */
            s.fragment = 0x2000;
            send_ip4(raw, dev, &s);
            kernel_receives_number(kernel, 300 + i);
            s.fragment = 0;
            s.number = 400 + i; /* the other protocol's port is closed */
            s.protocol = (uint8_t)(23 - protocol);
            send_ip4(raw, dev, &s);
            kernel_receives_number(kernel, 400 + i);
            assert_int_equal(netdev_claim(dev, protocol, ports[i], false), 0);
            s.number = 500 + i;
            s.protocol = protocol;
            send_ip4(raw, dev, &s);
            kernel_receives_number(kernel, 500 + i);
        }
    }
    send_ip4(raw, dev, &(struct sent){SHARED, 1, 80, 0, 600, 100}); /* ICMP */
    kernel_receives_number(kernel, 600);
    close(kernel);
    close(raw);
    netdev_close(dev);
    remove_veth();
}

static void arp_replies_to_a_shared_address_reach_both(void **state) {
    (void)state;
    struct netdev *dev;
    int raw, kernel;
    make_veth(1500, 1);
    netns_run("ip addr add 10.9.0.1/24 dev v0");
    dev = open_xdp("name=v0");
    raw = raw_open("v1");
    kernel = receive_all("v0");
    for (uint32_t i = 0; i < 20; i++) {
        send_arp(raw, dev->mac, 1, SHARED, 100 + i); /* the kernel answers requests */
        send_arp(raw, dev->mac, 2, SHARED, i);
        kernel_receives_number(kernel, i);
        receive_number(dev, i, 60);
    }
    assert_int_equal(dev->stats.rx_frames, 20);
    close(kernel);
    close(raw);
    netdev_close(dev);
    remove_veth();
}

static void queues_share_an_interface(void **state) {
    (void)state;
    char why[256] = "";
    struct netdev *dev[2], *other;
    struct netdev_buffer b;
    uint32_t got = 0;
    int raw;
    make_veth(1500, 2);
    netns_run("ip addr add 10.9.0.1/24 dev v0");
    netns_run("ethtool -L v0 rx 2 tx 2 && ethtool -L v1 rx 2 tx 2");
    assert_int_equal(try_open("name=v0", 0, 1, why, sizeof why, &other), -ERANGE);
    assert_non_null(strstr(why, "ethtool -L v0"));
    for (uint32_t i = 0; i < 2; i++)
        if (try_open("name=v0", i, 2, why, sizeof why, &dev[i]) < 0) fail_msg("%s", why);
    assert_int_equal(try_open("name=v0", 1, 2, why, sizeof why, &other), -EADDRINUSE);
    await_link(dev[1]);
    raw = raw_open("v1");
    netdev_claim(dev[0], 17, 80, true);
    netdev_claim(dev[1], 17, 80, true);
    netdev_claim(dev[0], 17, 80, false); /* still open at the other queue */
    for (uint32_t i = 0; i < 200; i++)
        send_ip4(raw, dev[0], &(struct sent){i % 2 ? OURS : SHARED, 17, 80, 0, i, 100 + i});
    for (int i = 0; i < GUARD_MS && got < 200; i++) {
        for (int k = 0; k < 2; k++)
            while (netdev_rx(dev[k], &b, 1, 0) == 1) {
                uint32_t bytes = b.bytes;
                got += number_in(b.data, bytes) >= 0 && bytes >= 100;
                heap_free(b.data);
            }
        poll(NULL, 0, 1);
    }
    assert_int_equal(got, 200);
    netdev_close(dev[0]);
    assert_int_equal(test_send(dev[1], mac_b, 1, 1514, 0), 1); /* each queue works on its own */
    assert_int_equal(raw_receive(raw), 1);
    if (try_open("name=v0", 0, 2, why, sizeof why, &dev[0]) < 0) fail_msg("%s", why);
    close(raw);
    netdev_close(dev[1]);
    netdev_close(dev[0]);
    remove_veth();
}

/* The UMEM is 4 MiB here. */
static void reception_continues_whatever_is_held(void **state) {
    (void)state;
    enum { FRAMES = 4000 };
    static uint8_t *held[FRAMES];
    struct netdev *dev;
    int raw;
    uint64_t copied;
    make_veth(1500, 1);
    dev = open_xdp("name=v0,slots=64,umem=4194304");
    raw = raw_open("v1");
    for (uint32_t i = 0; i < FRAMES; i++) {
        send_ip4(raw, dev, &(struct sent){OURS, 17, 5, 0, i, 1514});
        held[i] = await_number(dev, i, 1514);
    }
    assert_uint_in_range(dev->stats.rx_copied, 1000, FRAMES);
    for (uint32_t i = 0; i < FRAMES; i++) {
        for (uint32_t k = MARK_AT + 4; k < 1514; k++)
            if (held[i][k] != (uint8_t)(i * 31 + k)) fail_msg("byte %u of frame %u is wrong", k, i);
        assert_int_equal(heap_free(held[i]), 0);
    }
    assert_int_equal(test_send(dev, mac_b, 7, 1514, 0), 1); /* also from memory outside the UMEM */
    assert_int_equal(raw_receive(raw), 7);
    copied = dev->stats.rx_copied;
    for (uint32_t i = 0; i < 100; i++) {
        send_ip4(raw, dev, &(struct sent){OURS, 17, 5, 0, i, 1514});
        receive_number(dev, i, 1514);
    }
    assert_true(dev->stats.rx_copied <= copied + 100);
    close(raw);
    netdev_close(dev);
    remove_veth();
}

static void memory_outside_the_umem_is_copied(void **state) {
    (void)state;
    uint8_t *far = heap_alloc(16u << 20), *p = far + (12u << 20);
    struct netdev_seg segs[2] = {{p, 14}, {p + 14, 1500}};
    const struct netdev_frame frame = {.segs = segs, .segs_count = 2, .bytes = 1514};
    struct netdev *dev;
    int raw;
    make_veth(1500, 1);
    dev = open_xdp("name=v0,slots=64,umem=4194304");
    raw = raw_open("v1");
    for (uint32_t i = 0; i < 200; i++) {
        uint8_t *made = test_frame(mac_b, dev->mac, i, 1514);
        memcpy(p, made, 1514);
        heap_free(made);
        assert_int_equal(netdev_tx(dev, &frame, 1, 0), 1);
        assert_int_equal(raw_receive(raw), i);
    }
    assert_int_equal(dev->stats.tx_copied, 200);
    close(raw);
    netdev_close(dev);
    heap_free(far);
    remove_veth();
}

static void interface_set_down_and_up_changes_the_link(void **state) {
    (void)state;
    struct netdev *dev;
    int raw;
    make_veth(1500, 1);
    dev = open_xdp("name=v0");
    netns_run("ip link set v0 down");
    await_error(dev, -ENETDOWN);
    assert_int_equal(test_send(dev, mac_b, 1, 100, 0), -ENETDOWN);
    netns_run("ip link set v0 mtu 1400 up");
    await_link(dev);
    assert_int_equal(dev->mtu, 1400);
    raw = raw_open("v1");
    send_ip4(raw, dev, &(struct sent){OURS, 17, 5, 0, 2, 100});
    receive_number(dev, 2, 100);
    assert_int_equal(test_send(dev, mac_b, 3, 100, 0), 1);
    assert_int_equal(raw_receive(raw), 3);
    close(raw);
    netdev_close(dev);
    remove_veth();
}

static void removed_interface_fails_for_good(void **state) {
    (void)state;
    struct netdev *dev;
    make_veth(1500, 1);
    dev = open_xdp("name=v0");
    netns_run("ip link del v0");
    await_error(dev, -ENODEV);
    assert_int_equal(test_send(dev, mac_b, 1, 100, 0), -ENODEV);
    assert_int_equal(netdev_prepare(dev), -ENODEV);
    netdev_close(dev);
}

static void device_can_be_reopened_at_once(void **state) {
    (void)state;
    make_veth(1500, 1);
    for (int i = 0; i < 10; i++)
        netdev_close(open_xdp("name=v0"));
    remove_veth();
}

/*
 * Another process has opened the interface and is killed. It leaves nothing behind, and the kernel receives its frames
 * all the time.
 */
static void killed_process_leaves_nothing_behind(void **state) {
    (void)state;
    char holder[32];
    char why[256] = "";
    struct netdev *dev;
    int ready[2], raw, kernel, status;
    char byte;
    pid_t child;
    make_veth(1500, 1);
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        if (try_open("name=v0", 0, 0, why, sizeof why, &dev) < 0 || write(ready[1], "", 1) != 1) _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    snprintf(holder, sizeof holder, "process %d ", (int)child);
    assert_int_equal(try_open("name=v0", 0, 0, why, sizeof why, &dev), -EADDRINUSE);
    assert_non_null(strstr(why, holder));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    dev = open_xdp("name=v0");
    raw = raw_open("v1");
    send_ip4(raw, dev, &(struct sent){OURS, 17, 5, 0, 1, 100});
    receive_number(dev, 1, 100);
    kernel = receive_all("v0");
    send_ip4(raw, dev, &(struct sent){OTHERS, 17, 5, 0, 2, 100});
    kernel_receives_number(kernel, 2);
    close(kernel);
    close(raw);
    netdev_close(dev);
    remove_veth();
}

static void refusals_give_the_reason(void **state) {
    (void)state;
    static const struct {
        const char *options;
        int error;
        const char *text;
    } cases[] = {
        {"name=nosuch0", -ENODEV, "ip link"},
        {"name=v0,mode=fast", -EINVAL, "native"},
        {"name=v0,slots=100", -EINVAL, "power of two"},
        {"name=lo,mode=native", -EOPNOTSUPP, "mode=auto"},
    };
    make_veth(1500, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[256] = "";
        struct netdev *dev;
        assert_int_equal(try_open(cases[i].options, 0, 0, why, sizeof why, &dev), cases[i].error);
        if (!strstr(why, cases[i].text)) fail_msg("%s: %s", cases[i].options, why);
    }
    remove_veth();
}

#ifdef DMTR_FAULT
static void every_call_and_allocation_may_fail_once(void **state) {
    (void)state;
    uint64_t n, passed;
    make_veth(1500, 1);
    netns_run("ip addr add 10.9.0.1/24 dev v0");
    for (n = 1; n < 10000; n++) {
        struct netdev *dev;
        struct netdev_buffer b;
        fault_arm(n, NULL, ENOMEM);
        if (try_open("name=v0,slots=64,umem=4194304", 0, 0, NULL, 0, &dev) == 0) {
            netdev_update(dev, 0);
            test_send(dev, mac_b, 1, 1514, 0);
            netdev_claim(dev, 6, 80, true);
            if (netdev_rx(dev, &b, 1, 1u << 30) == 1) heap_free(b.data);
            netdev_prepare(dev);
            netdev_close(dev);
        }
        passed = fault_count();
        fault_arm(0, NULL, 0);
        if (passed < n) break;
    }
    assert_uint_in_range(n, 40, 9999);
    remove_veth();
}
#endif

/* AF_XDP and bpf(2) may be forbidden although namespaces are allowed. */
static bool allowed(void) {
    char why[256] = "";
    struct netdev *dev;
    int r;
    make_veth(1500, 1);
    r = try_open("name=v0", 0, 0, why, sizeof why, &dev);
    if (r == 0) netdev_close(dev);
    remove_veth();
    if (r != -EPERM && r != -EAFNOSUPPORT) return true;
    printf("1..0 # SKIP %s\n", why);
    return false;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_pass_without_a_copy),
        cmocka_unit_test(a_burst_costs_one_system_call),
        cmocka_unit_test(frames_larger_than_a_page_use_several_buffers),
        cmocka_unit_test(frames_for_others_reach_the_kernel),
        cmocka_unit_test(at_a_shared_address_we_receive_only_our_open_ports),
        cmocka_unit_test(arp_replies_to_a_shared_address_reach_both),
        cmocka_unit_test(queues_share_an_interface),
        cmocka_unit_test(reception_continues_whatever_is_held),
        cmocka_unit_test(memory_outside_the_umem_is_copied),
        cmocka_unit_test(interface_set_down_and_up_changes_the_link),
        cmocka_unit_test(removed_interface_fails_for_good),
        cmocka_unit_test(device_can_be_reopened_at_once),
        cmocka_unit_test(killed_process_leaves_nothing_behind),
        cmocka_unit_test(refusals_give_the_reason),
#ifdef DMTR_FAULT
        cmocka_unit_test(every_call_and_allocation_may_fail_once),
#endif
    };
    return netns_enter() && allowed() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
