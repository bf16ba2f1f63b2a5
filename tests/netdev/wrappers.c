/* Devices over devices: pcap, fault and trace, over the simulated network. */
#include "netdev/sim.h"

#include "netdev_test.h"

#include <stdlib.h>
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

static const char *capture_path(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/dmtr-test-capture.%d", (int)getpid());
    return path;
}

static uint32_t word_at(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Walks the file's blocks; checks each packet's length, time and direction against its number. How many packets. */
static uint32_t read_capture(void) {
    static uint8_t file[1 << 20];
    FILE *f = fopen(capture_path(), "rb");
    size_t bytes, at = 0;
    uint32_t packets = 0;
    assert_non_null(f);
    bytes = fread(file, 1, sizeof file, f);
    fclose(f);
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

static void capture_that_cannot_be_written_leaves_the_frames_alone(void **state) {
    (void)state;
    struct pair p = make_pair();
    struct netdev *dev;
    struct netdev_args args = {.options = "file=/nonexistent/x", .lower = p.a};
    assert_int_equal(netdev_open("pcap", &args, &dev), -ENOENT);
    args.options = "file=/dev/full";
    assert_int_equal(netdev_open("pcap", &args, &dev), -ENOSPC);
    assert_int_equal(test_send(p.a, mac_b, 1, 60, 0), 1); /* still the caller's */
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
    assert_in_range(there, 3600, 3960); /* 0.9 times 1.05 of 4,000 is 3,780 */
    assert_in_range(back, 3600, 3960);
    free_pair(&p);
}

static void delayed_frames_come_when_due_and_reordered_ones_later(void **state) {
    (void)state;
    struct pair p = make_faulty_pair("delay_ns=1000,reorder=0.2,reorder_ns=500,seed=1");
    uint32_t got = 0, overtaken = 0;
    int64_t last = -1, number;
    assert_int_equal(test_send(p.a, mac_b, 0, 60, 100), 1);
    assert_in_range(netdev_next_ns(p.a), 1100, 1700);
    assert_int_equal(test_receive(p.b, 1099), -1);
    for (uint32_t i = 1; i < 200; i++)
        assert_int_equal(test_send(p.a, mac_b, i, 60, 100 + i), 1);
    for (uint64_t now = 1100; now < 4000; now += 10) {
        assert_int_equal(test_receive(p.a, now), -1); /* lets what is due go */
        for (; (number = test_receive(p.b, now)) >= 0; got++) {
            overtaken += number < last;
            last = number > last ? number : last;
        }
    }
    assert_int_equal(got, 200);
    assert_in_range(overtaken, 10, 80);
    free_pair(&p);
}

static void fault_transmits_fall_short_and_calls_fail(void **state) {
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
        assert_int_equal(test_number(sent, 100), i); /* the caller's own is whole */
        assert_int_equal(netdev_rx(p.b, &got, 1, 0), 1);
        for (uint32_t j = 0; j < 100; j++)
            bits += __builtin_popcount(sent[j] ^ ((uint8_t *)got.data)[j]);
        assert_int_equal(bits, 1);
        heap_free(got.data);
        heap_free(sent);
    }
    free_pair(&p);
}

static void frames_held_when_closing_are_given_back(void **state) {
    (void)state;
    struct pair p = make_faulty_pair("delay_ns=1000000,duplicate=1");
    for (uint32_t i = 0; i < 3000; i++) {
        int r = test_send(p.a, mac_b, i, 60, 0);
        assert_int_equal(r, i < 2048); /* both copies must find room */
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

static void trace_says_a_line_for_each_frame(void **state) {
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

static void wrapper_looks_like_the_device_below(void **state) {
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

static void wrapper_wants_a_device_and_a_device_wants_none(void **state) {
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
        cmocka_unit_test(capture_that_cannot_be_written_leaves_the_frames_alone),
        cmocka_unit_test(faults_lose_and_duplicate_in_both_directions),
        cmocka_unit_test(delayed_frames_come_when_due_and_reordered_ones_later),
        cmocka_unit_test(fault_transmits_fall_short_and_calls_fail),
        cmocka_unit_test(corrupted_frames_differ_in_one_bit),
        cmocka_unit_test(frames_held_when_closing_are_given_back),
        cmocka_unit_test(trace_says_a_line_for_each_frame),
        cmocka_unit_test(wrapper_looks_like_the_device_below),
        cmocka_unit_test(wrapper_wants_a_device_and_a_device_wants_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
