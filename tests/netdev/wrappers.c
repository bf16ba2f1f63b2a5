/* SPDX-License-Identifier: MIT */
/* Devices over devices: pcap, fault and trace, over the simulated network. */
#include "netdev/sim/sim.h"

#include "netdev_test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct pair {
    struct sim *sim;
    struct netdev *a, *b;
};

static struct netdev *open_over(const char *name, struct netdev_args args) {
    char why[160] = "";
    struct netdev *dev;
    args.why = why;
    args.why_bytes = sizeof why;
    if (netdev_open(name, &args, &dev) < 0) fail_msg("%s", why);
    return dev;
}

static struct pair make_pair(void) {
    struct pair p = {.sim = sim_new(&(struct sim_config){.seed = 1})};
    int host_a = sim_add_host(p.sim, "a", mac_a, 1500), host_b = sim_add_host(p.sim, "b", mac_b, 1500);
    sim_connect(p.sim, host_a, host_b, NULL, NULL);
    p.a = open_over("sim", (struct netdev_args){.options = "host=a", .sim = p.sim});
    p.b = open_over("sim", (struct netdev_args){.options = "host=b", .sim = p.sim});
    return p;
}

static void free_pair(struct pair *p) {
    netdev_close(p->a);
    netdev_close(p->b);
    sim_free(p->sim);
}

static char capture_folder[64] = "/tmp";

static const char *capture_path(void) {
    static char path[128];
    snprintf(path, sizeof path, "%s/dmtr-test-capture.%d", capture_folder, (int)getpid());
    return path;
}

