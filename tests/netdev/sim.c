/* SPDX-License-Identifier: MIT */
/* netdev/sim/sim.h */
#include "netdev/sim/sim.h"

#include "netdev_test.h"

#include "base/csum.h"

#define MS 1000000u

struct pair {
    struct sim *sim;
    struct netdev *a, *b;
    int host_a, host_b, link;
};

static struct netdev *open_host(struct sim *sim, const char *options) {
    char why[160] = "";
    struct netdev_args args = {.options = options, .sim = sim, .why = why, .why_bytes = sizeof why};
    struct netdev *dev;
    if (netdev_open("sim", &args, &dev) < 0) fail_msg("%s", why);
    return dev;
}

static struct pair make_pair(uint64_t seed, const struct sim_path *path) {
    struct pair p = {.sim = sim_new(&(struct sim_config){.seed = seed, .host_queue_max = 4096})};
    assert_non_null(p.sim);
    p.host_a = sim_add_host(p.sim, "a", mac_a, 1500);
    p.host_b = sim_add_host(p.sim, "b", mac_b, 1500);
    p.link = sim_connect(p.sim, p.host_a, p.host_b, path, NULL);
    assert_int_equal(p.link, 0);
    p.a = open_host(p.sim, "host=a");
    p.b = open_host(p.sim, "host=b");
    return p;
}

static void free_pair(struct pair *p) {
    netdev_close(p->a);
    netdev_close(p->b);
    sim_free(p->sim);
}

static uint32_t receive_all(struct netdev *dev, uint64_t now_ns) {
    uint32_t n = 0;
    while (test_receive(dev, now_ns) >= 0)
        n++;
    return n;
}

static void frame_arrives_after_its_delay_and_not_before(void **state) {
    (void)state;
    struct pair p = make_pair(1, &(struct sim_path){.delay_ns = 5 * MS});
    assert_int_equal(test_send(p.a, mac_b, 7, 1514, 1 * MS), 1);
    assert_int_equal(netdev_next_ns(p.b), 6 * MS);
    assert_int_equal(test_receive(p.b, 6 * MS - 1), -1);
    assert_int_equal(test_receive(p.b, 6 * MS), 7);
    assert_true(netdev_next_ns(p.b) == NETDEV_NEVER);
    free_pair(&p);
}

static void rate_spaces_frames_and_its_queue_is_bounded(void **state) {
    (void)state;
    /* 8 Mbit/s: 1,000 bytes per millisecond */
    struct pair p = make_pair(1, &(struct sim_path){.rate_bps = 8000000, .queue_bytes = 5000});
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(test_send(p.a, mac_b, i, 1000, 0), 1);
    assert_int_equal(sim_get_stats(p.sim, p.link, true).queue_full, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(test_receive(p.b, (i + 1) * MS - 1), -1);
        assert_int_equal(test_receive(p.b, (i + 1) * MS), i);
    }
    assert_int_equal(test_send(p.a, mac_b, 10, 1000, 5 * MS), 1);
    assert_int_equal(test_receive(p.b, 6 * MS), 10);
    free_pair(&p);
}

static void jitter_keeps_the_order(void **state) {
    (void)state;
    struct pair p = make_pair(3, &(struct sim_path){.delay_ns = MS, .jitter_ns = 10 * MS});
    for (uint32_t i = 0; i < 100; i++)
        test_send(p.a, mac_b, i, 64, i * MS / 10);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(test_receive(p.b, 100 * MS), i);
    free_pair(&p);
}

static void reordering_lets_frames_overtake(void **state) {
    (void)state;
    struct pair p =
        make_pair(3, &(struct sim_path){.reorder = SIM_CHANCE_ONE / 10, .reorder_ns = 5 * MS, .delay_ns = MS});
    int64_t last = -1;
    uint32_t overtaken = 0;
    bool seen[200] = {false};
    for (uint32_t i = 0; i < 200; i++)
        test_send(p.a, mac_b, i, 64, i * MS / 10);
    for (uint32_t i = 0; i < 200; i++) {
        int64_t number = test_receive(p.b, 100 * MS);
        assert_uint_in_range(number, 0, 199);
        assert_false(seen[number]);
        seen[number] = true;
        overtaken += number < last;
        last = number > last ? number : last;
    }
    assert_uint_in_range(overtaken, 5, 40);
    assert_true(overtaken <= sim_get_stats(p.sim, p.link, true).reordered);
    free_pair(&p);
}

static void loss_and_duplication_have_the_requested_rates(void **state) {
    (void)state;
    struct pair p = make_pair(5, &(struct sim_path){.loss = SIM_CHANCE_ONE / 10, .duplicate = SIM_CHANCE_ONE / 20});
    struct sim_path_stats s;
    uint32_t got = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        test_send(p.a, mac_b, i, 64, i);
        got += receive_all(p.b, i);
    }
    s = sim_get_stats(p.sim, p.link, true);
    assert_uint_in_range(s.lost, 800, 1200);
    assert_uint_in_range(s.duplicated, 350, 550);
    assert_int_equal(got, 10000 - s.lost + s.duplicated);
    assert_int_equal(got, s.delivered);
    free_pair(&p);
}

static void bursts_lose_frames_in_a_row(void **state) {
    (void)state;
    struct pair p = make_pair(5, &(struct sim_path){.burst_enter = SIM_CHANCE_ONE / 100,
                                                    .burst_leave = SIM_CHANCE_ONE / 10,
                                                    .burst_loss = SIM_CHANCE_ONE});
    struct sim_path_stats s;
    uint32_t runs = 0;
    bool lost_before = false;
    for (uint32_t i = 0; i < 20000; i++) {
        test_send(p.a, mac_b, i, 64, i);
        bool lost = test_receive(p.b, i) < 0;
        runs += lost && !lost_before;
        lost_before = lost;
    }
    s = sim_get_stats(p.sim, p.link, true);
    assert_int_equal(s.lost, 0);
    assert_uint_in_range(s.lost_in_bursts, 1200, 2500); /* the bad state lasts 1/11 of the time */
    assert_uint_in_range(s.lost_in_bursts / runs, 7, 13);
    free_pair(&p);
}

static void corruption_flips_one_bit(void **state) {
    (void)state;
    struct pair p = make_pair(9, &(struct sim_path){.corrupt = SIM_CHANCE_ONE});
    for (uint32_t i = 0; i < 200; i++) {
        uint8_t *sent = test_frame(mac_b, mac_a, i, 100);
        struct netdev_seg seg = {sent, 100};
        struct netdev_frame frame = {.segs = &seg, .segs_count = 1, .bytes = 100};
        struct netdev_buffer got;
        int bits = 0;
        assert_int_equal(netdev_tx(p.a, &frame, 1, i), 1);
        assert_int_equal(netdev_rx(p.b, &got, 1, i), 1);
        for (uint32_t j = 0; j < 100; j++)
            bits += __builtin_popcount(sent[j] ^ ((uint8_t *)got.data)[j]);
        assert_int_equal(bits, 1);
        heap_free(sent);
        heap_free(got.data);
    }
    free_pair(&p);
}

static void cut_link_loses_frames_until_it_is_repaired(void **state) {
    (void)state;
    struct pair p = make_pair(1, NULL);
    sim_cut(p.sim, p.link, true);
    assert_int_equal(test_send(p.a, mac_b, 1, 64, 0), 1);
    assert_int_equal(test_receive(p.b, MS), -1);
    assert_int_equal(sim_get_stats(p.sim, p.link, true).cut, 1);
    assert_true(p.a->link_up);
    sim_cut(p.sim, p.link, false);
    test_send(p.a, mac_b, 2, 64, MS);
    assert_int_equal(test_receive(p.b, MS), 2);
    free_pair(&p);
}

static void unplugged_host_reports_its_link_down(void **state) {
    (void)state;
    struct pair p = make_pair(1, NULL);
    struct netdev_buffer b;
    sim_unplug(p.sim, p.host_b, true);
    assert_int_equal(test_send(p.b, mac_a, 1, 64, 0), -ENETDOWN);
    assert_int_equal(netdev_rx(p.b, &b, 1, 0), -ENETDOWN);
    assert_false(p.b->link_up);
    assert_int_equal(test_send(p.a, mac_b, 1, 64, 0), 1);
    sim_advance(p.sim, 1);
    sim_unplug(p.sim, p.host_b, false);
    assert_int_equal(netdev_update(p.b, 0), 0);
    assert_true(p.b->link_up);
    test_send(p.a, mac_b, 2, 64, MS);
    assert_int_equal(test_receive(p.b, MS), 2);
    free_pair(&p);
}