static uint32_t word_at(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static size_t load_capture(uint8_t *file, size_t room) {
    FILE *f = fopen(capture_path(), "rb");
    assert_non_null(f);
    size_t bytes = fread(file, 1, room, f);
    fclose(f);
    return bytes;
}

/*
 * Reads all blocks of the file. Checks each packet's length, time and direction against its number. Returns the number
 * of packets.
 */
static uint32_t read_capture(void) {
    static uint8_t file[1 << 20];
    size_t bytes = load_capture(file, sizeof file), at = 0;
    uint32_t packets = 0;
    assert_true(bytes >= 60);
    assert_int_equal(word_at(file), 0x0a0d0d0a);
    assert_int_equal(word_at(file + 8), 0x1a2b3c4d);
    for (; at < bytes; at += word_at(file + at + 4)) {
        const uint8_t *block = file + at;
        uint32_t length = word_at(block + 4);
        assert_true(length % 4 == 0 && length >= 12 && at + length <= bytes);
        assert_int_equal(word_at(block + length - 4), length);
        if (word_at(block) != 6) continue;
        uint32_t captured = word_at(block + 20), number = test_number(block + 28, captured);
        assert_int_equal(number, packets);
        assert_int_equal(captured, 60 + number);
        assert_int_equal(word_at(block + 24), captured);
        assert_int_equal((uint64_t)word_at(block + 12) << 32 | word_at(block + 16), 5000000000 + number);
        assert_int_equal(word_at(block + 28 + (captured + 3) / 4 * 4 + 4), number % 2 ? 1 : 2);
        packets++;
    }
    return packets;
}

static void capture_is_readable_while_it_is_written(void **state) {
    (void)state;
    struct pair p = make_pair();
    char options[160];
    snprintf(options, sizeof options, "file=%s", capture_path());
    p.a = open_over("pcap", (struct netdev_args){.options = options, .lower = p.a});
    assert_int_equal(read_capture(), 0);
    for (uint32_t i = 0; i < 100; i += 2) {
        assert_int_equal(test_send(p.a, mac_b, i, 60 + i, 5000000000 + i), 1);
        assert_int_equal(test_receive(p.b, 5000000000 + i), i);
        assert_int_equal(test_send(p.b, mac_a, i + 1, 61 + i, 5000000000 + i), 1);
        assert_int_equal(test_receive(p.a, 5000000001 + i), i + 1);
        assert_int_equal(read_capture(), i + 2);
    }
    if (system("command -v tcpdump >/dev/null 2>&1") == 0) {
        snprintf(options, sizeof options, "tcpdump -r %s >/dev/null 2>&1", capture_path());
        assert_int_equal(system(options), 0);
    } else {
        printf("# tcpdump is not installed: the capture was read by this test alone\n");
    }
    free_pair(&p);
    unlink(capture_path());
}

/* Opens a link through shared memory, whose clock is the machine's; both ends are up. */
static void open_wire(struct netdev *ends[2]) {
    char path[64], listening[96];
    struct netdev_args args = {.options = listening};
    snprintf(path, sizeof path, "path=/tmp/dmtr-test-capture-wire.%d", (int)getpid());
    snprintf(listening, sizeof listening, "%s,listen=yes", path);
    ends[0] = open_over("shm", args);
    args.options = path;
    ends[1] = open_over("shm", args);
    for (int i = 0; i < 4; i++)
        assert_int_equal(netdev_update(ends[i % 2], 0), 0);
    assert_true(ends[0]->link_up && ends[1]->link_up);
}

static uint64_t day_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Counts the packets of a file that must end with a complete block. Stores their times. */
static uint32_t count_packets(uint64_t *times, uint32_t room) {
    static uint8_t file[1 << 20];
    size_t bytes = load_capture(file, sizeof file), at = 0;
    uint32_t packets = 0;
    for (; at < bytes; at += word_at(file + at + 4)) {
        assert_true(at + 12 <= bytes && at + word_at(file + at + 4) <= bytes);
        if (word_at(file + at) != 6) continue;
        if (packets < room) times[packets] = (uint64_t)word_at(file + at + 12) << 32 | word_at(file + at + 16);
        packets++;
    }
    return packets;
}

static void timestamps_in_a_capture_are_the_time_of_day(void **state) {
    (void)state;
    char options[160];
    struct netdev *ends[2];
    uint64_t times[2], before, after;
    open_wire(ends);
    snprintf(options, sizeof options, "file=%s", capture_path());
    ends[0] = open_over("pcap", (struct netdev_args){.options = options, .lower = ends[0]});
    before = day_now_ns();
    assert_int_equal(test_send(ends[0], mac_b, 1, 60, 7000), 1);
    after = day_now_ns();
    assert_int_equal(test_send(ends[0], mac_b, 2, 60, 12345), 1);
    assert_int_equal(count_packets(times, 2), 2);
    assert_uint_in_range(times[0], before, after);
    assert_int_equal(times[1] - times[0], 12345 - 7000);
    netdev_close(ends[0]);
    netdev_close(ends[1]);
    unlink(capture_path());
}

/* Runs `step` with standard error redirected to a file. Returns the number of lines; the first one is in `line`. */
static int count_log_lines(void (*step)(void *), void *arg, char *line, int room) {
    FILE *f = tmpfile();
    char more[1024];
    int saved = dup(STDERR_FILENO), n = 0;
    assert_non_null(f);
    dup2(fileno(f), STDERR_FILENO);
    step(arg);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(f);
    *line = '\0';
    for (; fgets(n ? more : line, n ? (int)sizeof more : room, f); n++) {
    }
    fclose(f);
    return n;
}

#define FRAMES 50u

static void send_all(void *arg) {
    for (uint32_t i = 0; i < FRAMES; i++)
        assert_int_equal(test_send(arg, mac_b, i, 60, i), 1);
}

/* Captures FRAMES frames into a file with room for fewer. The log must give the reason once. */
static void check_capture_ends(struct pair *p, const char *reason, uint32_t packets) {
    char options[160], line[1024];
    const struct log log = {LOG_LEVEL_ERROR, LOG_SINK_STDERR};
    sigset_t pending;
    snprintf(options, sizeof options, "file=%s", capture_path());
    p->a = open_over("pcap", (struct netdev_args){.options = options, .lower = p->a, .log = &log});
    assert_int_equal(count_log_lines(send_all, p->a, line, sizeof line), 1);
    if (!strstr(line, reason) || !strstr(line, capture_path())) fail_msg("%s", line);
    assert_int_equal(count_packets(NULL, 0), packets);
    assert_int_equal(p->a->stats.capture_lost, FRAMES - packets);
    for (uint32_t i = 0; i < FRAMES; i++)
        assert_int_equal(test_receive(p->b, FRAMES), i);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGXFSZ));
}

#define BLOCK_BYTES 104 /* of a frame of 60 bytes */

static void capture_ends_with_a_complete_block_at_the_file_size_limit(void **state) {
    (void)state;
    static const uint32_t more[] = {0, 1, 50, BLOCK_BYTES - 1};
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct pair p = make_pair();
        limit = before;
        limit.rlim_cur = 60 + 5 * BLOCK_BYTES + more[i];
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        check_capture_ends(&p, "File too large", 5);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        free_pair(&p);
        unlink(capture_path());
    }
}

static void capture_ends_with_a_complete_block_on_a_full_disk(void **state) {
    (void)state;
    char folder[] = "/tmp/dmtr-test-full.XXXXXX";
    static uint8_t filling[16384 - 4096];
    assert_non_null(mkdtemp(folder));
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=16k") < 0) {
        printf("# no file system can be mounted: %s\n", strerror(errno));
        rmdir(folder);
        skip();
    }
    struct pair p = make_pair();
    char file[96];
    snprintf(capture_folder, sizeof capture_folder, "%s", folder);
    snprintf(file, sizeof file, "%s/filling", folder);
    FILE *f = fopen(file, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(filling, 1, sizeof filling, f), sizeof filling);
    fclose(f);
    check_capture_ends(&p, "No space left on device", (4096 - 60) / BLOCK_BYTES);
    free_pair(&p);
    strcpy(capture_folder, "/tmp");
    assert_int_equal(umount(folder), 0);
    rmdir(folder);
}

static void capture_to_a_pipe_ends_with_its_reader(void **state) {
    (void)state;
    struct pair p = make_pair();
    char options[160];
    int reader;
    assert_int_equal(mkfifo(capture_path(), 0600), 0);
    reader = open(capture_path(), O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    snprintf(options, sizeof options, "file=%s", capture_path());
    p.a = open_over("pcap", (struct netdev_args){.options = options, .lower = p.a});
    assert_int_equal(test_send(p.a, mac_b, 0, 60, 0), 1);
    assert_int_equal(p.a->stats.capture_lost, 0);
    close(reader);
    assert_int_equal(test_send(p.a, mac_b, 1, 60, 0), 1);
    assert_int_equal(p.a->stats.capture_lost, 1);
    free_pair(&p);
    unlink(capture_path());
}

static void failing_capture_does_not_affect_the_frames(void **state) {
    (void)state;
    struct pair p = make_pair();
    struct netdev *dev;
    struct netdev_args args = {.options = "file=/nonexistent/x", .lower = p.a};
    assert_int_equal(netdev_open("pcap", &args, &dev), -ENOENT);
    args.options = "file=/dev/full";
    assert_int_equal(netdev_open("pcap", &args, &dev), -ENOSPC);
    assert_int_equal(test_send(p.a, mac_b, 1, 60, 0), 1); /* still owned by the caller */
    assert_int_equal(test_receive(p.b, 0), 1);
    free_pair(&p);
}

static struct pair make_faulty_pair(const char *options) {
    struct pair p = make_pair();
    p.a = open_over("fault", (struct netdev_args){.options = options, .lower = p.a});
    return p;
}

static void faults_lose_and_duplicate_in_both_directions(void **state) {
    (void)state;
    struct pair p = make_faulty_pair("loss=0.1,duplicate=0.05,seed=3");
    uint32_t there = 0, back = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        assert_int_equal(test_send(p.a, mac_b, i, 60, i), 1);
        assert_int_equal(test_send(p.b, mac_a, i, 60, i), 1);
        for (; test_receive(p.b, i) >= 0; there++) {
        }
        for (; test_receive(p.a, i) >= 0; back++) {
        }
    }
    assert_uint_in_range(there, 3600, 3960); /* 0.9 times 1.05 of 4,000 is 3,780 */
    assert_uint_in_range(back, 3600, 3960);
    free_pair(&p);
}

static void delayed_frames_arrive_when_due_and_reordered_ones_later(void **state) {
    (void)state;
    struct pair p = make_faulty_pair("delay_ns=1000,reorder=0.2,reorder_ns=500,seed=1");
    uint32_t got = 0, overtaken = 0;
    int64_t last = -1, number;
    assert_int_equal(test_send(p.a, mac_b, 0, 60, 100), 1);
    assert_uint_in_range(netdev_next_ns(p.a), 1100, 1700);
    assert_int_equal(test_receive(p.b, 1099), -1);
    for (uint32_t i = 1; i < 200; i++)
        assert_int_equal(test_send(p.a, mac_b, i, 60, 100 + i), 1);
    for (uint64_t now = 1100; now < 4000; now += 10) {
        assert_int_equal(test_receive(p.a, now), -1); /* sends the frames that are due */
        for (; (number = test_receive(p.b, now)) >= 0; got++) {
            overtaken += number < last;
            last = number > last ? number : last;
        }
    }
    assert_int_equal(got, 200);
    assert_uint_in_range(overtaken, 10, 80);
    free_pair(&p);
}