static void mtu_changes_on_path_and_host(void **state) {
    (void)state;
    struct pair p = make_pair(1, &(struct sim_path){.mtu = 576});
    assert_int_equal(test_send(p.a, mac_b, 1, 591, 0), 1);
    assert_int_equal(test_send(p.a, mac_b, 2, 590, 0), 1);
    assert_int_equal(test_receive(p.b, 0), 2);
    assert_int_equal(sim_get_stats(p.sim, p.link, true).too_long, 1);
    sim_set_path(p.sim, p.link, true, &(struct sim_path){0});
    test_send(p.a, mac_b, 3, 1514, 0);
    assert_int_equal(test_receive(p.b, 0), 3);
    assert_int_equal(sim_set_mtu(p.sim, p.host_a, 9000), 0);
    assert_int_equal(sim_set_mtu(p.sim, p.host_a, 67), -EINVAL);
    assert_int_equal(test_send(p.a, mac_b, 4, 9014, 0), 1);
    assert_int_equal(test_receive(p.b, 0), 4);
    assert_int_equal(p.a->mtu, 9000);
    free_pair(&p);
}

static void switch_learns_where_addresses_are(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_config){.seed = 1});
    int sw = sim_add_switch(sim, "switch"), links[3];
    struct netdev *dev[3];
    for (int i = 0; i < 3; i++) {
        char name[8], options[16];
        uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)i};
        snprintf(name, sizeof name, "h%d", i);
        snprintf(options, sizeof options, "host=h%d", i);
        links[i] = sim_connect(sim, sim_add_host(sim, name, mac, 1500), sw, NULL, NULL);
        assert_int_equal(links[i], i);
        dev[i] = open_host(sim, options);
    }
    test_send(dev[0], dev[1]->mac, 1, 64, 0); /* unknown: flooded to all but the sender */
    assert_int_equal(test_receive(dev[1], 0), 1);
    assert_int_equal(test_receive(dev[2], 0), 1);
    assert_int_equal(test_receive(dev[0], 0), -1);
    test_send(dev[1], dev[0]->mac, 2, 64, 0); /* learned by now */
    assert_int_equal(test_receive(dev[0], 0), 2);
    assert_int_equal(test_receive(dev[2], 0), -1);
    test_send(dev[1], dev[1]->mac, 6, 64, 0); /* its address was learned on the port it came from: to nobody */
    for (int i = 0; i < 3; i++)
        assert_int_equal(test_receive(dev[i], 0), -1);
    test_send(dev[2], mac_all, 3, 64, 0);
    assert_int_equal(test_receive(dev[0], 0), 3);
    assert_int_equal(test_receive(dev[1], 0), 3);
    memcpy(dev[2]->mac, dev[1]->mac, 6); /* the address moves to another port */
    test_send(dev[2], dev[0]->mac, 4, 64, 0);
    assert_int_equal(test_receive(dev[0], 0), 4);
    test_send(dev[0], dev[1]->mac, 5, 64, 0);
    assert_int_equal(test_receive(dev[2], 0), 5);
    assert_int_equal(test_receive(dev[1], 0), -1);
    for (int i = 0; i < 3; i++)
        netdev_close(dev[i]);
    sim_free(sim);
}

static void frames_in_a_loop_of_switches_end(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_config){.seed = 1});
    int s0 = sim_add_switch(sim, "s0"), s1 = sim_add_switch(sim, "s1");
    int host = sim_add_host(sim, "a", mac_a, 1500);
    struct netdev *a;
    assert_int_equal(sim_connect(sim, s0, s1, NULL, NULL), 0);
    assert_int_equal(sim_connect(sim, s0, s1, NULL, NULL), 1);
    assert_int_equal(sim_connect(sim, host, s0, NULL, NULL), 2);
    a = open_host(sim, "host=a");
    test_send(a, mac_all, 1, 64, 0);
    assert_true(receive_all(a, 0) > 0);
    assert_true(sim_next_ns(sim) == NETDEV_NEVER);
    netdev_close(a);
    sim_free(sim);
}