static void fault_shortens_transmits_and_fails_calls(void **state) {
    (void)state;
    struct pair p = make_faulty_pair("short=1");
    struct netdev_buffer b;
    assert_int_equal(test_send(p.a, mac_b, 1, 60, 0), 0);
    assert_int_equal(p.a->stats.tx_short, 1);
    free_pair(&p);
    p = make_faulty_pair("fail_every=3");
    for (int i = 1; i < 10; i++)
        assert_int_equal(netdev_rx(p.a, &b, 1, 0), i % 3 ? 0 : -ENETDOWN);
    assert_int_equal(test_send(p.a, mac_b, 1, 60, 0), 1);
    free_pair(&p);
}

static void corrupted_frames_differ_in_one_bit(void **state) {
    (void)state;
    struct pair p = make_faulty_pair("corrupt=1.0");
    for (uint32_t i = 0; i < 100; i++) {
        uint8_t *sent = test_frame(mac_b, mac_a, i, 100);
        struct netdev_seg seg = {sent, 100};
        struct netdev_frame frame = {.segs = &seg, .segs_count = 1, .bytes = 100};
        struct netdev_buffer got;
        int bits = 0;
        assert_int_equal(netdev_tx(p.a, &frame, 1, 0), 1);
        assert_int_equal(test_number(sent, 100), i); /* the caller's frame is intact */
        assert_int_equal(netdev_rx(p.b, &got, 1, 0), 1);
        for (uint32_t j = 0; j < 100; j++)
            bits += __builtin_popcount(sent[j] ^ ((uint8_t *)got.data)[j]);
        assert_int_equal(bits, 1);
        heap_free(got.data);
        heap_free(sent);
    }
    free_pair(&p);
}

static void frames_held_when_closing_are_freed(void **state) {
    (void)state;
    struct pair p = make_faulty_pair("delay_ns=1000000,duplicate=1");
    for (uint32_t i = 0; i < 3000; i++) {
        int r = test_send(p.a, mac_b, i, 60, 0);
        assert_int_equal(r, i < 2048); /* both copies need room */
        test_send(p.b, mac_a, i, 60, 0);
        assert_int_equal(test_receive(p.a, 0), -1);
    }
    free_pair(&p);
}

struct lines {
    char text[4][96];
    uint32_t count;
};

static void keep_line(void *ctx, const char *line) {
    struct lines *l = ctx;
    assert_true(l->count < 4);
    snprintf(l->text[l->count++], sizeof l->text[0], "%s", line);
}

static void trace_prints_a_line_for_each_frame(void **state) {
    (void)state;
    struct pair p = make_pair();
    struct lines lines = {.count = 0};
    p.a = open_over("trace", (struct netdev_args){.lower = p.a, .trace = keep_line, .trace_ctx = &lines});
    test_send(p.a, mac_b, 1, 60, 7);
    test_send(p.b, mac_a, 2, 70, 8);
    assert_int_equal(test_receive(p.a, 9), 2);
    assert_int_equal(test_receive(p.a, 9), -1);
    assert_int_equal(lines.count, 2);
    assert_string_equal(lines.text[0], "7 tx 60 02:00:00:00:00:0a > 02:00:00:00:00:0b 88b5");
    assert_string_equal(lines.text[1], "9 rx 70 02:00:00:00:00:0b > 02:00:00:00:00:0a 88b5");
    free_pair(&p);
}

static void wrapper_mirrors_the_device_below(void **state) {
    (void)state;
    struct pair p = make_pair();
    struct lines lines = {.count = 0};
    struct netdev *lower = p.a;
    struct netdev_buffer b;
    p.a = open_over("trace", (struct netdev_args){.lower = p.a, .trace = keep_line, .trace_ctx = &lines});
    assert_memory_equal(p.a->mac, mac_a, 6);
    assert_int_equal(p.a->mtu, 1500);
    assert_true(p.a->link_up);
    assert_int_equal(sim_set_mtu(p.sim, 0, 9000), 0);
    sim_unplug(p.sim, 0, true);
    assert_int_equal(netdev_update(p.a, 0), 0);
    assert_int_equal(p.a->mtu, 9000);
    assert_false(p.a->link_up);
    assert_int_equal(netdev_rx(p.a, &b, 1, 0), -ENETDOWN);
    assert_int_equal(netdev_prepare(p.a), 1);
    sim_unplug(p.sim, 0, false);
    test_send(p.b, mac_a, 1, 60, 0);
    assert_true(netdev_next_ns(p.a) == netdev_next_ns(lower));
    assert_int_equal(test_receive(p.a, 0), 1);
    assert_int_equal(p.a->stats.rx_frames, 1);
    free_pair(&p);
}