static void checksum_offload_writes_the_checksum(void **state) {
    (void)state;
    struct pair p = make_pair(1, NULL);
    netdev_close(p.a);
    p.a = open_host(p.sim, "host=a,csum=yes");
    for (uint32_t bytes = 42; bytes < 200; bytes++) {
        uint8_t *data = test_frame(mac_b, mac_a, bytes, bytes);
        uint16_t pseudo = 0x1234;
        struct netdev_seg seg = {data, bytes};
        struct netdev_frame frame = {.segs = &seg,
                                     .segs_count = 1,
                                     .bytes = bytes,
                                     .offloads = NETDEV_CSUM,
                                     .l2_bytes = 14,
                                     .l3_bytes = 20,
                                     .l4_bytes = 8,
                                     .csum_offset = 6};
        struct netdev_buffer got;
        memcpy(data + 40, &pseudo, 2);
        assert_int_equal(netdev_tx(p.a, &frame, 1, 0), 1);
        assert_int_equal(netdev_rx(p.b, &got, 1, 0), 1);
        assert_int_equal(csum_fold(csum_add(pseudo, (char *)got.data + 34, bytes - 34)), 0xffff);
        heap_free(got.data);
        heap_free(data);
    }
    free_pair(&p);
}

static void frames_that_break_the_rules_are_dropped_and_counted(void **state) {
    (void)state;
    struct pair p = make_pair(1, NULL);
    uint8_t *data = test_frame(mac_b, mac_a, 1, 1600);
    struct netdev_seg seg = {data, 100}, tiny = {data, 13}, large = {data, 1519};
    const struct netdev_frame wrong[] = {
        {.segs = &seg, .segs_count = 0, .bytes = 100},
        {.segs = &seg, .segs_count = 1, .bytes = 101},
        {.segs = &seg, .segs_count = 1, .bytes = 99},
        {.segs = &tiny, .segs_count = 1, .bytes = 13},
        {.segs = &large, .segs_count = 1, .bytes = 1519},
        {.segs = &seg, .segs_count = NETDEV_SEGS_MAX + 1, .bytes = 100},
        {.segs = &seg, .segs_count = 1, .bytes = 100, .offloads = NETDEV_CSUM, .l2_bytes = 14, .l4_bytes = 20},
    };
    uint32_t n = sizeof wrong / sizeof *wrong;
    assert_int_equal(netdev_tx(p.a, wrong, n, 0), n);
    assert_int_equal(p.a->stats.tx_refused, n);
    assert_int_equal(p.a->stats.tx_frames, 0);
    netdev_close(p.a);
    p.a = open_host(p.sim, "host=a,csum=yes");
    const struct netdev_frame lengths[] = {
        {.segs = &seg, .segs_count = 1, .bytes = 100, .offloads = NETDEV_CSUM, .l2_bytes = 14, .l3_bytes = 20},
        {.segs = &seg,
         .segs_count = 1,
         .bytes = 100,
         .offloads = NETDEV_CSUM,
         .l2_bytes = 14,
         .l3_bytes = 67,
         .l4_bytes = 20,
         .csum_offset = 16},
        {.segs = &seg,
         .segs_count = 1,
         .bytes = 100,
         .offloads = NETDEV_CSUM,
         .l2_bytes = 14,
         .l3_bytes = 20,
         .l4_bytes = 20,
         .csum_offset = 19},
        {.segs = &seg,
         .segs_count = 1,
         .bytes = 100,
         .offloads = NETDEV_TSO4,
         .l2_bytes = 14,
         .l3_bytes = 20,
         .l4_bytes = 20,
         .csum_offset = 16,
         .mss = 10},
    };
    n = sizeof lengths / sizeof *lengths;
    assert_int_equal(netdev_tx(p.a, lengths, n, 0), n);
    assert_int_equal(p.a->stats.tx_refused, n);
    heap_free(data);
    free_pair(&p);
}

static void host_that_does_not_receive_loses_frames_beyond_its_queue(void **state) {
    (void)state;
    struct pair p = make_pair(1, NULL);
    for (uint32_t i = 0; i < 4100; i++)
        test_send(p.a, mac_b, i, 64, 0);
    assert_int_equal(receive_all(p.b, 0), 4096);
    assert_int_equal(p.b->stats.rx_overrun, 4);
    assert_int_equal(sim_get_stats(p.sim, p.link, true).host_full, 4);
    netdev_close(p.b);
    p.b = NULL;
    test_send(p.a, mac_b, 1, 64, 0);
    sim_advance(p.sim, 1);
    assert_int_equal(sim_get_stats(p.sim, p.link, true).host_away, 1);
    free_pair(&p);
}

/* Sends at random over a bad link. Returns a digest of the frames that arrived and their times. */
static uint64_t run_digest(uint64_t seed) {
    struct sim_path path = {.delay_ns = MS,
                            .jitter_ns = MS,
                            .rate_bps = 100000000,
                            .queue_bytes = 30000,
                            .loss = 20000,
                            .burst_enter = 5000,
                            .burst_leave = 200000,
                            .burst_loss = 500000,
                            .duplicate = 10000,
                            .corrupt = 10000,
                            .reorder = 30000,
                            .reorder_ns = 2 * MS};
    struct pair p = make_pair(seed, &path);
    struct rng r;
    uint64_t digest = 0;
    rng_init(&r, seed + 1);
    for (uint64_t i = 0, now = 0; i < 3000; i++, now += rng_below(&r, MS / 5)) {
        struct netdev_buffer got[8];
        int n;
        test_send(p.a, mac_b, (uint32_t)i, 18 + (uint32_t)rng_below(&r, 1490), now);
        n = netdev_rx(p.b, got, 8, now);
        for (int j = 0; j < n; j++) {
            for (uint32_t k = 0; k < got[j].bytes; k++)
                digest = digest * 0x100000001b3 + ((uint8_t *)got[j].data)[k];
            digest = digest * 0x100000001b3 + now;
            heap_free(got[j].data);
        }
    }
    free_pair(&p);
    return digest;
}

static void same_seed_replays_exactly(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++)
        assert_true(run_digest(seed) == run_digest(seed));
    assert_true(run_digest(1) != run_digest(2));
}

static void invalid_topologies_are_refused(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_config){.nodes_max = 3});
    struct netdev *dev, *again;
    struct netdev_args args = {.options = "host=a", .sim = sim};
    assert_null(sim_new(&(struct sim_config){.nodes_max = 65536}));
    assert_int_equal(sim_add_host(sim, "a", mac_a, 1500), 0);
    assert_int_equal(sim_add_host(sim, "a", mac_a, 1500), -EEXIST);
    assert_int_equal(sim_add_host(sim, "", mac_a, 1500), -EINVAL);
    assert_int_equal(sim_add_host(sim, "b", mac_a, 65536), -EINVAL);
    assert_int_equal(sim_add_host(sim, "b", mac_all, 1500), -EINVAL);
    assert_int_equal(sim_add_host(sim, "b", mac_b, 1500), 1);
    assert_int_equal(sim_add_switch(sim, "s"), 2);
    assert_int_equal(sim_add_switch(sim, "t"), -ENOBUFS);
    assert_int_equal(sim_connect(sim, 0, 0, NULL, NULL), -EINVAL);
    assert_int_equal(sim_connect(sim, 0, 3, NULL, NULL), -EINVAL);
    assert_int_equal(sim_connect(sim, 0, 1, NULL, NULL), 0);
    assert_int_equal(sim_connect(sim, 0, 2, NULL, NULL), -EBUSY);
    assert_int_equal(netdev_open("sim", &args, &dev), 0);
    assert_int_equal(netdev_open("sim", &args, &again), -EBUSY);
    args.options = "host=s";
    assert_int_equal(netdev_open("sim", &args, &again), -ENODEV);
    args.options = "";
    assert_int_equal(netdev_open("sim", &args, &again), -EINVAL);
    args.options = "host=a-name-of-thirty-one-characters";
    assert_int_equal(netdev_open("sim", &args, &again), -ENODEV);
    args.options = "host=a-name-of-thirty-two-characters.";
    assert_int_equal(netdev_open("sim", &args, &again), -EINVAL);
    netdev_close(dev);
    sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_arrives_after_its_delay_and_not_before),
        cmocka_unit_test(rate_spaces_frames_and_its_queue_is_bounded),
        cmocka_unit_test(jitter_keeps_the_order),
        cmocka_unit_test(reordering_lets_frames_overtake),
        cmocka_unit_test(loss_and_duplication_have_the_requested_rates),
        cmocka_unit_test(bursts_lose_frames_in_a_row),
        cmocka_unit_test(corruption_flips_one_bit),
        cmocka_unit_test(cut_link_loses_frames_until_it_is_repaired),
        cmocka_unit_test(unplugged_host_reports_its_link_down),
        cmocka_unit_test(mtu_changes_on_path_and_host),
        cmocka_unit_test(switch_learns_where_addresses_are),
        cmocka_unit_test(frames_in_a_loop_of_switches_end),
        cmocka_unit_test(checksum_offload_writes_the_checksum),
        cmocka_unit_test(frames_that_break_the_rules_are_dropped_and_counted),
        cmocka_unit_test(host_that_does_not_receive_loses_frames_beyond_its_queue),
        cmocka_unit_test(same_seed_replays_exactly),
        cmocka_unit_test(invalid_topologies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