/* A device that counts and records calls, and moves no frame. */
struct noting {
    struct netdev dev;
    uint8_t protocol;
    uint16_t port;
};

static int noting_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    (void)frames, (void)n, (void)now_ns;
    dev->stats.rx_too_long += 3;
    return 0;
}

static int noting_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    (void)frames, (void)now_ns;
    dev->stats.tx_errors += n;
    return (int)n;
}

static int noting_claim(struct netdev *dev, uint8_t protocol, uint16_t port, bool on) {
    struct noting *d = (struct noting *)dev;
    d->protocol = protocol;
    d->port = on ? port : 0;
    return on ? 0 : -EPERM;
}

static uint32_t noting_own(struct netdev *dev, char (*names)[NETDEV_OWN_BYTES], uint64_t *values, uint32_t n) {
    (void)dev, (void)n;
    if (names) strcpy(names[0], "own");
    if (values) values[0] = 9;
    return 1;
}

static void noting_close(struct netdev *dev) {
    (void)dev;
}

static void wrapper_passes_on_ports_and_counters(void **state) {
    static const struct netdev_ops ops = {.name = "noting",
                                          .close = noting_close,
                                          .rx = noting_rx,
                                          .tx = noting_tx,
                                          .claim = noting_claim,
                                          .own = noting_own};
    (void)state;
    for (size_t i = 0; netdev_at(i); i++) {
        struct noting d = {.dev = {.ops = &ops, .fd = -1, .link_up = true, .mtu = 1500}};
        char options[160] = "", names[1][NETDEV_OWN_BYTES];
        struct lines lines = {.count = 0};
        struct netdev_buffer b;
        uint64_t value;
        if (!netdev_at(i)->wraps) continue;
        if (strcmp(netdev_at(i)->name, "pcap") == 0) snprintf(options, sizeof options, "file=%s", capture_path());
        struct netdev *dev = open_over(
            netdev_at(i)->name,
            (struct netdev_args){.options = options, .lower = &d.dev, .trace = keep_line, .trace_ctx = &lines});
        assert_int_equal(netdev_claim(dev, 17, 53, true), 0);
        assert_true(d.protocol == 17 && d.port == 53);
        assert_int_equal(netdev_claim(dev, 17, 53, false), -EPERM);
        assert_int_equal(netdev_own(dev, names, &value, 1), 1);
        assert_true(strcmp(names[0], "own") == 0 && value == 9);
        assert_int_equal(netdev_rx(dev, &b, 1, 0), 0);
        assert_int_equal(netdev_rx(dev, &b, 1, 0), 0);
        assert_int_equal(dev->stats.rx_too_long, d.dev.stats.rx_too_long);
        assert_true(dev->stats.rx_too_long >= 6);
        netdev_close(dev);
    }
    unlink(capture_path());
}

static void only_a_wrapper_accepts_a_lower_device(void **state) {
    (void)state;
    struct pair p = make_pair();
    struct netdev *dev;
    for (size_t i = 0; netdev_at(i); i++) {
        struct netdev_args args = {.lower = netdev_at(i)->wraps ? NULL : p.a};
        assert_int_equal(netdev_open_kind(netdev_at(i), &args, &dev), -EINVAL);
    }
    free_pair(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capture_is_readable_while_it_is_written),
        cmocka_unit_test(timestamps_in_a_capture_are_the_time_of_day),
        cmocka_unit_test(capture_ends_with_a_complete_block_at_the_file_size_limit),
        cmocka_unit_test(capture_ends_with_a_complete_block_on_a_full_disk),
        cmocka_unit_test(capture_to_a_pipe_ends_with_its_reader),
        cmocka_unit_test(failing_capture_does_not_affect_the_frames),
        cmocka_unit_test(faults_lose_and_duplicate_in_both_directions),
        cmocka_unit_test(delayed_frames_arrive_when_due_and_reordered_ones_later),
        cmocka_unit_test(fault_shortens_transmits_and_fails_calls),
        cmocka_unit_test(corrupted_frames_differ_in_one_bit),
        cmocka_unit_test(frames_held_when_closing_are_freed),
        cmocka_unit_test(trace_prints_a_line_for_each_frame),
        cmocka_unit_test(wrapper_mirrors_the_device_below),
        cmocka_unit_test(wrapper_passes_on_ports_and_counters),
        cmocka_unit_test(only_a_wrapper_accepts_a_lower_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
